//! A measurement that is killed leaves no process behind.
#![allow(clippy::expect_used, reason = "a test that cannot go on says so")]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Starts a long measurement, and waits until its server and its load generator run. The group is that of the process that
/// measures.
fn start() -> (Child, u32) {
    let arguments = ["--scenario", "spread", "--contender", "bare", "--rounds", "1", "--seconds", "60", "--bundled"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_rateguard-benches"));
    let program = command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let inside = || processes().into_iter().find(|process| process.parent == program.id());
    until("the process that measures", || inside().is_some());
    let group = inside().expect("it runs").id;
    until("its server and its load generator", || members(group) >= 3);
    (program, group)
}

struct Process {
    id: u32,
    parent: u32,
    group: u32,
}

/// All processes that have not ended.
fn processes() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("Linux").flatten();
    let read = |entry: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name, in parentheses, may contain spaces.
        let (id, rest) = (stat.split_once(' ')?.0, stat.rsplit_once(')')?.1);
        let mut fields = rest.split_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let [parent, group] = [fields.next()?, fields.next()?];
        let process = Process { id: id.parse().ok()?, parent: parent.parse().ok()?, group: group.parse().ok()? };
        (!ended).then_some(process)
    };
    entries.filter_map(read).collect()
}

fn members(group: u32) -> usize {
    processes().iter().filter(|process| process.group == group).count()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < patience, "not seen: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn all_processes_end_if_the_program_is_killed() {
    let (mut program, group) = start();
    program.kill().expect("killed");
    program.wait().expect("it has ended");
    until("the end of all", || members(group) == 0);
}

#[test]
fn all_processes_end_if_the_process_that_measures_is_killed() {
    let (mut program, group) = start();
    let killed = Command::new("sh").args(["-c", &format!("kill -s KILL {group}")]).status();
    assert!(killed.expect("a shell").success());
    until("the end of all", || members(group) == 0);
    assert!(!program.wait().expect("it has ended").success());
}
