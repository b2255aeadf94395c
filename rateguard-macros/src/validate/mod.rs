//! Checks options and signature, and makes the plan. Every mistake that the tokens show is reported here.

mod amount;
mod constant;
mod key;

use proc_macro2::{Ident, Span};
use syn::{Lit, LitStr};

use crate::args::Args;
use crate::errors::{Errors, nearest};
use crate::handler::Handler;
use crate::plan::{Amount, Key, Limit};
use crate::value::{Form, Value};

/// Checks one attribute. `None` if something is wrong, which is then in `errors`.
pub(crate) fn limit(args: &mut Args, handler: &Handler, errors: &mut Errors) -> Option<Limit> {
    let limit = args.require("limit", LIMIT_MISSING, errors);
    let (limit, limit_number) = limit.map_or((None, None), |value| constant::limit(&value, errors));
    let window = args.require("window", WINDOW_MISSING, errors);
    let window = window.and_then(|value| constant::window(&value, errors));
    let algorithm = algorithm(args.take("algorithm"), errors);
    let burst = args.take("burst").map(|value| constant::burst(&value, algorithm.as_ref(), errors));
    let capacity = match &burst {
        Some((_, number)) => number.map(|number| (number, "burst")),
        None => limit_number.map(|number| (number, "limit")),
    };
    let burst = burst.map(|(burst, _)| burst);
    let key = args.take("key").map_or(Some(Key::Ip), |value| key::read(value, handler, errors));
    let cost = args.take("cost").map_or(Some(Amount::Default), |value| amount::cost(value, capacity, handler, errors));
    let skip = args.take("skip").map_or(Some(Amount::Default), |value| amount::skip(value, handler, errors));
    let name = args.take("name").map(|value| name(&value, errors));
    let on_error = args.take("on_error").map(|value| on_error(&value, errors));
    let refund_if = args.take("refund_if").map(|value| refund_if(value, errors));
    let shadow = args.take("shadow").map(|value| shadow(value, errors));
    Some(Limit {
        name: given(name)?,
        algorithm: algorithm?,
        limit: limit?,
        window: window?,
        burst: given(burst)?,
        key: key?,
        cost: cost?,
        skip: skip?,
        refund_if: given(refund_if)?,
        on_error: given(on_error)?,
        shadow: given(shadow)?,
    })
}

/// The value of an optional option, and `None` if it is wrong.
#[expect(clippy::option_option, reason = "absent, wrong and right are three cases")]
fn given<T>(option: Option<Option<T>>) -> Option<Option<T>> {
    match option {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}

const LIMIT_MISSING: &str = "`limit` is missing: how many requests are allowed in a window, such as `limit = 5`";
const WINDOW_MISSING: &str =
    "`window` is missing: how long a window is, such as `window = 60` (seconds) or `window = \"1m\"`";
const ALGORITHMS: [&str; 4] = ["sliding_window", "sliding_counter", "fixed_window", "token_bucket"];

fn algorithm(value: Option<Value>, errors: &mut Errors) -> Option<Ident> {
    let Some(value) = value else {
        return Some(Ident::new("sliding_window", Span::mixed_site()));
    };
    let chosen = choice(&value, &ALGORITHMS, errors)?;
    Some(Ident::new(chosen, value.span()))
}

/// A string out of a list.
fn choice<'a>(value: &Value, allowed: &[&'a str], errors: &mut Errors) -> Option<&'a str> {
    let option = &value.option;
    let given = match (value.string(), value.form(), value.first_name()) {
        (Some(text), ..) => text.value(),
        (None, Form::Expression, Some(name)) => name.to_string(),
        _ => String::new(),
    };
    if value.string().is_some()
        && let Some(found) = allowed.iter().find(|word| **word == given)
    {
        return Some(found);
    }
    let hint = nearest(&given, allowed).map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
    let list: Vec<String> = allowed.iter().map(|word| format!("\"{word}\"")).collect();
    let said = value.stream();
    errors.on(&said, format!("`{option}` cannot be `{said}`{hint}\nit is one of {}", list.join(", ")));
    None
}

fn name(value: &Value, errors: &mut Errors) -> Option<LitStr> {
    let Some(text) = value.string() else {
        let said = value.stream().to_string();
        errors.on(value.stream(), format!("`name` is a string: write `name = \"{}\"`", said.trim_matches('"')));
        return None;
    };
    let name = text.value();
    let wrong = if name.is_empty() {
        "`name` is empty: leave it out for the function's own name, or give one, such as \"search\""
    } else if name.len() > 200 {
        "`name` is longer than 200 bytes: shorten it"
    } else if name.chars().any(|c| c <= ' ' || c == '\u{7f}' || matches!(c, '"' | '\\' | '{' | '}')) {
        "`name` has a space, a control character, a quote, a backslash or a brace: use letters, digits and - _ . : /"
    } else {
        return Some(text);
    };
    errors.on(text, wrong);
    None
}

fn on_error(value: &Value, errors: &mut Errors) -> Option<Ident> {
    let variant = match choice(value, &["open", "closed", "local"], errors)? {
        "open" => "Open",
        "closed" => "Closed",
        _ => "Local",
    };
    Some(Ident::new(variant, value.span()))
}

fn refund_if(value: Value, errors: &mut Errors) -> Option<Value> {
    match value.form() {
        Form::Closure { takes_nothing: false } | Form::Expression => Some(value),
        _ => {
            errors.on(
                value.stream(),
                "`refund_if` is a closure over the response that says whether to give the charge back, \
                 such as `refund_if = |res| res.status().is_server_error()`",
            );
            None
        }
    }
}

fn shadow(value: Value, errors: &mut Errors) -> Option<Value> {
    match value.form() {
        Form::Literal(Lit::Bool(_)) | Form::Expression => Some(value),
        _ => {
            errors.on(value.stream(), "`shadow` is `true` or `false`");
            None
        }
    }
}

/// Two limits of one function with one name would count every request twice.
pub(crate) fn distinct_names(limits: &[Limit], errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for name in limits.iter().filter_map(|limit| limit.name.as_ref()) {
        if seen.contains(&name.value()) {
            errors
                .on(name, format!("two limits of this handler are named \"{}\": give each its own name", name.value()));
        }
        seen.push(name.value());
    }
}

/// A function that is not `async` cannot await the check of its arguments.
pub(crate) fn awaits(limits: &[Limit], handler: &Handler, errors: &mut Errors) {
    if handler.returns_a_future() && !handler.is("async") && limits.iter().any(Limit::is_deferred) {
        let name = &handler.name;
        errors.on(
            handler.fn_token,
            format!("a limit over the handler's arguments needs an `async fn`: write `async fn {name}` and what its future returns"),
        );
    }
}
