//! Answers to gRPC calls. A gRPC client reads the outcome from headers, not from the HTTP status and the body.
//!
//! A denial is a response of trailers only (gRPC's PROTOCOL-HTTP2.md): HTTP status 200, no body, and `grpc-status`,
//! `grpc-message` and `grpc-status-details-bin` in the headers.
//!
//! Any client can write the content type of gRPC into a request for an HTTP handler. With the status 200 it would then make
//! a denial look like a success, which is dangerous where the status is read as permission, as with the forward
//! authentication of proxies. So the HTTP status becomes 200 only if the request also says `te: trailers`: every gRPC client
//! sends it, and proxies that ask for permission do not pass it on. Otherwise the HTTP status stays that of the denial.

mod details;
#[cfg(feature = "tonic")]
mod tonic;

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, TE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::headers::number;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// Clients with a retry policy wait so many milliseconds; a negative number ends their retries (gRPC proposal A6).
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// A request that is a gRPC or a gRPC-Web call, as far as its answer depends on it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The request's own, since it names the codec.
    content_type: HeaderValue,
    reads_trailers: bool,
}

/// When a call may be tried again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Retry {
    After(Duration),
    Never,
    Unknown,
}

impl Call {
    /// `None` for every other request.
    pub(super) fn of(head: &Parts) -> Option<Call> {
        // A call is always a POST.
        if head.method != Method::POST {
            return None;
        }
        let content_type = head.headers.get(CONTENT_TYPE)?;
        let media_type = without_parameters(content_type);
        if !is_grpc(media_type.as_bytes()) {
            return None;
        }
        Some(Call { content_type: media_type, reads_trailers: reads_trailers(&head.headers) })
    }

    /// The answer in place of an HTTP response with this status.
    pub(super) fn answer(&self, status: StatusCode, message: &str, retry: Retry) -> Response {
        let code = code(status);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = if self.reads_trailers { StatusCode::OK } else { status };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        // With the status 200, also that of a setup error.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(STATUS, number(code));
        insert(headers, MESSAGE, percent_encoded(message));
        match retry {
            Retry::Unknown => {}
            Retry::Never => drop(headers.insert(PUSHBACK, HeaderValue::from_static("-1"))),
            Retry::After(wait) => {
                headers.insert(PUSHBACK, number(milliseconds(wait)));
                insert(headers, DETAILS, details::retry_info(code, message, wait));
            }
        }
        response
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: String) {
    // The values are ASCII, so they are always valid.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// The media type, without what follows a semicolon.
fn without_parameters(content_type: &HeaderValue) -> HeaderValue {
    let bytes = content_type.as_bytes();
    match bytes.iter().position(|byte| *byte == b';') {
        None => content_type.clone(),
        Some(end) => {
            let media_type = bytes.get(..end).unwrap_or_default().trim_ascii();
            HeaderValue::from_bytes(media_type).unwrap_or_else(|_| content_type.clone())
        }
    }
}

/// Whether it is `application/grpc`, `application/grpc-web` or `application/grpc-web-text`, perhaps with a codec, as in
/// `application/grpc+proto`.
fn is_grpc(media_type: &[u8]) -> bool {
    let name = media_type.split(|byte| *byte == b'+').next().unwrap_or_default();
    [&b"application/grpc"[..], b"application/grpc-web", b"application/grpc-web-text"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether the client says `te: trailers`.
fn reads_trailers(headers: &HeaderMap) -> bool {
    let mut listed = headers.get_all(TE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    listed.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The code of gRPC for an HTTP status of ours.
fn code(status: StatusCode) -> u64 {
    const RESOURCE_EXHAUSTED: u64 = 8;
    const INTERNAL: u64 = 13;
    const UNAVAILABLE: u64 = 14;
    match status {
        StatusCode::TOO_MANY_REQUESTS => RESOURCE_EXHAUSTED,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        _ => INTERNAL,
    }
}

/// Rounded up, since a client that comes too early is denied again. Clients read it as a number of 32 bits.
fn milliseconds(wait: Duration) -> u64 {
    const MOST: u128 = i32::MAX as u128;
    u64::try_from(wait.as_micros().div_ceil(1000).min(MOST)).unwrap_or(u64::MAX)
}

/// As `grpc-message` is encoded: all but printable ASCII, and the percent sign.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' => encoded.push_str("%25"),
            b' '..=b'~' => encoded.push(char::from(byte)),
            // Writing to memory cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn call(method: Method, headers: &[(&str, &str)]) -> Option<Call> {
        let request = Request::builder().method(method);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Call::of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn a_call_is_a_post_with_the_content_type_of_grpc() {
        for (content_type, answered) in [
            ("application/grpc", Some("application/grpc")),
            ("application/grpc+proto", Some("application/grpc+proto")),
            ("Application/gRPC+json; charset=utf-8", Some("Application/gRPC+json")),
            ("application/grpc-web", Some("application/grpc-web")),
            ("application/grpc-web-text+proto", Some("application/grpc-web-text+proto")),
            ("application/grpcurl", None),
            ("application/grpc-website", None),
            ("application/json", None),
            ("text/plain, application/grpc", None),
            ("", None),
        ] {
            let called = call(Method::POST, &[("content-type", content_type)]);
            assert_eq!(called.as_ref().map(|call| call.content_type.to_str().unwrap()), answered, "{content_type}");
            assert!(call(Method::GET, &[("content-type", content_type)]).is_none());
        }
        assert!(call(Method::POST, &[]).is_none());
    }

    #[test]
    fn the_http_status_becomes_200_only_for_a_client_that_reads_trailers() {
        for (te, status) in [
            (None, 429),
            (Some("gzip"), 429),
            (Some("trailers;q=0"), 429),
            (Some("trailers"), 200),
            (Some("gzip, Trailers"), 200),
        ] {
            let headers = [("content-type", "application/grpc"), ("te", te.unwrap_or_default())];
            let call = call(Method::POST, headers.get(..1 + usize::from(te.is_some())).unwrap()).unwrap();
            let response = call.answer(StatusCode::TOO_MANY_REQUESTS, "slow down", Retry::Unknown);
            assert_eq!(response.status(), status, "{te:?}");
            assert_eq!(response.headers()["grpc-status"], "8");
        }
    }

    #[test]
    fn a_message_is_percent_encoded() {
        assert_eq!(percent_encoded("No more than 5 größe; 100%"), "No more than 5 gr%C3%B6%C3%9Fe; 100%25");
        assert_eq!(percent_encoded("a\r\nb\u{7f}"), "a%0D%0Ab%7F");
    }

    #[test]
    fn a_wait_is_in_whole_milliseconds_of_32_bits() {
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::from_secs(41)), 41_000);
        assert_eq!(milliseconds(Duration::from_secs(365 * 86_400)), 2_147_483_647);
    }
}
