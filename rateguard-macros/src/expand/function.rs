//! The limited function: with the guard in its signature, and for `cargo doc` as it is written.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, quote};

use super::deferred;
use super::recursion;
use super::tokens::{block, split, within};
use super::words;
use crate::attribute::Attribute;
use crate::handler::Handler;
use crate::param::Param;
use crate::plan::Plan;

/// The limited function.
pub(super) fn limited(plan: &Plan, handler: &Handler, marker: &Ident, in_impl: bool) -> TokenStream {
    let function = function(plan, handler, marker, in_impl);
    let documented = documented(plan, handler);
    quote! {
        #[cfg(not(doc))]
        #function
        #documented
    }
}

/// The function for `cargo doc`: its signature as it is written, and its limits in words.
///
/// rustdoc does not read bodies. The words are only added to a text, so that `missing_docs` still finds a missing one.
fn documented(plan: &Plan, handler: &Handler) -> TokenStream {
    let Handler { visibility, qualifiers, fn_token, name, generics, params, output, .. } = handler;
    let attributes = handler.others().map(|attribute| &attribute.tokens);
    let words = handler.others().any(Attribute::is_doc_text).then(|| {
        let lines = plan.limits.iter().map(|limit| format!(" {}", words::sentence(limit)));
        quote!(#(#[doc = ""] #[doc = #lines])*)
    });
    let where_clause = &generics.where_clause;
    let output = output.as_ref().map(|(arrow, ty)| quote!(#arrow #ty));
    quote! {
        #[cfg(doc)]
        #(#attributes)*
        #words
        #visibility #(#qualifiers)* #fn_token #name #generics (#(#params),*) #output #where_clause { loop {} }
    }
}

fn function(plan: &Plan, handler: &Handler, marker: &Ident, in_impl: bool) -> TokenStream {
    let Handler { visibility, qualifiers, fn_token, name, generics, output, .. } = handler;
    let attributes = handler.others().map(|attribute| &attribute.tokens);
    let where_clause = &generics.where_clause;
    let is_deferred = plan.is_deferred();
    let guard = is_deferred.then(deferred::guard);
    let mut parameters = Group::new(Delimiter::Parenthesis, guarded(plan, handler, guard.as_ref(), marker));
    parameters.set_span(handler.parentheses);
    // In an `impl` block, a function calls itself by a path.
    let itself = if in_impl { None } else { recursion::copy(handler) };
    if let Some(guard) = guard {
        let deferred::Wrapped { attributes: inner, output, body } =
            deferred::wrapped(plan, handler, itself.as_ref(), &guard);
        return quote! {
            #(#attributes)* #inner
            #visibility #(#qualifiers)* #fn_token #name #generics #parameters #output #where_clause #body
        };
    }
    let body = match itself {
        None => handler.body.clone(),
        Some(itself) => {
            let (inner, statements) = split(&handler.body);
            let statements = block(&handler.body, &inner, statements);
            within(&handler.body, quote!(#(# ! #inner)* #itself #statements))
        }
    };
    let output = output.as_ref().map(|(arrow, ty)| quote!(#arrow #ty));
    quote! {
        #(#attributes)*
        #visibility #(#qualifiers)* #fn_token #name #generics #parameters #output #where_clause #body
    }
}

/// The parameters, with the guard in the first one, so that it is extracted first.
///
/// Their number does not change: axum takes 16, and a `debug_handler` that was expanded before has already used it.
fn guarded(plan: &Plan, handler: &Handler, guard: Option<&Ident>, marker: &Ident) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let limited = quote!(#private::Limited);
    match handler.params.split_first() {
        Some((first, rest)) if !first.is_conditional() => {
            let guard = guard.map_or_else(|| quote!(_), ToTokens::to_token_stream);
            let Param { attributes, pattern, colon, ty } = first;
            let attributes = attributes.iter().map(|attribute| &attribute.tokens);
            quote!(#(#attributes)* #limited(#guard, #pattern) #colon #limited<#marker, #ty> #(, #rest)*)
        }
        _ => {
            let params = &handler.params;
            // `utoipa` accepts only `_` for an argument whose type it does not know.
            let guard = guard.map_or_else(|| quote!(_), |guard| quote!(#limited(#guard, ())));
            quote!(#guard: #limited<#marker, ()> #(, #params)*)
        }
    }
}
