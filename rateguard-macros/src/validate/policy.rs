//! The policy of a limit: a constant of the user's, or its parts as options.

use proc_macro2::Ident;
use syn::{Lit, LitStr};

use super::quota::{self, Capacity};
use super::{choice, given};
use crate::args::Args;
use crate::errors::Errors;
use crate::handler::Handler;
use crate::plan::{Policy, Written};
use crate::value::{Form, Value};

/// What a policy has, so that it cannot be given beside one.
const PARTS: [&str; 9] = ["name", "limit", "window", "quota", "algorithm", "burst", "on_error", "shadow", "unit"];

/// Reads the policy, and the most that can be taken at once if that is known.
pub(crate) fn read(args: &mut Args, handler: &Handler, errors: &mut Errors) -> (Option<Policy>, Capacity) {
    if args.has("policy") {
        for option in PARTS.into_iter().filter_map(|name| args.take(name)) {
            let name = &option.option;
            errors.on(
                name,
                format!("`{name}` is a part of the policy: set it where the policy is made, or leave `policy` out"),
            );
        }
        let policy = args.take("policy").and_then(|value| constant(value, handler, errors));
        return (policy.map(Policy::Constant), None);
    }
    let (quota, capacity) = quota::read(args, handler, errors);
    let name = args.take("name").map(|value| name(&value, errors));
    let on_error = args.take("on_error").map(|value| on_error(&value, errors));
    let shadow = args.take("shadow").map(|value| shadow(value, errors));
    let unit = args.take("unit").map(|value| unit(&value, errors));
    let written = || {
        Some(Written {
            name: given(name)?,
            quota: quota?,
            on_error: given(on_error)?,
            shadow: given(shadow)?,
            unit: given(unit)?,
        })
    };
    (written().map(|written| Policy::Written(Box::new(written))), capacity)
}

/// Reads `policy`.
fn constant(value: Value, handler: &Handler, errors: &mut Errors) -> Option<Value> {
    let message = match value.form() {
        Form::Expression if !value.mentions(&handler.bindings()) => return Some(value),
        Form::Literal(Lit::Str(text)) => format!(
            "`policy` is a constant of type `Policy`, such as `policy = LOGIN`; for a name write `name = \"{}\"`",
            text.value().escape_debug()
        ),
        Form::Expression | Form::Closure { .. } => {
            "`policy` is the same for every request, a constant of type `Policy`; what depends on the request is a `quota`"
                .to_owned()
        }
        _ => "`policy` is a constant of type `Policy`, such as `policy = LOGIN`".to_owned(),
    };
    errors.on(value.stream(), message);
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

fn shadow(value: Value, errors: &mut Errors) -> Option<Value> {
    match value.form() {
        Form::Literal(Lit::Bool(_)) | Form::Expression => Some(value),
        _ => {
            errors.on(value.stream(), "`shadow` is `true` or `false`");
            None
        }
    }
}

/// Reads `unit`, a word for people.
fn unit(value: &Value, errors: &mut Errors) -> Option<LitStr> {
    let Some(text) = value.string() else {
        let said = value.stream().to_string();
        let example = if matches!(value.form(), Form::Expression) { said } else { "tokens".to_owned() };
        errors.on(value.stream(), format!("`unit` is a string: write `unit = \"{example}\"`"));
        return None;
    };
    let unit = text.value();
    let is_word = |c: char| c.is_ascii_alphabetic() || c == ' ';
    if (1..=32).contains(&unit.len()) && unit.chars().all(is_word) {
        return Some(text);
    }
    errors.on(text, "`unit` is the plural of what is counted, 1 to 32 letters and spaces, such as `unit = \"tokens\"`");
    None
}
