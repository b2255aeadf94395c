//! The text of a key, for Redis and for logs.
//!
//! Addresses and short, ordinary values are readable. Secrets, and values that are long or have unusual characters, are
//! written as a keyed 128-bit hash (BLAKE2s, RFC 7693). Two different keys have different texts: a kind has no `:`, a value
//! has none of `~&(){}`, a hash begins with `~`, and only an address has the kind `ip`.

use std::fmt::Write as _;
use std::net::IpAddr;

use blake2::Blake2sMac;
use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};

use crate::key::{Key, Repr};

const MAX_KIND: usize = 64;
const MAX_VALUE: usize = 64;
/// The kind of addresses. If any other key has this kind, its kind is hashed.
const ADDRESS: &str = "ip";

/// What is hashed. It is part of the hash, so that equal values of different sorts have different hashes.
#[derive(Clone, Copy)]
enum Hashed {
    Kind,
    Plain,
    Secret,
    Text,
}

/// Writes keys as text. Hashes are keyed with the limiter's secret.
#[derive(Clone)]
pub(crate) struct KeyWriter {
    // The hash's state after it has taken the secret.
    keyed: Blake2sMac<U16>,
}

impl KeyWriter {
    /// The secret can have any length.
    pub(crate) fn new(secret: &[u8]) -> KeyWriter {
        // BLAKE2s takes a key of up to 32 bytes, so the secret is hashed first.
        let mut hash = Blake2sMac::<U16>::new(&[0; 32].into());
        hash.update(b"rateguard secret");
        hash.update(secret);
        let mut key = [0; 32];
        key[..16].copy_from_slice(&hash.finalize_fixed());
        KeyWriter { keyed: Blake2sMac::new(&key.into()) }
    }

    pub(crate) fn write(&self, out: &mut String, key: &Key) {
        match &key.0 {
            Repr::Global => out.push_str("global"),
            Repr::Ip(ip) => address(out, *ip),
            Repr::Plain { kind, value } => {
                let kind = kind.as_str();
                self.kind(out, kind);
                match value.as_str() {
                    Some(value) if is_ordinary(value, MAX_VALUE) => out.push_str(value),
                    _ => self.hash(out, Hashed::Plain, kind, value.as_bytes()),
                }
            }
            Repr::Secret { kind, value } => {
                let kind = kind.as_str();
                self.kind(out, kind);
                self.hash(out, Hashed::Secret, kind, value.as_bytes());
            }
            // An empty text between braces would not be a hash tag of a Redis cluster.
            Repr::Composite(parts) if parts.is_empty() => out.push_str("()"),
            Repr::Composite(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        out.push('&');
                    }
                    let nested = matches!(part.0, Repr::Composite(_));
                    if nested {
                        out.push('(');
                    }
                    self.write(out, part);
                    if nested {
                        out.push(')');
                    }
                }
            }
        }
    }

    /// A hash of the whole key, for places where no value may be readable. Equal keys have equal digests.
    pub(crate) fn digest(&self, key: &Key) -> String {
        let (mut text, mut digest) = (String::new(), String::new());
        self.write(&mut text, key);
        self.hash(&mut digest, Hashed::Text, "", text.as_bytes());
        digest
    }

    fn kind(&self, out: &mut String, kind: &str) {
        if is_ordinary(kind, MAX_KIND) && !kind.contains(':') && kind != ADDRESS {
            out.push_str(kind);
        } else {
            self.hash(out, Hashed::Kind, "", kind.as_bytes());
        }
        out.push(':');
    }

    fn hash(&self, out: &mut String, hashed: Hashed, kind: &str, value: &[u8]) {
        let mut hash = self.keyed.clone();
        // The length makes (`a`, `bc`) and (`ab`, `c`) different.
        hash.update(&[hashed as u8]);
        hash.update(&(kind.len() as u64).to_le_bytes());
        hash.update(kind.as_bytes());
        hash.update(value);
        out.push('~');
        for byte in hash.finalize_fixed() {
            out.push(hex_digit(byte >> 4));
            out.push(hex_digit(byte & 15));
        }
    }
}

/// By hand, since `{:02x}` takes longer than the hash itself.
fn hex_digit(of: u8) -> char {
    char::from(if of < 10 { b'0' + of } else { b'a' + of - 10 })
}

fn address(out: &mut String, ip: IpAddr) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{ADDRESS}:{ip}");
}

fn is_ordinary(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@' | b'+'))
}

/// Hides the secret.
impl std::fmt::Debug for KeyWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyWriter")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn text(key: &Key) -> String {
        let mut out = String::new();
        KeyWriter::new(b"secret").write(&mut out, key);
        out
    }

    #[test]
    fn addresses_and_ordinary_ids_are_readable() {
        assert_eq!(text(&Key::ip([203, 0, 113, 7])), "ip:203.0.113.7");
        assert_eq!(text(&Key::user("42")), "user:42");
        assert_eq!(text(&Key::global()), "global");
        assert_eq!(text(&Key::composite([Key::user("a@b.c"), Key::new("plan", "free")])), "user:a@b.c&plan:free");
    }

    #[test]
    fn secrets_and_odd_values_are_hashes_keyed_with_the_limiters_secret() {
        let key = Key::secret("header.x-api-key", "hunter2");
        let shown = text(&key);
        assert!(shown.starts_with("header.x-api-key:~") && shown.len() == 18 + 32, "{shown}");
        let mut other = String::new();
        KeyWriter::new(b"another").write(&mut other, &key);
        assert_ne!(shown, other);
        for odd in ["", "{a}", "a b", "a\nb", "größe", &"x".repeat(65), "a&b:c", "~0"] {
            let shown = text(&Key::user(odd));
            assert!(shown.starts_with("user:~") && shown.len() == 6 + 32, "{odd:?} became {shown}");
        }
    }

    /// Keys in Redis outlive the program that wrote them, and the version of the crate that hashed them.
    #[test]
    fn hashes_stay_what_they_are() {
        let mut default_secret = String::new();
        let key = Key::composite([Key::secret("header.x-api-key", "hunter2"), Key::new("a b", "größe")]);
        KeyWriter::new(b"rateguard").write(&mut default_secret, &key);
        assert_eq!(
            default_secret,
            "header.x-api-key:~10cb0c3e49bb7ea63de0642979d45c8e&~89c698c34cde5010a62c5f439b0ee4ea:~53c7141270cac122bc127c4b24da6720"
        );
        assert_eq!(KeyWriter::new(&[7; 100]).digest(&Key::user(42)), "~f5b284ab62905e7ebc129f8940721dfe");
    }

    #[test]
    fn different_fields_never_give_the_same_text() {
        let pairs = [
            (Key::new("a:b", "c"), Key::new("a", "b:c")),
            (Key::new("ab", "~c"), Key::new("a", "b~c")),
            (Key::composite([Key::user("a"), Key::user("b")]), Key::user("a&user:b")),
            (
                Key::composite([Key::composite([Key::user("a"), Key::user("b")]), Key::user("c")]),
                Key::composite([Key::user("a"), Key::composite([Key::user("b"), Key::user("c")])]),
            ),
            (Key::new("ip", "1.2.3.4"), Key::ip([1, 2, 3, 4])),
            (Key::new("a", "b c"), Key::secret("a", "b c")),
            (Key::new("", "a"), Key::new("a", "")),
            (Key::composite([]), Key::composite([Key::composite([]), Key::composite([])])),
        ];
        for (one, two) in pairs {
            assert_ne!(text(&one), text(&two));
        }
    }

    /// Few letters, so that texts collide if they can.
    fn small_text() -> impl Strategy<Value = String> {
        prop_oneof![
            select(vec!["ip", "user", "global", "1.2.3.4", "::1", "user:a", "a&user:b", "()", "~", ""])
                .prop_map(str::to_owned),
            "[ab:~&(){}@ \n\u{e9}]{0,3}",
            "a{60,70}",
        ]
    }

    fn some_key() -> impl Strategy<Value = Key> {
        let one = prop_oneof![
            8 => select(vec![Key::global(), Key::user("a")]),
            1 => select(vec!["1.2.3.4", "::1", "::"]).prop_map(|ip| Key::ip(ip.parse::<IpAddr>().unwrap())),
            4 => (small_text(), small_text()).prop_map(|(kind, value)| Key::new(kind, value)),
            2 => (small_text(), small_text()).prop_map(|(kind, value)| Key::secret(kind, value)),
        ];
        one.prop_recursive(3, 8, 3, |part| vec(part, 0..4).prop_map(Key::composite))
    }

    proptest! {
        #[test]
        fn different_keys_have_different_texts_and_equal_keys_the_same(keys in vec(some_key(), 2..60)) {
            let mut texts = HashMap::new();
            for key in keys {
                let text = text(&key);
                prop_assert!(
                    text.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}\"\\".contains(&byte)) && !text.is_empty(),
                    "{:?} became {:?}", key, text
                );
                let earlier = texts.entry(text).or_insert_with(|| key.clone());
                prop_assert_eq!(earlier, &key);
            }
        }
    }
}
