//! The numbers of a quota: `limit`, `window` and `burst`, as literals or as the user's constants.

use proc_macro2::Ident;
use syn::{Lit, LitInt};

use crate::errors::Errors;
use crate::plan::Const;
use crate::value::{Form, Value};
use crate::window;

const LIMIT_ZERO: &str = "`limit` is 0, which would deny every request: use 1 or more, or remove the route";
const BURST_ZERO: &str = "`burst` is 0, which would deny every request: use 1 or more";

/// Reads `limit`, and returns its number as well if it is a literal.
pub(crate) fn limit(value: &Value, errors: &mut Errors) -> (Option<Const>, Option<u32>) {
    count(value, LIMIT_ZERO, errors)
}

/// A whole number of at least 1, or a constant of type `u32`.
fn count(value: &Value, zero: &str, errors: &mut Errors) -> (Option<Const>, Option<u32>) {
    match value.form() {
        Form::Literal(Lit::Int(number)) => match whole(&number, value, zero, errors) {
            Some(known) => (Some(Const { is_literal: true, ..Const::named(value) }), Some(known)),
            None => (None, None),
        },
        Form::Expression => (Some(Const::named(value)), None),
        form => {
            errors.on(value.stream(), not_a_number(value, &form));
            (None, None)
        }
    }
}

/// The number of a literal. Reports one that is not from 1 to `u32::MAX`.
pub(crate) fn whole(number: &LitInt, value: &Value, zero: &str, errors: &mut Errors) -> Option<u32> {
    let option = &value.option;
    if !matches!(number.suffix(), "" | "u32") {
        errors.on(number, format!("`{option}` is a `u32`: write `{option} = {}`", number.base10_digits()));
        return None;
    }
    match number.base10_parse::<u32>() {
        Ok(0) => errors.on(number, zero),
        Ok(known) => return Some(known),
        Err(_) => errors.on(number, format!("`{option}` is at most {} (`u32::MAX`)", u32::MAX)),
    }
    None
}

/// The message for a value that is not such a number.
pub(crate) fn not_a_number(value: &Value, form: &Form) -> String {
    let option = &value.option;
    match form {
        Form::Literal(Lit::Str(text)) => match text.value().trim().parse::<u32>() {
            Ok(number) => {
                format!("`{option}` is a number: write it without quotes, `{option} = {number}`")
            }
            Err(_) => format!("`{option}` is a whole number of at least 1, such as `{option} = 5`, not a string"),
        },
        Form::Negative => format!("`{option}` is negative: use 1 or more"),
        _ => format!("`{option}` is a whole number of at least 1, such as `{option} = 5`, or a constant of type `u32`"),
    }
}

/// Reads `window`: as a call of a constructor of `Duration`, or a constant of that type.
pub(crate) fn window(value: &Value, errors: &mut Errors) -> Option<Const> {
    let millis = match value.form() {
        Form::Literal(Lit::Int(number)) if number.suffix().is_empty() => window::from_seconds(number.base10_digits()),
        Form::Literal(Lit::Int(number)) => Err(window::suffixed(number.base10_digits(), number.suffix())),
        Form::Literal(Lit::Str(text)) => window::from_text(&text.value()),
        Form::Literal(Lit::Float(number)) if !number.suffix().is_empty() => {
            Err(window::suffixed(number.base10_digits(), number.suffix()))
        }
        Form::Literal(Lit::Float(number)) => window::from_text(number.base10_digits()),
        Form::Negative => Err("`window` is negative: use 1 ms to 365 days".to_owned()),
        Form::Expression => return Some(Const::named(value)),
        _ => Err("`window` is seconds, as in `window = 60`, or \"500ms\" \"60s\" \"1m\" \"1h\" \"1d\", \
                  or a constant of type `Duration`"
            .to_owned()),
    };
    match millis {
        Ok(millis) => Some(Const::window(millis * 1000, value.span())),
        Err(message) => {
            errors.on(value.stream(), message);
            None
        }
    }
}

/// Reads `burst`, which only a token bucket has.
pub(crate) fn burst(value: &Value, algorithm: Option<&Ident>, errors: &mut Errors) -> (Option<Const>, Option<u32>) {
    if let Some(algorithm) = algorithm.filter(|algorithm| *algorithm != "token_bucket") {
        errors.on(
            &value.option,
            format!(
                "`burst` is for `algorithm = \"token_bucket\"`; \"{algorithm}\" allows no more than `limit` at once"
            ),
        );
        return (None, None);
    }
    count(value, BURST_ZERO, errors)
}
