//! Reports a handler that is not `Send`. axum alone would only report that it is not a handler.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

use crate::handler::Handler;

/// A function that is never called, so that a handler that is never used is still reported as unused.
///
/// `path` is the path of the handler. The names of these items are unlikely to be a handler's: unlike a variable, an
/// item is visible to the code of the user, and could hide a handler of the same name.
pub(super) fn assert_send(handler: &Handler, path: &TokenStream) -> Option<TokenStream> {
    let generic = !handler.generics.params.is_empty()
        || handler.params.iter().any(|param| param.is_conditional() || mentions_impl(param.ty.to_token_stream()));
    if generic || handler.is("unsafe") || handler.attributes.iter().any(|attribute| attribute.is("deprecated")) {
        return None;
    }
    let site = Span::mixed_site().located_at(handler.name.span());
    // Type parameters, so that the types of the arguments are not written a second time.
    let arguments = (0..handler.params.len().max(1)).map(|place| Ident::new(&format!("A{place}"), site));
    let arguments = quote!(#(#arguments),*);
    Some(quote_spanned! {site=>
        #[cfg(not(doc))]
        fn __rate_limit_send() {
            fn __rate_limit_is_send<#arguments, F: ::core::future::Future + ::core::marker::Send>(
                _: impl ::core::ops::Fn(#arguments) -> F,
            ) {
            }
            __rate_limit_is_send(#path);
        }
    })
}

fn mentions_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "impl",
        TokenTree::Group(group) => mentions_impl(group.stream()),
        _ => false,
    })
}
