//! What stands behind the layer.

use super::*;

/// A service that takes a permit when it is asked whether it is ready, as `tower`'s `concurrency_limit` does.
struct OneAtATime {
    permits: Arc<tokio::sync::Semaphore>,
    permit: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Clone for OneAtATime {
    fn clone(&self) -> OneAtATime {
        OneAtATime { permits: self.permits.clone(), permit: None }
    }
}

impl Service<Request<Body>> for OneAtATime {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Response<Body>, std::convert::Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.permit.is_none() {
            self.permit = self.permits.clone().try_acquire_owned().ok();
        }
        if self.permit.is_some() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(self.permit.take().is_some(), "called without having been ready");
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_request_holds_no_permit_of_the_service_behind() {
    let server = RedisServer::start();
    let shared = rateguard_tests::connected(RateGuard::builder(), &server).await;
    for limiter in [RateGuard::memory(), shared] {
        let permits = Arc::new(tokio::sync::Semaphore::new(1));
        let layer = RateLimitLayer::new(limiter).limit("one", Quota::sliding_window(1, MINUTE), KeyBy::Global);
        let mut service = layer.layer(OneAtATime { permits: permits.clone(), permit: None });
        // The last one is denied from the deny cache, where there is one.
        for status in [200, 429, 429] {
            let response = service.ready().await.unwrap().call(request("/")).await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(permits.available_permits(), 1, "after a {status}");
        }
    }
}
