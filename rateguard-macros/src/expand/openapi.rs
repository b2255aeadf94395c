//! The 429 of a limit, in the document of a `#[utoipa::path]` below the attribute.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;

use crate::attribute::Attribute;
use crate::handler::Handler;

/// Adds the answer to a denied request, unless the `#[utoipa::path]` names a 429 itself.
pub(crate) fn document(handler: &mut Handler, words: &str) {
    for attribute in &mut handler.attributes {
        if let [.., krate, path] = attribute.path.as_slice()
            && krate == "utoipa"
            && path == "path"
            && !names_a_429(attribute.arguments.clone())
        {
            add(attribute, words);
        }
    }
}

/// Whether a 429 is named, in any of its forms, or a type or range that may include it.
fn names_a_429(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => names_a_429(group.stream()),
        TokenTree::Ident(word) => word == "TOO_MANY_REQUESTS" || word == "RateLimited",
        TokenTree::Literal(literal) => matches!(literal.to_string().as_str(), "429" | "\"429\"" | "\"4XX\""),
        TokenTree::Punct(_) => false,
    })
}

fn add(attribute: &mut Attribute, words: &str) {
    let description = format!("Too many requests. {words}");
    // First, so that a 429 in a set of responses that is named by its type replaces it.
    // The headers are those of the limiter's default: its settings are not known here.
    let denied = quote! {
        (
            status = 429,
            description = #description,
            content_type = "application/problem+json",
            body = Object,
            headers(
                ("retry-after" = u64, description = "Seconds to wait; absent if waiting does not help"),
                ("x-ratelimit-limit" = u64, description = "How much is allowed in a window"),
                ("x-ratelimit-remaining" = u64, description = "How much of it is left"),
                ("x-ratelimit-reset" = u64, description = "Seconds until all of it is there again")
            )
        ),
    };
    let mut tokens: Vec<TokenTree> = attribute.arguments.clone().into_iter().collect();
    let responses = tokens.iter().position(|token| matches!(token, TokenTree::Ident(word) if word == "responses"));
    let group = responses.and_then(|place| tokens.get_mut(place + 1));
    if let Some(TokenTree::Group(group)) = group {
        let others = group.stream();
        *group = like(group, quote!(#denied #others));
    } else if responses.is_none() {
        let ends =
            matches!(tokens.last(), Some(TokenTree::Punct(punct)) if punct.as_char() == ',') || tokens.is_empty();
        let comma = (!ends).then(|| quote!(,));
        tokens.extend(quote!(#comma responses(#denied)));
    }
    attribute.arguments = tokens.into_iter().collect();
    attribute.tokens = rebuilt(attribute.tokens.clone(), &attribute.arguments);
}

/// `#[path(…)]` with other arguments.
fn rebuilt(attribute: TokenStream, arguments: &TokenStream) -> TokenStream {
    let replaced = attribute.into_iter().map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
            like(&group, arguments.clone()).into()
        }
        TokenTree::Group(group) => like(&group, rebuilt(group.stream(), arguments)).into(),
        token => token,
    });
    replaced.collect()
}

/// A group with the same delimiters in the same place.
fn like(group: &Group, tokens: TokenStream) -> Group {
    let mut other = Group::new(group.delimiter(), tokens);
    other.set_span(group.span());
    other
}
