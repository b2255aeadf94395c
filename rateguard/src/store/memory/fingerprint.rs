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
        part(&mut hasher, key, prefixes);
        policy.hash(&mut hasher);
        hasher.write_u8(algorithm as u8);
        hasher.finish128().as_u128()
    }
}

/// What [`Hash`] writes for a key; for an address its network, in whole words, which are the quickest.
#[inline]
fn part(hasher: &mut SipHasher13, key: &Key, prefixes: Prefixes) {
    match &key.0 {
        Repr::Ip(ip) => match network(*ip, prefixes) {
            // No other key begins with such a word: they begin with small numbers.
            IpAddr::V4(ip) => hasher.write_u64(u64::from(ip.to_bits()) | 4 << 32),
            IpAddr::V6(ip) => {
                hasher.write_u64(6 << 32);
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
}
