//! The options between the parentheses of `#[rate_limit(…)]`, with their spans.
//!
//! A value is any tokens up to the next comma. `validate` knows what they may be.

use proc_macro2::{Delimiter, Ident, Punct, Spacing, Span, TokenStream, TokenTree};

use crate::errors::{Errors, did_you_mean, nearest};
use crate::value::Value;

/// All options, with the examples that errors show.
const OPTIONS: [(&str, &str); 16] = [
    ("limit", "limit = 5"),
    ("window", "window = 60"),
    ("quota", "quota = \"5/60s\""),
    ("policy", "policy = LOGIN"),
    ("key", "key = \"ip\""),
    ("algorithm", "algorithm = \"sliding_window\""),
    ("burst", "burst = 10"),
    ("cost", "cost = 1"),
    ("name", "name = \"search\""),
    ("on_error", "on_error = \"open\""),
    ("skip", "skip = |req| req.method == \"OPTIONS\""),
    ("refund_if", "refund_if = |res| res.status().is_server_error()"),
    ("shadow", "shadow = true"),
    ("exempt", "exempt = [\"10.0.0.0/8\"]"),
    ("unit", "unit = \"tokens\""),
    ("crate", "crate = rg"),
];

/// The options of one attribute.
pub(crate) struct Args {
    options: Vec<Value>,
    /// Options that are written, but could not be read. They are not reported as missing.
    meant: Vec<String>,
    /// Where a missing option is reported.
    pub(crate) span: Span,
}

impl Args {
    /// Reads `name = value, …`. After a mistake in one option, the others are still read.
    pub(crate) fn parse(tokens: TokenStream, span: Span, errors: &mut Errors) -> Args {
        let mut options: Vec<Value> = Vec::new();
        let mut meant = Vec::new();
        let mut rest = tokens.into_iter().collect::<Vec<_>>().into_iter().peekable();
        while rest.peek().is_some() {
            let tokens = until_comma(&mut rest, errors);
            let Some(option) = read_option(tokens, &mut meant, errors) else {
                continue;
            };
            if options.iter().any(|earlier| earlier.option == option.option) {
                let name = &option.option;
                errors.on(
                    name,
                    format!("`{name}` is given twice: keep one; a second limit is a second `#[rate_limit(…)]`"),
                );
            } else {
                options.push(option);
            }
        }
        Args { options, meant, span }
    }

    /// Takes the option of this name.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.options.iter().position(|option| option.option == name)?;
        Some(self.options.swap_remove(place))
    }

    /// The name of an option that has not been taken.
    pub(crate) fn first(&self) -> Option<&Ident> {
        self.options.first().map(|option| &option.option)
    }

    /// Whether the option is written and not taken yet, or is written but could not be read.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.option == name) || self.meant.iter().any(|meant| meant == name)
    }

    /// Takes a required option.
    pub(crate) fn require(&mut self, name: &str, message: &str, errors: &mut Errors) -> Option<Value> {
        let value = self.take(name);
        if value.is_none() && !self.has(name) {
            errors.at(self.span, message);
        }
        value
    }
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<TokenTree>>;

/// The tokens of one option, up to the comma after it. A comma between the bars of a closure or the angle brackets of a
/// turbofish is part of the value. One in parentheses is inside a group and does not appear here.
///
/// If the comma is missing, as in `limit = 5 window = 60`, the option ends where the next one begins.
fn until_comma(rest: &mut Tokens, errors: &mut Errors) -> Vec<TokenTree> {
    let mut option: Vec<TokenTree> = Vec::new();
    let mut angles = 0_usize;
    let mut bars = false;
    let mut return_type = false;
    let (mut previous, mut before) = (' ', ' ');
    let mut starts_value = false;
    loop {
        if let Some(next) = comma_missing(&option, rest) {
            errors
                .on(&next, format!("a comma is missing before `{next}`: options are written `limit = 5, window = 60`"));
            return option;
        }
        let Some(token) = rest.next() else { return option };
        let mut current = ' ';
        if let TokenTree::Punct(punct) = &token {
            current = punct.as_char();
            match current {
                ',' if angles == 0 && !bars && !return_type => return option,
                ';' => {
                    errors.on(token, "options are separated by commas: write `,` instead of `;`");
                    return option;
                }
                '|' if bars => bars = false,
                '|' if starts_value => bars = true,
                '<' if angles > 0 || (before, previous) == (':', ':') => angles += 1,
                '>' if angles > 0 && previous != '-' && previous != '=' => angles -= 1,
                '>' if previous == '-' => return_type = true,
                _ => {}
            }
        }
        if matches!(&token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace) {
            return_type = false;
        }
        // A closure begins after `=` or `move`.
        starts_value = current == '=' || matches!(&token, TokenTree::Ident(word) if word == "move");
        (before, previous) = (previous, current);
        option.push(token);
    }
}

/// The name of the option that begins here without a comma before it.
fn comma_missing(taken: &[TokenTree], rest: &Tokens) -> Option<Ident> {
    let [TokenTree::Ident(_), TokenTree::Punct(equals), .., last] = taken else { return None };
    let ends_a_value = match last {
        TokenTree::Punct(sign) => matches!(sign.as_char(), '?' | '>'),
        TokenTree::Ident(word) => word != "move",
        _ => true,
    };
    let mut next = rest.clone();
    let (Some(TokenTree::Ident(name)), Some(TokenTree::Punct(sign))) = (next.next(), next.next()) else { return None };
    let follows = next.peek().cloned();
    let assigns = sign.as_char() == '=' && !continues(&sign, follows.as_slice());
    let known = OPTIONS.iter().any(|(option, _)| name == option);
    (equals.as_char() == '=' && ends_a_value && assigns && known).then_some(name)
}

/// Reads one `name = value`.
fn read_option(tokens: Vec<TokenTree>, meant: &mut Vec<String>, errors: &mut Errors) -> Option<Value> {
    let mut rest = tokens.into_iter();
    let name = match rest.next()? {
        TokenTree::Ident(name) => name,
        other => {
            errors.on(other, "an option is written `name = value`, such as `limit = 5, window = 60`");
            // Probably the values of these two.
            meant.extend(["limit".to_owned(), "window".to_owned()]);
            return None;
        }
    };
    let example = known(&name, meant, errors)?;
    let mut broken = |name: &Ident| meant.push(name.to_string());
    match rest.next() {
        Some(TokenTree::Punct(equals)) if equals.as_char() == '=' && !continues(&equals, rest.as_slice()) => {}
        _ => {
            errors.on(&name, format!("`{name}` needs `=` and a value, such as `{example}`"));
            broken(&name);
            return None;
        }
    }
    let tokens: Vec<TokenTree> = rest.collect();
    if tokens.is_empty() {
        errors.on(&name, format!("`{name}` has no value yet, such as `{example}`"));
        broken(&name);
        return None;
    }
    let value = Value::new(name, tokens);
    if let Some(loose) = value.loose_end() {
        let name = &value.option;
        errors.on(loose, format!("the value of `{name}` is not finished: an expression cannot end here"));
        broken(name);
        return None;
    }
    Some(value)
}

/// Whether an `=` is the first character of `==` or `=>`.
fn continues(equals: &Punct, rest: &[TokenTree]) -> bool {
    equals.spacing() == Spacing::Joint
        && matches!(rest.first(), Some(TokenTree::Punct(next)) if matches!(next.as_char(), '=' | '>'))
}

/// The example of a known option. An unknown one is reported with the nearest name.
fn known(name: &Ident, meant: &mut Vec<String>, errors: &mut Errors) -> Option<&'static str> {
    let word = name.to_string();
    if let Some((_, example)) = OPTIONS.iter().find(|(option, _)| *option == word) {
        return Some(example);
    }
    let names: Vec<&str> = OPTIONS.iter().map(|(option, _)| *option).collect();
    meant.extend(nearest(&word, &names).map(str::to_owned));
    let hint = did_you_mean(&word, &names);
    errors.on(name, format!("`{word}` is not an option of `rate_limit`{hint}\nthe options are: {}", names.join(", ")));
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn parsed(text: &str) -> (Vec<(String, String)>, Option<String>) {
        let mut errors = Errors::default();
        let args = Args::parse(text.parse().unwrap(), Span::call_site(), &mut errors);
        let options = args.options.iter().map(|v| (v.option.to_string(), v.stream().to_string())).collect();
        (options, errors.into_tokens().map(|tokens| tokens.to_string()))
    }

    #[test]
    fn a_value_ends_at_the_next_comma_outside_of_closures_and_brackets() {
        for value in [
            "5",
            "- 1",
            "(\"ip\" , claims . sub)",
            "lookup :: < A , B > (& q)",
            "| req : & Map < A , B > | get (req)",
            "move | req | req . uri",
            "| req | -> Option < Result < A , B > > { None }",
            "a | b",
            "a < b",
            "f (| (a , b) | a , c)",
        ] {
            let (options, errors) = parsed(&format!("key = {value}, name = \"x\","));
            assert_eq!(errors, None, "{value}");
            let squeezed = |text: &str| text.replace(' ', "");
            assert_eq!(squeezed(&options.first().unwrap().1), squeezed(value));
            assert_eq!(options.len(), 2, "{value}");
        }
    }

    #[test]
    fn a_missing_comma_is_reported_and_the_options_are_still_read() {
        for (text, missing) in [
            ("limit = 5 window = 60", "before `window`"),
            ("limit = 5, window = \"1m\" key = a.b", "before `key`"),
            ("limit = 5, window = f(x) key = a.b cost = 2", "before `cost`"),
            ("limit = 5; window = 60", "instead of `;`"),
        ] {
            let (options, errors) = parsed(text);
            assert_eq!(options.len(), text.matches('=').count(), "{text}");
            assert!(errors.unwrap().contains(missing), "{text}");
        }
        // These only look like a missing comma.
        for text in ["limit = 5, key = limit == window", "skip = a.limit, key = limit", "key = move |req| key"] {
            assert_eq!(parsed(text).1, None, "{text}");
        }
    }

    #[test]
    fn the_other_options_of_a_half_typed_attribute_are_still_read() {
        for text in
            ["limit = 5, win", "limit = 5, window =", "limit = 5, window = a.", "limit = 5, , key = ", "limit = 5, 7"]
        {
            let (options, errors) = parsed(text);
            assert_eq!(options, [("limit".to_owned(), "5".to_owned())], "{text}");
            assert!(errors.is_some(), "{text}");
        }
    }
}
