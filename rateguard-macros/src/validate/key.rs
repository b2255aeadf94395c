//! The `key` of a limit: who is counted.

use syn::{Lit, LitStr};

use crate::errors::{Errors, nearest};
use crate::handler::Handler;
use crate::plan::Key;
use crate::value::{Form, Value};

const KINDS: [&str; 6] = ["ip", "user", "global", "header:NAME", "cookie:NAME", "path:PARAM"];

fn forms() -> String {
    let literals: Vec<String> = KINDS.iter().map(|kind| format!("\"{kind}\"")).collect();
    format!(
        "a key is one of {}, a closure `|req| …` over the request's head, \
         an expression over the handler's arguments, or a tuple of these",
        literals.join(", ")
    )
}

/// Reads the value of `key`.
pub(crate) fn read(value: Value, handler: &Handler, errors: &mut Errors) -> Option<Key> {
    match value.form() {
        Form::Literal(Lit::Str(text)) => named(&text, errors),
        Form::Literal(_) | Form::Negative => {
            errors.on(value.stream(), format!("`key` cannot be a number or a bool\n{}", forms()));
            None
        }
        Form::Closure { takes_nothing: true } => {
            errors.on(value.stream(), "the closure of `key` takes the request's head: `|req| …`, a `&Parts`");
            None
        }
        Form::Closure { takes_nothing: false } => Some(Key::Head(value)),
        Form::Tuple(parts) => composite(&value, parts, handler, errors),
        Form::Expression => argument(value, handler, errors),
    }
}

/// A literal: `"ip"`, `"header:x-api-key"`.
fn named(text: &LitStr, errors: &mut Errors) -> Option<Key> {
    let value = text.value();
    let (kind, name) = match value.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (value.as_str(), None),
    };
    let lit = |name: &str| LitStr::new(name, text.span());
    let wrong = match (kind, name) {
        ("ip", None) => return Some(Key::Ip),
        ("user", None) => return Some(Key::User),
        ("global", None) => return Some(Key::Global),
        ("ip" | "user" | "global", Some(_)) => format!("\"{kind}\" takes no name: write `key = \"{kind}\"`"),
        ("header", name) => match token(name) {
            Ok(name) => return Some(Key::Header(lit(&name.to_ascii_lowercase()))),
            Err(why) => format!("the name of the header {why}: write it as in \"header:x-api-key\""),
        },
        ("cookie", name) => match token(name) {
            Ok(name) => return Some(Key::Cookie(lit(name))),
            Err(why) => format!("the name of the cookie {why}: write it as in \"cookie:session\""),
        },
        ("path", name) => match parameter(name) {
            Ok(name) => return Some(Key::Path(lit(name))),
            Err(why) => format!(
                "the name of the route's parameter {why}: write it as in \"path:tenant\" for `/{{tenant}}/orders`"
            ),
        },
        _ => unknown(&value, kind, name),
    };
    errors.on(text, wrong);
    None
}

fn unknown(value: &str, kind: &str, name: Option<&str>) -> String {
    let bare: Vec<&str> = KINDS.iter().filter_map(|k| k.split(':').next()).collect();
    let hint = match (nearest(kind, &bare), name.map(str::trim)) {
        (Some(near @ ("header" | "cookie" | "path")), Some(name)) if !name.is_empty() => {
            format!("; did you mean \"{near}:{name}\"?")
        }
        (Some(near @ ("header" | "cookie" | "path")), _) => format!("; did you mean \"{near}:…\"?"),
        (Some(near), _) => format!("; did you mean \"{near}\"?"),
        (None, _) => String::new(),
    };
    format!("`key` cannot be \"{value}\"{hint}\n{}", forms())
}

/// The name of a header or a cookie (RFC 9110, 5.6.2: a token), or what is wrong with it.
fn token(name: Option<&str>) -> Result<&str, String> {
    legal(name, |c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// The name of a route's parameter, without its braces, or what is wrong with it.
fn parameter(name: Option<&str>) -> Result<&str, String> {
    legal(name, |c| !c.is_whitespace() && !matches!(c, '{' | '}' | '/' | ':' | '*'))
}

fn legal(name: Option<&str>, allowed: impl Fn(char) -> bool) -> Result<&str, String> {
    match name {
        None | Some("") => Err("is missing".to_owned()),
        Some(name) => match name.chars().find(|c| !allowed(*c)) {
            Some(' ') => Err("cannot have a space".to_owned()),
            Some(other) => Err(format!("cannot have a `{}`", other.escape_debug())),
            None => Ok(name),
        },
    }
}

fn composite(value: &Value, parts: Vec<Value>, handler: &Handler, errors: &mut Errors) -> Option<Key> {
    if parts.is_empty() {
        errors.on(value.stream(), format!("`key` is an empty tuple\n{}", forms()));
        return None;
    }
    let mut keys = Vec::new();
    let mut sound = true;
    let mut seen: Vec<String> = Vec::new();
    let several = parts.len() > 1;
    for part in parts {
        let text = part.string();
        if let Some(text) = &text {
            let twice = seen.contains(&text.value());
            seen.push(text.value());
            if twice {
                errors.on(text, format!("\"{}\" is in the key twice: leave one out", text.value()));
                sound = false;
                continue;
            }
            if several && text.value() == "global" {
                errors
                    .on(text, "\"global\" is the same for every request, so it adds nothing to a tuple: leave it out");
                sound = false;
                continue;
            }
        }
        match read(part, handler, errors) {
            Some(key) => keys.push(key),
            None => sound = false,
        }
    }
    sound.then_some(Key::Composite(keys))
}

/// An expression. It has to mention an argument, or all clients would share one bucket.
fn argument(value: Value, handler: &Handler, errors: &mut Errors) -> Option<Key> {
    let arguments = handler.bindings();
    if value.mentions(&arguments) {
        return Some(Key::Deferred(value));
    }
    let names: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let have = match names.as_slice() {
        [] => "it names none".to_owned(),
        names => format!("they are `{}`", names.join("`, `")),
    };
    let message = match value.first_name() {
        Some(name) => {
            let word = name.to_string();
            let bare: Vec<&str> = KINDS.iter().filter(|kind| !kind.contains(':')).copied().collect();
            let hint = if bare.contains(&word.as_str()) {
                format!("; did you mean `key = \"{word}\"`?")
            } else {
                nearest(&word, &names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
            };
            format!("`{word}` is not an argument of `{}`{hint}", handler.name)
        }
        None => format!("the key mentions no argument of `{}`, so all clients would share one bucket", handler.name),
    };
    errors.on(
        value.stream(),
        format!("{message}\na key that is an expression is made of the handler's arguments ({have}); for one bucket write `key = \"global\"`"),
    );
    None
}
