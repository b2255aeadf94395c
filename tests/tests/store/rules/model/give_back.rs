//! What is given back.

use super::*;

impl Model {
    /// Whether nothing that was charged after it is still to come back.
    pub(crate) fn is_last(&self, receipt: u64) -> bool {
        match self {
            Model::TokenBucket { buckets, .. } => {
                buckets.iter().flat_map(|bucket| &bucket.missing).all(|(number, _)| *number <= receipt)
            }
            _ => true,
        }
    }

    /// Gives units back; without a receipt the oldest.
    pub(crate) fn refund(&mut self, now: u64, quota: &Quota, cost: u64, receipt: Option<u64>) {
        let length = window(quota);
        match self {
            Model::SlidingWindow(log) => log.refund(now, length, cost, receipt),
            Model::FixedWindow(_) => {
                self.fixed(now, length);
                let Model::FixedWindow(counters) = self else { panic!("another rule") };
                for counter in counters.iter_mut() {
                    if receipt.is_none_or(|at| at >= counter.start && at <= now) {
                        counter.used = counter.used.saturating_sub(cost);
                    }
                }
            }
            Model::SlidingCounter(_) => {
                self.sliding(now, length);
                let Model::SlidingCounter(counters) = self else { panic!("another rule") };
                for counter in counters.iter_mut() {
                    let window = counter.window;
                    match receipt {
                        None => {
                            let from_current = cost.saturating_sub(counter.previous);
                            counter.previous = counter.previous.saturating_sub(cost);
                            counter.current = counter.current.saturating_sub(from_current);
                        }
                        Some(at) if at > now => {}
                        Some(at) if at >= counter.start => counter.current = counter.current.saturating_sub(cost),
                        Some(at) if at + window >= counter.start => {
                            counter.previous = counter.previous.saturating_sub(cost);
                        }
                        Some(_) => {}
                    }
                }
            }
            Model::TokenBucket { buckets, .. } => {
                for bucket in buckets {
                    bucket.update(now);
                    let parts = u128::from(cost) * u128::from(bucket.window);
                    match receipt {
                        None => bucket.take(parts),
                        Some(number) => {
                            let own = bucket.missing.iter_mut().find(|(charge, _)| *charge == number);
                            if let Some((_, missing)) = own {
                                *missing = missing.saturating_sub(parts);
                            }
                        }
                    }
                    bucket.missing.retain(|(_, missing)| *missing > 0);
                }
            }
        }
    }
}
