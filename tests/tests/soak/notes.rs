//! What was answered, in all and by fault.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rateguard::Decision;

use crate::load::{DEADLINE, LIMIT, WINDOW};
use crate::stalls::Stalls;
use crate::sums::{Place, Taken, Units, before, over, sorted};
use crate::verdict::Verdict;

/// Scheduling on a busy machine is not the limiter's.
const A_LITTLE: Duration = Duration::from_millis(500);
/// Of each kind, so many are described.
const DESCRIBED: usize = 3;
/// What nothing disturbs.
const CALM: &str = "(calm)";

#[derive(Debug)]
pub(crate) struct Notes {
    began: Instant,
    pub(crate) stalls: Stalls,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    fault: Option<&'static str>,
    by_fault: BTreeMap<&'static str, Sum>,
    /// What the store counted.
    counted: Units,
    /// What was allowed without it, and what was denied.
    uncounted: Units,
    denied_here: Vec<(Place, Taken)>,
    forgotten: Vec<(Duration, Duration)>,
    /// Answers that came later than they should have, if no thread was blocked.
    late: Vec<(&'static str, Taken)>,
    wrong: BTreeMap<u16, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    times: u64,
    checks: u64,
    allowed: u64,
    denied: u64,
    degraded: u64,
    worst: Duration,
    recovery: Duration,
}

impl Notes {
    pub(crate) fn new() -> Notes {
        Notes { began: Instant::now(), stalls: Stalls::default(), all: Mutex::default() }
    }

    /// Since the begin.
    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One check and what came of it.
    pub(crate) fn checked(&self, place: Place, start: Duration, decision: &Decision) {
        let taken = Taken { start, end: self.now() };
        let mut all = self.all();
        all.answered(taken, decision.allowed(), decision.degraded());
        match (decision.allowed(), decision.degraded()) {
            (true, false) => all.counted.entry(place).or_default().push(taken),
            (true, true) => all.uncounted.entry(place).or_default().push(taken),
            (false, true) => all.denied_here.push((place, taken)),
            (false, false) => {}
        }
    }

    /// One check of which only the answer's time matters.
    pub(crate) fn timed(&self, start: Duration, decision: &Decision) {
        let taken = Taken { start, end: self.now() };
        self.all().answered(taken, decision.allowed(), decision.degraded());
    }

    /// An answer over HTTP. Without headers it was not counted.
    pub(crate) fn served(&self, key: u64, start: Duration, status: u16, has_headers: bool) {
        let taken = Taken { start, end: self.now() };
        let mut all = self.all();
        match (status, has_headers) {
            (200, true) => all.counted.entry(("http", key)).or_default().push(taken),
            (200 | 429, _) => {}
            _ => *all.wrong.entry(status).or_default() += 1,
        }
    }

    pub(crate) fn begin(&self, fault: &'static str) {
        self.all().fault = Some(fault);
    }

    /// The fault is over. What was seen meanwhile.
    pub(crate) fn end(&self, recovery: Duration) -> String {
        let mut all = self.all();
        let fault = all.fault.take().unwrap_or(CALM);
        let sum = all.by_fault.entry(fault).or_default();
        sum.times += 1;
        sum.recovery = sum.recovery.max(recovery);
        format!("{} checks during such faults so far, {} degraded", sum.checks, sum.degraded)
    }

    /// From then until now the server may have had no memory of what it had counted, or its answers were not its own.
    pub(crate) fn forgotten(&self, from: Duration) {
        let now = self.now();
        self.all().forgotten.push((from, now));
    }

    /// What these notes take up themselves.
    pub(crate) fn kilobytes(&self) -> u64 {
        let all = self.all();
        let units: usize = all.counted.values().chain(all.uncounted.values()).map(Vec::capacity).sum();
        u64::try_from(3 * units * size_of::<Taken>() / 1024).unwrap_or(u64::MAX)
    }

    pub(crate) fn table(&self) -> String {
        let all = self.all();
        let mut table = format!(
            "{:<18} {:>5} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "fault", "times", "checks", "allowed", "denied", "degraded", "worst", "recovery"
        );
        let mut sums: Vec<(&str, Sum)> = all.by_fault.iter().map(|(name, sum)| (*name, *sum)).collect();
        let mut total = Sum::default();
        for (_, sum) in &sums {
            total.times += sum.times;
            total.checks += sum.checks;
            total.allowed += sum.allowed;
            total.denied += sum.denied;
            total.degraded += sum.degraded;
            total.worst = total.worst.max(sum.worst);
            total.recovery = total.recovery.max(sum.recovery);
        }
        sums.push(("in all", total));
        for (name, sum) in sums {
            let (worst, recovery) =
                (format!("{} ms", sum.worst.as_millis()), format!("{:.2} s", sum.recovery.as_secs_f32()));
            let Sum { times, checks, allowed, denied, degraded, .. } = sum;
            writeln!(
                table,
                "{name:<18} {times:>5} {checks:>9} {allowed:>9} {denied:>9} {degraded:>9} {worst:>9} {recovery:>9}"
            )
            .expect("a string takes it");
        }
        write!(table, "the longest time in which a thread of the app had none: {:?}", self.stalls.longest())
            .expect("a string takes it");
        table
    }

    /// By how much an answer came too late, if it did, and how that is told.
    fn excess(&self, what: &str, check: Taken) -> Option<(Duration, String)> {
        let stalled = self.stalls.within(check.start, check.end);
        let excess = check.took().checked_sub(DEADLINE + A_LITTLE + 2 * stalled)?;
        let Taken { start, .. } = check;
        let took = check.took();
        Some((excess, format!("{took:.1?} at {start:.1?}, {what}, with stalls of {stalled:.1?} in it")))
    }

    /// Sums all windows.
    pub(crate) fn judge(&self, verdict: &mut Verdict) {
        let mut all = self.all();
        sorted(&mut all.counted);
        sorted(&mut all.uncounted);
        let mut tell = |what: &str, violations: Vec<String>| {
            verdict.expect(violations.is_empty(), || {
                let some: Vec<&str> = violations.iter().map(String::as_str).take(DESCRIBED).collect();
                format!("{what}: {} times, such as {}", violations.len(), some.join("; "))
            });
        };
        tell("the store allowed more than the limit", over(&all.counted, LIMIT as usize, WINDOW, &all.forgotten));
        // Of the policy that counts here during an outage: what is open then has no limit.
        let local: Units = all
            .uncounted
            .iter()
            .filter(|((policy, _), _)| *policy == "local")
            .map(|(place, units)| (*place, units.clone()))
            .collect();
        tell("this process allowed more than the limit", over(&local, LIMIT as usize, WINDOW, &[]));
        let denied = all.denied_here.iter().filter_map(|(place, check)| {
            let used = before(&all.uncounted, *place, *check, WINDOW);
            (used < LIMIT as usize).then(|| format!("{place:?}: denied after {used} of {LIMIT} at {:.3?}", check.start))
        });
        tell("denied here without a full quota", denied.collect());
        let mut late: Vec<(Duration, String)> =
            all.late.iter().filter_map(|(what, check)| self.excess(what, *check)).collect();
        late.sort_by_key(|(excess, _)| Reverse(*excess));
        let late = late.into_iter().map(|(_, described)| described);
        tell("answered too late", late.collect());
        tell(
            "answered otherwise than 200 or 429",
            all.wrong.iter().map(|(status, times)| format!("{status}: {times} times")).collect(),
        );
        let met = all
            .by_fault
            .values()
            .fold((0, 0, 0), |met, sum| (met.0 + sum.allowed, met.1 + sum.denied, met.2 + sum.degraded));
        verdict.expect(met.0 > 0 && met.1 > 0 && met.2 > 0, || format!("not everything was met: {met:?}"));
    }
}

impl All {
    fn answered(&mut self, check: Taken, is_allowed: bool, is_degraded: bool) {
        let took = check.took();
        let fault = self.fault.unwrap_or(CALM);
        let sum = self.by_fault.entry(fault).or_default();
        sum.checks += 1;
        sum.allowed += u64::from(is_allowed);
        sum.denied += u64::from(!is_allowed);
        sum.degraded += u64::from(is_degraded);
        sum.worst = sum.worst.max(took);
        if took > DEADLINE + A_LITTLE {
            self.late.push((fault, check));
        }
    }
}
