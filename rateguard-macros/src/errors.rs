//! The mistakes in an attribute. They are reported together, each on its own tokens.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Collects errors, so that one build reports all of them.
#[derive(Default)]
pub(crate) struct Errors {
    first: Option<syn::Error>,
}

impl Errors {
    /// Reports a mistake on the given tokens.
    pub(crate) fn on(&mut self, tokens: impl ToTokens, message: impl AsRef<str>) {
        self.push(syn::Error::new_spanned(tokens, message.as_ref()));
    }

    /// Reports a mistake that has no tokens of its own.
    pub(crate) fn at(&mut self, span: Span, message: impl AsRef<str>) {
        self.push(syn::Error::new(span, message.as_ref()));
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.first {
            Some(first) => first.combine(error),
            None => self.first = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn append(&mut self, other: Errors) {
        if let Some(error) = other.first {
            self.push(error);
        }
    }

    /// One `compile_error!` for each mistake. `None` if there is no mistake.
    pub(crate) fn into_tokens(self) -> Option<TokenStream> {
        self.first.map(|error| error.to_compile_error())
    }
}

/// `; did you mean …?`, if one of the `allowed` words is near enough. Otherwise an empty text.
pub(crate) fn did_you_mean(word: &str, allowed: &[&str]) -> String {
    nearest(word, allowed).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// The allowed word with the smallest distance to `word`, which may be a third of its letters, and always one letter.
/// Upper and lower case are equal, and so are `-`, `_` and a space.
pub(crate) fn nearest<'a>(word: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let fold = |text: &str| text.trim().to_lowercase().replace(['-', ' '], "_");
    let word = fold(word);
    let (distance, near) = allowed.iter().map(|near| (edit_distance(&word, &fold(near)), *near)).min()?;
    (distance <= (near.len() / 3).max(1)).then_some(near)
}

/// The number of letters to insert, delete or replace to get from `a` to `b` (Levenshtein).
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.chars().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    // The first column is never written, which only matters if `b` is empty.
    if b.is_empty() { a.chars().count() } else { row.last().copied().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_the_number_of_changed_letters() {
        for (a, b, distance) in [
            ("", "", 0),
            ("abc", "", 3),
            ("", "abc", 3),
            ("windw", "window", 1),
            ("ab", "ba", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn only_a_near_miss_is_suggested() {
        let allowed = ["limit", "window", "sliding_window"];
        assert_eq!(nearest("windw", &allowed), Some("window"));
        assert_eq!(nearest("Limit", &allowed), Some("limit"));
        assert_eq!(nearest("sliding-window", &allowed), Some("sliding_window"));
        assert_eq!(nearest("colour", &allowed), None);
    }
}
