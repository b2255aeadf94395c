//! The names that a policy can have.

use std::fmt;

use super::Policy;

pub(super) const fn check(name: &str) -> Result<(), PolicyNameError> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Err(PolicyNameError::Empty);
    }
    if bytes.len() > Policy::MAX_NAME {
        return Err(PolicyNameError::TooLong);
    }
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        if *byte <= b' ' || *byte == 0x7f || matches!(*byte, b'"' | b'\\' | b'{' | b'}') {
            return Err(PolicyNameError::Character);
        }
        rest = tail;
    }
    Ok(())
}

/// A number that stands for a name: FNV-1a (Fowler, Noll and Vo), folded.
#[expect(clippy::cast_possible_truncation, reason = "folded")]
pub(crate) const fn number(name: &str) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut rest = name.as_bytes();
    while let [byte, tail @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = tail;
    }
    (hash ^ (hash >> 32)) as u32
}

/// Whether it can be what the units of a policy are called.
pub(super) const fn is_unit(unit: &str) -> bool {
    let mut rest = unit.as_bytes();
    if rest.is_empty() || rest.len() > 32 {
        return false;
    }
    while let [byte, tail @ ..] = rest {
        if !byte.is_ascii_alphabetic() && *byte != b' ' {
            return false;
        }
        rest = tail;
    }
    true
}

/// Why a policy cannot have this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyNameError {
    /// The name is empty.
    Empty,
    /// The name is longer than [`Policy::MAX_NAME`] bytes.
    TooLong,
    /// The name has a space, a control character, `"`, `\`, `{` or `}`.
    Character,
}

impl PolicyNameError {
    pub(super) const fn rule(self) -> &'static str {
        match self {
            PolicyNameError::Empty => "the name of a policy is empty: give it one, such as \"search\"",
            PolicyNameError::TooLong => "the name of a policy is longer than 200 bytes: shorten it",
            PolicyNameError::Character => {
                "the name of a policy has a space, a control character, a quote, a backslash or a brace: \
                 use letters, digits and - _ . : /"
            }
        }
    }
}

impl fmt::Display for PolicyNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule())
    }
}

impl std::error::Error for PolicyNameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Quota;

    const QUOTA: Quota = Quota::per_second(1);

    #[test]
    fn a_name_that_could_break_a_key_a_header_or_a_log_line_is_an_error() {
        for bad in ["", "a b", "a\nb", "a\"b", "a\\b", "{a", "a}", "\u{7f}"] {
            assert!(Policy::try_new(bad, QUOTA).is_err(), "{bad:?}");
        }
        assert!(Policy::try_new("x".repeat(201), QUOTA).is_err());
        for good in ["search", "app::api::search", "größe", "per-user/day.v2"] {
            assert_eq!(Policy::try_new(good, QUOTA).unwrap().name(), good);
        }
    }
}
