//! The limits of a handler as constants of its marker type, and what its arguments add to them.
//!
//! Only this file writes the library's descriptions of limits, keys and costs.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;

use super::quota;
use super::tokens::{boolean, parts};
use super::words;
use crate::plan::{Amount, Key, Limit, Plan};
use crate::value;

/// The limits of a handler, as a list of constants. `name` is the handler's within its module.
pub(super) fn list(plan: &Plan, name: &str) -> TokenStream {
    let limits = plan.limits.iter().enumerate().map(|(place, limit)| {
        // A function's second limit needs a name of its own, or the two would share one bucket.
        let name = match (limit.policy.name(), place) {
            (Some(name), _) => quote!(#name),
            (None, 0) => in_module(name),
            (None, place) => in_module(&format!("{name}#{}", place + 1)),
        };
        descriptor(plan, limit, &name)
    });
    quote!(&[#(#limits),*])
}

/// The same list as a constant of an `impl` block.
pub(super) fn constant(plan: &Plan, name: &str, constant: &Ident) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let (allowed, list) = (allowed(), list(plan, name));
    quote! {
        #[doc(hidden)]
        #allowed
        const #constant: &'static [#private::HttpLimit] = #list;
    }
}

/// `impl Limits for Marker`.
pub(super) fn implementation(plan: &Plan, name: &str, marker: &Ident, list: &TokenStream) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let handler = in_module(name);
    let words = words::sentences(&plan.limits);
    // `module_path!` has no names of functions, so handlers of one name in different functions have one path. The name
    // of the marker's type tells them apart, but is no constant.
    let named = plan.limits.iter().any(|limit| limit.policy.is_named_by_default()).then(|| {
        quote! {
            fn limits() -> &'static [#private::HttpLimit] {
                static NAMED: #private::NamedLimits = #private::NamedLimits::new();
                #private::NamedLimits::of::<#marker>(&NAMED, ::core::module_path!())
            }
        }
    });
    let allowed = allowed();
    quote! {
        #allowed
        impl #private::Limits for #marker {
            const HANDLER: &'static ::core::primitive::str = #handler;
            const LIMITS: &'static [#private::HttpLimit] = #list;
            const WORDS: &'static ::core::primitive::str = #words;
            #named
        }
        // An associated constant is only computed where it is used; this finds a wrong quota in any build.
        const _: &[#private::HttpLimit] = <#marker as #private::Limits>::LIMITS;
    }
}

/// What the arguments say about each deferred limit.
pub(super) fn answers(plan: &Plan) -> Vec<TokenStream> {
    let private = plan.private(Span::mixed_site());
    let mut answers = Vec::new();
    for (place, limit) in plan.limits.iter().enumerate().filter(|(_, limit)| limit.is_deferred()) {
        let mut answer = quote!(#private::Deferred::limit(#place));
        for value in limit.key.deferred() {
            let (key, span) = (value.stream(), value.span());
            let private = plan.private(span);
            let mut to_key = quote_spanned!(span=> #private::ToKey::to_key(&(#key)));
            if let Some(kind) = kind_of(&key) {
                to_key = quote_spanned!(span=> #private::written::named(#to_key, #kind));
            }
            answer.extend(quote_spanned!(span=> .key(#to_key)));
        }
        if let Some(quota) = quota::deferred(plan, limit) {
            answer.extend(quote!(.quota(#quota)));
        }
        if let Some(value) = limit.cost.deferred() {
            let (cost, span) = (value.stream(), value.span());
            let private = plan.private(span);
            answer.extend(quote_spanned!(span=> .cost(#private::ToCost::to_cost(#cost))));
        }
        if let Some(value) = limit.skip.deferred() {
            let skip = boolean(value);
            answer.extend(quote!(.skip(#skip)));
        }
        answers.push(answer);
    }
    answers
}

/// For the list of limits: a user's closure cannot be replaced by the function that it calls, since that would be an
/// expression over the arguments.
fn allowed() -> TokenStream {
    quote!(#[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)])
}

/// The full name of something in the module around the handler.
fn in_module(name: &str) -> TokenStream {
    quote!(::core::concat!(::core::module_path!(), "::", #name))
}

fn descriptor(plan: &Plan, limit: &Limit, name: &TokenStream) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let parts = parts();
    let policy = quota::policy(plan, &limit.policy, name);
    let (quota, exempt) = (quota::setting(plan, limit), quota::exempt(plan, limit));
    let key = key(plan, &limit.key);
    let cost = match &limit.cost {
        Amount::Default => quote!(#private::Setting::fixed(1)),
        Amount::Fixed(number) => quote!(#private::Setting::fixed(#number)),
        Amount::Deferred(_) => quote!(#private::Setting::deferred()),
        Amount::Head(closure) => {
            let (closure, span) = (closure.stream(), closure.span());
            let at_closure = plan.private(span);
            let call = quote_spanned!(span=> #at_closure::head_cost(#parts, #closure));
            quote!(#private::Setting::head(|#parts| #call))
        }
        Amount::Independent(value) => {
            let (value, span) = (value.stream(), value.span());
            let at_value = plan.private(span);
            let call = quote_spanned!(span=> #at_value::ToCost::to_cost(#value));
            quote!(#private::Setting::head(|_| #call))
        }
    };
    let skip = match &limit.skip {
        Amount::Default | Amount::Fixed(_) => quote!(#private::Setting::fixed(false)),
        Amount::Deferred(_) => quote!(#private::Setting::deferred()),
        Amount::Head(closure) => {
            let (closure, span) = (closure.stream(), closure.span());
            let at_closure = plan.private(span);
            let call = quote_spanned!(span=> #at_closure::head_skip(#parts, #closure));
            quote!(#private::Setting::head(|#parts| #call))
        }
        Amount::Independent(value) => {
            let value = boolean(value);
            quote!(#private::Setting::head(|_| #value))
        }
    };
    let refund_if = match &limit.refund_if {
        None => quote!(::core::option::Option::None),
        Some(closure) => {
            let closure = closure.stream();
            quote!(#private::written::refund_if(#closure))
        }
    };
    let named = limit.policy.is_named_by_default();
    quote!(#private::written::limit(#policy, #key, #quota, #cost, #skip, #refund_if, #exempt, #named))
}

/// The longest kind that a key has from its expression, in bytes.
const LONGEST_KIND: usize = 40;

/// The kind of the keys of an expression: `login.account` of `&login.account`. `None`: they have the kind `key`.
fn kind_of(key: &TokenStream) -> Option<String> {
    value::place(key).filter(|place| place.len() <= LONGEST_KIND)
}

/// The kind of such a key, such as `header.x-api-key`.
fn kind(sort: &str, name: &LitStr) -> LitStr {
    LitStr::new(&format!("{sort}.{}", name.value()), name.span())
}

fn key(plan: &Plan, key: &Key) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let (by, written) = (quote!(#private::KeyBy), quote!(#private::written));
    match key {
        Key::Ip => quote!(#by::Ip),
        Key::User => quote!(#by::User),
        Key::Global => quote!(#by::Global),
        Key::Header(name) => {
            let kind = kind("header", name);
            quote!(#written::header(#kind))
        }
        Key::Cookie(name) => {
            let kind = kind("cookie", name);
            quote!(#written::cookie(#kind))
        }
        Key::Path(name) => {
            let kind = kind("path", name);
            quote!(#written::path(#kind))
        }
        Key::Deferred(_) => quote!(#written::deferred()),
        Key::Head(closure) => {
            let (closure, span, parts) = (closure.stream(), closure.span(), parts());
            let private = plan.private(span);
            let call = quote_spanned!(span=> #private::head_key(#parts, #closure));
            quote!(#written::head(|#parts| #call))
        }
        Key::Composite(parts) => {
            let parts = parts.iter().map(|part| self::key(plan, part));
            // A constant, since a list of parts is not promoted to one by itself.
            quote!(#written::all({ const PARTS: &'static [#by] = &[#(#parts),*]; PARTS }))
        }
    }
}
