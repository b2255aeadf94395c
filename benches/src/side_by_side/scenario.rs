//! The scenarios: the clients, their requests and their quotas.

/// A load and a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Many clients, all within their quota.
    Spread,
    /// One client, within a large quota.
    Hot,
    /// One client that has used up its quota.
    Deny,
    /// Many clients, each counted by two limits.
    TwoLimits,
    /// Many clients, one request after the other.
    Low,
    /// The clients of `Spread`, counted by a Redis Cluster.
    Cluster,
}

impl Scenario {
    /// Counted by one server.
    pub(crate) const ONE_SERVER: [Scenario; 5] =
        [Scenario::Spread, Scenario::Hot, Scenario::Deny, Scenario::TwoLimits, Scenario::Low];
    /// Those in which the peers take part.
    pub(crate) const ONE_LIMIT: [Scenario; 4] = [Scenario::Spread, Scenario::Hot, Scenario::Deny, Scenario::Low];
    pub(crate) const ALL: [Scenario; 6] =
        [Scenario::Spread, Scenario::Hot, Scenario::Deny, Scenario::TwoLimits, Scenario::Low, Scenario::Cluster];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Scenario::Spread => "spread",
            Scenario::Hot => "hot",
            Scenario::Deny => "deny",
            Scenario::TwoLimits => "two-limits",
            Scenario::Low => "low",
            Scenario::Cluster => "cluster",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    pub(crate) fn says(self) -> &'static str {
        match self {
            Scenario::Spread => "10 000 keys, 100 requests in 2 s each, all allowed; 64 connections",
            Scenario::Hot => "one key, 1 000 000 requests in 1 s, all allowed; 64 connections",
            Scenario::Deny => "one key, 1 request per hour, all denied; 64 connections",
            Scenario::TwoLimits => "10 000 keys, 50 requests in 1 s and 100 in 2 s, all allowed; 64 connections",
            Scenario::Low => "the same as spread, over one connection",
            Scenario::Cluster => {
                "the same as spread, counted by a cluster: three masters, which are measured, each with a replica"
            }
        }
    }

    /// The route, in every contender, that has the limits of this scenario.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Scenario::Spread | Scenario::Low | Scenario::Cluster => "/spread",
            Scenario::Hot => "/hot",
            Scenario::Deny => "/deny",
            Scenario::TwoLimits => "/two-limits",
        }
    }

    /// How many values of the header the clients rotate through.
    pub(crate) fn keys(self) -> u32 {
        match self {
            Scenario::Hot | Scenario::Deny => 1,
            Scenario::Spread | Scenario::TwoLimits | Scenario::Low | Scenario::Cluster => 10_000,
        }
    }

    pub(crate) fn connections(self) -> u32 {
        if self == Scenario::Low { 1 } else { 64 }
    }
}
