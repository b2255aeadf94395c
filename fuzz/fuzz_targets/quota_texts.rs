//! Any bytes as a quota, and as a list of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rateguard::fuzzing::quota_texts(bytes));
