//! Any bytes as a forwarding header.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rateguard::fuzzing::forwarded(bytes));
