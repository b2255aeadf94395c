//! The network loses, damages and delays.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rateguard::{Key, RateGuard};
use rateguard_tests::{Fault, Proxy, RedisServer, ServerProgram};

use crate::watch::{Watch, connected, policy};

/// Checks one after the other while the network is so; then what the server has counted is no more than was asked.
async fn through(watch: &Watch, faults: &[Fault]) -> u32 {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = connected(proxy.url()).await;
    let direct = connected(server.url()).await;
    let mut sent = 0;
    for fault in faults {
        proxy.set(*fault);
        for _ in 0..100 {
            let _ = watch.check(&limiter, &policy("network"), &Key::global()).await;
            sent += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.set(Fault::None);
        // What is damaged stays so until the connection is made anew.
        watch.recovers(&limiter).await;
        let used = watch.used(&direct, &policy("network"), &Key::global()).await;
        assert!(used <= sent, "X: {used} executions of {sent} checks");
    }
    watch.used(&direct, &policy("network"), &Key::global()).await
}

pub(crate) async fn answers_lost(watch: &'static Watch) {
    let used = through(watch, &[Fault::CutAnswers; 3]).await;
    watch.note(format!("{used} of 300 executed, each once"));
}

pub(crate) async fn answers_halved(watch: &'static Watch) {
    through(watch, &[Fault::HalveAnswers; 3]).await;
}

pub(crate) async fn garbled(watch: &'static Watch) {
    let seeds: Vec<Fault> = (0..12).map(|seed| Fault::Garble(seed * 977 + 1)).collect();
    through(watch, &seeds).await;
}

pub(crate) async fn silence(watch: &'static Watch) {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let limiter = connected(proxy.url()).await;
    pulled(watch, &limiter, || proxy.set(Fault::Silence), || proxy.set(Fault::None)).await;
}

async fn pulled(watch: &Watch, limiter: &RateGuard, pull: impl Fn(), mend: impl Fn()) {
    pull();
    let mut waited = 0;
    for _ in 0..600 {
        let start = std::time::Instant::now();
        assert!(watch.check(limiter, &policy("pulled"), &Key::global()).await.degraded());
        waited += u32::from(start.elapsed() > Duration::from_millis(50));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(waited <= 30, "after a few, nobody waits: {waited} did");
    mend();
    watch.recovers(limiter).await;
    watch.note(format!("{waited} of 600 checks waited"));
}

/// A network of its own with a server in it, and a cable between it and this one.
struct Namespace {
    name: String,
    server: Option<Child>,
}

impl Namespace {
    fn ip(words: &str) -> bool {
        let run = Command::new("ip").args(words.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    }

    /// None where we may not make one.
    fn make(port: u16) -> Option<Namespace> {
        let name = format!("rg{}", std::process::id() % 100_000);
        let mut made = Namespace { name: name.clone(), server: None };
        let steps = [
            format!("netns add {name}"),
            format!("link add {name}a type veth peer name {name}b netns {name}"),
            format!("addr add 10.203.117.1/30 dev {name}a"),
            format!("link set {name}a up"),
            format!("netns exec {name} ip addr add 10.203.117.2/30 dev {name}b"),
            format!("netns exec {name} ip link set {name}b up"),
        ];
        if !steps.iter().all(|step| Namespace::ip(step)) {
            return None;
        }
        let server = Command::new("ip")
            .args(["netns", "exec", &name])
            .arg(ServerProgram::tested().path())
            .args(["--port", &port.to_string()])
            .args(["--bind", "10.203.117.2", "--protected-mode", "no", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        made.server = server.ok();
        Some(made)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
        Namespace::ip(&format!("link del {}a", self.name));
        Namespace::ip(&format!("netns del {}", self.name));
    }
}

pub(crate) async fn half_open(watch: &'static Watch) {
    let Some(namespace) = Namespace::make(7777) else {
        watch.note("not run: no network namespace may be made here; the row above is the nearest to it");
        return;
    };
    let limiter = connected("redis://10.203.117.2:7777").await;
    // From inside, so that this side sees nothing but silence.
    let cable = |state: &str| {
        let name = &namespace.name;
        assert!(Namespace::ip(&format!("netns exec {name} ip link set {name}b {state}")));
    };
    pulled(watch, &limiter, || cable("down"), || cable("up")).await;
}
