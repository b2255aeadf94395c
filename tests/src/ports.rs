//! Ports for the servers of tests.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that nobody listens on, and that no other test is given: below those that the system hands out, so that no
/// connection takes it meanwhile, and each only once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    // Test programs that run at once begin at places of their own.
    let start = std::process::id().wrapping_mul(257);
    for _ in 0..COUNT {
        let turn = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + turn % COUNT).expect("within the range");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free");
}

/// One where the port so many above is free as well.
pub(crate) fn free_port_with(above: u16) -> u16 {
    loop {
        let port = free_port();
        // Not among those that the system hands out.
        let other = port + above;
        if other < 32_768 && TcpListener::bind(("127.0.0.1", other)).is_ok() {
            return port;
        }
    }
}
