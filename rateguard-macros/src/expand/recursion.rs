//! Handlers that call themselves.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::quote;

use crate::handler::Handler;

/// A copy of the function as it is written, if its body calls it. So a handler that calls itself passes the arguments
/// that are written, and the request is counted once.
///
/// It goes around the body, not into it: what the body imports or defines under this name takes precedence.
pub(super) fn copy(handler: &Handler) -> Option<TokenStream> {
    let Handler { qualifiers, fn_token, name, generics, params, output, body, .. } = handler;
    let where_clause = &generics.where_clause;
    let output = output.as_ref().map(|(arrow, ty)| quote!(#arrow #ty));
    calls(body.stream(), name).then(|| {
        quote! {
            #[allow(dead_code)]
            #(#qualifiers)* #fn_token #name #generics (#(#params),*) #output #where_clause #body
        }
    })
}

/// Whether a function of this name is called: `name(…)` or `name::<…>(…)`, but not `.name(…)` or `path::name(…)`.
fn calls(tokens: TokenStream, name: &Ident) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |place: Option<usize>, sign: char| {
        let token = place.and_then(|place| tokens.get(place));
        matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    };
    tokens.iter().enumerate().any(|(place, token)| match token {
        TokenTree::Group(group) => calls(group.stream(), name),
        TokenTree::Ident(word) if word == name => {
            let (before, second) = (place.checked_sub(1), place.checked_sub(2));
            // Two dots are a range.
            let in_path = is(before, ':') && is(second, ':') || is(before, '.') && !is(second, '.');
            let defined =
                matches!(before.and_then(|place| tokens.get(place)), Some(TokenTree::Ident(word)) if word == "fn");
            let turbofish = is(Some(place + 1), ':') && is(Some(place + 2), ':') && is(Some(place + 3), '<');
            let called = matches!(
                tokens.get(place + 1),
                Some(TokenTree::Group(arguments)) if arguments.delimiter() == Delimiter::Parenthesis
            );
            !in_path && !defined && (called || turbofish)
        }
        _ => false,
    })
}
