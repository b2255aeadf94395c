//! A limit in words, for documentation.

use proc_macro2::TokenStream;

use crate::plan::{Amount, Const, Key, Limit};
use crate::value;
use crate::window;

/// All limits of a handler.
pub(crate) fn sentences(limits: &[Limit]) -> String {
    limits.iter().map(sentence).collect::<Vec<_>>().join(" ")
}

/// `At most 5 requests a minute for each client address.`
pub(crate) fn sentence(limit: &Limit) -> String {
    let quota = format!("At most {} {} for {}", amount(limit), window(&limit.window), who(&limit.key));
    let burst = limit.burst.as_ref().map(|burst| format!(", up to {} at once", number(burst))).unwrap_or_default();
    let cost = match &limit.cost {
        Amount::Default => String::new(),
        Amount::Fixed(cost) => format!("; a request counts as {cost}"),
        Amount::Deferred(cost) => format!("; a request counts as {}", code(&cost.stream())),
        Amount::Head(_) | Amount::Independent(_) => "; what a request counts as depends on it".to_owned(),
    };
    format!("{quota}{burst}{cost}.")
}

fn amount(limit: &Limit) -> String {
    let noun = match (&limit.cost, &limit.limit) {
        (Amount::Default, limit) if limit.is_literal && number(limit) == "1" => "request",
        (Amount::Default, _) => "requests",
        _ => "units",
    };
    format!("{} {noun}", number(&limit.limit))
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
    match value.millis {
        Some(millis) => window::spoken(millis),
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
    format!("`{}`", value::source(tokens))
}
