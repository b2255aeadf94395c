//! `cost` and `skip`, in their three forms.

use syn::Lit;

use super::constant::{not_a_number, whole};
use super::quota::Capacity;
use crate::errors::Errors;
use crate::handler::Handler;
use crate::plan::Amount;
use crate::value::{Form, Value};

const COST_ZERO: &str =
    "`cost` is 0, which would count nothing: use 1 or more, or `skip` for requests that are not counted";

/// Reads `cost`. `capacity` is the most that can be taken at once, if it is known, and the option that sets it.
pub(crate) fn cost(value: Value, capacity: Capacity, handler: &Handler, errors: &mut Errors) -> Option<Amount> {
    match value.form() {
        Form::Literal(Lit::Int(number)) => {
            let cost = whole(&number, &value, COST_ZERO, errors)?;
            match capacity {
                Some((most, what)) if cost > most => {
                    errors.on(
                        &number,
                        format!("`cost` is {cost}, and `{what}` only {most}: no request would ever be allowed; raise `{what}` or lower `cost`"),
                    );
                    None
                }
                _ => Some(Amount::Fixed(number)),
            }
        }
        form @ (Form::Literal(_) | Form::Negative | Form::Tuple(_)) => {
            errors.on(value.stream(), not_a_number(&value, &form));
            None
        }
        _ => derived(value, handler, errors),
    }
}

/// Reads `skip`.
pub(crate) fn skip(value: Value, handler: &Handler, errors: &mut Errors) -> Option<Amount> {
    match value.form() {
        Form::Literal(Lit::Bool(always)) if !always.value => Some(Amount::Default),
        Form::Literal(Lit::Bool(_)) => {
            errors.on(
                value.stream(),
                "`skip = true` would count no request at all: remove the attribute, or say when, \
                 such as `skip = user.is_admin` or `skip = cfg!(debug_assertions)`",
            );
            None
        }
        Form::Literal(_) | Form::Negative | Form::Tuple(_) => {
            errors.on(
                value.stream(),
                "`skip` says which requests are not counted: an expression over the handler's arguments \
                 (`skip = user.is_admin`) or a closure over the request's head (`skip = |req| …`), of type `bool`",
            );
            None
        }
        _ => derived(value, handler, errors),
    }
}

/// A closure over the head, or an expression.
fn derived(value: Value, handler: &Handler, errors: &mut Errors) -> Option<Amount> {
    match value.form() {
        Form::Closure { takes_nothing: true } => {
            let option = &value.option;
            errors.on(
                value.stream(),
                format!("the closure of `{option}` takes the request's head: `|req| …`, a `&Parts`"),
            );
            None
        }
        Form::Closure { takes_nothing: false } => Some(Amount::Head(value)),
        _ if value.mentions(&handler.bindings()) => Some(Amount::Deferred(value)),
        _ => Some(Amount::Independent(value)),
    }
}
