//! What the processes have used: Redis' own counters, and the CPU time of the serving process.

use rateguard_tests::RedisServer;

/// Ticks per second in `/proc/*/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// Redis' own counters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) cpu_seconds: f64,
    pub(crate) scripts: f64,
    pub(crate) commands: f64,
}

impl Counters {
    /// Of all servers together.
    pub(crate) fn of(servers: &[RedisServer]) -> Counters {
        servers.iter().map(Counters::read).fold(Counters::default(), |all, one| Counters {
            cpu_seconds: all.cpu_seconds + one.cpu_seconds,
            scripts: all.scripts + one.scripts,
            commands: all.commands + one.commands,
        })
    }

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
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("Linux, and the process there");
    // The name, in parentheses, may contain spaces.
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    rest.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// A short description of the machine and of the server program.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, Into::into);
    let server = RedisServer::start();
    let info: String = server.command(&["INFO", "server"]);
    let redis = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("of unknown version");
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    format!("{cores} cores ({}), redis-server {}", model.trim_start_matches([' ', '\t', ':']), redis.trim())
}
