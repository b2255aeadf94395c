//! Uploads, limited by their size: 10 MiB per hour from one address.
//!
//! ```text
//! cargo run --example uploads
//! head -c 1500000 /dev/zero > /tmp/upload
//! curl -i --data-binary @/tmp/upload http://127.0.0.1:3000/upload                                     # takes 1465 KiB
//! curl -i -H 'transfer-encoding: chunked' --data-binary @/tmp/upload http://127.0.0.1:3000/upload     # the same in the end
//! for i in 1 2 3 4 5 6; do curl -s -w ' %{http_code}\n' --data-binary @/tmp/upload http://127.0.0.1:3000/upload; done
//! curl http://127.0.0.1:3000/usage                                                                    # what is left, in KiB
//! ```

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::routing::{get, post};
use rateguard::{ClientIp, Key, Policy, Quota, RateGuard, RateLimitLayer, handlers, rate_limit};

/// A constant, since the handler gives units of it back. Units are `u32`, so bytes are counted as KiB.
const UPLOADS: Policy = Policy::new("uploads", Quota::per_hour(10 * 1024)).unit("KiB");

/// One upload has at most 2 MiB. Of a larger one, no more than this is read.
const LARGEST: u32 = 2 * 1024;

/// The KiB that an upload announces, rounded up. Without a `Content-Length` it may be of any size, so it costs as much as
/// the largest upload. Otherwise everybody would leave the header out, or announce one byte beside `Transfer-Encoding:
/// chunked`, where the header does not count.
fn announced(headers: &HeaderMap) -> u32 {
    if headers.contains_key(TRANSFER_ENCODING) {
        return LARGEST;
    }
    let bytes = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    bytes.map_or(LARGEST, kib)
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).map_or(LARGEST, |kib| kib.clamp(1, LARGEST))
}

/// The charge is made before the body is read, so an upload over the quota is denied before it is received. If the client
/// breaks off, the upload stays charged.
#[rate_limit(policy = UPLOADS, key = "ip", cost = |req| announced(&req.headers))]
async fn upload(
    State(limiter): State<RateGuard>,
    ClientIp(address): ClientIp,
    headers: HeaderMap,
    body: Bytes,
) -> String {
    let received = kib(body.len() as u64);
    // Only an upload without a `Content-Length` has a surplus: the server receives as much as the header says.
    let surplus = announced(&headers).saturating_sub(received);
    if surplus > 0 {
        // An error means that the store does not answer. Then the client stays charged.
        let _ = limiter.refund(&UPLOADS, &Key::ip(address), surplus).await;
    }
    format!("received {received} KiB\n")
}

fn app(limiter: RateGuard) -> Router {
    limiter.register_handlers(handlers![upload]);
    Router::new()
        .route("/upload", post(upload))
        .layer(DefaultBodyLimit::max(LARGEST as usize * 1024))
        .route("/usage", get(rateguard::usage))
        .layer(RateLimitLayer::new(limiter.clone()))
        .with_state(limiter)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["curl -i --data-binary @Cargo.lock URL/upload"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;

    const CLIENT: [u8; 4] = [203, 0, 113, 7];

    /// Uploads so many bytes, which the header announces or not.
    async fn upload(app: &Router, bytes: usize, is_announced: bool) -> (u16, String) {
        let mut request = Request::post("/upload").extension(rateguard_examples::client(CLIENT));
        if is_announced {
            request = request.header(CONTENT_LENGTH, bytes);
        }
        let response = app.clone().oneshot(request.body(Body::from(vec![0; bytes])).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn left(limiter: &RateGuard) -> u32 {
        limiter.peek(&UPLOADS, &Key::ip(CLIENT)).await.unwrap().remaining()
    }

    #[tokio::test]
    async fn an_upload_costs_its_size_and_the_denial_says_what_is_counted() {
        let limiter = RateGuard::memory();
        let app = app(limiter.clone());
        assert_eq!(upload(&app, 1_500_000, true).await, (200, "received 1465 KiB\n".to_owned()));
        assert_eq!(left(&limiter).await, 10 * 1024 - 1465);
        assert_eq!(upload(&app, 0, true).await.0, 200);
        assert_eq!(left(&limiter).await, 10 * 1024 - 1466, "an empty one costs 1");
        for _ in 0..5 {
            assert_eq!(upload(&app, 1_500_000, true).await.0, 200);
        }
        let (status, body) = upload(&app, 1_500_000, true).await;
        assert_eq!(status, 429);
        assert!(body.contains("No more than 10240 KiB in 1 hour"), "{body}");
        assert_eq!(upload(&app, 1_000_000, true).await.0, 200, "a smaller one still has room");
    }

    #[tokio::test]
    async fn an_upload_of_unknown_size_costs_the_largest_until_it_is_received() {
        let limiter = RateGuard::memory();
        let app = app(limiter.clone());
        assert_eq!(upload(&app, 1_500_000, false).await.0, 200);
        assert_eq!(left(&limiter).await, 10 * 1024 - 1465, "the surplus is given back");
        for _ in 0..5 {
            upload(&app, 1_500_000, true).await;
        }
        assert!(left(&limiter).await < LARGEST);
        assert_eq!(upload(&app, 1, false).await.0, 429, "it could be of any size");
        assert_eq!(upload(&app, 1, true).await.0, 200);
    }

    #[test]
    fn a_length_beside_chunks_announces_nothing() {
        let headers = HeaderMap::from_iter([
            (CONTENT_LENGTH, "1".parse().unwrap()),
            (TRANSFER_ENCODING, "chunked".parse().unwrap()),
        ]);
        assert_eq!(announced(&headers), LARGEST);
    }

    #[tokio::test]
    async fn an_upload_that_is_too_large_costs_what_is_read_of_it() {
        let limiter = RateGuard::memory();
        let app = app(limiter.clone());
        for is_announced in [true, false] {
            assert_eq!(upload(&app, 3_000_000, is_announced).await.0, 413);
        }
        assert_eq!(left(&limiter).await, 10 * 1024 - 2 * LARGEST);
    }
}
