//! Any bytes as what was asked of Redis, and what it answered.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rateguard::fuzzing::script_reply(bytes));
