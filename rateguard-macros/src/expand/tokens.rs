//! Small pieces of code that more than one part of the expansion writes.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote_spanned;

use crate::value::Value;

/// The request's head, as a parameter that the user's closures cannot see.
pub(super) fn parts() -> Ident {
    Ident::new("parts", Span::mixed_site())
}

/// An expression that has to be a `bool`.
pub(super) fn boolean(value: &Value) -> TokenStream {
    let span = value.span();
    typed(&value.stream(), &quote_spanned!(span=> ::core::primitive::bool), span)
}

/// A value after its type. An error about the value then says what type is expected, and names no function of ours.
pub(super) fn typed(value: &TokenStream, ty: &TokenStream, span: Span) -> TokenStream {
    quote_spanned!(span=> { let value: #ty = #value; value })
}

/// The same tokens in another place.
pub(super) fn at(tokens: &TokenStream, span: Span) -> TokenStream {
    let moved = tokens.clone().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    moved.collect()
}

/// A block in the place of `body`.
pub(super) fn within(body: &Group, tokens: TokenStream) -> Group {
    let mut block = Group::new(Delimiter::Brace, tokens);
    block.set_span(body.span());
    block
}

/// The body as a block: the original tokens where possible, since only these have the spans of both braces.
pub(super) fn block(body: &Group, attributes: &[TokenTree], statements: TokenStream) -> Group {
    if attributes.is_empty() { body.clone() } else { within(body, statements) }
}

/// Separates a body's inner attributes, without `#!`, from its statements. A function can have them, a block cannot.
pub(super) fn split(body: &Group) -> (Vec<TokenTree>, TokenStream) {
    let is = |token: Option<&TokenTree>, c| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c);
    let mut attributes = Vec::new();
    let mut rest = body.stream().into_iter().collect::<Vec<_>>().into_iter();
    while is(rest.as_slice().first(), '#') && is(rest.as_slice().get(1), '!') {
        attributes.extend(rest.nth(2));
    }
    (attributes, rest.collect())
}

/// The span of the last token.
pub(super) fn end(tokens: TokenStream) -> Option<Span> {
    tokens.into_iter().last().map(|token| match token {
        TokenTree::Group(group) => group.span_close(),
        token => token.span(),
    })
}
