//! From options and a signature to a plan: everything that can be known to be wrong is found here.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Lit, LitInt, LitStr};

use crate::args::Args;
use crate::errors::{Errors, nearest};
use crate::handler::Handler;
use crate::key::{self, Key};
use crate::value::{Form, Value};
use crate::window;

/// One limit, ready to be written down.
pub(crate) struct Rule {
    /// `None`: the function's own.
    pub(crate) name: Option<LitStr>,
    /// The constructor of the quota: `sliding_window`.
    pub(crate) algorithm: Ident,
    pub(crate) limit: Const,
    pub(crate) window: Const,
    pub(crate) burst: Option<Const>,
    pub(crate) key: Key,
    pub(crate) cost: Amount,
    pub(crate) skip: Amount,
    pub(crate) refund_if: Option<Value>,
    /// The variant of `OnError`.
    pub(crate) on_error: Option<Ident>,
    pub(crate) shadow: Option<Value>,
}

/// A constant, and where it was written.
pub(crate) struct Const {
    pub(crate) tokens: TokenStream,
    pub(crate) span: Span,
    /// Whether it was written as a literal, and so is known to be right.
    pub(crate) is_literal: bool,
}

/// A `cost` or a `skip`.
pub(crate) enum Amount {
    /// Not given, or given as what it is anyway.
    Default,
    /// A number.
    Fixed(LitInt),
    /// A closure over the request's head.
    Head(Value),
    /// An expression that needs nothing of the request.
    Anywhere(Value),
    /// An expression over the handler's arguments.
    Late(Value),
}

impl Amount {
    pub(crate) fn late(&self) -> Option<&Value> {
        match self {
            Amount::Late(value) => Some(value),
            _ => None,
        }
    }
}

impl Rule {
    /// Whether it can only be decided once the handler's arguments are there.
    pub(crate) fn is_late(&self) -> bool {
        !self.key.late().is_empty() || self.cost.late().is_some() || self.skip.late().is_some()
    }
}

/// Checks one attribute. `None` where something was wrong, which `errors` then tells.
pub(crate) fn rule(args: &mut Args, handler: &Handler, errors: &mut Errors) -> Option<Rule> {
    let limit = args.require("limit", LIMIT_MISSING, errors);
    let (limit, limit_number) = limit.map_or((None, None), |value| count(&value, LIMIT_ZERO, errors));
    let window = args.require("window", WINDOW_MISSING, errors);
    let window = window.and_then(|value| window_of(&value, errors));
    let algorithm = algorithm(args.take("algorithm"), errors);
    let burst = args.take("burst");
    let (burst, burst_number) = match burst {
        Some(value) => burst_of(&value, algorithm.as_ref(), errors),
        None => (Some(None), None),
    };
    let key = match args.take("key") {
        Some(value) => key::read(value, handler, errors),
        None => Some(Key::Ip),
    };
    let capacity = burst_number.map(|number| (number, "burst")).or(limit_number.map(|number| (number, "limit")));
    let cost = match args.take("cost") {
        Some(value) => cost(value, capacity, handler, errors),
        None => Some(Amount::Default),
    };
    let skip = match args.take("skip") {
        Some(value) => skip(value, handler, errors),
        None => Some(Amount::Default),
    };
    let name = args.take("name").map(|value| name(&value, errors));
    let on_error = args.take("on_error").map(|value| on_error(&value, errors));
    let refund_if = args.take("refund_if").map(|value| refund_if(value, errors));
    let shadow = args.take("shadow").map(|value| shadow(value, errors));
    Some(Rule {
        name: given(name)?,
        algorithm: algorithm?,
        limit: limit?,
        window: window?,
        burst: burst?,
        key: key?,
        cost: cost?,
        skip: skip?,
        refund_if: given(refund_if)?,
        on_error: given(on_error)?,
        shadow: given(shadow)?,
    })
}

/// An option that need not be there, but is sound if it is.
#[expect(clippy::option_option, reason = "not given, given and wrong, given and right")]
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
const LIMIT_ZERO: &str = "`limit` is 0, which would refuse every request: use 1 or more, or take the route away";
const BURST_ZERO: &str = "`burst` is 0, which would refuse every request: use 1 or more";
const COST_ZERO: &str =
    "`cost` is 0, which would count nothing: use 1 or more, or `skip` for requests that pass uncounted";

/// A whole number of at least 1, or a constant of type `u32`. The number comes along where it is known.
fn count(value: &Value, zero: &str, errors: &mut Errors) -> (Option<Const>, Option<u32>) {
    match value.form() {
        Form::Literal(Lit::Int(number)) => match whole(&number, value, zero, errors) {
            Some(known) => (Some(Const { is_literal: true, ..constant(value) }), Some(known)),
            None => (None, None),
        },
        Form::Expression => (Some(constant(value)), None),
        form => {
            errors.on(value.stream(), not_a_number(value, &form));
            (None, None)
        }
    }
}

fn constant(value: &Value) -> Const {
    Const { tokens: value.stream(), span: value.span(), is_literal: false }
}

/// The number of a literal, if it is from 1 to `u32::MAX`.
fn whole(number: &LitInt, value: &Value, zero: &str, errors: &mut Errors) -> Option<u32> {
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

fn not_a_number(value: &Value, form: &Form) -> String {
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

fn window_of(value: &Value, errors: &mut Errors) -> Option<Const> {
    let millis = match value.form() {
        Form::Literal(Lit::Int(number)) if number.suffix().is_empty() => window::from_seconds(number.base10_digits()),
        Form::Literal(Lit::Int(number)) => Err(format!(
            "`window` as a number is in seconds and has no type: write `window = {}`",
            number.base10_digits()
        )),
        Form::Literal(Lit::Str(text)) => window::from_text(&text.value()),
        Form::Literal(Lit::Float(number)) => window::from_text(number.base10_digits()),
        Form::Negative => Err("`window` is negative: use 1 ms to 365 days".to_owned()),
        Form::Expression => return Some(constant(value)),
        _ => Err("`window` is seconds, as in `window = 60`, or \"500ms\" \"60s\" \"1m\" \"1h\" \"1d\", \
                  or a constant of type `Duration`"
            .to_owned()),
    };
    match millis {
        Ok(millis) => Some(Const { tokens: quote!(from_millis(#millis)), span: value.span(), is_literal: true }),
        Err(message) => {
            errors.on(value.stream(), message);
            None
        }
    }
}

const ALGORITHMS: [&str; 4] = ["sliding_window", "sliding_counter", "fixed_window", "token_bucket"];

fn algorithm(value: Option<Value>, errors: &mut Errors) -> Option<Ident> {
    let Some(value) = value else {
        return Some(Ident::new("sliding_window", Span::mixed_site()));
    };
    let chosen = choice(&value, &ALGORITHMS, errors)?;
    Some(Ident::new(chosen, value.span()))
}

/// A string that is one of a few.
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

#[expect(clippy::option_option, reason = "not given, given and wrong, given and right")]
fn burst_of(value: &Value, algorithm: Option<&Ident>, errors: &mut Errors) -> (Option<Option<Const>>, Option<u32>) {
    if let Some(algorithm) = algorithm.filter(|algorithm| *algorithm != "token_bucket") {
        errors.on(
            &value.option,
            format!(
                "`burst` is for `algorithm = \"token_bucket\"`; \"{algorithm}\" allows no more than `limit` at once"
            ),
        );
        return (None, None);
    }
    let (burst, number) = count(value, BURST_ZERO, errors);
    (burst.map(Some), number)
}

fn cost(value: Value, capacity: Option<(u32, &str)>, handler: &Handler, errors: &mut Errors) -> Option<Amount> {
    match value.form() {
        Form::Literal(Lit::Int(number)) => {
            let cost = whole(&number, &value, COST_ZERO, errors)?;
            match capacity {
                Some((most, what)) if cost > most => {
                    errors.on(
                        &number,
                        format!("`cost` is {cost}, and `{what}` only {most}: no request could ever pass; raise `{what}` or lower `cost`"),
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

fn skip(value: Value, handler: &Handler, errors: &mut Errors) -> Option<Amount> {
    match value.form() {
        Form::Literal(Lit::Bool(always)) if !always.value => Some(Amount::Default),
        Form::Literal(Lit::Bool(_)) => {
            errors.on(
                value.stream(),
                "`skip = true` would count no request at all: take the attribute away, or say when, \
                 such as `skip = user.is_admin` or `skip = cfg!(debug_assertions)`",
            );
            None
        }
        Form::Literal(_) | Form::Negative | Form::Tuple(_) => {
            errors.on(
                value.stream(),
                "`skip` says which requests pass uncounted: an expression over the handler's arguments \
                 (`skip = user.is_admin`) or a closure over the request's head (`skip = |req| …`), of type `bool`",
            );
            None
        }
        _ => derived(value, handler, errors),
    }
}

/// A closure over the head, or an expression with or without arguments in it.
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
        _ if value.mentions(&handler.bindings()) => Some(Amount::Late(value)),
        _ => Some(Amount::Anywhere(value)),
    }
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

/// The path of the library: `crate = rg` where it was renamed, else `::rateguard`.
pub(crate) fn library(value: Option<Value>, errors: &mut Errors) -> TokenStream {
    let Some(value) = value else {
        return quote!(::rateguard);
    };
    if !matches!(value.form(), Form::Expression) {
        let said = value.string().map_or_else(|| "rg".to_owned(), |text| text.value());
        errors.on(value.stream(), format!("`crate` is the path of the library, without quotes: `crate = {said}`"));
    }
    value.stream()
}

/// Two limits of one function under one name would count every request twice.
pub(crate) fn distinct_names(rules: &[Rule], errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for name in rules.iter().filter_map(|rule| rule.name.as_ref()) {
        if seen.contains(&name.value()) {
            errors
                .on(name, format!("two limits of this handler are named \"{}\": give each its own name", name.value()));
        }
        seen.push(name.value());
    }
}
