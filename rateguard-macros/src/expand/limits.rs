//! The limits of a handler as constants of its marker type.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::LitStr;

use super::{Plan, words};
use crate::handler::Handler;
use crate::validate::Rule;
use crate::validate::amount::Amount;
use crate::validate::constant::Const;
use crate::validate::key::Key;
use crate::value::Value;

/// The request's head, as a parameter of ours that no closure of the user's can see.
fn parts() -> Ident {
    Ident::new("parts", Span::mixed_site())
}

/// `impl Limits for Marker`.
pub(crate) fn limits(plan: &Plan, handler: &Handler, marker: &Ident) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let name = handler.plain_name();
    let handler_name = quote!(::core::concat!(::core::module_path!(), "::", #name));
    let rules = plan.rules.iter().enumerate().map(|(place, rule)| {
        // A function's second limit needs a name of its own, or the two would share one bucket.
        let name = match (&rule.name, place) {
            (Some(name), _) => quote!(#name),
            (None, 0) => handler_name.clone(),
            (None, place) => {
                let name = format!("{name}#{}", place + 1);
                quote!(::core::concat!(::core::module_path!(), "::", #name))
            }
        };
        one(plan, rule, &name)
    });
    let words = words::sentences(&plan.rules);
    // `module_path!` does not tell functions of one name in different functions apart. What does is no constant.
    let named = plan.rules.iter().any(|rule| rule.name.is_none()).then(|| {
        quote! {
            fn rules() -> &'static [#private::Rule] {
                static RULES: #private::NamedRules = #private::NamedRules::new();
                #private::NamedRules::of::<#marker>(&RULES)
            }
        }
    });
    quote! {
        // A closure of the user's cannot be replaced by the function it calls: that would be an expression.
        #[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)]
        impl #private::Limits for #marker {
            const HANDLER: &'static ::core::primitive::str = #handler_name;
            const RULES: &'static [#private::Rule] = &[#(#rules),*];
            const WORDS: &'static ::core::primitive::str = #words;
            #named
        }
        // An associated constant is only computed where it is used; this one finds a bad quota in any build.
        const _: &[#private::Rule] = <#marker as #private::Limits>::RULES;
    }
}

fn one(plan: &Plan, rule: &Rule, name: &TokenStream) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let parts = parts();
    let policy = policy(plan, rule, name);
    let key = key(plan, &rule.key);
    let mut tokens = quote!(#private::Rule::new(#policy, #key));
    if rule.name.is_none() {
        tokens.extend(quote!(.named_by_default()));
    }
    match &rule.cost {
        Amount::Default => {}
        Amount::Fixed(number) => tokens.extend(quote!(.cost(#private::Cost::Fixed(#number)))),
        Amount::Late(_) => tokens.extend(quote!(.cost(#private::Cost::Late))),
        Amount::Head(closure) => {
            let (closure, span) = (closure.stream(), closure.span());
            let private = plan.private(span);
            let call = quote_spanned!(span=> #private::head_cost(#parts, #closure));
            tokens.extend(quote!(.cost(#private::Cost::Head(|#parts| #call))));
        }
        Amount::Anywhere(value) => {
            let (value, span) = (value.stream(), value.span());
            let private = plan.private(span);
            let call = quote_spanned!(span=> #private::IntoCost::to_cost(#value));
            tokens.extend(quote!(.cost(#private::Cost::Head(|_| #call))));
        }
    }
    match &rule.skip {
        Amount::Default | Amount::Fixed(_) => {}
        Amount::Late(_) => tokens.extend(quote!(.skip(#private::Skip::Late))),
        Amount::Head(closure) => {
            let (closure, span) = (closure.stream(), closure.span());
            let private = plan.private(span);
            let call = quote_spanned!(span=> #private::head_skip(#parts, #closure));
            tokens.extend(quote!(.skip(#private::Skip::Head(|#parts| #call))));
        }
        Amount::Anywhere(value) => {
            let value = boolean(value);
            tokens.extend(quote!(.skip(#private::Skip::Head(|_| #value))));
        }
    }
    if let Some(closure) = &rule.refund_if {
        let closure = closure.stream();
        tokens.extend(quote!(.refund_if(#closure)));
    }
    tokens
}

fn policy(plan: &Plan, rule: &Rule, name: &TokenStream) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let quota = quota(plan, rule);
    let mut policy = quote!(#private::Policy::new(#name, #quota));
    if let Some(on_error) = &rule.on_error {
        policy.extend(quote!(.on_error(#private::OnError::#on_error)));
    }
    if let Some(shadow) = &rule.shadow {
        let shadow = boolean(shadow);
        policy.extend(quote!(.shadow(#shadow)));
    }
    policy
}

fn quota(plan: &Plan, rule: &Rule) -> TokenStream {
    let Rule { algorithm, limit, window, burst, .. } = rule;
    // Placed at the constant that can be wrong, since it is the call that the compiler reports.
    let span = if limit.is_literal { window.span } else { limit.span };
    let private = plan.private(span);
    let limit = number(limit);
    let duration = {
        let private = plan.private(window.span);
        quote_spanned!(window.span=> #private::Duration)
    };
    let window = match window {
        Const { tokens, is_literal: true, .. } => quote!(#duration::#tokens),
        Const { tokens, span, .. } => typed(tokens, &duration, *span),
    };
    let mut quota = quote_spanned!(span=> #private::Quota::#algorithm(#limit, #window));
    if let Some(burst) = burst {
        let (tokens, span) = (number(burst), burst.span);
        quota.extend(quote_spanned!(span=> .burst(#tokens)));
    }
    quota
}

fn number(value: &Const) -> TokenStream {
    let Const { tokens, span, is_literal, .. } = value;
    if *is_literal { tokens.clone() } else { typed(tokens, &quote_spanned!(*span=> ::core::primitive::u32), *span) }
}

/// An expression that has to be a `bool`.
pub(crate) fn boolean(value: &Value) -> TokenStream {
    let span = value.span();
    typed(&value.stream(), &quote_spanned!(span=> ::core::primitive::bool), span)
}

/// The value with its type in front, so that a wrong one is told what it should be, and nothing of our functions.
fn typed(value: &TokenStream, ty: &TokenStream, span: Span) -> TokenStream {
    quote_spanned!(span=> { let value: #ty = #value; value })
}

/// What the keys of such a limit are called.
fn kind(sort: &str, name: &LitStr) -> LitStr {
    LitStr::new(&format!("{sort}.{}", name.value()), name.span())
}

fn key(plan: &Plan, key: &Key) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let source = quote!(#private::KeySource);
    match key {
        Key::Ip => quote!(#source::Ip),
        Key::User => quote!(#source::User),
        Key::Global => quote!(#source::Global),
        Key::Header(name) => {
            let kind = kind("header", name);
            quote!(#source::Header(#kind))
        }
        Key::Cookie(name) => {
            let kind = kind("cookie", name);
            quote!(#source::Cookie(#kind))
        }
        Key::Path(name) => {
            let kind = kind("path", name);
            quote!(#source::Path(#kind))
        }
        Key::Late(_) => quote!(#source::Late),
        Key::Head(closure) => {
            let (closure, span, parts) = (closure.stream(), closure.span(), parts());
            let private = plan.private(span);
            let call = quote_spanned!(span=> #private::head_key(#parts, #closure));
            quote!(#source::Head(|#parts| #call))
        }
        Key::Composite(parts) => {
            let parts = parts.iter().map(|part| self::key(plan, part));
            quote!(#source::Composite(&[#(#parts),*]))
        }
    }
}
