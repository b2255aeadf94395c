//! The sketch counts the clients for which a full shard has no slot: a table of small counts, in which clients that find no
//! place of their own share one.
//!
//! A client has two buckets of eight places, and takes a place in the emptier one. Places are shared only when both buckets are
//! full of clients that still count. Then, of the policy with the most places in the bucket, the two smallest counts become
//! one, the larger of the two, for all clients of that policy without a place of their own. So a count is never too small, and
//! too large by at most the smallest counts. Clients of different policies share a place only if each of the eight places
//! belongs to a different policy.
//!
//! (Counts that inherit the smallest one: Metwally, Agrawal and El Abbadi, "Efficient Computation of Frequent and Top-k
//! Elements in Data Streams", 2005. Two buckets: Azar, Broder, Karlin and Upfal, "Balanced Allocations", 1994.)

use super::count::Count;
use super::fingerprint::{Fingerprint, MemoryCheck};
use crate::algorithm::Receipt;
use crate::quota::Quota;

/// Places for each slot of the shard, and some more, because in a small shard the buckets fill unevenly.
const PLACES_A_SLOT: usize = 4;
const MORE_PLACES: usize = 32;
const PLACES: usize = 8;

#[derive(Debug)]
pub(super) struct Sketch {
    buckets: Box<[Bucket]>,
    /// When the last count ends.
    idle_from: u64,
    latest: u64,
    /// Whether the clock has stepped back since this was made.
    stepped_back: bool,
}

type Bucket = [Place; PLACES];

/// 32 bytes, so that a bucket is four cache lines.
#[derive(Clone, Copy, Debug)]
struct Place {
    owner: Owner,
    /// The lowest bit, which is always 0 in a policy's hash, says whether the count is exact.
    policy: u32,
    earlier: u32,
    later: u32,
    end: u64,
    idle_from: u64,
}

/// The client that is counted in a place, by a part of its fingerprint; or all clients without a place of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner(u32);

impl Owner {
    const REST_OF_POLICY: Owner = Owner(0);
    const REST_OF_ALL: Owner = Owner(1);

    fn client(client: Fingerprint) -> Owner {
        Owner(u32::try_from(client.hash >> 96).unwrap_or(u32::MAX).max(2))
    }

    fn is_client(self) -> bool {
        self.0 >= 2
    }
}

impl Place {
    const EMPTY: Place = Place { owner: Owner(0), policy: 0, earlier: 0, later: 0, end: 0, idle_from: 0 };

    fn new(owner: Owner, policy: u32, count: Count) -> Place {
        let Count { end, idle_from, earlier, later, exact } = count;
        Place { owner, policy: (policy & !1) | u32::from(exact), earlier, later, end, idle_from }
    }

    fn count(&self) -> Count {
        let &Place { earlier, later, end, idle_from, .. } = self;
        Count { end, idle_from, earlier, later, exact: self.policy & 1 == 1 }
    }

    fn is_free(&self, now: u64) -> bool {
        self.idle_from <= now
    }

    fn is_of(&self, policy: u32) -> bool {
        self.policy & !1 == policy & !1
    }

    fn is(&self, owner: Owner, policy: u32) -> bool {
        self.owner == owner && self.is_of(policy) && self.idle_from > 0
    }

    /// Whether this place counts the clients of the policy that have no place of their own.
    fn is_rest_for(&self, policy: u32) -> bool {
        self.is(Owner::REST_OF_POLICY, policy) || (self.owner == Owner::REST_OF_ALL && self.idle_from > 0)
    }

    fn rank(&self) -> (u64, u64) {
        (self.count().units(), self.idle_from)
    }
}

impl Sketch {
    /// The sketch for a shard of so many slots.
    pub(super) fn new(slots: usize) -> Sketch {
        let places = slots.saturating_mul(PLACES_A_SLOT).saturating_add(MORE_PLACES);
        let buckets = vec![[Place::EMPTY; PLACES]; places.div_ceil(PLACES)].into_boxed_slice();
        Sketch { buckets, idle_from: 0, latest: 0, stepped_back: false }
    }

    pub(super) fn is_idle(&self, now: u64) -> bool {
        self.idle_from <= now
    }

    /// The count of a client: at least what it was charged.
    pub(super) fn count(&mut self, now: u64, client: Fingerprint, quota: &Quota) -> Count {
        self.stepped_back |= now < self.latest;
        self.latest = now;
        let stepped_back = self.stepped_back;
        let mut rest = Count::NOTHING;
        for bucket in self.buckets_of(client) {
            for place in self.buckets.get_mut(bucket).into_iter().flatten() {
                let is_own = place.is(Owner::client(client), client.policy);
                if !is_own && !place.is_rest_for(client.policy) {
                    continue;
                }
                let mut count = place.count();
                if stepped_back {
                    count = count.held_back(now, quota);
                }
                if is_own {
                    *place = Place::new(place.owner, place.policy, count);
                    return count;
                }
                if !place.is_free(now) {
                    rest = rest.at_least(count);
                }
            }
        }
        rest
    }

    /// Sets the count of a client.
    pub(super) fn put(&mut self, now: u64, client: Fingerprint, count: Count) {
        self.idle_from = self.idle_from.max(count.idle_from);
        let place = Place::new(Owner::client(client), client.policy, count);
        if let Some(own) = self.own(client) {
            *own = place;
            return;
        }
        let free = |bucket: &Bucket| bucket.iter().filter(|place| place.is_free(now)).count();
        let [first, second] = self.buckets_of(client);
        let [in_first, in_second] = [first, second].map(|bucket| self.buckets.get(bucket).map_or(0, free));
        let Some(bucket) = self.buckets.get_mut(if in_second > in_first { second } else { first }) else { return };
        let at = bucket.iter().position(|place| place.is_free(now)).unwrap_or_else(|| share(bucket));
        if let Some(there) = bucket.get_mut(at) {
            *there = place;
        }
    }

    /// Gives units back to a client that has a place of its own. A shared count stays.
    pub(super) fn refund(&mut self, now: u64, check: &MemoryCheck, receipt: Option<Receipt>) {
        let MemoryCheck { fingerprint, quota, cost, .. } = check;
        if let Some(own) = self.own(*fingerprint) {
            *own = Place::new(own.owner, own.policy, own.count().refunded(now, quota, *cost, receipt));
        }
    }

    /// Forgets the client's own count. A shared count stays.
    pub(super) fn remove(&mut self, client: Fingerprint) {
        if let Some(own) = self.own(client) {
            *own = Place::EMPTY;
        }
    }

    /// Whether a client has a place of its own, perhaps an expired one.
    #[cfg(test)]
    pub(super) fn holds(&mut self, client: Fingerprint) -> bool {
        self.own(client).is_some()
    }

    fn own(&mut self, client: Fingerprint) -> Option<&mut Place> {
        let owner = Owner::client(client);
        let [first, second] = self.buckets_of(client);
        let has = |bucket: &Bucket| bucket.iter().any(|place| place.is(owner, client.policy));
        let bucket = if self.buckets.get(first).is_some_and(has) { first } else { second };
        self.buckets.get_mut(bucket)?.iter_mut().find(|place| place.is(owner, client.policy))
    }

    fn buckets_of(&self, client: Fingerprint) -> [usize; 2] {
        let buckets = self.buckets.len() as u128;
        // Two parts of the fingerprint, each scaled to the number of buckets.
        [client.hash, client.hash >> 32].map(|part| {
            let part = part & u128::from(u32::MAX);
            usize::try_from((part * buckets) >> 32).unwrap_or(0)
        })
    }
}

/// Frees a place in a full bucket by letting clients share another. Returns the index of the free place.
fn share(bucket: &mut Bucket) -> usize {
    let of = |at: usize| bucket.get(at).copied().unwrap_or(Place::EMPTY);
    // How many places could share one with the place at `at`: those of the same policy.
    let alike = |at: usize| {
        let is_alike = |place: &&Place| place.is_of(of(at).policy) && place.owner != Owner::REST_OF_ALL;
        bucket.iter().filter(is_alike).count()
    };
    // The smallest client of the policy with the most places, if there is another place to share.
    let goes = (0..PLACES)
        .filter(|&at| of(at).owner.is_client() && alike(at) >= 2)
        .min_by_key(|&at| (std::cmp::Reverse(alike(at)), of(at).rank()));
    let (goes, stays, shared) = if let Some(goes) = goes {
        let others =
            (0..PLACES).filter(|&at| at != goes && of(at).is_of(of(goes).policy) && of(at).owner != Owner::REST_OF_ALL);
        // The shared place of the policy, or otherwise its next smallest client.
        let stays = others.min_by_key(|&at| (of(at).owner.is_client(), of(at).rank())).unwrap_or(goes);
        (goes, stays, Owner::REST_OF_POLICY)
    } else {
        // Each place belongs to a different policy.
        let goes = (0..PLACES).filter(|&at| of(at).owner != Owner::REST_OF_ALL).min_by_key(|&at| of(at).rank());
        let goes = goes.unwrap_or(0);
        let others = (0..PLACES).filter(|&at| at != goes);
        let stays = others.min_by_key(|&at| (of(at).owner != Owner::REST_OF_ALL, of(at).rank())).unwrap_or(goes);
        (goes, stays, Owner::REST_OF_ALL)
    };
    let count = of(goes).count().at_least(of(stays).count());
    if let Some(place) = bucket.get_mut(stays) {
        *place = Place::new(shared, place.policy, count);
    }
    goes
}
