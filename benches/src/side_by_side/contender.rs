//! A contender: an app with a limiter, or a floor, and its address.

use std::net::SocketAddr;
use std::sync::mpsc;

use axum::Router;
use rateguard_tests::RedisServer;

use crate::scenario::Scenario;
use crate::{floors, ours};

/// An app that is being served.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// The process that serves it.
    pub(crate) pid: u32,
    pub(crate) role: Role,
    scenarios: Vec<Scenario>,
}

/// The contender's role in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Allows every request. The limiters are compared with it.
    Floor,
    /// Counts, and denies clients that have used their quota.
    Limiter,
}

impl Contender {
    pub(crate) fn new(name: &str, address: SocketAddr, pid: u32, role: Role, scenarios: &[Scenario]) -> Contender {
        Contender { name: name.to_owned(), address, pid, role, scenarios: scenarios.to_vec() }
    }

    pub(crate) fn takes_part(&self, scenario: Scenario) -> bool {
        self.scenarios.contains(&scenario)
    }
}

/// The floors and rateguard.
pub(crate) fn of_this_program(server: &RedisServer) -> Vec<Contender> {
    const ONE_LIMIT: [Scenario; 4] = [Scenario::Spread, Scenario::Hot, Scenario::Deny, Scenario::Low];
    let url = server.url();
    let floor = |name, address| Contender::new(name, address, std::process::id(), Role::Floor, &Scenario::ALL);
    let limiter = |name, address| Contender::new(name, address, std::process::id(), Role::Limiter, &Scenario::ALL);
    vec![
        floor("bare", serve(async || floors::bare())),
        limiter("answer", serve(async || floors::answer())),
        floor(
            "ping",
            serve({
                let url = url.clone();
                async move || floors::ping(&url).await
            }),
        ),
        floor(
            "incr",
            serve({
                let url = url.clone();
                async move || floors::incr(&url).await
            }),
        ),
        Contender::new(
            "naive",
            serve({
                let url = url.clone();
                async move || floors::naive(&url).await
            }),
            std::process::id(),
            Role::Limiter,
            &ONE_LIMIT,
        ),
        limiter("rateguard, memory", serve(async || ours::memory())),
        limiter(
            "rateguard, Redis",
            serve({
                let url = url.clone();
                async move || ours::redis(&url, false).await
            }),
        ),
        limiter("rateguard, Redis, compact", serve(async move || ours::redis(&url, true).await)),
    ]
}

/// Serves an app on its own runtime until the program ends.
fn serve(app: impl AsyncFnOnce() -> Router + Send + 'static) -> SocketAddr {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let app = app().await;
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
            tell.send(listener.local_addr().expect("its address")).expect("somebody waits for it");
            let service = app.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).await.expect("served for ever");
        });
    });
    told.recv().expect("it serves")
}
