//! What stands for a policy and a key.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::key::{Key, Repr};
use crate::network::{Prefixes, network};
use crate::quota::Algorithm;

/// Makes 128 bits of a policy and a key, by SipHash-1-3 (Aumasson and Bernstein, 2012) under a key drawn for this
/// process: clients cannot aim for a collision, since they cannot know where anything goes.
#[derive(Clone, Copy)]
pub(super) struct Fingerprints {
    keyed: SipHasher13,
}

impl Fingerprints {
    pub(super) fn new() -> Fingerprints {
        // The standard library draws the keys of its tables from the system, and this draws ours from them.
        let drawn = RandomState::new();
        Fingerprints { keyed: SipHasher13::new_with_keys(drawn.hash_one("first"), drawn.hash_one("second")) }
    }

    /// Addresses stand for their network.
    pub(super) fn of(&self, policy: &str, algorithm: Algorithm, key: &Key, prefixes: Prefixes) -> u128 {
        let mut hasher = self.keyed;
        // Every text comes with its length, and every part with its sort: two that differ are written differently.
        text(&mut hasher, policy.as_bytes());
        hasher.write_u8(algorithm as u8);
        part(&mut hasher, key, prefixes);
        hasher.finish128().as_u128()
    }
}

fn part(hasher: &mut SipHasher13, key: &Key, prefixes: Prefixes) {
    match &key.0 {
        Repr::Global => hasher.write_u8(0),
        Repr::Ip(ip) => match network(*ip, prefixes) {
            IpAddr::V4(ip) => {
                hasher.write_u8(1);
                hasher.write_u32(ip.to_bits());
            }
            IpAddr::V6(ip) => {
                hasher.write_u8(2);
                hasher.write_u128(ip.to_bits());
            }
        },
        Repr::Plain { kind, value } => {
            hasher.write_u8(3);
            text(hasher, kind.as_str().as_bytes());
            text(hasher, value.as_bytes());
        }
        Repr::Secret { kind, value } => {
            hasher.write_u8(4);
            text(hasher, kind.as_str().as_bytes());
            text(hasher, value.as_bytes());
        }
        Repr::Composite(parts) => {
            hasher.write_u8(5);
            hasher.write_usize(parts.len());
            for one in parts {
                part(hasher, one, prefixes);
            }
        }
    }
}

fn text(hasher: &mut SipHasher13, text: &[u8]) {
    hasher.write_usize(text.len());
    hasher.write(text);
}

/// The key of the hash stays here.
impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprints")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_anything_has_another_fingerprint() {
        let fingerprints = Fingerprints::new();
        let of = |policy, algorithm, key: &Key| fingerprints.of(policy, algorithm, key, Prefixes::default());
        let ip = |text: &str| Key::ip(text.parse::<IpAddr>().unwrap());
        let keys = [
            Key::global(),
            ip("192.0.2.1"),
            ip("192.0.2.2"),
            ip("2001:db8::1"),
            ip("2001:db8:0:1::1"),
            Key::new("a", "bc"),
            Key::new("ab", "c"),
            Key::secret("a", "bc"),
            Key::composite([]),
            Key::composite([Key::new("a", "b"), Key::new("c", "d")]),
            Key::composite([Key::composite([Key::new("a", "b")]), Key::new("c", "d"), Key::global()]),
            Key::composite([Key::new("a", "b"), Key::composite([Key::new("c", "d"), Key::global()])]),
        ];
        let mut seen = std::collections::HashSet::new();
        for policy in ["p", "pp"] {
            for algorithm in [Algorithm::SlidingWindow, Algorithm::TokenBucket] {
                assert!(keys.iter().all(|key| seen.insert(of(policy, algorithm, key))));
            }
        }
        assert_eq!(
            of("p", Algorithm::SlidingWindow, &ip("2001:db8::1")),
            of("p", Algorithm::SlidingWindow, &ip("2001:db8::2"))
        );
        let other = Fingerprints::new().of("p", Algorithm::SlidingWindow, &Key::global(), Prefixes::default());
        assert_ne!(other, of("p", Algorithm::SlidingWindow, &Key::global()), "each process has a key of its own");
    }
}
