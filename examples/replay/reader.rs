//! From a line of a log to a request of a client, or to a line that is not counted.

use rateguard::RateGuard;

use crate::arguments::Arguments;
use crate::clients::Clients;
use crate::line::{Format, Line, Problem};
use crate::order::Hit;
use crate::text::shown;
use crate::time::Zone;

/// How many of a kind are shown.
const EXAMPLES: usize = 5;

/// Lines that something is wrong with: how many, and the first of them.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) count: u64,
    pub(crate) examples: Vec<String>,
}

impl Faults {
    pub(crate) fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }
}

pub(crate) struct Reader<'l> {
    format: Format,
    paths: Vec<String>,
    methods: Vec<String>,
    limiter: &'l RateGuard,
    pub(crate) clients: Clients,
    /// That of the first line which has one.
    pub(crate) zone: Option<Zone>,
    pub(crate) bad: Faults,
    /// Lines that `--path` and `--method` leave out.
    pub(crate) left_out: u64,
}

impl<'l> Reader<'l> {
    pub(crate) fn new(arguments: &Arguments, limiter: &'l RateGuard) -> Reader<'l> {
        Reader {
            format: Format::new(arguments),
            paths: arguments.paths.clone(),
            methods: arguments.methods.clone(),
            limiter,
            clients: Clients::new(arguments.by.clone(), arguments.ipv6_prefix, arguments.quotas.len()),
            zone: None,
            bad: Faults::default(),
            left_out: 0,
        }
    }

    /// The request of this line, if it is counted.
    pub(crate) fn read(&mut self, log: &str, number: u64, bytes: &[u8]) -> Option<Hit> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        match self.request(text) {
            Ok(Some((micros, client))) => Some(Hit { micros, line: number, client }),
            Ok(None) => {
                self.left_out += 1;
                None
            }
            Err(problem) => {
                self.bad.add(|| format!("{log}:{number}: {}: {}", shown_problem(&problem), shown(text)));
                None
            }
        }
    }

    pub(crate) fn too_long(&mut self, log: &str, number: u64) {
        self.bad.add(|| format!("{log}:{number}: longer than 1 MiB"));
    }

    fn request(&mut self, text: &str) -> Result<Option<(u64, u32)>, Problem> {
        let line = self.format.read(text)?;
        if !self.is_chosen(&line) {
            return Ok(None);
        }
        let client = self.clients.of(&line, self.limiter)?;
        self.zone = self.zone.or(line.time.zone);
        Ok(Some((line.time.micros, client)))
    }

    fn is_chosen(&self, line: &Line<'_>) -> bool {
        let path = line.path.as_deref().unwrap_or_default();
        let method = line.method.as_deref().unwrap_or_default();
        (self.paths.is_empty() || self.paths.iter().any(|prefix| path.starts_with(prefix.as_str())))
            && (self.methods.is_empty() || self.methods.iter().any(|chosen| chosen.eq_ignore_ascii_case(method)))
    }
}

/// Problems repeat what is in the line.
fn shown_problem(problem: &str) -> String {
    problem.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
