//! Any bytes as `Cookie` lines: what is counted is what the library reads that axum-extra and tower-cookies share, or
//! nothing.
#![no_main]

use cookie::{Cookie, CookieJar};
use libfuzzer_sys::fuzz_target;
use rateguard::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::cookies(bytes);
    let name = http::header::COOKIE;
    let Some(headers) = fuzzing::lines(&name, bytes) else { return };
    let mut jar = CookieJar::new();
    // As tower-cookies does; axum-extra reads the lines that are ASCII, in the same way.
    for text in headers.get_all(&name).iter().filter_map(|line| std::str::from_utf8(line.as_bytes()).ok()) {
        for cookie in text.split(';').filter_map(|text| Cookie::parse_encoded(text.to_owned()).ok()) {
            jar.add_original(cookie);
        }
    }
    if let (Some(counted), Some(read)) = (fuzzing::cookie(&headers, "session"), jar.get("session")) {
        assert_eq!(counted, read.value_trimmed().as_bytes());
    }
});
