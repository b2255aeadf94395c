//! What is known when the last request has been replayed.

use std::time::Duration;

use rateguard::Quota;

use crate::arguments::By;
use crate::clients::Client;
use crate::reader::Faults;
use crate::tally::Tally;
use crate::time::Zone;
use crate::timeline::Timeline;

pub(crate) struct Report {
    pub(crate) by: By,
    pub(crate) quotas: Vec<Quota>,
    pub(crate) lines: u64,
    pub(crate) requests: u64,
    /// When the first and the last request was, in microseconds since 1970.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// The zone that times are shown in.
    pub(crate) zone: Zone,
    /// One for each quota.
    pub(crate) totals: Vec<Tally>,
    pub(crate) clients: Vec<Client>,
    /// No line has the user or the field that was asked for.
    pub(crate) only_addresses: bool,
    pub(crate) timeline: Timeline,
    pub(crate) bad: Faults,
    pub(crate) late: Faults,
    /// Lines that `--path` and `--method` leave out.
    pub(crate) left_out: u64,
    pub(crate) took: Duration,
}

/// A client that a quota would have denied.
pub(crate) struct Denied<'r> {
    pub(crate) client: &'r Client,
    pub(crate) tally: &'r Tally,
}

impl Report {
    /// Whom this quota would have denied, the most denials first.
    pub(crate) fn denied(&self, quota: usize) -> Vec<Denied<'_>> {
        let tally = |client: &'_ Client| client.tallies.get(quota).is_some_and(|tally| tally.denied > 0);
        let clients = self.clients.iter().filter(|client| tally(client));
        let mut denied: Vec<Denied<'_>> =
            clients.filter_map(|client| client.tallies.get(quota).map(|tally| Denied { client, tally })).collect();
        denied.sort_by(|one, other| {
            other.tally.denied.cmp(&one.tally.denied).then_with(|| one.client.name.cmp(&other.client.name))
        });
        denied
    }
}
