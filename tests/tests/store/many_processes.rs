//! Many servers, one Redis: eight processes of 32 tasks press on five keys.

use std::process::{Command, Stdio};

use rateguard_tests::RedisServer;

const PROCESSES: usize = 8;
const KEYS: usize = 5;

/// When each unit of each key was allowed: not before the first time, not after the second.
fn allowed(server: &RedisServer, limit: usize, window: u128, lasts: u128) -> Vec<Vec<(u128, u128)>> {
    let processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            Command::new(env!("CARGO_BIN_EXE_crowd"))
                .args([server.url(), limit.to_string(), window.to_string(), lasts.to_string()])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut keys = vec![Vec::new(); KEYS];
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let numbers: Vec<u128> = line.split(' ').map(|number| number.parse().unwrap()).collect();
            keys[usize::try_from(numbers[0]).unwrap()].push((numbers[1], numbers[2]));
        }
    }
    keys
}

#[test]
fn all_of_the_quota_and_no_more_is_allowed_over_all_processes() {
    let server = RedisServer::start();
    // A window that does not end while they go on.
    for key in allowed(&server, 200, 600_000, 2_000) {
        assert_eq!(key.len(), 200);
    }
}

#[test]
fn no_window_of_the_joined_log_holds_more_than_the_limit() {
    let server = RedisServer::start();
    let (limit, window) = (50, 300_000);
    for mut key in allowed(&server, limit, window / 1000, 3_000) {
        assert!(key.len() >= limit);
        key.sort_unstable();
        for (i, (from, _)) in key.iter().enumerate() {
            // Surely allowed within one window's length that begins with this one.
            let within = key[i..].iter().filter(|(_, after)| after - from < window).count();
            assert!(within <= limit, "{within} in one window");
        }
    }
}
