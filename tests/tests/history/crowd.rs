//! The processes, which are killed and started again while they ask, and the slots, which move meanwhile.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rateguard_tests::RedisCluster;

use crate::plan::{Random, USERS};
use rateguard_tests::history::record::{Line, Log, now};

const PROCESSES: u64 = 4;
/// How long after its end time a process may still run.
const PATIENCE: u64 = 30_000_000;

#[derive(Debug)]
struct Process {
    child: Child,
    log: PathBuf,
}

/// All that ask one store.
#[derive(Debug)]
pub(crate) struct Crowd<'a> {
    url: String,
    directory: &'a Path,
    seed: u64,
    until: u64,
    started: u64,
    processes: Vec<Process>,
    pub(crate) logs: Vec<PathBuf>,
    pub(crate) kills: u64,
}

impl<'a> Crowd<'a> {
    pub(crate) fn new(url: String, directory: &'a Path, seed: u64, until: u64) -> Crowd<'a> {
        let processes = Vec::new();
        Crowd { url, directory, seed, until, started: 0, processes, logs: Vec::new(), kills: 0 }
    }

    fn start(&mut self) {
        let number = self.started;
        self.started += 1;
        let log = self.directory.join(format!("{number}.log"));
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["worker", &self.url])
            .arg(&log)
            .args([self.seed + 1000 * (number + 1), number, self.until].map(|number| number.to_string()))
            .spawn()
            .expect("this program starts again");
        self.logs.push(log.clone());
        self.processes.push(Process { child, log });
    }

    /// Until the time is over.
    pub(crate) fn run(&mut self) {
        let mut random = Random::new(self.seed);
        for _ in 0..PROCESSES {
            self.start();
        }
        loop {
            let pause = Duration::from_millis(500 + random.draw(2500));
            if now() + u64::try_from(pause.as_micros()).unwrap_or(u64::MAX) >= self.until {
                break;
            }
            std::thread::sleep(pause);
            let at = usize::try_from(random.draw(PROCESSES)).expect("a place");
            let mut process = self.processes.swap_remove(at);
            process.child.kill().expect("it is running");
            process.child.wait().expect("it ends");
            Log::open(&process.log).expect("its log").write(&Line::Killed { at: now() });
            self.kills += 1;
            self.start();
        }
        for process in &mut self.processes {
            while process.child.try_wait().expect("a process of ours").is_none() {
                if now() > self.until + PATIENCE {
                    let _ = process.child.kill();
                    panic!("a process does not end");
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            assert!(process.child.wait().expect("it has ended").success(), "a process failed");
        }
        self.processes.clear();
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

/// Moves the users' slots from master to master until that time: how many moves, and keys in them.
pub(crate) fn move_slots(cluster: &RedisCluster, seed: u64, until: u64) -> (u64, usize) {
    let mut random = Random::new(seed + 500);
    let names: Vec<String> = (0..USERS).map(|user| format!("user:{user}")).collect();
    let mut masters: Vec<usize> = names.iter().map(|name| cluster.master_of(name)).collect();
    let (mut moves, mut keys) = (0, 0);
    while now() < until {
        std::thread::sleep(Duration::from_millis(random.draw(800)));
        let user = usize::try_from(random.draw(USERS)).expect("a place");
        let from = masters[user];
        let to = (from + 1 + usize::from(random.draw(2) == 0)) % 3;
        keys += cluster.move_slot(cluster.slot(&names[user]), from, to);
        masters[user] = to;
        moves += 1;
    }
    (moves, keys)
}
