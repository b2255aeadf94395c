//! Mistakes in the setup, and handlers that are registered.

use super::*;

#[tokio::test]
async fn without_the_layer_the_extractors_and_the_usage_answer_500_and_the_log_says_what_to_add() {
    let (log, _guard) = Log::capture(Level::WARN);
    let routes = Router::new()
        .route("/ip", get(|ClientIp(address): ClientIp| async move { address.to_string() }))
        .route("/invite/{address}", get(invite))
        .route("/usage", get(usage));
    let app = App::new(Router::new()).map(|_| routes);
    for path in ["/ip", "/invite/a", "/usage"] {
        assert_eq!(app.get(path).await.status, 500, "{path}");
    }
    assert_eq!(log.text().matches(".layer(rateguard::RateLimitLayer::new(limiter))").count(), 3, "{}", log.text());
}

#[tokio::test]
async fn a_programs_own_answer_to_a_mistake_in_its_setup_is_given_everywhere() {
    #[rate_limit(limit = 1, window = 60)]
    async fn by_ip() {}
    #[rate_limit(limit = 1, window = 60, key = id, cost = 1)]
    async fn deferred(Path(id): Path<u32>) {
        let _ = id;
    }
    #[rate_limit(limit = 1, window = 60, key = "path:missing")]
    async fn by_path() {}
    let limiter = RateGuard::builder()
        .on_setup_error(|error| {
            assert!(error.to_string().contains("500"), "{error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "{\"error\":\"internal\"}")
        })
        .build()
        .unwrap();
    let routes = Router::new()
        .route("/", get(by_ip))
        .route("/path", get(by_path))
        .route("/ip", get(|_: ClientIp| async {}))
        .route("/usage", get(usage))
        .route(
            "/layer",
            get(|| async {}).layer(RateLimitLayer::new(limiter.clone()).limit("l", Quota::per_minute(1), KeyBy::Ip)),
        );
    let app = routes.layer(
        RateLimitLayer::new(limiter.clone())
            .rule(HttpLimit::new("x", Quota::per_minute(1), KeyBy::Ip).methods([Method::PUT])),
    );
    for path in ["/", "/path", "/ip", "/usage", "/layer"] {
        let response = tower::ServiceExt::oneshot(app.clone(), request(path)).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!((status.as_u16(), &body[..]), (500, &b"{\"error\":\"internal\"}"[..]), "{path}");
    }
    let _ = deferred;
}

#[tokio::test]
async fn handlers_are_known_before_their_first_request_when_they_are_registered() {
    #[rate_limit(limit = 5, window = 60, name = "search")]
    async fn search() {}
    #[rate_limit(limit = 3, window = 60, name = "reset")]
    async fn reset(_: Path<u32>, _: Request) {}
    let limiter = RateGuard::builder()
        .quota("search", Quota::per_minute(1))
        .quota("serach", Quota::per_minute(1))
        .build()
        .unwrap();
    assert_eq!(limiter.unmatched_quotas(), ["search", "serach"]);
    limiter.register_handlers(handlers![search, reset]);
    limiter.register(&INVITES);
    assert_eq!(limiter.unmatched_quotas(), ["serach"]);
    let known: Vec<_> =
        limiter.policies().iter().map(|policy| (policy.name().to_owned(), policy.is_overridden())).collect();
    assert_eq!(known, [("invites".to_owned(), false), ("reset".to_owned(), false), ("search".to_owned(), true)]);
}
