//! Faults in an order that a seed decides.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use rateguard_tests::{Fault, Proxy, RedisServer};

pub(crate) struct Faults {
    server: RedisServer,
    proxy: Proxy,
    random: u64,
    began: Instant,
    made: BTreeMap<&'static str, u32>,
    forgotten: Vec<(Duration, Duration)>,
}

impl Faults {
    pub(crate) fn new(server: RedisServer, proxy: Proxy, seed: u64, began: Instant) -> Faults {
        Faults { server, proxy, random: seed, began, made: BTreeMap::new(), forgotten: Vec::new() }
    }

    /// A number below this one.
    fn draw(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below
    }

    /// A while without a fault, then one, for a while.
    pub(crate) async fn one(&mut self) {
        let (calm, lasts) = (500 + self.draw(3000), Duration::from_millis(100 + self.draw(2500)));
        tokio::time::sleep(Duration::from_millis(calm)).await;
        let seed = self.draw(u64::MAX);
        let name = match self.draw(10) {
            0 => self.killed(lasts).await,
            1 => self.stopped(lasts).await,
            2 => self.paused(lasts).await,
            3 => self.network("answers late", Fault::Late(Duration::from_millis(seed % 150)), lasts).await,
            4 => self.network("answers lost", Fault::CutAnswers, lasts).await,
            5 => self.network("answers halved", Fault::HalveAnswers, lasts).await,
            6 => self.network("answers garbled", Fault::Garble(seed), lasts).await,
            7 => self.network("silence", Fault::Silence, lasts).await,
            8 => self.network("closed at once", Fault::Close, lasts).await,
            _ => self.script_flush(),
        };
        *self.made.entry(name).or_default() += 1;
    }

    async fn killed(&mut self, lasts: Duration) -> &'static str {
        let from = self.began.elapsed();
        self.server.kill();
        tokio::time::sleep(lasts).await;
        let server = &mut self.server;
        tokio::task::block_in_place(|| server.launch());
        self.forgotten.push((from, self.began.elapsed()));
        "killed"
    }

    async fn stopped(&mut self, lasts: Duration) -> &'static str {
        let signal = |name: &str| {
            let sent = Command::new("kill").args([name, &self.server.pid().to_string()]).status();
            assert!(sent.unwrap().success());
        };
        signal("-STOP");
        tokio::time::sleep(lasts).await;
        signal("-CONT");
        "stopped"
    }

    async fn paused(&mut self, lasts: Duration) -> &'static str {
        let server = &self.server;
        let pause = lasts.as_millis().to_string();
        tokio::task::block_in_place(|| server.command::<String>(&["CLIENT", "PAUSE", &pause, "ALL"]));
        tokio::time::sleep(lasts).await;
        "paused"
    }

    async fn network(&mut self, name: &'static str, fault: Fault, lasts: Duration) -> &'static str {
        self.proxy.set(fault);
        if fault == Fault::Close {
            self.proxy.cut();
        }
        tokio::time::sleep(lasts).await;
        self.proxy.set(Fault::None);
        name
    }

    fn script_flush(&mut self) -> &'static str {
        let server = &self.server;
        tokio::task::block_in_place(|| server.command::<String>(&["SCRIPT", "FLUSH"]));
        "script flushed"
    }

    /// From when to when the server may have had no memory of what it had counted.
    pub(crate) fn forgotten(&self) -> &[(Duration, Duration)] {
        &self.forgotten
    }

    pub(crate) fn summary(&self) -> String {
        let made: Vec<String> = self.made.iter().map(|(name, times)| format!("{name} {times}")).collect();
        made.join(", ")
    }
}
