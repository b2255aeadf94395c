//! The part of HTTP/1.1 that a load generator needs.

use std::fmt::Write;

/// Appends a request of the client with this number to `text`.
pub fn request(text: &mut String, path: &str, client: u32) {
    let _ = write!(text, "GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: key-{client:08}\r\n\r\n");
}

/// The status of an answer, as soon as the answer is complete.
pub fn answer(bytes: &[u8]) -> Option<u16> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    (bytes.len() >= end + length.unwrap_or(0)).then_some(status)
}
