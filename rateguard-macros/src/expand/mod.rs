//! From a plan to the code of a limited handler.

mod deferred;
mod function;
mod limits;
mod marker;
pub(crate) mod openapi;
mod order;
mod quota;
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
        limits: limits::list(plan, &name),
        conditions: Vec::new(),
        marker,
        name,
    };
    let beside = beside.items(plan, handler);
    quote!(#function #beside)
}

/// The type of an `impl` block.
pub(crate) struct Target {
    pub(crate) ty: TokenStream,
    /// The type in names.
    pub(crate) name: String,
    /// The `#[cfg(…)]`s of the block.
    pub(crate) conditions: Vec<TokenStream>,
}

/// The first step of a limited function in an `impl` block.
pub(crate) struct Method {
    /// Replaces the function.
    pub(crate) inside: TokenStream,
    /// Goes beside the block.
    pub(crate) beside: TokenStream,
}

/// The first step of a limited function in an `impl` block. The function itself does not change before [`second_step`],
/// so that the macros above it see it as it is written.
pub(crate) fn method(plan: &Plan, handler: &Handler, target: &Target) -> Method {
    let marker = Marker::of_method(handler, &target.name);
    let conditions = handler.others().filter(|attribute| attribute.is_condition());
    let conditions: Vec<TokenStream> = conditions.map(|attribute| attribute.tokens.clone()).collect();
    let others = handler.others().map(|attribute| &attribute.tokens);
    let own = handler.limits().map(|attribute| &attribute.tokens);
    let name = format!("{}::{}", target.name, handler.plain_name());
    // In the block, so that `Self` in a limit is the type of the block.
    let constant = format_ident!("__RATE_LIMIT_{}", handler.plain_name(), span = Span::mixed_site());
    let list = limits::constant(plan, &name, &constant);
    let (item, library, marker_name) = (&handler.item, &plan.library, &marker.name);
    let private = plan.private(Span::mixed_site());
    let inside = quote! {
        #(#conditions)*
        #list
        #(#others)*
        #[#private::rate_limit_in_impl(#marker_name, #library)]
        #(#own)*
        #item
    };
    let (ty, function) = (&target.ty, &handler.name);
    let beside = Beside {
        path: quote!(<#ty>::#function),
        limits: quote!(<#ty>::#constant),
        conditions: [target.conditions.as_slice(), &conditions].concat(),
        marker,
        name,
    };
    Method { inside, beside: beside.items(plan, handler) }
}

/// The second step of a function in an `impl` block: the limited function.
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
    limits: TokenStream,
    /// `#[cfg(…)]`s.
    conditions: Vec<TokenStream>,
}

impl Beside {
    fn items(&self, plan: &Plan, handler: &Handler) -> TokenStream {
        let Beside { marker, name, path, limits, conditions } = self;
        let types = marker.items(&handler.visibility, conditions);
        let limits = limits::implementation(plan, name, &marker.in_signature, limits);
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
