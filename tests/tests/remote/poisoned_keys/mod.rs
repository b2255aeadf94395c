//! Foreign values under our keys, and the answers of a hostile server, affect only the checks that meet them.

mod answers;
mod permits;
mod values;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::future::join_all;
use rateguard::{Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer};
use rateguard_tests::{DelayLine, Log, RedisServer, request};
use tower::{Layer, Service, ServiceExt};
use tracing::Level;

const MINUTE: Duration = Duration::from_secs(60);

type Words = Vec<Vec<u8>>;

fn shown(words: &Words) -> String {
    let word = |word: &Vec<u8>| format!("{}", word[..word.len().min(40)].escape_ascii());
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}
