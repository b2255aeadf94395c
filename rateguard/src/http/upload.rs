//! Uploads that are denied before they are read.
//!
//! A server cannot go on with an HTTP/1 connection before the body that it did not want is out of the way. hyper drops
//! what has arrived already, some 16 KB at most, and closes the connection if that is not all of it. It does not say so,
//! since the head of the answer is gone by then; a client that is not told sends its next request into a closed
//! connection. Whether all of a body has arrived cannot be seen here, so its length decides.

use axum::http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Version};
use axum::response::Response;

/// A body of so many bytes nearly always arrives with its head, and the connection goes on.
const SMALL: u64 = 4096;

/// Whether a request's body is probably still on its way.
///
/// HTTP/2 ends the request's stream, and has no such header.
pub(super) fn is_on_its_way(head: &Parts) -> bool {
    if head.version > Version::HTTP_11 {
        return false;
    }
    // How long a chunked body is, nobody knows yet.
    if head.headers.contains_key(TRANSFER_ENCODING) {
        return true;
    }
    let length = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length {
        None | Some(0) => false,
        // Whoever expects to be asked for the body has not sent it (RFC 9110, section 10.1.1).
        Some(length) => length > SMALL || head.headers.contains_key(EXPECT),
    }
}

/// Says that the connection ends with this answer (RFC 9112, section 9.6), and makes hyper end it.
pub(super) fn cut_off(response: &mut Response) {
    response.headers_mut().entry(CONNECTION).or_insert(HeaderValue::from_static("close"));
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    #[test]
    fn a_body_is_on_its_way_if_it_is_large_chunked_or_expected_and_the_connection_has_no_streams() {
        for (headers, expected) in [
            (&[][..], false),
            (&[("content-length", "0")], false),
            (&[("content-length", "4096")], false),
            (&[("content-length", "4097")], true),
            (&[("content-length", "x")], false),
            (&[("content-length", "1"), ("expect", "100-continue")], true),
            (&[("expect", "100-continue")], false),
            (&[("transfer-encoding", "chunked")], true),
        ] {
            for (version, matters) in [(Version::HTTP_10, true), (Version::HTTP_11, true), (Version::HTTP_2, false)] {
                let request = Request::builder().version(version);
                let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
                let (head, ()) = request.body(()).unwrap().into_parts();
                assert_eq!(is_on_its_way(&head), expected && matters, "{headers:?} {version:?}");
            }
        }
    }
}
