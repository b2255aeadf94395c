//! Our server of Upstash's protocol over a Redis of its own, for clients that are not ours: prints its URL and the token,
//! and runs until its standard input ends.
#![allow(clippy::expect_used, reason = "a test's own program: what it cannot do, it says")]

use std::io::Read;

use rateguard_tests::{RedisServer, UpstashServer};

fn main() {
    let redis = RedisServer::start();
    let server = UpstashServer::start(&redis);
    println!("{} {}", server.url(), UpstashServer::TOKEN);
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest).expect("a standard input");
}
