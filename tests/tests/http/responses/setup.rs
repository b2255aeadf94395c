//! What is not as it should be, and what is counted nevertheless.

use super::*;

#[tokio::test]
async fn a_request_whose_extractors_fail_is_still_counted() {
    let app = Router::new().route("/", post(create)).layer(RateLimitLayer::new(RateGuard::memory()));
    let address = serve(app).await;
    let response = Client::new().post(format!("http://{address}/")).body("x").send().await.unwrap();
    assert_eq!(response.status(), 415);
    assert_eq!(quota_headers(&response).1, Some(0));
}

#[tokio::test]
async fn a_handler_without_the_layer_answers_500() {
    let address = serve(Router::new().route("/three", get(three))).await;
    assert_eq!(fetch(address, "/three").await.status(), 500);
}

#[tokio::test]
async fn a_limit_by_address_without_addresses_answers_500() {
    use tower::ServiceExt;
    for app in [
        Router::new().route("/", get(three)).layer(RateLimitLayer::new(RateGuard::memory())),
        Router::new().route("/", get(|| async {})).layer(RateLimitLayer::new(RateGuard::memory()).limit(
            "global",
            quota(5),
            KeyBy::Ip,
        )),
    ] {
        let request = Request::builder().uri("/").body(axum::body::Body::empty()).unwrap();
        assert_eq!(app.oneshot(request).await.unwrap().status(), 500);
    }
}

#[tokio::test]
async fn a_shadow_policy_counts_but_neither_denies_nor_shows() {
    let layer = RateLimitLayer::new(RateGuard::memory())
        .rule(HttpLimit::new("shadow", quota(1), KeyBy::Global).shadow(true))
        .limit("real", quota(9), KeyBy::Global);
    let address = serve(Router::new().route("/", get(|| async {})).layer(layer)).await;
    for remaining in (4..9).rev() {
        let response = fetch(address, "/").await;
        assert_eq!(response.status(), 200);
        let (limit, left, _) = quota_headers(&response);
        assert_eq!((limit, left), (Some(9), Some(remaining)), "the other limit counts as if there were no shadow");
    }
}

#[tokio::test]
async fn a_service_that_was_not_ready_is_not_called() {
    use std::convert::Infallible;
    use std::task::{Context, Poll};
    use tower::{Layer, Service, ServiceExt};

    /// Only the instance that said it was ready may be called.
    #[derive(Default)]
    struct Strict {
        ready: bool,
        calls: Arc<AtomicUsize>,
    }
    impl Clone for Strict {
        fn clone(&self) -> Strict {
            Strict { ready: false, calls: Arc::clone(&self.calls) }
        }
    }
    impl Service<Request> for Strict {
        type Response = axum::response::Response;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called without being ready");
            self.calls.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(axum::response::Response::default()))
        }
    }

    let server = RedisServer::start();
    for limiter in [RateGuard::memory(), connected(RateGuard::builder(), &server).await] {
        let strict = Strict::default();
        let mut service = RateLimitLayer::new(limiter).limit("l", quota(3), KeyBy::Global).layer(strict.clone());
        for status in [200, 200, 200, 429, 429] {
            let response = service.ready().await.unwrap().call(Request::default()).await.unwrap();
            assert_eq!(response.status(), status);
        }
        assert_eq!(strict.calls.load(Ordering::Relaxed), 3, "a denied request never reaches the service");
    }
}
