//! What the log says of checks that could not be counted although the store is there.

use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;

use crate::error::{StoreError, StoreErrorKind};
use crate::telemetry::log;

/// How often the log repeats a reason, in microseconds.
const AGAIN: u64 = 60_000_000;

/// One line for each reason when it is first met, and one a minute for as long as it is, with how many checks met it.
///
/// An outage is the connection's to tell. This is for errors that the server answers with, perhaps for some keys alone.
#[derive(Debug, Default)]
pub(super) struct Warnings(Mutex<SmallVec<[Met; 2]>>);

#[derive(Debug)]
struct Met {
    reason: StoreErrorKind,
    logged: u64,
    since: u64,
}

impl Warnings {
    pub(super) fn tell(&self, error: &StoreError, now: u64) {
        if error.is_of_outage() {
            return;
        }
        if let Some(checks) = self.due(error.kind(), now) {
            log::not_counted(error, checks);
        }
    }

    /// How many checks have met this reason since it was last told, if it is to be told now.
    fn due(&self, reason: StoreErrorKind, now: u64) -> Option<u64> {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match met.iter_mut().find(|met| met.reason == reason) {
            None => {
                met.push(Met { reason, logged: now, since: 0 });
                Some(1)
            }
            Some(met) => {
                met.since += 1;
                if now.abs_diff(met.logged) < AGAIN {
                    return None;
                }
                met.logged = now;
                Some(std::mem::take(&mut met.since))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_when_it_is_met_and_once_a_minute_with_its_number() {
        let warnings = Warnings::default();
        let due = |reason, second: u64| warnings.due(reason, second * 1_000_000);
        assert_eq!(due(StoreErrorKind::WrongType, 0), Some(1));
        assert_eq!(due(StoreErrorKind::WrongType, 1), None);
        assert_eq!(due(StoreErrorKind::OutOfMemory, 2), Some(1), "another reason is other news");
        assert_eq!(due(StoreErrorKind::WrongType, 59), None);
        assert_eq!(due(StoreErrorKind::WrongType, 60), Some(3));
        assert_eq!(due(StoreErrorKind::WrongType, 61), None);
    }
}
