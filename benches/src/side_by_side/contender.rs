//! A contender: an app with a limiter, or a floor, and its address.

use std::net::SocketAddr;
use std::sync::mpsc;

use axum::Router;
use rateguard_tests::{RedisCluster, RedisServer};
use tokio::sync::oneshot;

use crate::client::{cluster_connection, connection};
use crate::scenario::Scenario;
use crate::{floors, ours, tutorial};

/// An app that is being served.
#[derive(Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// The process that serves it.
    pub(crate) pid: u32,
    pub(crate) role: Role,
    scenarios: Vec<Scenario>,
    /// The app ends when this is dropped. `None` in another process.
    _served: Option<oneshot::Sender<()>>,
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
    /// One that another process serves.
    pub(crate) fn of_process(pid: u32, name: &str, address: SocketAddr, scenarios: &[Scenario]) -> Contender {
        let (name, scenarios) = (name.to_owned(), scenarios.to_vec());
        Contender { name, address, pid, role: Role::Limiter, scenarios, _served: None }
    }

    /// Serves an app on its own runtime.
    fn serve(
        name: &str,
        role: Role,
        scenarios: &[Scenario],
        app: impl AsyncFnOnce() -> Router + Send + 'static,
    ) -> Contender {
        let (tell, told) = mpsc::channel();
        let (served, ends) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let app = app().await;
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
                tell.send(listener.local_addr().expect("its address")).expect("somebody waits for it");
                let service = app.into_make_service_with_connect_info::<SocketAddr>();
                tokio::select! {
                    served = axum::serve(listener, service) => served.expect("served"),
                    _ = ends => {}
                }
            });
        });
        let address = told.recv().expect("it serves");
        let (name, pid) = (name.to_owned(), std::process::id());
        Contender { name, address, pid, role, scenarios: scenarios.to_vec(), _served: Some(served) }
    }

    pub(crate) fn takes_part(&self, scenario: Scenario) -> bool {
        self.scenarios.contains(&scenario)
    }
}

/// The floors and rateguard, with one server.
pub(crate) fn with_one_server(server: &RedisServer) -> Vec<Contender> {
    let url = || server.url();
    let [to_ping, to_incr, to_naive, to_plain, to_compact] = [url(), url(), url(), url(), url()];
    let floor = Role::Floor;
    let limiter = Role::Limiter;
    let all = &Scenario::ONE_SERVER;
    vec![
        Contender::serve("bare", floor, all, async || floors::bare()),
        Contender::serve("answer", limiter, all, async || floors::answer()),
        Contender::serve("ping", floor, all, async move || floors::ping(connection(&to_ping).await)),
        Contender::serve("incr", floor, all, async move || floors::incr(connection(&to_incr).await)),
        Contender::serve("naive", limiter, &Scenario::ONE_LIMIT, async move || {
            tutorial::naive(connection(&to_naive).await).await
        }),
        Contender::serve("rateguard, memory", limiter, all, async || ours::memory()),
        Contender::serve("rateguard, Redis", limiter, all, async move || ours::redis(&to_plain, false).await),
        Contender::serve("rateguard, Redis, compact", limiter, all, async move || ours::redis(&to_compact, true).await),
    ]
}

/// The names of those below.
pub(crate) const WITH_CLUSTER: [&str; 5] = ["bare", "incr", "naive", "rateguard, Redis", "rateguard, Redis, compact"];

/// The floors and rateguard, with a cluster.
pub(crate) fn with_cluster(cluster: &RedisCluster) -> Vec<Contender> {
    let [bare, incr, naive, plain, compact] = WITH_CLUSTER;
    let urls: Vec<String> = cluster.nodes.iter().take(3).map(RedisServer::url).collect();
    let [to_incr, to_naive] = [urls.clone(), urls];
    let [to_plain, to_compact] = [cluster.url(), cluster.url()];
    let only = &[Scenario::Cluster];
    vec![
        Contender::serve(bare, Role::Floor, only, async || floors::bare()),
        Contender::serve(incr, Role::Floor, only, async move || floors::incr(cluster_connection(&to_incr).await)),
        Contender::serve(naive, Role::Limiter, only, async move || {
            tutorial::naive(cluster_connection(&to_naive).await).await
        }),
        Contender::serve(plain, Role::Limiter, only, async move || ours::redis(&to_plain, false).await),
        Contender::serve(compact, Role::Limiter, only, async move || ours::redis(&to_compact, true).await),
    ]
}
