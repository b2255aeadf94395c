//! An app under load: checks without HTTP, requests, and more of both than there is time for.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rateguard::{Key, KeyBy, OnError, Policy, Quota, RateGuard, RateGuardBuilder, RateLimitLayer};
use rateguard_tests::serve;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::notes::Notes;
use crate::random::Random;
use crate::stalls::Stalls;

pub(crate) const LIMIT: u32 = 20;
pub(crate) const WINDOW: Duration = Duration::from_secs(1);
pub(crate) const DEADLINE: Duration = Duration::from_millis(100);
const KEYS: u64 = 8;
const TASKS: u64 = 10;
const CONNECTIONS: u64 = 16;
/// Of an overload: checks a second, by how many clients, and the limit of each.
const RATE: u128 = 3000;
const CLIENTS: u32 = 2000;
/// The most checks that are begun at once.
const BURST: u32 = 1000;
pub(crate) const OVERLOAD_LIMIT: u32 = 3;

#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) notes: Arc<Notes>,
    limiter: RateGuard,
    /// Whose threads are blocked.
    app: Runtime,
    /// Those who ask over HTTP, so that no blocked thread of the app is theirs.
    clients: Runtime,
    stop: Arc<AtomicBool>,
    most: AtomicU32,
    overloads: AtomicU32,
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

impl Load {
    pub(crate) fn start(builder: RateGuardBuilder) -> Load {
        let (app, clients) = (runtime(), runtime());
        let limiter = builder.deadline(DEADLINE).build().unwrap();
        let notes = Arc::new(Notes::new());
        let stop = Arc::new(AtomicBool::new(false));
        let quota = Quota::sliding_window(LIMIT, WINDOW);
        for task in 0..TASKS {
            let (name, on_error) =
                if task.is_multiple_of(2) { ("open", OnError::Open) } else { ("local", OnError::Local) };
            app.spawn(checks(task, name, on_error, limiter.clone(), Arc::clone(&notes), Arc::clone(&stop)));
        }
        let layer = RateLimitLayer::new(limiter.clone()).limit("http", quota, KeyBy::header("x-key"));
        let routes = Router::new().route("/", get(|| async { "served" })).layer(layer);
        let address = app.block_on(async { tokio::spawn(serve(routes)).await.unwrap() });
        for client in 0..CONNECTIONS {
            clients.spawn(requests(client, address, Arc::clone(&notes), Arc::clone(&stop)));
        }
        app.spawn(heartbeat(Arc::clone(&notes), Arc::clone(&stop)));
        let watch = (Arc::clone(&notes), Arc::clone(&stop));
        std::thread::spawn(move || watch_the_machine(&watch.0, &watch.1));
        Load { notes, limiter, app, clients, stop, most: AtomicU32::new(0), overloads: AtomicU32::new(0) }
    }

    pub(crate) fn app(&self) -> &Handle {
        self.app.handle()
    }

    /// How long until a check of each key is counted; `None` if that is too long.
    pub(crate) fn recovers(&self, patience: Duration) -> Option<Duration> {
        let began = Instant::now();
        let probe = Policy::new("probe", Quota::sliding_window(1_000_000, WINDOW));
        for key in 0..KEYS {
            while self.app.block_on(self.limiter.check(&probe, &Key::user(key))).degraded() {
                if began.elapsed() > patience {
                    return None;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Some(began.elapsed())
    }

    /// Blocks one worker of the app or both, now and then.
    pub(crate) fn block_threads(&self, lasts: Duration, random: &mut Random) {
        let until = Instant::now() + lasts;
        while Instant::now() < until {
            let block = Duration::from_millis(60 + random.below(440));
            for _ in 0..=random.below(2) {
                let notes = Arc::clone(&self.notes);
                self.app.spawn(async move {
                    let from = notes.now();
                    std::thread::sleep(block);
                    notes.stalls.add(from, notes.now());
                });
            }
            std::thread::sleep(block + Duration::from_millis(random.below(250)));
        }
    }

    /// Sends checks at a fixed rate, whatever becomes of them.
    pub(crate) fn overload(&self, lasts: Duration) {
        let round = self.overloads.fetch_add(1, Ordering::Relaxed);
        let policy = Policy::try_new(
            format!("overload-{round}"),
            // However slowly a busy machine gets through them, all checks are in one window.
            Quota::sliding_window(OVERLOAD_LIMIT, Duration::from_secs(3600)),
        );
        let policy = policy.unwrap().on_error(OnError::Local);
        let (limiter, notes) = (self.limiter.clone(), Arc::clone(&self.notes));
        let allowed = self.app.block_on(async {
            let send = async move {
                let (mut sent, mut checks, began) = (0_u32, JoinSet::new(), Instant::now());
                let mut allowed: HashMap<u32, u32> = HashMap::new();
                while began.elapsed() < lasts {
                    // A machine that cannot keep up sends fewer, and does not make up for them later.
                    let due = u32::try_from(began.elapsed().as_millis() * RATE / 1000).unwrap_or(u32::MAX);
                    sent = sent.max(due.saturating_sub(BURST));
                    while sent < due && began.elapsed() < lasts {
                        let (limiter, policy, notes) = (limiter.clone(), policy.clone(), Arc::clone(&notes));
                        let client = sent % CLIENTS;
                        checks.spawn(async move {
                            let start = notes.now();
                            let decision = limiter.check(&policy, &Key::user(client)).await;
                            notes.timed(start, &decision);
                            (client, decision.allowed())
                        });
                        sent += 1;
                        if sent.is_multiple_of(32) {
                            tokio::task::yield_now().await;
                        }
                    }
                    // Answers are taken as they come, so that they take no memory.
                    while let Some(check) = checks.try_join_next() {
                        let (client, is_allowed) = check.unwrap();
                        *allowed.entry(client).or_default() += u32::from(is_allowed);
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                while let Some(check) = checks.join_next().await {
                    let (client, is_allowed) = check.unwrap();
                    *allowed.entry(client).or_default() += u32::from(is_allowed);
                }
                allowed
            };
            tokio::spawn(send).await.unwrap()
        });
        self.most.store(allowed.into_values().max().unwrap_or_default(), Ordering::Relaxed);
    }

    /// The most that a client was allowed in the last overload, asked once.
    pub(crate) fn most_in_an_overload(&self) -> u32 {
        self.most.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(500));
        drop(self.limiter);
        self.clients.shutdown_timeout(Duration::from_secs(2));
        self.app.shutdown_timeout(Duration::from_secs(2));
    }
}

async fn checks(
    task: u64,
    name: &'static str,
    on_error: OnError,
    limiter: RateGuard,
    notes: Arc<Notes>,
    stop: Arc<AtomicBool>,
) {
    let policy = Policy::new(name, Quota::sliding_window(LIMIT, WINDOW)).on_error(on_error);
    let mut turn = task;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let key = turn % KEYS;
        let start = notes.now();
        let decision = limiter.check(&policy, &Key::user(key)).await;
        notes.checked((name, key), start, &decision);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn requests(client: u64, address: SocketAddr, notes: Arc<Notes>, stop: Arc<AtomicBool>) {
    let http = reqwest::Client::new();
    let mut turn = client;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let key = turn % KEYS;
        let start = notes.now();
        let answer = http.get(format!("http://{address}/")).header("x-key", key.to_string()).send().await;
        let answer = answer.expect("the app answers");
        let has_headers = answer.headers().contains_key("x-ratelimit-limit");
        notes.served(key, start, answer.status().as_u16(), has_headers);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

const BEAT: Duration = Duration::from_millis(5);

/// A timer of the app's runtime that has nothing to do with the limiter.
async fn heartbeat(notes: Arc<Notes>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let due = notes.now() + BEAT;
        tokio::time::sleep(BEAT).await;
        note_a_stall(&notes, due);
    }
}

/// The same of a thread of its own.
fn watch_the_machine(notes: &Notes, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let due = notes.now() + BEAT;
        std::thread::sleep(BEAT);
        note_a_stall(notes, due);
    }
}

fn note_a_stall(notes: &Notes, due: Duration) {
    let now = notes.now();
    if now > due + Stalls::NO_STALL {
        notes.stalls.add(due, now);
    }
}
