//! One Redis, a master with its replica and sentinels, a cluster, or Upstash's protocol: what is run, and how it fails.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rateguard::{RateGuard, RateGuardBuilder};
use rateguard_tests::{Fault, Illness, Proxy, RedisCluster, RedisServer, Sentinels, UpstashServer};

use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    One,
    Sentinel,
    Cluster,
    Upstash,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::One, Kind::Sentinel, Kind::Cluster, Kind::Upstash];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::One => "one",
            Kind::Sentinel => "sentinel",
            Kind::Cluster => "cluster",
            Kind::Upstash => "upstash",
        }
    }

    /// How soon after a fault all is to be counted again.
    pub(crate) fn patience(self) -> Duration {
        // Others first have to agree who is the master.
        Duration::from_secs(if matches!(self, Kind::One | Kind::Upstash) { 20 } else { 40 })
    }
}

pub(crate) enum Deployment {
    One { server: RedisServer, proxy: Proxy },
    Sentinel(Sentinels),
    Cluster(RedisCluster),
    Upstash { server: RedisServer, service: UpstashServer, proxy: Proxy },
}

impl Deployment {
    pub(crate) fn start(kind: Kind) -> Deployment {
        match kind {
            Kind::One => {
                let server = RedisServer::start();
                Deployment::One { proxy: Proxy::start(server.port()), server }
            }
            Kind::Sentinel => Deployment::Sentinel(Sentinels::start()),
            Kind::Cluster => Deployment::Cluster(RedisCluster::start()),
            Kind::Upstash => {
                let server = RedisServer::start();
                let service = UpstashServer::start(&server);
                Deployment::Upstash { proxy: Proxy::start(service.port()), server, service }
            }
        }
    }

    pub(crate) fn builder(&self) -> RateGuardBuilder {
        let builder = RateGuard::builder();
        match self {
            Deployment::One { proxy, .. } => builder.redis(proxy.url()),
            Deployment::Sentinel(sentinels) => builder.redis(sentinels.url()),
            Deployment::Cluster(cluster) => builder.redis(cluster.url()),
            Deployment::Upstash { proxy, .. } => {
                builder.upstash(format!("http://127.0.0.1:{}", proxy.port()), UpstashServer::TOKEN)
            }
        }
    }

    fn servers(&mut self) -> Vec<&mut RedisServer> {
        match self {
            Deployment::One { server, .. } | Deployment::Upstash { server, .. } => vec![server],
            Deployment::Sentinel(sentinels) => vec![&mut sentinels.master, &mut sentinels.replica],
            Deployment::Cluster(cluster) => cluster.nodes.iter_mut().collect(),
        }
    }

    fn masters(&mut self) -> Vec<&mut RedisServer> {
        self.servers().into_iter().filter(|server| server.is_master()).collect()
    }

    /// One of those that are masters now.
    fn a_master(&mut self, random: &mut Random) -> &mut RedisServer {
        let mut masters = self.masters();
        let one = usize::try_from(random.below(masters.len() as u64)).expect("a place");
        masters.swap_remove(one)
    }

    pub(crate) fn kill(&mut self, random: &mut Random, wait: impl Fn()) {
        let server = self.a_master(random);
        server.kill();
        wait();
        server.launch();
    }

    pub(crate) fn stop(&mut self, random: &mut Random, wait: impl Fn()) {
        let server = self.a_master(random);
        let signal = |name: &str| {
            let sent = Command::new("kill").args([name, &server.pid().to_string()]).status();
            assert!(sent.unwrap().success());
        };
        signal("-STOP");
        wait();
        signal("-CONT");
    }

    pub(crate) fn pause(&mut self, random: &mut Random, lasts: Duration) {
        let pause = lasts.as_millis().to_string();
        let _: String = self.a_master(random).command(&["CLIENT", "PAUSE", &pause, "ALL"]);
        std::thread::sleep(lasts);
    }

    pub(crate) fn flush_scripts(&mut self) {
        for server in self.masters() {
            let _: String = server.command(&["SCRIPT", "FLUSH"]);
        }
    }

    /// Who the masters are.
    pub(crate) fn master_ports(&mut self) -> Vec<u16> {
        self.masters().into_iter().map(|server| server.port()).collect()
    }

    /// Has the servers do something else most of the time, so that they cannot decide all that they are asked.
    pub(crate) fn while_busy(&mut self, what: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        let masters = self.masters();
        std::thread::scope(|scope| {
            for server in masters.iter().chain(&masters) {
                let (server, stop) = (&**server, &stop);
                scope.spawn(move || {
                    let mut connection = server.connection();
                    while !stop.load(Ordering::Relaxed) {
                        let script = "local sum = 0 for n = 1, 4000000 do sum = sum + n end return sum";
                        let _ = redis::cmd("EVAL").arg(script).arg(0).query::<i64>(&mut connection);
                    }
                });
            }
            what();
            stop.store(true, Ordering::Relaxed);
        });
    }

    pub(crate) fn network(&self, fault: Fault, wait: impl Fn()) {
        let (Deployment::One { proxy, .. } | Deployment::Upstash { proxy, .. }) = self else { return };
        proxy.set(fault);
        if fault == Fault::Close {
            proxy.cut();
        }
        wait();
        proxy.set(Fault::None);
    }

    pub(crate) fn service(&self, illness: Illness, wait: impl Fn()) {
        let Deployment::Upstash { service, .. } = self else { return };
        service.set(illness);
        wait();
        service.set(Illness::None);
    }

    pub(crate) fn fail_over(&mut self, random: &mut Random) {
        match self {
            Deployment::Sentinel(sentinels) => sentinels.fail_over(),
            Deployment::Cluster(cluster) => {
                let mut replicas: Vec<_> = cluster.nodes.iter().filter(|node| !node.is_master()).collect();
                let one = usize::try_from(random.below(replicas.len() as u64)).expect("a place");
                let replica = replicas.swap_remove(one);
                let _: String = replica.command(&["CLUSTER", "FAILOVER"]);
                within(Duration::from_secs(20), || replica.is_master());
            }
            _ => {}
        }
    }

    /// Moves the slot of one of the keys that are checked to another master.
    pub(crate) fn move_slot(&mut self, random: &mut Random) {
        let Deployment::Cluster(cluster) = self else { return };
        let key = format!("user:{}", random.below(8));
        let slot = cluster.slot(&key);
        let masters: Vec<usize> = (0..cluster.nodes.len()).filter(|at| cluster.nodes[*at].is_master()).collect();
        let has_it = |at: &usize| cluster.nodes[*at].has_key_slot(&key);
        let Some(from) = masters.iter().copied().find(has_it) else { return };
        let others: Vec<usize> = masters.into_iter().filter(|at| *at != from).collect();
        let to = others[usize::try_from(random.below(others.len() as u64)).expect("a place")];
        cluster.move_slot(slot, from, to);
    }

    /// Waits until each server knows what it is. Whether it does.
    pub(crate) fn settle(&self) -> bool {
        let patience = Duration::from_secs(90);
        match self {
            Deployment::One { .. } | Deployment::Upstash { .. } => true,
            Deployment::Sentinel(sentinels) => within(patience, || sentinels.are_settled()),
            Deployment::Cluster(cluster) => within(patience, || cluster.is_settled()),
        }
    }

    /// Keys that would never leave.
    pub(crate) fn keys_without_ttl(&mut self) -> usize {
        self.masters().into_iter().map(|server| server.keys_without_ttl()).sum()
    }

    /// What the service in this process remembers for tests that want to know.
    pub(crate) fn forget_what_was_asked(&self) {
        if let Deployment::Upstash { service, .. } = self {
            drop(service.asked());
        }
    }
}

fn within(patience: Duration, holds: impl Fn() -> bool) -> bool {
    let until = Instant::now() + patience;
    while !holds() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}
