//! How much is allowed: `quota`, or `limit`, `window`, `algorithm` and `burst`.

use proc_macro2::{Ident, Span};
use syn::{Lit, LitStr};

use super::{choice, constant, given};
use crate::args::Args;
use crate::errors::Errors;
use crate::handler::Handler;
use crate::plan::{Const, Count, Parts, Quota};
use crate::quota_text::{self, ALGORITHMS};
use crate::value::{Form, Value};

const LIMIT_MISSING: &str = "`limit` is missing: how many requests are allowed in a window, such as `limit = 5`";
const WINDOW_MISSING: &str =
    "`window` is missing: how long a window is, such as `window = 60` (seconds) or `window = \"1m\"`";

/// The most that can be taken at once, and the option that sets it.
pub(crate) type Capacity = Option<(u32, &'static str)>;

/// Reads the quota, and the most that can be taken at once if that is known.
pub(crate) fn read(args: &mut Args, handler: &Handler, errors: &mut Errors) -> (Option<Quota>, Capacity) {
    if !args.has("quota") {
        return parts(args, handler, errors);
    }
    for option in ["limit", "window", "algorithm", "burst"].into_iter().filter_map(|name| args.take(name)) {
        let name = &option.option;
        errors.on(
            name,
            format!("`{name}` is a part of `quota`: leave it out, or write `limit` and `window` instead of `quota`"),
        );
    }
    args.take("quota").map_or((None, None), |value| whole(value, handler, errors))
}

/// Reads `quota`.
fn whole(value: Value, handler: &Handler, errors: &mut Errors) -> (Option<Quota>, Capacity) {
    match value.form() {
        Form::Literal(Lit::Str(text)) => written(&text, errors),
        Form::Closure { takes_nothing: true } => {
            errors.on(value.stream(), takes_the_head("quota"));
            (None, None)
        }
        Form::Closure { takes_nothing: false } => (Some(Quota::Head(value)), None),
        Form::Expression if value.mentions(&handler.bindings()) => (Some(Quota::Deferred(value)), None),
        Form::Expression => (Some(Quota::Constant(value)), None),
        Form::Literal(_) | Form::Negative | Form::Tuple(_) => {
            errors.on(
                value.stream(),
                "`quota` is a text such as `quota = \"5/60s\"`, a constant of type `Quota`, a closure over the request's \
                 head (`quota = |req| …`) or an expression over the handler's arguments (`quota = user.plan.quota()`)",
            );
            (None, None)
        }
    }
}

/// Reads a text.
fn written(text: &LitStr, errors: &mut Errors) -> (Option<Quota>, Capacity) {
    let span = Span::mixed_site().located_at(text.span());
    match quota_text::read(&text.value()) {
        Err(message) => {
            errors.on(text, message);
            (None, None)
        }
        Ok(quota) => {
            let parts = Parts {
                algorithm: Ident::new(quota.algorithm, span),
                limit: Count::Constant(Const::number(quota.limit, span)),
                window: Const::window(quota.micros, span),
                burst: quota.burst.map(|burst| Const::number(burst, span)),
            };
            (Some(Quota::Parts(parts)), Some((quota.burst.unwrap_or(quota.limit), "quota")))
        }
    }
}

/// Reads `limit`, `window`, `algorithm` and `burst`.
fn parts(args: &mut Args, handler: &Handler, errors: &mut Errors) -> (Option<Quota>, Capacity) {
    let (limit, limit_number) =
        args.require("limit", LIMIT_MISSING, errors).map_or((None, None), |value| limit(value, handler, errors));
    let window = args.require("window", WINDOW_MISSING, errors);
    let window = window.and_then(|value| {
        if depends_on_the_request(&value, handler, errors) { None } else { constant::window(&value, errors) }
    });
    let algorithm = algorithm(args.take("algorithm"), errors);
    let burst = args.take("burst").map(|value| {
        if depends_on_the_request(&value, handler, errors) {
            return (None, None);
        }
        constant::burst(&value, algorithm.as_ref(), errors)
    });
    let capacity = match &burst {
        Some((_, number)) => number.map(|number| (number, "burst")),
        None => limit_number.map(|number| (number, "limit")),
    };
    let complete = || {
        let burst = given(burst.map(|(burst, _)| burst))?;
        Some(Quota::Parts(Parts { algorithm: algorithm?, limit: limit?, window: window?, burst }))
    };
    (complete(), capacity)
}

/// Reads `limit`, and its number as well if it is a literal.
fn limit(value: Value, handler: &Handler, errors: &mut Errors) -> (Option<Count>, Option<u32>) {
    match value.form() {
        Form::Closure { takes_nothing: true } => {
            errors.on(value.stream(), takes_the_head("limit"));
            (None, None)
        }
        Form::Closure { takes_nothing: false } => (Some(Count::Head(value)), None),
        Form::Expression if value.mentions(&handler.bindings()) => (Some(Count::Deferred(value)), None),
        _ => {
            let (limit, number) = constant::limit(&value, errors);
            (limit.map(Count::Constant), number)
        }
    }
}

/// Whether a `window` or a `burst` is not a constant, which is reported.
fn depends_on_the_request(value: &Value, handler: &Handler, errors: &mut Errors) -> bool {
    let depends = match value.form() {
        Form::Closure { .. } => true,
        Form::Expression => value.mentions(&handler.bindings()),
        _ => false,
    };
    if depends {
        let option = &value.option;
        errors.on(
            value.stream(),
            format!("`{option}` is the same for every request: if it depends on the request, write `quota`, which gives a `Quota`"),
        );
    }
    depends
}

fn takes_the_head(option: &str) -> String {
    format!("the closure of `{option}` takes the request's head: `|req| …`, a `&Parts`")
}

fn algorithm(value: Option<Value>, errors: &mut Errors) -> Option<Ident> {
    let Some(value) = value else {
        return Some(Ident::new("sliding_window", Span::mixed_site()));
    };
    let chosen = choice(&value, &ALGORITHMS, errors)?;
    Some(Ident::new(chosen, value.span()))
}
