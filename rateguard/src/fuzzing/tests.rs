//! The fuzz targets with proptest's inputs: some hundred for each, or for `FUZZ_SECONDS` each where there is no fuzzer.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 500;

/// The words of a libFuzzer dictionary: one per line, in quotes, with `\\`, `\"` and `\xNN`.
fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let word = |line: &str| {
        let inside = line.strip_prefix('"')?.strip_suffix('"')?;
        let mut parts = inside.split('\\');
        let mut word = parts.next()?.as_bytes().to_vec();
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            match part.strip_prefix('x').and_then(|hex| Some((hex.get(..2)?, hex.get(2..)?))) {
                Some((hex, rest)) => {
                    word.push(u8::from_str_radix(hex, 16).ok()?);
                    word.extend(rest.as_bytes());
                }
                // Two backslashes in a row.
                None if part.is_empty() => {
                    word.push(b'\\');
                    word.extend(parts.next()?.as_bytes());
                }
                None => word.extend(part.as_bytes()),
            }
        }
        Some(word)
    };
    dictionary.lines().filter_map(word).collect()
}

/// Runs a target with words and bytes in random order.
fn run(name: &str, dictionary: &str, target: fn(&[u8])) {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(seconds);
    let words = words(dictionary);
    assert!(!words.is_empty());
    let piece = prop_oneof![3 => select(words), 1 => vec(any::<u8>(), 1..4), 1 => vec(32_u8..127, 1..4)];
    let input = vec(piece, 0..20).prop_map(|pieces| pieces.concat());
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let mut executions: u64 = 0;
    loop {
        // Each runner has its own seed, and runs its cases once.
        TestRunner::new(config.clone())
            .run(&input, |bytes| {
                target(&bytes);
                Ok(())
            })
            .unwrap();
        executions += u64::from(CASES);
        if Instant::now() >= until {
            break;
        }
    }
    if seconds > 0 {
        println!("{name}: {executions} executions");
    }
}

#[test]
fn cookies() {
    run("cookies", include_str!("../../../fuzz/cookies.dict"), super::cookies);
}

#[test]
fn forwarded() {
    run("forwarded", include_str!("../../../fuzz/forwarded.dict"), super::forwarded);
}

#[test]
fn quota_texts() {
    run("quota_texts", include_str!("../../../fuzz/quota_texts.dict"), super::quota_texts);
}

#[cfg(feature = "redis")]
#[test]
fn urls() {
    run("urls", include_str!("../../../fuzz/urls.dict"), super::urls);
}

#[cfg(feature = "redis")]
#[test]
fn script_reply() {
    run("script_reply", include_str!("../../../fuzz/script_reply.dict"), super::script_reply);
}

#[test]
fn a_dictionary_is_read_as_libfuzzer_does() {
    let read = words("# a comment\n\"a\\\\b\"\n\"\\\"\"\n\"\\x01c\"\n\"\\\\\\\\\"\n");
    assert_eq!(read, [&b"a\\b"[..], b"\"", b"\x01c", b"\\\\"]);
}
