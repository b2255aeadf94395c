//! What was answered, and what the process needed for it.

use std::fmt;
use std::time::Duration;

/// A request that was counted and allowed: at some time from `start` to `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    key: u64,
    start: Duration,
    end: Duration,
}

impl Allowed {
    pub(crate) fn new(key: u64, start: Duration, end: Duration) -> Allowed {
        Allowed { key, start, end }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) counted: u64,
    pub(crate) uncounted: u64,
    pub(crate) denied: u64,
    allowed: Vec<Allowed>,
    /// How many answers took so many milliseconds.
    took: Vec<u64>,
}

impl Tally {
    pub(crate) fn answered(&mut self, took: Duration) {
        let at = usize::try_from(took.as_millis()).unwrap_or(usize::MAX).min(9_999);
        if self.took.len() <= at {
            self.took.resize(at + 1, 0);
        }
        self.took[at] += 1;
    }

    pub(crate) fn allowed(&mut self, one: Allowed) {
        self.counted += 1;
        self.allowed.push(one);
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.counted += other.counted;
        self.uncounted += other.uncounted;
        self.denied += other.denied;
        self.allowed.extend(other.allowed);
        if self.took.len() < other.took.len() {
            self.took.resize(other.took.len(), 0);
        }
        for (sum, more) in self.took.iter_mut().zip(&other.took) {
            *sum += more;
        }
    }

    /// So many of all answers took no longer than this, to the millisecond.
    pub(crate) fn percentile(&self, part: f64) -> Duration {
        let all: u64 = self.took.iter().sum();
        let mut seen = 0;
        for (milliseconds, answers) in (1_u64..).zip(&self.took) {
            seen += answers;
            #[expect(clippy::cast_precision_loss, reason = "a part of some millions")]
            if seen as f64 >= all as f64 * part {
                return Duration::from_millis(milliseconds);
            }
        }
        Duration::MAX
    }

    /// In how many windows more than the limit was allowed, of those in which the server forgot nothing. Whatever
    /// lies wholly within a window's length, by the clock of those who asked, was also allowed within it.
    pub(crate) fn over(&mut self, limit: u32, window: Duration, forgotten: &[(Duration, Duration)]) -> usize {
        self.allowed.sort_by_key(|one| (one.key, one.start));
        let mut over = 0;
        for (at, first) in self.allowed.iter().enumerate() {
            let until = first.start + window;
            if forgotten.iter().any(|(from, to)| *to >= first.start && *from <= until) {
                continue;
            }
            let inside = self.allowed[at..]
                .iter()
                .take_while(|one| one.key == first.key && one.start < until)
                .filter(|one| one.end < until)
                .count();
            if inside > limit as usize {
                over += 1;
            }
        }
        over
    }

    /// What these notes take up themselves.
    pub(crate) fn kilobytes(&self) -> u64 {
        u64::try_from(4 * self.allowed.len() * size_of::<Allowed>() / 1024).unwrap_or(u64::MAX)
    }

    pub(crate) fn summary(&self) -> String {
        let longest = self.took.len();
        format!(
            "{} allowed and counted, {} allowed uncounted, {} denied; half within {:?}, 99 % within {:?}, all within {} ms",
            self.counted,
            self.uncounted,
            self.denied,
            self.percentile(0.5),
            self.percentile(0.99),
            longest
        )
    }
}

/// What this process holds.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) kilobytes: u64,
    pub(crate) descriptors: usize,
    pub(crate) tasks: usize,
}

impl Machine {
    pub(crate) fn now() -> Machine {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Machine {
            kilobytes: resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0),
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB, {} descriptors, {} tasks", self.kilobytes / 1024, self.descriptors, self.tasks)
    }
}
