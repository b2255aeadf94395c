//! What the processes ask: policies of all four algorithms, and the quotas that each may be changed to.

use std::time::Duration;

use rateguard::{Algorithm, Policy, Quota};

/// Identities that are counted. Few, so that all processes meet at each of them.
pub(crate) const USERS: u64 = 4;

/// A policy, with the quotas that it may have. The first is the written one; if it is the only one, it never changes.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) policy: Policy,
    pub(crate) quotas: Vec<Quota>,
    /// Whether it is only checked and peeked at, alone: then it is known where its fixed windows begin.
    pub(crate) is_plain: bool,
}

impl Planned {
    /// Most checks take no more than this, so that a window holds several of them.
    pub(crate) fn usual_cost(&self) -> u32 {
        self.policy.quota().limit().div_ceil(15)
    }
}

/// All policies, the same in every process. Their places in this list are their numbers in the logs.
pub(crate) fn policies() -> Vec<Planned> {
    let mut policies = Vec::new();
    let limits = [
        (Algorithm::SlidingWindow, &[(3, 400), (60, 1000), (127, 700), (128, 800), (400, 900), (2000, 1500)][..]),
        (Algorithm::SlidingCounter, &[(5, 500), (80, 900), (1000, 1200)]),
        (Algorithm::FixedWindow, &[(5, 500), (80, 900), (1000, 1200)]),
        (Algorithm::TokenBucket, &[(5, 500), (80, 900), (1000, 1200)]),
    ];
    for (algorithm, limits) in limits {
        for &(limit, millis) in limits {
            let quota = |limit: u32, millis| {
                Quota::try_new(algorithm, limit, Duration::from_millis(millis)).expect("a quota that can be kept")
            };
            let written = quota(limit, millis);
            policies.push(planned("steady", vec![written]));
            // Raised, lowered, a longer and a shorter window. A store keeps four counts of a key at most.
            let mut quotas = vec![written, quota(limit * 2, millis), quota(limit.div_ceil(3), millis)];
            quotas.push(quota(limit, millis * 3));
            if algorithm != Algorithm::TokenBucket {
                quotas.push(quota(limit, millis / 2));
            }
            policies.push(planned("changed", quotas));
        }
    }
    for (limit, millis) in [(5, 300), (80, 900)] {
        let plain = planned("plain", vec![Quota::fixed_window(limit, Duration::from_millis(millis))]);
        policies.push(Planned { is_plain: true, ..plain });
    }
    policies
}

fn planned(kind: &str, quotas: Vec<Quota>) -> Planned {
    let written = quotas[0];
    let name = format!("{kind}-{}-{}", written.algorithm(), written.limit());
    Planned { policy: Policy::try_new(name, written).expect("a name"), quotas, is_plain: false }
}

/// Numbers from a seed.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        // Seeds that differ by one begin far apart.
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below this one.
    pub(crate) fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.draw(u64::try_from(from.len()).expect("a length"));
        &from[usize::try_from(at).expect("a place")]
    }
}
