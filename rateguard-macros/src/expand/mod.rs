//! From a plan to the code of a limited handler.

mod deferred;
mod function;
mod limits;
mod marker;
pub(crate) mod openapi;
mod order;
mod recursion;
mod send;
mod tokens;
pub(crate) mod words;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};

use crate::handler::Handler;
use crate::plan::Plan;
use marker::Marker;
pub(crate) use order::reordered;

/// The limited function, and its limits on a hidden marker type beside it.
pub(crate) fn function(plan: &Plan, handler: &Handler) -> TokenStream {
    let marker = Marker::of_function(handler);
    let function = function::limited(plan, handler, &marker.in_signature, false);
    let name = handler.plain_name();
    let beside = Beside {
        path: handler.name.to_token_stream(),
        descriptors: limits::descriptors(plan, &name),
        conditions: Vec::new(),
        marker,
        name,
    };
    let beside = beside.items(plan, handler);
    quote!(#function #beside)
}

/// What the attribute above an `impl` block makes of a limited function in it.
pub(crate) struct Method {
    /// Takes its place in the block.
    pub(crate) inside: TokenStream,
    /// Goes beside the block.
    pub(crate) beside: TokenStream,
}

/// The first step of a limited function in `impl ty { … }`. Messages and policies call the type `type_name`;
/// `of_block` are the `#[cfg(…)]`s of the block.
///
/// The function itself is left to [`second_step`], so that the macros above it see it as it was written.
pub(crate) fn method(
    plan: &Plan,
    handler: &Handler,
    ty: &TokenStream,
    type_name: &str,
    of_block: &[TokenStream],
) -> Method {
    let marker = Marker::of_method(handler, type_name);
    let private = plan.private(Span::mixed_site());
    let name = format!("{type_name}::{}", handler.plain_name());
    let conditions = handler.others().filter(|attribute| attribute.is_condition());
    let conditions: Vec<TokenStream> = conditions.map(|attribute| attribute.tokens.clone()).collect();
    let others = handler.others().map(|attribute| &attribute.tokens);
    let own = handler.limits().map(|attribute| &attribute.tokens);
    // In the block, where `Self` in a limit is the block's type.
    let constant = format_ident!("__RATE_LIMIT_{}", handler.plain_name(), span = Span::mixed_site());
    let descriptors = limits::descriptors(plan, &name);
    let allowed = limits::allowed();
    let (item, function, library, marker_name) = (&handler.item, &handler.name, &plan.library, &marker.name);
    let inside = quote! {
        #(#conditions)*
        #[doc(hidden)]
        #allowed
        const #constant: &'static [#private::HttpLimit] = #descriptors;
        #(#others)*
        #[#private::rate_limit_in_impl(#marker_name, #library)]
        #(#own)*
        #item
    };
    let path = quote!(<#ty>::#function);
    let beside = Beside {
        path,
        descriptors: quote!(<#ty>::#constant),
        conditions: [of_block, &conditions].concat(),
        marker,
        name,
    };
    Method { inside, beside: beside.items(plan, handler) }
}

/// The limited function in an `impl` block.
pub(crate) fn second_step(plan: &Plan, handler: &Handler, marker: &Ident) -> TokenStream {
    function::limited(plan, handler, marker, true)
}

/// What goes beside a function, or beside the `impl` block that it is in.
struct Beside {
    marker: Marker,
    /// The name of the handler within its module, such as `search` or `Api::list`.
    name: String,
    /// The path of the handler.
    path: TokenStream,
    /// The list of its limits, or the path of that list.
    descriptors: TokenStream,
    /// `#[cfg(…)]`s.
    conditions: Vec<TokenStream>,
}

impl Beside {
    fn items(&self, plan: &Plan, handler: &Handler) -> TokenStream {
        let Beside { marker, name, path, descriptors, conditions } = self;
        let types = marker.items(&handler.visibility, conditions);
        let limits = limits::implementation(plan, name, &marker.in_signature, descriptors);
        let send = send::assert_send(handler, path);
        quote! {
            #types
            #(#conditions)*
            const _: () = {
                #limits
                #send
            };
        }
    }
}
