//! A request through the layer alone, around a service that answers at once, without a router.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use divan::Bencher;
use futures_util::FutureExt;
use rateguard::{Headers, KeyBy, Quota, RateGuard, RateLimitLayer, UserId};
use tower::{Layer, Service, service_fn};

/// Large enough to allow every request.
const QUOTA: Quota = Quota::sliding_window(1_000_000, Duration::from_millis(10));

/// Measures requests to a service behind such a limit.
pub(crate) fn limited(bencher: Bencher<'_, '_>, headers: Headers, by: KeyBy) {
    let layer = RateLimitLayer::new(RateGuard::memory()).limit("micro", QUOTA, by).headers(headers);
    answers(bencher, layer.layer(service_fn(hello)));
}

/// Measures requests to a service.
pub(crate) fn answers<S>(bencher: Bencher<'_, '_>, mut service: S)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    // divan drops the answers after it has taken the time.
    bencher.with_inputs(request).bench_local_values(move |request| service.call(request).now_or_never());
}

pub(crate) fn hello(_: Request<Body>) -> Ready<Result<Response<Body>, Infallible>> {
    ready(Ok(Response::new(Body::empty())))
}

fn request() -> Request<Body> {
    let mut request = Request::builder()
        .uri("/search?q=axum")
        .header("host", "localhost")
        .header("cookie", "theme=dark; session=0123456789abcdef")
        .header("x-api-key", "key-00000001")
        .body(Body::empty())
        .expect("a request");
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
    request.extensions_mut().insert(UserId::new(7));
    request
}

/// By the source of the key, without headers.
#[divan::bench_group(sample_count = 200, sample_size = 1000)]
mod key_by {
    use super::{Bencher, Headers, KeyBy, limited};

    #[divan::bench]
    fn address(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::NONE, KeyBy::Ip);
    }

    #[divan::bench]
    fn global(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::NONE, KeyBy::Global);
    }

    #[divan::bench]
    fn user(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::NONE, KeyBy::User);
    }

    #[divan::bench]
    fn header(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::NONE, KeyBy::header("x-api-key"));
    }

    #[divan::bench]
    fn cookie(bencher: Bencher<'_, '_>) {
        limited(bencher, Headers::NONE, KeyBy::cookie("session"));
    }
}
