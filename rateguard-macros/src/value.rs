//! The value of an option, and what its tokens show about it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::Lit;
use syn::spanned::Spanned;

/// The tokens of a value, and its option.
#[derive(Clone)]
pub(crate) struct Value {
    pub(crate) option: Ident,
    tokens: Vec<TokenTree>,
}

/// What a value looks like.
pub(crate) enum Form {
    /// `5`, `"ip"`, `true`.
    Literal(Lit),
    /// `-5`.
    Negative,
    /// `|req| …`, or `|| …` if it takes nothing.
    Closure { takes_nothing: bool },
    /// `(a, b)`.
    Tuple(Vec<Value>),
    /// Anything else.
    Expression,
}

impl Value {
    /// Removes the invisible group around a fragment of a `macro_rules!`.
    pub(crate) fn new(option: Ident, mut tokens: Vec<TokenTree>) -> Value {
        while let [TokenTree::Group(group)] = tokens.as_slice() {
            if group.delimiter() != Delimiter::None {
                break;
            }
            tokens = group.stream().into_iter().collect();
        }
        Value { option, tokens }
    }

    pub(crate) fn stream(&self) -> TokenStream {
        self.tokens.iter().cloned().collect()
    }

    /// The place of the value, with the hygiene of generated code.
    pub(crate) fn span(&self) -> Span {
        Span::mixed_site().located_at(self.stream().span())
    }

    pub(crate) fn form(&self) -> Form {
        match self.tokens.as_slice() {
            [TokenTree::Literal(literal)] => Form::Literal(Lit::new(literal.clone())),
            [TokenTree::Ident(word)] if word == "true" || word == "false" => {
                Form::Literal(Lit::Bool(syn::LitBool::new(word == "true", word.span())))
            }
            [TokenTree::Punct(minus), TokenTree::Literal(_)] if minus.as_char() == '-' => Form::Negative,
            [TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => self.parenthesised(group),
            [TokenTree::Ident(word), rest @ ..] if word == "move" => closure(rest).unwrap_or(Form::Expression),
            tokens => closure(tokens).unwrap_or(Form::Expression),
        }
    }

    /// The string, if the value is one.
    pub(crate) fn string(&self) -> Option<syn::LitStr> {
        match self.form() {
            Form::Literal(Lit::Str(text)) => Some(text),
            _ => None,
        }
    }

    fn parenthesised(&self, group: &Group) -> Form {
        let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        if !inner.is_empty() && !inner.iter().any(is_comma) {
            return Value::new(self.option.clone(), inner).form();
        }
        Form::Tuple(self.split(inner))
    }

    /// What is between brackets of this kind, if that is all that the value is.
    pub(crate) fn items(&self, delimiter: Delimiter) -> Option<Vec<Value>> {
        match self.tokens.as_slice() {
            [TokenTree::Group(group)] if group.delimiter() == delimiter => {
                Some(self.split(group.stream().into_iter().collect()))
            }
            _ => None,
        }
    }

    /// The parts of a list, between its commas.
    fn split(&self, inner: Vec<TokenTree>) -> Vec<Value> {
        let mut parts = Vec::new();
        let mut part = Vec::new();
        let mut bars = false;
        for token in inner {
            bars ^= matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '|');
            if !bars && matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',') {
                parts.push(Value::new(self.option.clone(), std::mem::take(&mut part)));
            } else {
                part.push(token);
            }
        }
        if !part.is_empty() {
            parts.push(Value::new(self.option.clone(), part));
        }
        parts
    }

    /// The last token, if an expression cannot end with it: the value is still being typed.
    pub(crate) fn loose_end(&self) -> Option<&TokenTree> {
        let last = self.tokens.last()?;
        match last {
            TokenTree::Punct(punct) if !matches!(punct.as_char(), '?' | '>') => Some(last),
            _ => None,
        }
    }

    /// Whether it uses a variable of one of these names, also as `{name}` in a format string.
    pub(crate) fn mentions(&self, names: &[String]) -> bool {
        mentions(self.stream(), names)
    }

    /// The first name of the expression: `user` of `user.name`. `None` if it begins with something else.
    pub(crate) fn first_name(&self) -> Option<&Ident> {
        let sign = |token: &&TokenTree| matches!(token, TokenTree::Punct(p) if matches!(p.as_char(), '&' | '*' | '!'));
        match self.tokens.iter().find(|token| !sign(token))? {
            TokenTree::Ident(name) => Some(name),
            _ => None,
        }
    }
}

/// A variable, a field or a path, as it is written and without references: `login.account` of `&login.account`. `None` for
/// any other expression.
pub(crate) fn place(tokens: &TokenStream) -> Option<String> {
    let mut text = String::new();
    for token in tokens.clone() {
        match token {
            TokenTree::Punct(sign) if text.is_empty() && matches!(sign.as_char(), '&' | '*') => {}
            TokenTree::Punct(sign) if matches!(sign.as_char(), '.' | ':') => text.push(sign.as_char()),
            TokenTree::Ident(word) => text.push_str(word.to_string().trim_start_matches("r#")),
            // The number of a field, or two of them: `pair.0.1`.
            TokenTree::Literal(number) if text.ends_with('.') => text.push_str(&number.to_string()),
            _ => return None,
        }
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
    // Two words beside each other are no place: `a as u32`, `&mut a`.
    let words = tokens.clone().into_iter().collect::<Vec<_>>();
    let beside = words.windows(2).any(|pair| matches!(pair, [TokenTree::Ident(_), TokenTree::Ident(_)]));
    // `a..b` is a range.
    let is_place = !text.is_empty() && text.chars().all(is_plain) && !beside && !text.contains("..");
    is_place.then_some(text)
}

/// A closure, if the tokens begin with its bars.
fn closure(tokens: &[TokenTree]) -> Option<Form> {
    let bar = |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == '|');
    bar(tokens.first()).then(|| Form::Closure { takes_nothing: bar(tokens.get(1)) })
}

/// Whether a variable of one of these names is used. Fields (`config.id`), segments of paths (`id::X`) and the names of
/// fields that are set (`Key { id: 1 }`) are not variables.
fn mentions(tokens: TokenStream, names: &[String]) -> bool {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |place: Option<usize>, sign: char| {
        let token = place.and_then(|place| tokens.get(place));
        matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
    };
    tokens.iter().enumerate().any(|(place, token)| match token {
        TokenTree::Ident(word) => {
            let (before, second, after) = (place.checked_sub(1), place.checked_sub(2), Some(place + 1));
            // Two dots are a range.
            let is_field = is(before, '.') && !is(second, '.');
            let in_path = is(before, ':') && is(second, ':');
            !is_field && !in_path && !is(after, ':') && names.iter().any(|name| word == name)
        }
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Literal(literal) => {
            let text = literal.to_string();
            names.iter().any(|name| text.contains(&format!("{{{name}}}")) || text.contains(&format!("{{{name}:")))
        }
        TokenTree::Punct(_) => false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_place_is_a_variable_a_field_or_a_path_without_references() {
        for (text, shown) in [
            ("id", "id"),
            ("&login.account", "login.account"),
            ("**claims.sub", "claims.sub"),
            ("pair.0.1", "pair.0.1"),
            ("api::ID", "api::ID"),
            ("r#type.id", "type.id"),
        ] {
            assert_eq!(place(&text.parse().unwrap()).as_deref(), Some(shown));
        }
        for text in
            ["id + 1", "f(id)", "login.account()", "&mut id", "id as u32", "0..id", "a..b", "&", "-id", "ü.id", "id?"]
        {
            assert_eq!(place(&text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn only_a_use_of_the_variable_mentions_an_argument() {
        let value = |text: &str| {
            let tokens = text.parse::<TokenStream>().unwrap().into_iter().collect();
            Value::new(Ident::new("key", Span::call_site()), tokens)
        };
        for text in
            ["id", "&id", "f(id)", "0..id", "id.0", "format!(\"{id}\")", "(id, 1)", "Key { id }", "Key { x: id }"]
        {
            assert!(value(text).mentions(&["id".to_owned()]), "{text}");
        }
        for text in ["CFG.id", "config::id", "id::KEY", "Key { id: 1 }", "a.b.id", "identity", "\"id\""] {
            assert!(!value(text).mentions(&["id".to_owned()]), "{text}");
        }
    }
}
