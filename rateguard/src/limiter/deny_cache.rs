//! Refusals that are still certain, so that whoever knocks on is refused without the store being asked.
//!
//! Nothing but time makes a spent quota admit again, or a limiter that gives units back. So until its `retry_after` a
//! refusal stays right, whatever else is charged meanwhile, and also while the store is away. A reset or a refund by
//! this limiter is seen at once; one by another server, or a server's clock that steps, when the entry ends, which is
//! never later than the cap.
//!
//! What is remembered is the request's limits together, as they were answered: a group is refused from memory if one of
//! its limits that enforces is spent, without a unit left, for the same quota and cost, and the others show what they
//! showed. An entry ends before anything that it shows would change by itself: when a limit that refused would admit, or
//! a window's oldest unit leaves. It is told by the limiter's clock, from before the store was asked, and so ends no later
//! than the store would say.

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
/// Refusals that a bucket holds. A bucket that is full forgets the one that ends first.
const EACH: usize = 8;

/// The limits of one request.
pub(super) type Limits = SmallVec<[Limit; 2]>;

/// The refusals of one limiter.
#[derive(Debug)]
pub(super) struct Spent {
    /// How long one is remembered at most, in microseconds; 0 for not at all.
    cap: u64,
    buckets: Box<[Mutex<Bucket>]>,
    /// When the last of them ends: from then on there is nothing to look for.
    latest: AtomicU64,
    hits: AtomicU64,
}

#[derive(Debug, Default)]
struct Bucket {
    refusals: Vec<Refusal>,
    /// What was asked earlier may be about a key as it was before it was given something back.
    valid_from: u64,
}

#[derive(Debug)]
struct Refusal {
    limits: Limits,
    /// The one that is spent.
    by: u128,
    verdicts: Verdicts,
    /// When they came.
    since: u64,
    until: u64,
}

impl Spent {
    pub(super) fn new(cap: Duration) -> Spent {
        let buckets = if cap.is_zero() { 0 } else { BUCKETS };
        Spent {
            cap: u64::try_from(cap.as_micros()).unwrap_or(u64::MAX),
            buckets: (0..buckets).map(|_| Mutex::default()).collect(),
            latest: AtomicU64::new(0),
            hits: AtomicU64::new(0),
        }
    }

    /// Whether refusals are remembered.
    pub(super) fn is_on(&self) -> bool {
        self.cap > 0
    }

    /// How many requests were refused from memory.
    #[cfg(test)]
    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// How many refusals are remembered that still are certain.
    #[cfg(feature = "metrics")]
    pub(super) fn len(&self, now: u64) -> usize {
        if now >= self.latest.load(Ordering::Acquire) {
            return 0;
        }
        let certain = |bucket: &Mutex<Bucket>| {
            let bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.refusals.iter().filter(|refusal| now < refusal.until).count()
        };
        self.buckets.iter().map(certain).sum()
    }

    /// The verdicts, as they are now, if the request is certain to be refused.
    pub(super) fn refuse(&self, now: u64, limits: &Limits) -> Option<Verdicts> {
        if now >= self.latest.load(Ordering::Acquire) {
            return None;
        }
        let verdicts = limits.iter().filter(|limit| !limit.shadow).find_map(|limit| {
            let bucket = self.bucket(limit.fingerprint.hash)?;
            let known = bucket.refusals.iter().find(|refusal| refusal.limits == *limits)?;
            // A clock that was set back knows nothing of what is still certain.
            (known.since..known.until).contains(&now).then(|| known.verdicts_after(now - known.since))
        });
        if verdicts.is_some() {
            self.hits.fetch_add(1, Ordering::Relaxed);
        }
        verdicts
    }

    /// Remembers an answer, if it is a refusal. `asked` is the time before the store was asked.
    pub(super) fn learn(&self, asked: u64, now: u64, limits: &Limits, verdicts: &Verdicts) {
        let refused = limits.iter().zip(verdicts).find(|(limit, verdict)| !limit.shadow && !verdict.allowed);
        let Some((by, _)) = refused else { return };
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
        let refusal =
            Refusal { limits: limits.clone(), by: by.fingerprint.hash, verdicts: verdicts.clone(), since: now, until };
        bucket.put(refusal, now);
        self.latest.fetch_max(until, Ordering::Release);
    }

    /// A limit was given something back.
    pub(super) fn forget(&self, now: u64, fingerprint: u128) {
        if let Some(mut bucket) = self.bucket(fingerprint) {
            bucket.refusals.retain(|refusal| refusal.by != fingerprint);
            bucket.valid_from = now.saturating_add(1);
        }
    }

    fn bucket(&self, fingerprint: u128) -> Option<MutexGuard<'_, Bucket>> {
        let bucket = self.buckets.get(fingerprint as usize % BUCKETS)?;
        Some(bucket.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// For how long what the verdict shows stays as it is, or is a time that passes. `None` if that cannot be told.
fn unchanged_for(limit: &Limit, verdict: &Verdict) -> Option<u64> {
    // Until then the time to the reset passes, and no longer.
    let moves = if verdict.reset_after > 0 { verdict.reset_after } else { u64::MAX };
    if verdict.allowed {
        return Some(moves);
    }
    // As long as units are left, others may take them. What fades unit by unit shows some before several fit. A cost
    // above the limit never fits.
    let windowed = matches!(limit.quota.algorithm(), Algorithm::SlidingWindow | Algorithm::FixedWindow);
    let steady = verdict.remaining == 0 && (windowed || limit.cost == 1);
    verdict.retry_after.filter(|_| steady).map(|retry| retry.min(moves))
}

impl Bucket {
    fn put(&mut self, refusal: Refusal, now: u64) {
        self.refusals.retain(|known| now < known.until && known.limits != refusal.limits);
        if self.refusals.len() == EACH {
            let first = self.refusals.iter().enumerate().min_by_key(|(_, known)| known.until).map(|(at, _)| at);
            self.refusals.swap_remove(first.unwrap_or_default());
        }
        self.refusals.push(refusal);
    }
}

impl Refusal {
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

    fn refused(retry: u64) -> Verdict {
        Verdict { allowed: false, remaining: 0, reset_after: retry, retry_after: Some(retry), receipt: None }
    }

    fn allowed(remaining: u32) -> Verdict {
        Verdict { allowed: true, remaining, reset_after: 50 * SECOND, retry_after: None, receipt: None }
    }

    #[test]
    fn a_refusal_is_remembered_until_its_retry_and_counts_down() {
        let spent = Spent::new(Duration::from_secs(60));
        let limits: Limits = smallvec![limit(1)];
        assert_eq!(spent.refuse(100, &limits), None);
        spent.learn(100, 150, &limits, &smallvec![refused(1000)]);
        let later = spent.refuse(650, &limits).unwrap();
        assert_eq!((later[0].retry_after, later[0].reset_after), (Some(500), 500));
        assert!(spent.refuse(1099, &limits).is_some());
        assert_eq!(spent.refuse(1100, &limits), None, "counted from when it was asked");
        assert_eq!(spent.refuse(149, &limits), None, "a clock that was set back knows nothing");
        assert_eq!(spent.hits(), 2);
    }

    #[test]
    fn no_refusal_is_remembered_longer_than_the_cap() {
        let spent = Spent::new(Duration::from_secs(1));
        let limits: Limits = smallvec![limit(1)];
        spent.learn(0, 0, &limits, &smallvec![refused(30 * SECOND)]);
        assert_eq!(spent.refuse(SECOND - 1, &limits).unwrap()[0].retry_after, Some(29 * SECOND + 1));
        assert_eq!(spent.refuse(SECOND, &limits), None);
        assert!(!Spent::new(Duration::ZERO).is_on());
    }

    #[test]
    fn another_cost_another_quota_or_a_shadow_is_another_question() {
        let spent = Spent::new(Duration::from_secs(60));
        let asked: Limits = smallvec![limit(1)];
        spent.learn(0, 0, &asked, &smallvec![refused(SECOND)]);
        let quota = Quota::sliding_window(6, Duration::from_secs(60));
        for other in [Limit { cost: 2, ..limit(1) }, Limit { quota, ..limit(1) }, Limit { shadow: true, ..limit(1) }] {
            assert_eq!(spent.refuse(1, &smallvec![other]), None);
        }
        let watching: Limits = smallvec![Limit { shadow: true, ..limit(2) }];
        spent.learn(0, 0, &watching, &smallvec![refused(SECOND)]);
        assert_eq!(spent.refuse(1, &watching), None);
    }

    #[test]
    fn limits_are_remembered_together_and_for_as_long_as_all_of_them_stay_as_they_are() {
        let spent = Spent::new(Duration::from_secs(60));
        let both: Limits = smallvec![limit(1), limit(2)];
        spent.learn(0, 0, &both, &smallvec![allowed(3), refused(20 * SECOND)]);
        let known = spent.refuse(SECOND, &both).unwrap();
        assert_eq!((known[0].allowed, known[0].remaining, known[0].reset_after), (true, 3, 49 * SECOND));
        assert_eq!((known[1].allowed, known[1].retry_after), (false, Some(19 * SECOND)));
        assert_eq!(spent.refuse(SECOND, &smallvec![limit(1)]), None);
        assert_eq!(spent.refuse(20 * SECOND, &both), None);
        // The one that admits again first ends it.
        let both: Limits = smallvec![limit(3), limit(4)];
        spent.learn(0, 0, &both, &smallvec![refused(30 * SECOND), refused(10 * SECOND)]);
        assert!(spent.refuse(10 * SECOND - 1, &both).is_some());
        assert_eq!(spent.refuse(10 * SECOND, &both), None);
    }

    #[test]
    fn what_shows_more_units_before_the_cost_fits_ends_then_or_is_not_remembered() {
        let spent = Spent::new(Duration::from_secs(60));
        let verdict = Verdict { reset_after: 5, ..refused(100) };
        let window: Limits = smallvec![Limit { cost: 3, ..limit(1) }];
        spent.learn(0, 0, &window, &smallvec![Verdict { remaining: 2, ..verdict }]);
        assert_eq!(spent.refuse(1, &window), None);
        spent.learn(0, 0, &window, &smallvec![verdict]);
        assert!(spent.refuse(4, &window).is_some());
        assert_eq!(spent.refuse(5, &window), None);
        let quota = Quota::token_bucket(5, Duration::from_secs(60));
        let bucket: Limits = smallvec![Limit { cost: 3, quota, ..limit(2) }];
        spent.learn(0, 0, &bucket, &smallvec![verdict]);
        assert_eq!(spent.refuse(1, &bucket), None);
    }

    #[test]
    fn what_was_given_back_ends_a_refusal_also_one_that_is_still_on_its_way() {
        let spent = Spent::new(Duration::from_secs(60));
        let limits: Limits = smallvec![limit(1)];
        spent.learn(0, 1, &limits, &smallvec![refused(SECOND)]);
        spent.forget(10, 1);
        assert_eq!(spent.refuse(11, &limits), None);
        spent.learn(9, 12, &limits, &smallvec![refused(SECOND)]);
        assert_eq!(spent.refuse(13, &limits), None);
        spent.learn(11, 14, &limits, &smallvec![refused(SECOND)]);
        assert!(spent.refuse(15, &limits).is_some());
    }

    #[test]
    fn however_many_are_refused_only_so_many_are_remembered() {
        let spent = Spent::new(Duration::from_secs(60));
        for fingerprint in 0..100_000 {
            spent.learn(0, 0, &smallvec![limit(fingerprint)], &smallvec![refused(SECOND)]);
        }
        let kept: usize = spent.buckets.iter().map(|bucket| bucket.lock().unwrap().refusals.len()).sum();
        assert_eq!(kept, BUCKETS * EACH);
    }
}
