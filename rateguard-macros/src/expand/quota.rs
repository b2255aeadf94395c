//! The policy of a limit and its quota, as constants, and what a request says about the quota.

use std::net::IpAddr;

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::tokens::{boolean, parts, typed};
use crate::plan::{Const, Count, Limit, Network, Parts, Plan, Policy, Quota};
use crate::value::Value;

/// The policy, which is named `name` unless it is a constant of the user's.
pub(super) fn policy(plan: &Plan, policy: &Policy, name: &TokenStream) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let written = match policy {
        Policy::Constant(value) => {
            let span = value.span();
            let at_value = plan.private(span);
            return typed(&value.stream(), &quote_spanned!(span=> #at_value::Policy), span);
        }
        Policy::Written(written) => written,
    };
    let (constructor, quota) = match constant(plan, &written.quota) {
        Some(quota) => (quote!(Policy::new), quota),
        None => (quote!(written::by_request), stand_in(plan, &written.quota)),
    };
    let mut policy = quote!(#private::#constructor(#name, #quota));
    if let Some(on_error) = &written.on_error {
        policy.extend(quote!(.on_error(#private::OnError::#on_error)));
    }
    if let Some(shadow) = &written.shadow {
        let shadow = boolean(shadow);
        policy.extend(quote!(.shadow(#shadow)));
    }
    if let Some(unit) = &written.unit {
        policy.extend(quote!(.unit(#unit)));
    }
    policy
}

/// The quota, if it is the same for every request.
fn constant(plan: &Plan, quota: &Quota) -> Option<TokenStream> {
    match quota {
        Quota::Constant(value) => {
            let span = value.span();
            let at_value = plan.private(span);
            Some(typed(&value.stream(), &quote_spanned!(span=> #at_value::Quota), span))
        }
        Quota::Parts(parts) => match &parts.limit {
            Count::Constant(limit) => Some(of_parts(plan, parts, limit)),
            Count::Head(_) | Count::Deferred(_) => None,
        },
        Quota::Head(_) | Quota::Deferred(_) => None,
    }
}

/// What stands in for the quota that a request has.
fn stand_in(plan: &Plan, quota: &Quota) -> TokenStream {
    let Quota::Parts(parts) = quota else {
        let private = plan.private(Span::mixed_site());
        return quote!(#private::Quota::per_minute(1));
    };
    let quota = with_limit_1(plan, parts);
    match &parts.burst {
        // Checked where the compiler computes it, with a limit for which it is not too large.
        Some(burst) if !burst.is_literal => {
            let checked = of_parts(plan, parts, &Const::number(u32::MAX, burst.span));
            quote!({ let _ = #checked; #quota })
        }
        _ => quota,
    }
}

/// The window and the algorithm, which are constant, with the smallest limit.
fn with_limit_1(plan: &Plan, parts: &Parts) -> TokenStream {
    let limit = Const::number(1, parts.window.span);
    of_parts(plan, &Parts { burst: None, ..parts.clone() }, &limit)
}

fn of_parts(plan: &Plan, parts: &Parts, limit: &Const) -> TokenStream {
    let Parts { algorithm, window, burst, .. } = parts;
    // At the constant that may be wrong, since the compiler reports the call.
    let span = [Some(limit), Some(window), burst.as_ref()].into_iter().flatten().find(|value| !value.is_literal);
    let span = span.unwrap_or(window).span;
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

/// Where the quota of a request comes from, as an `Option`: `None` if it is the same for every request.
pub(super) fn setting(plan: &Plan, limit: &Limit) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let setting = match limit.policy.quota() {
        Some(Quota::Head(closure)) => in_head(plan, closure, &quote!(head_quota), |quota| quota),
        Some(Quota::Parts(parts)) => match &parts.limit {
            Count::Constant(_) => return quote!(::core::option::Option::None),
            Count::Head(closure) => {
                in_head(plan, closure, &quote!(head_limit), |limit| with_limit(plan, parts, &limit))
            }
            Count::Deferred(_) => quote!(#private::Setting::deferred()),
        },
        Some(Quota::Deferred(_)) => quote!(#private::Setting::deferred()),
        Some(Quota::Constant(_)) | None => return quote!(::core::option::Option::None),
    };
    quote!(::core::option::Option::Some(#setting))
}

fn in_head(
    plan: &Plan,
    closure: &Value,
    function: &TokenStream,
    quota: impl FnOnce(TokenStream) -> TokenStream,
) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let (closure, span, parts) = (closure.stream(), closure.span(), parts());
    let at_closure = plan.private(span);
    let function = super::tokens::at(function, span);
    let quota = quota(quote_spanned!(span=> #at_closure::#function(#parts, #closure)));
    quote!(#private::Setting::head(|#parts| #quota))
}

/// What the arguments say about the quota, if they do.
pub(super) fn deferred(plan: &Plan, limit: &Limit) -> Option<TokenStream> {
    match limit.policy.quota()? {
        Quota::Deferred(value) => {
            let (quota, span) = (value.stream(), value.span());
            let private = plan.private(span);
            Some(quote_spanned!(span=> #private::ToQuota::to_quota(#quota)))
        }
        Quota::Parts(parts) => match &parts.limit {
            Count::Deferred(value) => {
                let (limit, span) = (value.stream(), value.span());
                let private = plan.private(span);
                let limit = quote_spanned!(span=> #private::ToLimit::to_limit(#limit));
                Some(with_limit(plan, parts, &limit))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The quota with the limit of a request.
fn with_limit(plan: &Plan, parts: &Parts, limit: &TokenStream) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let quota = with_limit_1(plan, parts);
    let burst = match &parts.burst {
        None => quote!(::core::option::Option::None),
        Some(burst) => {
            let burst = number(burst);
            quote!(::core::option::Option::Some(#burst))
        }
    };
    quote!(#private::written::with_limit(const { #quota }, #burst, #limit))
}

/// The networks that are not counted, as a constant list.
pub(super) fn exempt(plan: &Plan, limit: &Limit) -> TokenStream {
    let private = plan.private(Span::mixed_site());
    let networks = limit.exempt.iter().flat_map(|exempt| &exempt.networks);
    let networks = networks.map(|Network { address, prefix }| match address {
        IpAddr::V4(address) => {
            let octets = address.octets();
            quote!(#private::written::network_v4([#(#octets),*], #prefix))
        }
        IpAddr::V6(address) => {
            let segments = address.segments();
            quote!(#private::written::network_v6([#(#segments),*], #prefix))
        }
    });
    // A constant, since a list is not promoted to one by itself.
    quote!(const { &[#(#networks),*] })
}
