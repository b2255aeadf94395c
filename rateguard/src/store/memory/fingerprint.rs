//! A check as this store sees it: a policy and a key are counted by their hash.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::key::prefix::{Prefixes, network};
use crate::key::{Key, Repr};
use crate::policy::Policy;
use crate::quota::{Algorithm, Quota};

/// A check of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryCheck {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) quota: Quota,
    pub(crate) cost: u32,
    /// Counted, never denied.
    pub(crate) shadow: bool,
}

/// Identifies a policy and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) hash: u128,
    /// The hash of the policy's name and algorithm. Policies with the same hash share their slots in a full store. Always even.
    pub(super) policy: u32,
}

/// Hashes a policy and a key to 128 bits, by SipHash-1-3 (Aumasson and Bernstein, 2012) with a random key of this process:
/// clients cannot find collisions, because they cannot compute the hash.
#[derive(Clone, Copy)]
pub(super) struct Fingerprints {
    keys: [u64; 2],
}

impl Fingerprint {
    #[inline]
    pub(crate) fn new(hash: u128, policy: &Policy) -> Fingerprint {
        let algorithm = policy.quota().algorithm() as u32;
        Fingerprint { hash, policy: policy.number().wrapping_add(algorithm << 29) & !1 }
    }
}

impl Fingerprints {
    pub(super) fn new() -> Fingerprints {
        // The standard library gets random keys for its hash tables from the system; ours are derived from them.
        let drawn = RandomState::new();
        Fingerprints { keys: [drawn.hash_one("first"), drawn.hash_one("second")] }
    }

    /// An address is counted as its network.
    #[inline]
    pub(super) fn of(&self, policy: &str, algorithm: Algorithm, key: &Key, prefixes: Prefixes) -> u128 {
        let [first, second] = self.keys;
        let mut hasher = SipHasher13::new_with_keys(first, second);
        write(&mut hasher, policy, algorithm, key, prefixes);
        hasher.finish128().as_u128()
    }
}

/// What differs for whatever is counted apart.
#[inline]
fn write(hasher: &mut impl Hasher, policy: &str, algorithm: Algorithm, key: &Key, prefixes: Prefixes) {
    part(hasher, key, prefixes);
    policy.hash(hasher);
    hasher.write_u8(algorithm as u8);
}

/// What [`Hash`] writes for a key; for an address its network, in whole words, which are the quickest.
#[inline]
fn part(hasher: &mut impl Hasher, key: &Key, prefixes: Prefixes) {
    match &key.0 {
        Repr::Ip(ip) => match network(*ip, prefixes) {
            // No other key begins with these numbers: they begin with smaller ones, of 32 bits on some targets.
            IpAddr::V4(ip) => hasher.write_u64(u64::from(ip.to_bits()) << 32 | 0x400),
            IpAddr::V6(ip) => {
                hasher.write_u64(0x600);
                hasher.write_u128(ip.to_bits());
            }
        },
        Repr::Composite(parts) => {
            std::mem::discriminant(&key.0).hash(hasher);
            hasher.write_usize(parts.len());
            for key in parts {
                part(hasher, key, prefixes);
            }
        }
        repr => repr.hash(hasher),
    }
}

/// Does not show the key of the hash.
impl std::fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fingerprints")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whatever_differs_has_another_fingerprint() {
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
        assert_ne!(other, of("p", Algorithm::SlidingWindow, &Key::global()), "each process has a hash key of its own");
    }

    #[test]
    fn the_hash_of_a_policy_differs_by_name_and_algorithm() {
        let quota = crate::Quota::sliding_window(1, std::time::Duration::from_secs(60));
        let policy = |name: &str| Policy::try_new(name.to_owned(), quota).unwrap();
        let number = |policy: &Policy| Fingerprint::new(1, policy).policy;
        let one = number(&Policy::new("policy", quota));
        assert_eq!(one, number(&policy("policy")));
        assert_eq!(one % 2, 0);
        let bucket = crate::Quota::token_bucket(1, quota.window());
        assert_ne!(one, number(&policy("policy").with_quota(bucket)));
        let numbers: std::collections::HashSet<u32> =
            (0..1000).map(|name| number(&policy(&format!("app::handlers::{name}::get")))).collect();
        assert_eq!(numbers.len(), 1000);
    }

    #[test]
    fn every_byte_and_every_length_counts() {
        let fingerprints = Fingerprints::new();
        let of = |policy: &str, key: &Key| {
            fingerprints.of(policy, Algorithm::SlidingWindow, key, Prefixes { ipv4: 32, ipv6: 128 })
        };
        let mut seen = std::collections::HashSet::new();
        for length in 0..40 {
            let zeros = vec![0; length];
            assert!(seen.insert(of("p", &Key::secret("", &zeros))));
            for changed in 0..length {
                let mut bytes = zeros.clone();
                bytes[changed] = 1;
                assert!(seen.insert(of("p", &Key::secret("", &bytes))), "byte {changed} of {length}");
                let name = String::from_utf8(bytes).unwrap();
                assert!(seen.insert(of(&name, &Key::global())), "byte {changed} of {length}");
            }
        }
        for bit in 0..128 {
            let one = 1_u128 << bit;
            assert!(seen.insert(of("p", &Key::ip(std::net::Ipv6Addr::from_bits(one)))));
            if let Ok(one) = u32::try_from(one) {
                assert!(seen.insert(of("p", &Key::ip(std::net::Ipv4Addr::from_bits(one)))));
            }
        }
    }

    /// The bytes that a hasher is given, on a target whose words have so many bytes.
    struct Written {
        bytes: Vec<u8>,
        word: usize,
    }

    impl Hasher for Written {
        fn write(&mut self, bytes: &[u8]) {
            self.bytes.extend_from_slice(bytes);
        }

        fn write_usize(&mut self, number: usize) {
            self.bytes.extend(number.to_le_bytes().iter().take(self.word));
        }

        fn write_isize(&mut self, number: isize) {
            self.bytes.extend(number.to_le_bytes().iter().take(self.word));
        }

        fn write_u64(&mut self, number: u64) {
            self.bytes.extend(number.to_le_bytes());
        }

        fn write_u128(&mut self, number: u128) {
            self.bytes.extend(number.to_le_bytes());
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    fn written(word: usize, write: impl FnOnce(&mut Written)) -> Vec<u8> {
        let mut hasher = Written { bytes: Vec::new(), word };
        write(&mut hasher);
        hasher.bytes
    }

    const WHOLE: Prefixes = Prefixes { ipv4: 32, ipv6: 128 };

    /// Few different parts, so that many keys nearly agree.
    fn keys() -> impl Strategy<Value = Key> {
        let text = || prop::sample::select(vec!["", "\0", "a", "ab", "\u{4}\0\0\0", "\0\0\0\0", "user", "ip"]);
        let address = prop::sample::select(vec![
            "0.0.0.0",
            "0.0.0.1",
            "0.0.0.2",
            "0.0.0.3",
            "0.0.0.4",
            "4.0.0.0",
            "::",
            "::1",
            "::4",
            "::4:0:0",
            "6::",
            "0:6::",
            "::ffff:0.0.0.1",
            "::6:0:0:0:4",
        ]);
        let leaf = prop_oneof![
            Just(Key::global()),
            address.prop_map(|text| Key::ip(text.parse::<IpAddr>().unwrap())),
            (text(), text()).prop_map(|(kind, value)| Key::new(kind, value)),
            (text(), prop::collection::vec(prop::sample::select(vec![0, 4, 0xff, b'a']), 0..9))
                .prop_map(|(kind, value)| Key::secret(kind, value)),
        ];
        leaf.prop_recursive(3, 12, 4, |part| prop::collection::vec(part, 0..5).prop_map(Key::composite))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn only_equal_checks_are_written_alike(
            (one, other) in (keys(), keys()),
            (policy, second) in prop::sample::select(vec![("p", "p"), ("p", "pp"), ("\u{4}", "ab"), ("pa", "a")]),
        ) {
            for word in [4, 8] {
                let bytes = |policy: &str, key: &Key| {
                    written(word, |to| write(to, policy, Algorithm::SlidingWindow, key, WHOLE))
                };
                let is_same = one == other && policy == second;
                prop_assert_eq!(bytes(policy, &one) == bytes(second, &other), is_same, "{:?} {:?} {}", one, other, word);
                // So a key cannot run into what follows it, be that a part or a policy.
                let part = |key: &Key| written(word, |to| part(to, key, WHOLE));
                prop_assert_eq!(part(&one).starts_with(&part(&other)), one == other, "{:?} {:?} {}", one, other, word);
            }
        }
    }

    #[test]
    fn no_address_is_written_as_the_beginning_of_another_key() {
        let part = |key: &Key| written(4, |to| part(to, key, WHOLE));
        let nested = Key::composite([Key::global(), Key::composite([Key::global(), Key::new("a", "b")])]);
        let chosen = Key::new("\0\0\0\0\u{2}\0\0\0a", "b");
        let forged = Key::composite([Key::ip([0, 0, 0, 0]), chosen]);
        assert_ne!(part(&nested), part(&forged));
    }
}
