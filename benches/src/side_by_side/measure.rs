//! One run of one contender, and its figures.

use std::io::{Read, Write};
use std::net::TcpStream;

use rateguard_benches::wire;
use rateguard_tests::RedisServer;

use crate::contender::{Contender, Role};
use crate::load::{Generator, Seen};
use crate::scenario::Scenario;

/// Ticks per second in `/proc/*/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// The figures of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    /// CPU time of the serving process, user and system. This and the following figures are per request.
    pub(crate) server_micros: f64,
    /// CPU time of the Redis process, user and system.
    pub(crate) redis_micros: f64,
    /// Script calls.
    pub(crate) scripts: f64,
    /// All commands, including those that scripts call.
    pub(crate) commands: f64,
    /// The share of answers that the scenario does not expect.
    pub(crate) wrong: f64,
}

/// Removes all counts, warms up, and measures.
pub(crate) fn run(
    contender: &Contender,
    scenario: Scenario,
    seconds: u32,
    generator: &Generator,
    server: &RedisServer,
) -> Figures {
    let _: String = server.command(&["FLUSHALL"]);
    warm_up(contender, scenario);
    let before = (Counters::read(server), cpu_seconds(contender.pid));
    let seen = generator.run(contender, scenario, seconds);
    let after = (Counters::read(server), cpu_seconds(contender.pid));
    let each = |before: f64, after: f64| (after - before) / seen.requests.max(1) as f64;
    Figures {
        requests_per_second: seen.requests as f64 / seen.seconds,
        p50_micros: seen.p50_micros as f64,
        p99_micros: seen.p99_micros as f64,
        server_micros: each(before.1, after.1) * 1e6,
        redis_micros: each(before.0.cpu_seconds, after.0.cpu_seconds) * 1e6,
        scripts: each(before.0.scripts, after.0.scripts),
        commands: each(before.0.commands, after.0.commands),
        wrong: wrong(contender, scenario, &seen),
    }
}

fn wrong(contender: &Contender, scenario: Scenario, seen: &Seen) -> f64 {
    let denies = scenario == Scenario::Deny && contender.role == Role::Limiter;
    let wrong = if denies { seen.requests.saturating_sub(seen.denied) } else { seen.denied };
    (wrong + seen.failed) as f64 / seen.requests.max(1) as f64
}

/// Sends one request per client. A single client sends many, so that it is warm and has used a quota of one.
fn warm_up(contender: &Contender, scenario: Scenario) {
    const CONNECTIONS: u32 = 8;
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut stream = TcpStream::connect(contender.address).expect("a connection");
                stream.set_nodelay(true).expect("no delay");
                let (mut request, mut answer, mut buffer) = (String::new(), Vec::new(), [0; 4096]);
                for client in (connection..10_000).step_by(CONNECTIONS as usize) {
                    request.clear();
                    wire::request(&mut request, scenario.path(), client % scenario.keys());
                    stream.write_all(request.as_bytes()).expect("sent");
                    answer.clear();
                    while wire::answer(&answer).is_none() {
                        let read = stream.read(&mut buffer).expect("an answer");
                        assert!(read > 0, "{} closed the connection", contender.name);
                        answer.extend_from_slice(buffer.get(..read).expect("what was read"));
                    }
                }
            });
        }
    });
}

/// Redis' own counters.
struct Counters {
    cpu_seconds: f64,
    scripts: f64,
    commands: f64,
}

impl Counters {
    fn read(server: &RedisServer) -> Counters {
        let info: String = server.command(&["INFO", "all"]);
        let number = |name: &str| -> f64 {
            let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
        };
        let (mut scripts, mut commands) = (0.0, 0.0);
        for line in info.lines().filter_map(|line| line.strip_prefix("cmdstat_")) {
            let Some((command, rest)) = line.split_once(":calls=") else { continue };
            let calls: f64 = rest.split(',').next().and_then(|calls| calls.parse().ok()).unwrap_or(0.0);
            if matches!(command, "eval" | "evalsha") {
                scripts += calls;
            }
            // Our own reads and resets are not counted.
            if !matches!(command, "info" | "client|setinfo" | "flushall") {
                commands += calls;
            }
        }
        Counters { cpu_seconds: number("used_cpu_user") + number("used_cpu_sys"), scripts, commands }
    }
}

/// CPU seconds that a process has used, user and system.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux, and the process there");
    // The name, in parentheses, may contain spaces.
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// A short description of the machine.
pub(crate) fn machine(server: &RedisServer) -> String {
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let info: String = server.command(&["INFO", "server"]);
    let redis = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("of unknown version");
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    format!("{cores} cores ({}), redis-server {}", model.trim_start_matches([' ', '\t', ':']), redis.trim())
}
