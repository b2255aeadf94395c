//! Checks options and signature, and makes the plan. Every mistake that the tokens show is reported here.

mod amount;
mod constant;
mod exempt;
mod key;
mod policy;
mod quota;

use quote::ToTokens;

use crate::args::Args;
use crate::errors::{Errors, nearest};
use crate::handler::Handler;
use crate::plan::{Amount, Key, Limit, Policy};
use crate::source;
use crate::value::{Form, Value};

/// Checks one attribute. `None` if something is wrong, which is then in `errors`.
pub(crate) fn limit(args: &mut Args, handler: &Handler, errors: &mut Errors) -> Option<Limit> {
    let (policy, capacity) = policy::read(args, handler, errors);
    let key = args.take("key").map_or(Some(Key::Ip), |value| key::read(value, handler, errors));
    let cost = args.take("cost").map_or(Some(Amount::Default), |value| amount::cost(value, capacity, handler, errors));
    let skip = args.take("skip").map_or(Some(Amount::Default), |value| amount::skip(value, handler, errors));
    let refund_if = args.take("refund_if").map(|value| refund_if(value, errors));
    let exempt = args.take("exempt").map_or(Some(Vec::new()), |value| exempt::read(&value, errors));
    Some(Limit { policy: policy?, key: key?, cost: cost?, skip: skip?, refund_if: given(refund_if)?, exempt: exempt? })
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

/// Two limits of one function with one name would count every request twice.
pub(crate) fn distinct_names(limits: &[Limit], errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for limit in limits {
        let (tokens, shown) = match (&limit.policy, limit.policy.name()) {
            (Policy::Constant(value), _) => {
                (value.stream(), format!("have the policy `{}`", source::shown(&value.stream())))
            }
            (_, Some(name)) => (name.to_token_stream(), format!("are named \"{}\"", name.value())),
            (_, None) => continue,
        };
        if seen.contains(&shown) {
            let each = if limit.policy.name().is_some() { "name" } else { "policy" };
            errors.on(tokens, format!("two limits of this handler {shown}: give each its own {each}"));
        }
        seen.push(shown);
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
