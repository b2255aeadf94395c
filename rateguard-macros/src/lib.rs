//! The attribute `#[rate_limit]` of rateguard.

use proc_macro::TokenStream;

/// Limits a handler.
#[proc_macro_attribute]
pub fn rate_limit(_args: TokenStream, item: TokenStream) -> TokenStream {
    item
}
