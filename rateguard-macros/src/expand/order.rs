//! The order of `#[rate_limit]` and the other attributes of a function.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use crate::attribute::Attribute;
use crate::handler::Handler;

/// The same function with its `#[rate_limit]`s below all other attributes, if another one has to be expanded first.
///
/// A macro below would see the guard: `instrument` would record it, `utoipa` would document it, and an `err` or `ret`
/// would be about the wrapped body. A `#[cfg]` below would apply to the function, but not to the items beside it.
/// A function without parameters has none to hide the guard in, so here `debug_handler` must see it and goes below.
pub(crate) fn reordered(handler: &Handler, own: &[TokenStream], library: &TokenStream) -> Option<TokenStream> {
    let others: Vec<&Attribute> = handler.others().collect();
    let goes_above = |attribute: &Attribute| {
        if handler.params.is_empty() { attribute.is_condition() } else { !attribute.is_inert() }
    };
    if !others.iter().any(|attribute| goes_above(attribute)) {
        return None;
    }
    let (above, below): (Vec<&Attribute>, Vec<&Attribute>) =
        others.into_iter().partition(|attribute| !handler.params.is_empty() || goes_above(attribute));
    let above = above.into_iter().map(|attribute| &attribute.tokens);
    let below = below.into_iter().map(|attribute| &attribute.tokens);
    let item = &handler.item;
    let own = own.iter().map(|arguments| {
        let path = quote_spanned!(Span::mixed_site()=> #library::rate_limit);
        quote!(#[#path(#arguments)])
    });
    Some(quote!(#(#above)* #(#own)* #(#below)* #item))
}
