//! Denials that are still certain: repeated requests are denied locally, without asking the store.
//!
//! A quota without units left allows nothing until time passes or units are given back. So a denial is certain until its
//! `retry_after`, whatever is charged meanwhile, and also during an outage. A reset or refund by this limiter removes the
//! entry at once. A reset or refund by another server, or a step of the server's clock, takes effect when the entry ends, at
//! the latest after the cap.
//!
//! An entry holds the answer for all limits of a request together. The same request is denied from the cache if one of its
//! enforcing limits has no unit left for the same quota and cost; the other limits show what they showed before. An entry ends
//! before anything that it shows would change by itself: when a limit that denied would allow again, or when the oldest unit
//! of a window leaves. It is timed by the limiter's clock, from before the store was asked, so it never ends later than in
//! the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;

use crate::algorithm::Verdict;
use crate::quota::Algorithm;
use crate::store::Verdicts;
use crate::store::memory::MemoryCheck as Limit;

/// A power of two.
const BUCKETS: usize = 2048;
/// Denials that a bucket holds. A bucket that is full forgets the one that ends first.
const EACH: usize = 8;

/// The limits of one request.
pub(super) type Limits = SmallVec<[Limit; 2]>;

/// The denials of one limiter.
#[derive(Debug)]
pub(super) struct DenyCache {
    /// The longest time that a denial is kept, in microseconds. 0: denials are not kept.
    cap: u64,
    buckets: Box<[Mutex<Bucket>]>,
    /// When the last denial ends. After that, no lookup is needed.
    latest: AtomicU64,
    hits: AtomicU64,
}

#[derive(Debug, Default)]
struct Bucket {
    denials: Vec<Denial>,
    /// Answers to checks before this time are not kept: they may be older than a refund.
    valid_from: u64,
}

#[derive(Debug)]
struct Denial {
    limits: Limits,
    /// The limit that denies, by its hash.
    by: u128,
    verdicts: Verdicts,
    /// When the verdicts came.
    since: u64,
    until: u64,
}

impl DenyCache {
    pub(super) fn new(cap: Duration) -> DenyCache {
        let buckets = if cap.is_zero() { 0 } else { BUCKETS };
        DenyCache {
            cap: u64::try_from(cap.as_micros()).unwrap_or(u64::MAX),
            buckets: (0..buckets).map(|_| Mutex::default()).collect(),
            latest: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    /// Whether denials are kept.
    pub(super) fn is_on(&self) -> bool {
        self.cap > 0
    }

    /// How many requests were denied from the cache.
    #[cfg(test)]
    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How many denials are still certain.
    #[cfg(feature = "metrics")]
    pub(super) fn len(&self, now: u64) -> usize {
        if now >= self.latest.load(Ordering::Acquire) {
            return 0;
        }
        let certain = |bucket: &Mutex<Bucket>| {
            let bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.denials.iter().filter(|denial| now < denial.until).count()
        };
        self.buckets.iter().map(certain).sum()
    }

    /// The verdicts, as they are now, if the request is certain to be denied.
    pub(super) fn deny(&self, now: u64, limits: &Limits) -> Option<Verdicts> {
        if now >= self.latest.load(Ordering::Acquire) {
            return None;
        }
        let verdicts = limits.iter().filter(|limit| !limit.shadow).find_map(|limit| {
            let bucket = self.bucket(limit.fingerprint.hash)?;
            let known = bucket.denials.iter().find(|denial| denial.limits == *limits)?;
            // If the clock was set back, the entry is not certain.
            (known.since..known.until).contains(&now).then(|| known.verdicts_after(now - known.since))
        });
        if verdicts.is_some() {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
        verdicts
    }

    /// Keeps an answer, if it is a denial. `asked` is the time before the store was asked.
    pub(super) fn learn(&self, asked: u64, now: u64, limits: &Limits, verdicts: &Verdicts) {
        let denied = limits.iter().zip(verdicts).find(|(limit, verdict)| !limit.shadow && !verdict.allowed);
        let Some((by, _)) = denied else { return };
        let Some(certain) = limits
            .iter()
            .zip(verdicts)
            .try_fold(self.cap, |certain, (limit, verdict)| Some(certain.min(unchanged_for(limit, verdict)?)))
        else {
            return;
        };
        let until = asked.saturating_add(certain);
        if until <= now {
            return;
        }
        let Some(mut bucket) = self.bucket(by.fingerprint.hash) else { return };
        if asked < bucket.valid_from {
            return;
        }
        let denial =
            Denial { limits: limits.clone(), by: by.fingerprint.hash, verdicts: verdicts.clone(), since: now, until };
        bucket.put(denial, now);
        self.latest.fetch_max(until, Ordering::Release);
    }

    /// Units of a limit were given back: removes its denials.
    pub(super) fn forget(&self, now: u64, fingerprint: u128) {
        if let Some(mut bucket) = self.bucket(fingerprint) {
            bucket.denials.retain(|denial| denial.by != fingerprint);
            bucket.valid_from = now.saturating_add(1);
        }
    }

    fn bucket(&self, fingerprint: u128) -> Option<MutexGuard<'_, Bucket>> {
        let bucket = self.buckets.get(fingerprint as usize % BUCKETS)?;
        Some(bucket.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How long a verdict stays true, apart from its times, which count down. `None` if that is not certain.
fn unchanged_for(limit: &Limit, verdict: &Verdict) -> Option<u64> {
    // When this time has passed, the verdict shows another reset.
    let moves = if verdict.reset_after > 0 { verdict.reset_after } else { u64::MAX };
    if verdict.allowed {
        return Some(moves);
    }
    // If units are left, other requests may take them. A sliding counter or a token bucket regains single units before a cost
    // of several fits. A cost above the limit never fits.
    let windowed = matches!(limit.quota.algorithm(), Algorithm::SlidingWindow | Algorithm::FixedWindow);
    let steady = verdict.remaining == 0 && (windowed || limit.cost == 1);
    verdict.retry_after.filter(|_| steady).map(|retry| retry.min(moves))
}

impl Bucket {
    fn put(&mut self, denial: Denial, now: u64) {
        self.denials.retain(|known| now < known.until && known.limits != denial.limits);
        if self.denials.len() == EACH {
            let first = self.denials.iter().enumerate().min_by_key(|(_, known)| known.until).map(|(at, _)| at);
            self.denials.swap_remove(first.unwrap_or_default());
        }
        self.denials.push(denial);
    }
}

impl Denial {
    fn verdicts_after(&self, elapsed: u64) -> Verdicts {
        let later = |verdict: &Verdict| Verdict {
            reset_after: verdict.reset_after.saturating_sub(elapsed),
            retry_after: verdict.retry_after.map(|retry| retry.saturating_sub(elapsed)),
            ..*verdict
        };
        self.verdicts.iter().map(later).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;
    use crate::store::memory::Fingerprint;
    use smallvec::smallvec;

    const SECOND: u64 = 1_000_000;

    fn limit(fingerprint: u128) -> Limit {
        let quota = Quota::sliding_window(5, Duration::from_secs(60));
        let fingerprint = Fingerprint::new(fingerprint, &crate::Policy::new("p", quota));
        Limit { fingerprint, quota, cost: 1, shadow: false }
    }

    fn denied(retry: u64) -> Verdict {
        Verdict { allowed: false, remaining: 0, reset_after: retry, retry_after: Some(retry), receipt: None }
    }

    fn allowed(remaining: u32) -> Verdict {
        Verdict { allowed: true, remaining, reset_after: 50 * SECOND, retry_after: None, receipt: None }
    }

    #[test]
    fn a_denial_is_remembered_until_its_retry_and_counts_down() {
        let cache = DenyCache::new(Duration::from_secs(60));
        let limits: Limits = smallvec![limit(1)];
        assert_eq!(cache.deny(100, &limits), None);
        cache.learn(100, 150, &limits, &smallvec![denied(1000)]);
        let later = cache.deny(650, &limits).unwrap();
        assert_eq!((later[0].retry_after, later[0].reset_after), (Some(500), 500));
        assert!(cache.deny(1099, &limits).is_some());
        assert_eq!(cache.deny(1100, &limits), None, "counted from when it was asked");
        assert_eq!(cache.deny(149, &limits), None, "a clock that was set back knows nothing");
        assert_eq!(cache.hits(), 2);
    }

    #[test]
    fn no_denial_is_remembered_longer_than_the_cap() {
        let cache = DenyCache::new(Duration::from_secs(1));
        let limits: Limits = smallvec![limit(1)];
        cache.learn(0, 0, &limits, &smallvec![denied(30 * SECOND)]);
        assert_eq!(cache.deny(SECOND - 1, &limits).unwrap()[0].retry_after, Some(29 * SECOND + 1));
        assert_eq!(cache.deny(SECOND, &limits), None);
        assert!(!DenyCache::new(Duration::ZERO).is_on());
    }

    #[test]
    fn another_cost_another_quota_or_a_shadow_is_another_question() {
        let cache = DenyCache::new(Duration::from_secs(60));
        let asked: Limits = smallvec![limit(1)];
        cache.learn(0, 0, &asked, &smallvec![denied(SECOND)]);
        let quota = Quota::sliding_window(6, Duration::from_secs(60));
        for other in [Limit { cost: 2, ..limit(1) }, Limit { quota, ..limit(1) }, Limit { shadow: true, ..limit(1) }] {
            assert_eq!(cache.deny(1, &smallvec![other]), None);
        }
        let watching: Limits = smallvec![Limit { shadow: true, ..limit(2) }];
        cache.learn(0, 0, &watching, &smallvec![denied(SECOND)]);
        assert_eq!(cache.deny(1, &watching), None);
    }

    #[test]
    fn limits_are_remembered_together_and_for_as_long_as_all_of_them_stay_as_they_are() {
        let cache = DenyCache::new(Duration::from_secs(60));
        let both: Limits = smallvec![limit(1), limit(2)];
        cache.learn(0, 0, &both, &smallvec![allowed(3), denied(20 * SECOND)]);
        let known = cache.deny(SECOND, &both).unwrap();
        assert_eq!((known[0].allowed, known[0].remaining, known[0].reset_after), (true, 3, 49 * SECOND));
        assert_eq!((known[1].allowed, known[1].retry_after), (false, Some(19 * SECOND)));
        assert_eq!(cache.deny(SECOND, &smallvec![limit(1)]), None);
        assert_eq!(cache.deny(20 * SECOND, &both), None);
        // The one that allows again first ends it.
        let both: Limits = smallvec![limit(3), limit(4)];
        cache.learn(0, 0, &both, &smallvec![denied(30 * SECOND), denied(10 * SECOND)]);
        assert!(cache.deny(10 * SECOND - 1, &both).is_some());
        assert_eq!(cache.deny(10 * SECOND, &both), None);
    }

    #[test]
    fn what_shows_more_units_before_the_cost_fits_ends_then_or_is_not_remembered() {
        let cache = DenyCache::new(Duration::from_secs(60));
        let verdict = Verdict { reset_after: 5, ..denied(100) };
        let window: Limits = smallvec![Limit { cost: 3, ..limit(1) }];
        cache.learn(0, 0, &window, &smallvec![Verdict { remaining: 2, ..verdict }]);
        assert_eq!(cache.deny(1, &window), None);
        cache.learn(0, 0, &window, &smallvec![verdict]);
        assert!(cache.deny(4, &window).is_some());
        assert_eq!(cache.deny(5, &window), None);
        let quota = Quota::token_bucket(5, Duration::from_secs(60));
        let bucket: Limits = smallvec![Limit { cost: 3, quota, ..limit(2) }];
        cache.learn(0, 0, &bucket, &smallvec![verdict]);
        assert_eq!(cache.deny(1, &bucket), None);
    }

    #[test]
    fn what_was_given_back_ends_a_denial_also_one_that_is_still_on_its_way() {
        let cache = DenyCache::new(Duration::from_secs(60));
        let limits: Limits = smallvec![limit(1)];
        cache.learn(0, 1, &limits, &smallvec![denied(SECOND)]);
        cache.forget(10, 1);
        assert_eq!(cache.deny(11, &limits), None);
        cache.learn(9, 12, &limits, &smallvec![denied(SECOND)]);
        assert_eq!(cache.deny(13, &limits), None);
        cache.learn(11, 14, &limits, &smallvec![denied(SECOND)]);
        assert!(cache.deny(15, &limits).is_some());
    }

    #[test]
    fn however_many_are_denied_only_so_many_are_remembered() {
        let cache = DenyCache::new(Duration::from_secs(60));
        for fingerprint in 0..100_000 {
            cache.learn(0, 0, &smallvec![limit(fingerprint)], &smallvec![denied(SECOND)]);
        }
        let kept: usize = cache.buckets.iter().map(|bucket| bucket.lock().unwrap().denials.len()).sum();
        assert_eq!(kept, BUCKETS * EACH);
    }
}
