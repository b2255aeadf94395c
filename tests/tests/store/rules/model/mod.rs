//! The rules once more, as plainly as they can be written: what the library is compared with.

mod bucket;
mod give_back;
mod log;

use rateguard::{Algorithm, Quota};

/// What is remembered for one key, in microseconds.
#[derive(Clone, Debug)]
pub(crate) enum Model {
    SlidingWindow(Log),
    FixedWindow(Vec<Fixed>),
    SlidingCounter(Vec<Sliding>),
    TokenBucket { charges: u64, buckets: Vec<Bucket> },
}

/// Groups of hits that leave together, and until when what was charged under a window is kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    groups: Vec<Group>,
    merged: bool,
    horizon: u64,
    /// If shorter windows than the horizon were charged under since: when that ends, and the longest of them.
    follows: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first: u64,
    latest: u64,
    units: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    window: u64,
    start: u64,
    used: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sliding {
    window: u64,
    start: u64,
    previous: u64,
    current: u64,
}

/// The charges that have not come back, the first to come back first, each with its number. What is missing of each is
/// told in parts of a token, of which a token is as many as the window has microseconds and of which as many as the limit
/// come back in each.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    limit: u64,
    window: u64,
    burst: u64,
    at: u64,
    missing: Vec<(u64, u128)>,
}

/// So many counts by different quotas are kept for one key.
const MOST: usize = 4;

/// Makes room for another, in place of the one that is full first.
fn make_room(buckets: &mut Vec<Bucket>) {
    if buckets.len() >= MOST {
        let order = |bucket: &Bucket| (bucket.full_at(), bucket.limit, bucket.window, bucket.burst);
        let (first, _) = buckets.iter().enumerate().min_by_key(|(_, bucket)| order(bucket)).unwrap();
        buckets.remove(first);
    }
}

fn window(quota: &Quota) -> u64 {
    u64::try_from(quota.window().as_micros()).unwrap()
}

/// All are kept until all are full.
fn update(buckets: &mut Vec<Bucket>, now: u64) {
    for bucket in buckets.iter_mut() {
        bucket.update(now);
    }
    if buckets.iter().all(|bucket| bucket.missing.is_empty()) {
        buckets.clear();
    }
}

/// The bucket of a quota, or what is told of it by those of others.
fn bucket(buckets: &[Bucket], now: u64, quota: &Quota) -> Bucket {
    let own = buckets.iter().find(|bucket| bucket.is_of(quota)).cloned();
    let others = buckets.iter().map(|bucket| bucket.convert(quota));
    let most = others.max_by_key(Bucket::total);
    let mut found = own.or(most).unwrap_or_else(|| Bucket::of(quota, now));
    found.limit();
    found
}

impl Model {
    pub(crate) fn new(algorithm: Algorithm) -> Model {
        match algorithm {
            Algorithm::SlidingWindow => Model::SlidingWindow(Log::default()),
            Algorithm::FixedWindow => Model::FixedWindow(Vec::new()),
            Algorithm::SlidingCounter => Model::SlidingCounter(Vec::new()),
            _ => Model::TokenBucket { charges: 0, buckets: Vec::new() },
        }
    }

    /// How many more units would be allowed now.
    pub(crate) fn available(&mut self, now: u64, quota: &Quota) -> u64 {
        let (window, limit) = (window(quota), u64::from(quota.limit()));
        match self {
            Model::SlidingWindow(log) => {
                log.update(now);
                limit.saturating_sub(log.units(now, window))
            }
            Model::FixedWindow(_) => limit.saturating_sub(self.fixed(now, window).used),
            Model::SlidingCounter(_) => {
                let counted = self.sliding(now, window).map_or(0, |counter| counter.counted(now));
                // The largest cost for which what is counted and it are no more than the limit.
                let (limit, window) = (u128::from(limit), u128::from(window));
                u64::try_from((limit * window).saturating_sub(counted) / window).unwrap()
            }
            Model::TokenBucket { buckets, .. } => {
                update(buckets, now);
                let found = bucket(buckets, now, quota);
                if let Some(own) = buckets.iter_mut().find(|bucket| bucket.is_of(quota)) {
                    *own = found.clone();
                }
                let capacity = u128::from(quota.capacity()) * u128::from(window);
                u64::try_from((capacity - found.total()) / u128::from(window)).unwrap()
            }
        }
    }

    /// The counter of a window, or what is told of it by those that began later than a window ago.
    fn fixed(&mut self, now: u64, window: u64) -> Fixed {
        let Model::FixedWindow(counters) = self else { panic!("another rule") };
        for counter in counters.iter_mut() {
            counter.start = counter.start.min(now);
        }
        for counter in counters.iter_mut().filter(|counter| counter.used == 0 || now - counter.start >= counter.window)
        {
            (counter.start, counter.used) = (now, 0);
        }
        if counters.iter().all(|counter| counter.used == 0) {
            counters.clear();
        }
        let own = counters.iter().find(|counter| counter.window == window);
        let begun = counters.iter().filter(|counter| now - counter.start < window);
        let most = begun.max_by_key(|counter| (counter.used, counter.start));
        own.or(most).map_or(Fixed { window, start: now, used: 0 }, |counter| Fixed { window, ..*counter })
    }

    fn sliding(&mut self, now: u64, window: u64) -> Option<Sliding> {
        let Model::SlidingCounter(counters) = self else { panic!("another rule") };
        *counters = counters.iter().map(|counter| counter.at(now, counter.window)).collect();
        if counters.iter().all(|counter| counter.counted(now) == 0) {
            counters.clear();
        }
        let own = counters.iter().find(|counter| counter.window == window).copied();
        let others = counters.iter().map(|counter| counter.convert(now, window));
        own.or_else(|| others.max_by_key(|counter| (counter.counted(now), counter.start, counter.current)))
    }

    /// After a denial: what a quota that was not charged under before is told is kept for it.
    pub(crate) fn denied(&mut self, now: u64, quota: &Quota) {
        let window = window(quota);
        self.available(now, quota);
        match self {
            Model::SlidingWindow(log) => {
                if window > log.horizon && !log.groups.is_empty() {
                    (log.horizon, log.follows) = (window, None);
                    log.merge();
                } else if let Some((until, next)) = log.follows {
                    log.follows = Some((until, next.max(window)));
                }
            }
            Model::FixedWindow(_) => {
                let own = self.fixed(now, window);
                let Model::FixedWindow(counters) = self else { panic!("another rule") };
                if own.used > 0 && counters.iter().all(|counter| counter.window != window) {
                    counters.push(own);
                }
            }
            Model::SlidingCounter(_) => {
                let own = self.sliding(now, window);
                let Model::SlidingCounter(counters) = self else { panic!("another rule") };
                if let Some(own) = own.filter(|own| own.counted(now) > 0)
                    && counters.iter().all(|counter| counter.window != window)
                {
                    counters.push(own);
                }
            }
            Model::TokenBucket { buckets, .. } => {
                let own = bucket(buckets, now, quota);
                if !own.missing.is_empty() && !buckets.iter().any(|bucket| bucket.is_of(quota)) {
                    make_room(buckets);
                    buckets.push(own);
                }
            }
        }
    }

    /// Takes units that are available. Comes back with the receipt.
    pub(crate) fn charge(&mut self, now: u64, quota: &Quota, cost: u64) -> u64 {
        if cost == 0 {
            return now;
        }
        let window = window(quota);
        match self {
            Model::SlidingWindow(log) => log.charge(now, window, quota.limit().into(), cost),
            Model::FixedWindow(_) => {
                let own = self.fixed(now, window);
                let Model::FixedWindow(counters) = self else { panic!("another rule") };
                if counters.iter().all(|counter| counter.window != window) {
                    counters.push(own);
                }
                for counter in counters {
                    counter.used += cost;
                }
            }
            Model::SlidingCounter(_) => {
                let own = self.sliding(now, window).unwrap_or(Sliding { window, start: now, previous: 0, current: 0 });
                let Model::SlidingCounter(counters) = self else { panic!("another rule") };
                if counters.iter().all(|counter| counter.window != window) {
                    counters.push(own);
                }
                for counter in counters {
                    counter.current += cost;
                }
            }
            Model::TokenBucket { charges, buckets } => {
                *charges += 1;
                update(buckets, now);
                let own = bucket(buckets, now, quota);
                let is_new = !buckets.iter().any(|bucket| bucket.is_of(quota));
                let number = *charges;
                let take = |bucket: &mut Bucket| {
                    bucket.missing.push((number, u128::from(cost) * u128::from(bucket.window)));
                    bucket.limit();
                };
                for bucket in buckets.iter_mut() {
                    if bucket.is_of(quota) {
                        *bucket = own.clone();
                    }
                    take(bucket);
                }
                if is_new {
                    make_room(buckets);
                    let mut own = own;
                    take(&mut own);
                    buckets.push(own);
                }
                return *charges;
            }
        }
        now
    }
}
