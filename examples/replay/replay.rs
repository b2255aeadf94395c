//! Asks the limiter about every request of the logs, with a clock that stands at the time of the request.

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rateguard::{ManualClock, Policy, RateGuard};

use crate::arguments::Arguments;
use crate::merge::Merge;
use crate::order::Hit;
use crate::reader::{Faults, Reader};
use crate::report::Report;
use crate::source::Source;
use crate::tally::Tally;
use crate::time::SECOND;
use crate::timeline::Timeline;

pub(crate) fn replay(arguments: &Arguments, stdin: Box<dyn Read>) -> Result<Report, String> {
    let bar = progress(&arguments.files);
    let report = replay_with(arguments, stdin, &bar);
    bar.finish_and_clear();
    report
}

fn replay_with(arguments: &Arguments, stdin: Box<dyn Read>, bar: &ProgressBar) -> Result<Report, String> {
    let began = Instant::now();
    let clock = ManualClock::new();
    let limiter = RateGuard::builder()
        .clock(clock.clone())
        .ipv6_prefix(arguments.ipv6_prefix)
        // So many that no two clients are ever counted together. Places are made as clients come.
        .max_keys(u32::MAX as usize)
        .build()
        .map_err(|error| error.to_string())?;
    let mut reader = Reader::new(arguments, &limiter);
    let mut requests = Merge::new(open(arguments, stdin, bar)?, &mut reader)?;
    let mut trial = Trial::new(arguments, &limiter, clock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        while let Some((hit, log)) = requests.next(&mut reader)? {
            let late = trial.now.saturating_sub(hit.micros);
            if late > 0 {
                trial.late.add(|| format!("{}:{}: {} s", requests.name(log), hit.line, late.div_ceil(SECOND)));
            }
            trial.count(hit, &mut reader).await;
        }
        Ok::<(), String>(())
    })?;
    Ok(Report {
        by: arguments.by.clone(),
        quotas: arguments.quotas.clone(),
        lines: requests.lines(),
        requests: trial.requests,
        first: trial.first,
        last: trial.now,
        zone: reader.zone.unwrap_or_default(),
        totals: trial.totals,
        only_addresses: reader.clients.are_only_addresses(),
        clients: reader.clients.into_all(),
        timeline: trial.timeline,
        bad: reader.bad,
        late: trial.late,
        left_out: reader.left_out,
        took: began.elapsed(),
    })
}

/// The limits that are tried, and what they did so far.
struct Trial<'l> {
    limiter: &'l RateGuard,
    clock: ManualClock,
    policies: Vec<Policy>,
    /// Whether each quota denied the last request.
    denied: Vec<bool>,
    now: u64,
    first: u64,
    requests: u64,
    totals: Vec<Tally>,
    timeline: Timeline,
    /// Lines that are older than what was already replayed.
    late: Faults,
}

impl<'l> Trial<'l> {
    fn new(arguments: &Arguments, limiter: &'l RateGuard, clock: ManualClock) -> Result<Trial<'l>, String> {
        // Each quota has a count of its own, so that none of them hides what another would have done.
        let policies: Result<Vec<Policy>, _> =
            arguments.quotas.iter().map(|quota| Policy::try_new(quota.to_string(), *quota)).collect();
        let quotas = arguments.quotas.len();
        Ok(Trial {
            limiter,
            clock,
            policies: policies.map_err(|error| error.to_string())?,
            denied: vec![false; quotas],
            now: 0,
            first: 0,
            requests: 0,
            totals: vec![Tally::default(); quotas],
            timeline: Timeline::new(quotas),
            late: Faults::default(),
        })
    }

    /// Asks about one request. A late one is asked about now: the clock never goes back.
    async fn count(&mut self, hit: Hit, reader: &mut Reader<'_>) {
        let Some(client) = reader.clients.get_mut(hit.client) else { return };
        if self.requests == 0 {
            self.first = hit.micros;
        }
        if hit.micros > self.now {
            self.now = hit.micros;
            self.clock.set(Duration::from_micros(self.now));
        }
        self.requests += 1;
        client.requests += 1;
        let tallies = self.totals.iter_mut().zip(&mut client.tallies);
        for ((policy, denied), (total, tally)) in self.policies.iter().zip(&mut self.denied).zip(tallies) {
            *denied = !self.limiter.check(policy, &client.key).await.allowed();
            if *denied {
                total.deny(self.now);
                tally.deny(self.now);
            }
        }
        self.timeline.add(self.now, &self.denied);
    }
}

fn open(arguments: &Arguments, stdin: Box<dyn Read>, bar: &ProgressBar) -> Result<Vec<Source>, String> {
    let reorder = u64::from(arguments.reorder) * SECOND;
    // It is there for one file, and `checked` knows that `-` is there once.
    let mut stdin = Some(stdin);
    let mut source = |path: &std::path::PathBuf| {
        let is_stdin = path == Path::new("-");
        let input = if is_stdin { stdin.take() } else { None };
        Source::open(path, reorder, input.unwrap_or_else(|| Box::new(io::empty())), bar)
    };
    arguments.files.iter().map(&mut source).collect()
}

/// A progress bar on a terminal, and nothing elsewhere. The length of the standard input is unknown.
fn progress(files: &[std::path::PathBuf]) -> ProgressBar {
    let lengths = files.iter().map(|path| std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file));
    let length: Option<u64> = lengths.map(|file| file.map(|file| file.len())).sum();
    let (bar, form) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:40} {percent} % of {total_bytes}, {eta} left"),
        None => (ProgressBar::no_length(), "{bytes} read, {binary_bytes_per_sec}"),
    };
    match ProgressStyle::with_template(form) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
