//! One run of one contender, and its figures.

use std::io::{Read, Write};
use std::net::TcpStream;

use rateguard_benches::wire;
use rateguard_tests::RedisServer;

use crate::contender::{Contender, Role};
use crate::counters::{Counters, cpu_seconds};
use crate::load::{Generator, Seen};
use crate::scenario::Scenario;

/// The figures of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    /// CPU time of the serving process, user and system. This and the following figures are per request.
    pub(crate) server_micros: f64,
    /// CPU time of the Redis process, or of all of a cluster's masters, user and system.
    pub(crate) redis_micros: f64,
    /// Script calls.
    pub(crate) scripts: f64,
    /// All commands, including those that scripts call.
    pub(crate) commands: f64,
    /// The share of answers that the scenario does not expect.
    pub(crate) wrong: f64,
}

impl Figures {
    /// The names of the values.
    pub(crate) const NAMES: [&str; 8] =
        ["requests/s", "p50 µs", "p99 µs", "server CPU µs", "Redis CPU µs", "script calls", "commands", "wrong"];

    pub(crate) fn values(&self) -> [f64; 8] {
        let times = [self.requests_per_second, self.p50_micros, self.p99_micros, self.server_micros, self.redis_micros];
        let [requests, p50, p99, server, redis] = times;
        [requests, p50, p99, server, redis, self.scripts, self.commands, self.wrong]
    }

    pub(crate) fn from_values(values: [f64; 8]) -> Figures {
        let [requests_per_second, p50_micros, p99_micros, server_micros, redis_micros, scripts, commands, wrong] =
            values;
        Figures { requests_per_second, p50_micros, p99_micros, server_micros, redis_micros, scripts, commands, wrong }
    }
}

/// Removes all counts, warms up, and measures. Every server counts.
pub(crate) fn run(
    contender: &Contender,
    scenario: Scenario,
    seconds: u32,
    generator: &Generator,
    servers: &[RedisServer],
) -> Figures {
    for server in servers {
        let _: String = server.command(&["FLUSHALL"]);
    }
    warm_up(contender, scenario);
    let before = (Counters::of(servers), cpu_seconds(contender.pid));
    let seen = generator.run(contender, scenario, seconds);
    let after = (Counters::of(servers), cpu_seconds(contender.pid));
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
