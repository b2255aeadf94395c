//! What this process holds.

use std::fmt;

use tokio::runtime::Handle;

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) kilobytes: u64,
    pub(crate) descriptors: usize,
    pub(crate) tasks: usize,
}

impl Machine {
    pub(crate) fn now(app: &Handle) -> Machine {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Machine {
            kilobytes: resident.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0),
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            tasks: app.metrics().num_alive_tasks(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MB, {} descriptors, {} tasks", self.kilobytes / 1024, self.descriptors, self.tasks)
    }
}
