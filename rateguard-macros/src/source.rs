//! An expression as the text that a user has written.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// Operators of two characters.
const PAIRS: [&str; 9] = ["==", "!=", "<=", ">=", "&&", "||", "->", "=>", "::"];

/// Operators between two values. `<` and `>` are not among them, since they are also the brackets of types.
const BETWEEN_VALUES: [&str; 15] = ["+", "-", "*", "/", "%", "=", "&", "|", "^", "==", "!=", "<=", ">=", "&&", "||"];

/// An expression on one line, with the usual spaces.
pub(crate) fn shown(tokens: &TokenStream) -> String {
    let mut text = String::new();
    // Whether a value has just ended: a sign after it is between two values.
    let mut after_value = false;
    // Whether a space is due.
    let mut between = false;
    // Whether this is between the bars of a closure.
    let mut bars = false;
    let mut tokens = tokens.clone().into_iter().peekable();
    while let Some(token) = tokens.next() {
        if std::mem::take(&mut between) {
            text.push(' ');
        }
        match token {
            TokenTree::Punct(sign) => {
                let mut operator = sign.as_char().to_string();
                if let Some(TokenTree::Punct(next)) = tokens.peek()
                    && sign.spacing() == Spacing::Joint
                    && PAIRS.contains(&format!("{operator}{next}").as_str())
                {
                    operator.push(next.as_char());
                    tokens.next();
                }
                match operator.as_str() {
                    "|" if bars || !after_value => {
                        between = bars;
                        bars = !bars;
                    }
                    "||" if !after_value => between = true,
                    "," | ";" | ":" => between = true,
                    "->" | "=>" => {
                        if !text.ends_with(' ') {
                            text.push(' ');
                        }
                        between = true;
                    }
                    binary if after_value && BETWEEN_VALUES.contains(&binary) => {
                        text.push(' ');
                        between = true;
                    }
                    _ => {}
                }
                text.push_str(&operator);
                after_value = operator == "?";
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => (" { ", " }"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                text.push_str(&shown(&group.stream()));
                text.push_str(close);
                after_value = true;
            }
            word => {
                if after_value {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
                after_value = true;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_expression_is_shown_with_the_usual_spaces() {
        for text in [
            "order.customer",
            "api::WINDOW",
            "body.items.len() + 1",
            "format!(\"{id}-{}\", &words[..2])",
            "*shared.lock().unwrap()",
            "lookup::<A>(&q)?",
            "a as u32",
            "-1",
            "2 * WIDTH - 1",
            "a == b && !c || d",
            "page.map(|_| f(5))",
            "plan.map(|plan: &Plan| plan.limit)",
            "lazy(|| 1)",
            "lazy(|id: &Id| -> u32 { *id })",
            "a | b",
        ] {
            assert_eq!(shown(&text.parse().unwrap()), text);
        }
    }
}
