//! What each limit of a layer has of its own.

use super::*;

#[tokio::test]
async fn one_layer_has_limits_with_costs_methods_skips_and_refunds_of_their_own() {
    let limiter = RateGuard::memory();
    let layer = RateLimitLayer::new(limiter.clone())
        .rule(HttpLimit::new("writes", Quota::per_minute(2), KeyBy::Ip).methods([Method::POST]))
        .rule(HttpLimit::new("units", Quota::per_minute(10), KeyBy::Ip).cost(|head| head.uri.path().len()))
        .rule(
            HttpLimit::new("failures", Quota::per_minute(3), KeyBy::Ip)
                .refund_if(|response| response.status().is_success()),
        )
        .rule(
            HttpLimit::new("few", Quota::per_minute(1), KeyBy::all([KeyBy::Ip, KeyBy::header("x-tenant")]))
                .skip(|head| head.uri.path() != "/few"),
        );
    let routes = Router::new().route("/", get(|| async {}).post(|| async {})).route("/few", get(|| async {}));
    let app = app(layer, &limiter, routes);
    let left = async |name: &str, quota: u32, key: Key| {
        let policy = Policy::try_new(name.to_owned(), Quota::per_minute(quota)).unwrap();
        limiter.peek(&policy, &key).await.unwrap().remaining()
    };
    let client = || Key::ip([192, 0, 2, 1]);
    assert_eq!(app.get("/").await.status, 200);
    assert_eq!(left("writes", 2, client()).await, 2, "only POST counts");
    assert_eq!(left("units", 10, client()).await, 9);
    assert_eq!(left("failures", 3, client()).await, 3, "a success is given back");
    assert_eq!(
        [app.post("/", "").await.status, app.post("/", "").await.status, app.post("/", "").await.status],
        [200, 200, 429]
    );
    assert_eq!(left("units", 10, client()).await, 7, "a denied request spends nothing");
    assert_eq!(app.get_with("/few", "x-tenant", "a").await.status, 200);
    let tenant = Key::composite([client(), Key::secret("header.x-tenant", "a")]);
    assert_eq!(left("few", 1, tenant).await, 0);
}

#[tokio::test]
async fn exempt_clients_are_not_counted_by_the_limiter_the_layer_or_the_limit_that_exempts_them() {
    #[rate_limit(limit = 1, window = 60, name = "handler")]
    async fn handler() {}
    let limiter = RateGuard::builder().exempt(["192.0.2.9", "loopback"]).build().unwrap();
    let layer = RateLimitLayer::new(limiter.clone())
        .rule(HttpLimit::new("a", Quota::per_minute(1), KeyBy::Ip).exempt(["198.51.100.0/24"]))
        .exempt(["2001:db8::/32"]);
    let app = app(layer, &limiter, Router::new().route("/", get(|| async {})).route("/handler", get(handler)));
    let thrice = async |address: &str, path: &str| {
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(app.send(from(address, path)).await.status);
        }
        statuses
    };
    for exempt in ["192.0.2.9", "127.0.0.1", "::1", "::ffff:192.0.2.9", "198.51.100.7", "2001:db8::7"] {
        assert_eq!(thrice(exempt, "/").await, [200; 3], "{exempt}");
    }
    assert_eq!(thrice("192.0.2.8", "/").await, [200, 429, 429]);
    assert_eq!(thrice("192.0.2.9", "/handler").await, [200; 3]);
    assert_eq!(thrice("2001:db8::7", "/handler").await, [200, 429, 429], "the layer exempts from its own limits alone");
    for (text, hint) in [
        ("10.0.0.1/8", "neither the network"),
        ("office", "use an address or a network"),
        ("0.0.0.0/0", "every client"),
    ] {
        let error = RateGuard::builder().exempt([text]).build().unwrap_err();
        assert!(error.to_string().contains(hint) && error.setting() == "exempt", "{error}");
    }
}

#[tokio::test]
async fn a_limit_of_0_in_shadow_mode_changes_nothing_about_the_limits_beside_it() {
    #[rate_limit(limit = |_| 0, window = 60, name = "nothing", shadow = true, refund_if = |_| true)]
    #[rate_limit(limit = 3, window = 60, name = "beside")]
    async fn handler() {}
    let server = RedisServer::start();
    for limiter in limiters(&server).await {
        let app = App::with(limiter, Router::new().route("/", get(handler)));
        assert_eq!(
            app.statuses(&["/"; 4]).await,
            [200, 200, 200, 429],
            "its refund_if is not that of the limit beside it"
        );
    }
}

#[tokio::test]
async fn a_policy_that_a_limit_gives_a_quota_by_request_is_by_request_whoever_has_it_first() {
    const API: Policy = Policy::new("api", Quota::per_minute(60));
    let limiter = RateGuard::memory();
    limiter.register(&API);
    let _layer = RateLimitLayer::new(limiter.clone())
        .rule(HttpLimit::from_policy(API, KeyBy::Ip).quota_by(|_| Quota::per_minute(6)));
    assert!(!limiter.set_quota("api", Quota::per_minute(1)), "it would not apply");
    assert!(limiter.policies()[0].is_by_request());
}

#[tokio::test]
async fn whoever_comes_through_an_exempt_proxy_without_a_readable_address_is_counted() {
    #[rate_limit(limit = 1, window = 60, exempt = ["192.0.2.0/24"])]
    async fn handler() {}
    let limiter = RateGuard::builder().memory().trusted_proxies(["192.0.2.0/24"]).build().unwrap();
    let app = App::with(limiter, Router::new().route("/", get(handler)));
    assert_eq!(app.statuses(&["/"; 3]).await, [200, 200, 200], "the proxy itself");
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(app.get_with("/", "x-forwarded-for", "unknown").await.status);
    }
    assert_eq!(told, [200, 429]);
}

#[tokio::test]
async fn limits_of_one_name_for_different_keys_keep_their_own_refund_if() {
    const A: Policy = Policy::new("same", Quota::per_minute(2));
    const B: Policy = A;
    #[rate_limit(policy = A, key = "ip", refund_if = |_| true)]
    #[rate_limit(policy = B, key = "global")]
    async fn handler() {}
    let app = App::new(Router::new().route("/", get(handler)));
    assert_eq!(app.statuses(&["/"; 3]).await, [200, 200, 429]);
}

#[tokio::test]
async fn beside_a_limit_of_0_the_others_are_told_and_not_charged() {
    #[rate_limit(limit = |_| 0, window = 60, name = "nothing")]
    #[rate_limit(limit = 2, window = 60, name = "beside")]
    async fn handler() {}
    async fn outside(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        let decisions = response.extensions().get::<Decisions>().unwrap();
        let told: Vec<_> = decisions.iter().map(|one| format!("{}:{}", one.policy(), one.allowed())).collect();
        response.headers_mut().insert("x-told", told.join(" ").parse().unwrap());
        response
    }
    let server = RedisServer::start();
    for limiter in limiters(&server).await {
        let app = App::with(limiter.clone(), Router::new().route("/", get(handler)))
            .map(|routes| routes.layer(middleware::from_fn(outside)));
        let denied = app.get("/").await;
        assert_eq!((denied.status, denied.headers["x-told"].to_str().unwrap()), (429, "nothing:false beside:true"));
        assert_eq!((denied.number("x-ratelimit-limit"), denied.number("retry-after")), (Some(0), None));
        let beside = Policy::try_new("beside", Quota::per_minute(2)).unwrap();
        assert_eq!(limiter.peek(&beside, &Key::ip([192, 0, 2, 1])).await.unwrap().remaining(), 2);
    }
}
