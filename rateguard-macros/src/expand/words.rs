//! A limit in words, for documentation.

use proc_macro2::TokenStream;
use syn::LitStr;

use crate::plan::{Amount, Const, Count, Key, Limit, Parts, Policy, Quota};
use crate::source;
use crate::window;

/// All limits of a handler.
pub(crate) fn sentences(limits: &[Limit]) -> String {
    limits.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

/// `At most 5 requests a minute for each client address.`
pub(crate) fn sentence(limit: &Limit) -> String {
    let quota = format!("{} for {}", allowed(limit), who(&limit.key));
    let burst = match limit.policy.quota() {
        Some(Quota::Parts(Parts { burst: Some(burst), .. })) => format!(", up to {} at once", number(burst)),
        _ => String::new(),
    };
    let cost = match &limit.cost {
        Amount::Default => String::new(),
        Amount::Fixed(cost) => format!("; a request counts as {cost}"),
        Amount::Deferred(cost) => format!("; a request counts as {}", code(&cost.stream())),
        Amount::Head(_) | Amount::Independent(_) => "; what a request counts as depends on it".to_owned(),
    };
    format!("{quota}{burst}{cost}.{}", exempt(limit))
}

/// `At most 5 requests a minute`.
fn allowed(limit: &Limit) -> String {
    let quota = match &limit.policy {
        Policy::Constant(policy) => return format!("The policy {}", code(&policy.stream())),
        Policy::Written(written) => &written.quota,
    };
    match quota {
        Quota::Parts(parts) => {
            let (units, window) = (units(limit), window(&parts.window));
            match &parts.limit {
                Count::Constant(count) => {
                    let count = number(count);
                    let units = if count == "1" { units.strip_suffix('s').unwrap_or(&units) } else { &units };
                    format!("At most {count} {units} {window}")
                }
                Count::Deferred(count) => format!("At most {} {units} {window}", code(&count.stream())),
                Count::Head(_) => format!("A number of {units} {window} that depends on the request,"),
            }
        }
        Quota::Constant(quota) | Quota::Deferred(quota) => format!("The quota {}", code(&quota.stream())),
        Quota::Head(_) => "A quota that depends on the request,".to_owned(),
    }
}

/// What is counted, in the plural.
fn units(limit: &Limit) -> String {
    match (&limit.policy, &limit.cost) {
        (Policy::Written(written), _) if written.unit.is_some() => {
            written.unit.as_ref().map(LitStr::value).unwrap_or_default()
        }
        (_, Amount::Default) => "requests".to_owned(),
        _ => "units".to_owned(),
    }
}

/// ` Clients in 10.0.0.0/8 are not counted.`
fn exempt(limit: &Limit) -> String {
    let networks: Vec<String> = limit
        .exempt
        .iter()
        .map(|exempt| match exempt.text.as_str() {
            "loopback" => "loopback networks".to_owned(),
            "private" => "private networks".to_owned(),
            network => network.to_owned(),
        })
        .collect();
    match networks.as_slice() {
        [] => String::new(),
        [only] => format!(" Clients in {only} are not counted."),
        [first @ .., last] => format!(" Clients in {} and {last} are not counted.", first.join(", ")),
    }
}

/// A literal without its suffix, or the name of a constant.
fn number(value: &Const) -> String {
    if !value.is_literal {
        return code(&value.tokens);
    }
    let text = value.tokens.to_string();
    text.strip_suffix("u32").unwrap_or(&text).replace('_', "")
}

fn window(value: &Const) -> String {
    match value.micros {
        Some(micros) => window::spoken(micros),
        None => format!("in {}", code(&value.tokens)),
    }
}

fn who(key: &Key) -> String {
    match key {
        Key::Global => "all clients together".to_owned(),
        Key::Composite(parts) => {
            let parts: Vec<String> = parts.iter().map(identity).collect();
            match parts.as_slice() {
                [only] => format!("each {only}"),
                parts => format!("each combination of {}", parts.join(" and ")),
            }
        }
        key => format!("each {}", identity(key)),
    }
}

fn identity(key: &Key) -> String {
    match key {
        Key::Ip => "client address".to_owned(),
        Key::User => "user".to_owned(),
        Key::Global => "client".to_owned(),
        Key::Header(name) => format!("value of the header `{}`", name.value()),
        Key::Cookie(name) => format!("value of the cookie `{}`", name.value()),
        Key::Path(name) => format!("`{}` in the path", name.value()),
        Key::Head(_) => "key found in the request".to_owned(),
        Key::Deferred(value) => code(&value.stream()),
        Key::Composite(parts) => parts.iter().map(identity).collect::<Vec<_>>().join(" and "),
    }
}

/// An expression, as it is written.
fn code(tokens: &TokenStream) -> String {
    format!("`{}`", source::shown(tokens))
}
