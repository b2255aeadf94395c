//! Any bytes as the URL of a store.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rateguard::fuzzing::urls(bytes));
