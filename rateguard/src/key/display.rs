//! The form of a key for logs and messages.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use super::Key;
use super::encode::KeyWriter;

impl Key {
    /// The key for logs and messages: addresses and short, ordinary values are readable; secrets and all other values are
    /// shown as a keyed hash.
    ///
    /// The secret of the hash is random for each process. So equal keys look equal within one process, and a value cannot be
    /// found by hashing guesses. (`Key` itself does not implement `Display`: the `Display` text of an expression is a limit's
    /// key, and a `Key` must not be converted to text.)
    ///
    /// ```
    /// use rateguard::Key;
    ///
    /// assert_eq!(Key::user(42).display().to_string(), "user:42");
    /// let shown = Key::secret("api-key", "hunter2").display().to_string();
    /// assert!(shown.starts_with("api-key:~") && !shown.contains("hunter2"));
    /// ```
    pub fn display(&self) -> KeyDisplay<'_> {
        KeyDisplay(self)
    }
}

/// Shows a key: see [`Key::display`].
#[derive(Clone, Copy)]
#[must_use = "this shows a key only when it is formatted"]
pub struct KeyDisplay<'k>(&'k Key);

impl fmt::Display for KeyDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        static WRITER: LazyLock<KeyWriter> = LazyLock::new(|| {
            let random = || RandomState::new().hash_one(()).to_le_bytes();
            KeyWriter::new(&[random(), random()].concat())
        });
        let mut text = String::new();
        WRITER.write(&mut text, self.0);
        f.pad(&text)
    }
}

impl fmt::Debug for KeyDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_long_values_are_hashes_and_equal_keys_are_shown_equal() {
        for secret in [Key::secret("api-key", "hunter2"), Key::user("x".repeat(65)), Key::user("a\nb")] {
            let shown = secret.display().to_string();
            assert!(
                shown.contains(":~") && !["hunter2", "xx", "\n"].iter().any(|value| shown.contains(value)),
                "{shown}"
            );
            assert_eq!(shown, secret.clone().display().to_string());
            assert_eq!(shown, format!("{:?}", secret.display()));
        }
        assert_ne!(Key::secret("k", "1").display().to_string(), Key::secret("k", "2").display().to_string());
        let both = Key::composite([Key::ip([203, 0, 113, 7]), Key::user(1)]);
        assert_eq!(both.display().to_string(), "ip:203.0.113.7&user:1");
    }
}
