//! Who asks decides how much: quotas by request on layers, exempt clients, the request's own limiter, the client's address, its
//! own usage. The attribute's forms are in `quotas_by_request`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Extension, Path, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use rateguard::{
    Check, ClientIp, Decisions, Denied, Headers, HttpLimit, Key, KeyBy, OnError, Policy, Quota, RateGuard,
    RateLimitLayer, RateLimited, RequestLimiter, UserId, handlers, rate_limit, usage,
};
use rateguard_tests::{Answer, App, Log, RedisServer, connected, request};
use tracing::Level;

/// A limiter in memory, and one on Redis.
async fn limiters(server: &RedisServer) -> [RateGuard; 2] {
    [RateGuard::memory(), connected(RateGuard::builder(), server).await]
}

/// An app whose only layer is this one.
fn app(layer: RateLimitLayer, limiter: &RateGuard, routes: Router) -> App {
    App::with(limiter.clone(), Router::new()).map(|_| routes.layer(layer))
}

fn from(address: &str, path: &str) -> axum::http::Request<Body> {
    let mut request = request(path);
    let address: IpAddr = address.parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 4711))));
    request
}

#[derive(Clone, Copy)]
struct Plan(Option<u32>);

/// The layer's limit by plan.
fn by_plan() -> HttpLimit {
    HttpLimit::new("plan", Quota::per_minute(1), KeyBy::User).quota_by(|head| {
        let Plan(limit) = head.extensions.get::<Plan>().copied()?;
        Some(Quota::sliding_window(limit?, Duration::from_secs(60)))
    })
}

async fn as_user(app: &App, user: &str, limit: Option<u32>) -> Answer {
    let mut request = request("/");
    request.extensions_mut().insert(UserId::new(user));
    request.extensions_mut().insert(Plan(limit));
    app.send(request).await
}

#[tokio::test]
async fn a_layers_quota_is_that_of_the_request_and_an_upgrade_keeps_what_was_counted() {
    let server = RedisServer::start();
    for limiter in limiters(&server).await {
        let layer = RateLimitLayer::new(limiter.clone()).rule(by_plan()).headers(Headers::X_RATE_LIMIT | Headers::IETF);
        let app = app(layer, &limiter, Router::new().route("/", get(|| async {})));
        for (limit, status, left) in [(2, 200, 1), (2, 200, 0), (2, 429, 0), (5, 200, 2), (5, 200, 1), (2, 429, 0)] {
            let answer = as_user(&app, "ann", Some(limit)).await;
            assert_eq!((answer.status, answer.number("x-ratelimit-remaining")), (status, Some(left)), "{limit}");
            assert_eq!(answer.number("x-ratelimit-limit"), Some(limit));
            assert_eq!(answer.headers["ratelimit-policy"], format!("\"plan\";q={limit};w=60"));
            assert_eq!(answer.status == 429, answer.body.contains(&format!("No more than {limit} requests")));
        }
        let unlimited = as_user(&app, "ann", None).await;
        assert_eq!((unlimited.status, unlimited.number("x-ratelimit-limit")), (200, None), "not limited here");
        assert_eq!(as_user(&app, "bob", Some(2)).await.status, 200, "another user");
    }
}

#[tokio::test]
async fn what_two_servers_allow_a_client_who_upgrades_is_one_quota() {
    let server = RedisServer::start();
    let mut apps = Vec::new();
    for _ in 0..2 {
        let limiter = connected(RateGuard::builder(), &server).await;
        let layer = RateLimitLayer::new(limiter.clone()).rule(by_plan());
        apps.push(app(layer, &limiter, Router::new().route("/", get(|| async {}))));
    }
    let mut allowed = 0;
    for (i, limit) in [3, 3, 3, 3, 8, 8, 8, 8, 8, 8, 8, 8].into_iter().enumerate() {
        allowed += u32::from(as_user(&apps[i % 2], "ann", Some(limit)).await.status == 200);
    }
    assert_eq!(allowed, 8);
}

#[tokio::test]
async fn set_quota_leaves_quotas_by_request_alone_and_policies_says_so() {
    let (log, _guard) = Log::capture(Level::WARN);
    let limiter = RateGuard::memory();
    let layer = RateLimitLayer::new(limiter.clone()).rule(by_plan()).limit("other", Quota::per_minute(9), KeyBy::Ip);
    let app = app(layer, &limiter, Router::new().route("/", get(|| async {})));
    assert!(!limiter.set_quota("plan", Quota::per_minute(1)), "it does not apply");
    assert!(log.text().contains("each request decides"), "{}", log.text());
    assert_eq!(as_user(&app, "ann", Some(7)).await.number("x-ratelimit-remaining"), Some(6));
    let policies = limiter.policies();
    let [other, plan] = &policies[..] else { panic!("{policies:?}") };
    assert!(plan.is_by_request() && plan.quota().is_none() && !plan.is_overridden());
    assert!(!other.is_by_request() && other.quota() == Some(Quota::per_minute(9)));
}

#[tokio::test]
async fn peek_with_tells_the_count_under_a_plans_quota() {
    let server = RedisServer::start();
    for limiter in limiters(&server).await {
        let layer = RateLimitLayer::new(limiter.clone()).rule(by_plan());
        let app = app(layer, &limiter, Router::new().route("/", get(|| async {})));
        as_user(&app, "ann", Some(7)).await;
        let policy = Policy::try_new("plan", Quota::per_minute(1)).unwrap();
        let told = limiter.peek_with(&policy, Quota::per_minute(7), &Key::user("ann")).await.unwrap();
        assert_eq!((told.remaining(), told.limit()), (6, 7));
    }
}

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
async fn the_words_of_a_denial_name_the_unit_and_a_cost_above_the_limit_is_told_apart() {
    let limiter = RateGuard::builder()
        .on_denied(|denied: &Denied| format!("{denied}; {}; {:?}", denied.never(), denied.key().map(Key::kind)))
        .build()
        .unwrap();
    let limit = HttpLimit::new("tokens", Quota::per_minute(10), KeyBy::Global).unit("tokens");
    let layer = RateLimitLayer::new(limiter.clone()).rule(limit.cost(|head| head.uri.path().len()));
    let app = app(layer, &limiter, Router::new().fallback(|| async {}));
    assert_eq!(app.get("/1234567").await.status, 200);
    let soon = app.get("/1234567").await.body;
    assert!(
        soon.starts_with("No more than 10 tokens in 1 minute; try again in ")
            && soon.ends_with("; false; Some(\"global\")"),
        "{soon}"
    );
    let never = app.get("/12345678901").await.body;
    assert!(never.contains("; true; "), "{never}");
}

const INVITES: Policy = Policy::new("invites", Quota::per_hour(2));
const CLOSED: Policy = Policy::new("closed", Quota::per_hour(2)).on_error(OnError::Closed);

async fn invite(limiter: RequestLimiter, Path(address): Path<String>) -> Result<&'static str, RateLimited> {
    limiter.check(&INVITES, &Key::secret("address", &address)).await?;
    Ok("sent")
}

#[tokio::test]
async fn checks_of_the_requests_own_limiter_are_the_requests() {
    let server = RedisServer::start();
    for builder in [RateGuard::builder(), RateGuard::builder().redis(server.url()).deadline(Duration::from_secs(10))] {
        let limiter = builder
            .on_denied(|denied: &Denied| (StatusCode::IM_A_TEAPOT, denied.head().uri.path().to_owned()))
            .build()
            .unwrap();
        limiter.ready().await.unwrap();
        let layer = RateLimitLayer::new(limiter.clone()).limit("all", Quota::per_minute(100), KeyBy::Ip);
        let app = app(layer, &limiter, Router::new().route("/invite/{address}", get(invite)));
        let first = app.get("/invite/a@b").await;
        assert_eq!(
            (first.status, first.number("x-ratelimit-remaining")),
            (200, Some(1)),
            "its count is in the headers"
        );
        assert_eq!(app.get("/invite/a@b").await.status, 200);
        let denied = app.get("/invite/a@b").await;
        assert_eq!((denied.status, &*denied.body), (418, "/invite/a@b"), "the program's own answer");
        let policy = Policy::try_new("all", Quota::per_minute(100)).unwrap();
        let left = limiter.peek(&policy, &Key::ip([192, 0, 2, 1])).await.unwrap().remaining();
        assert_eq!(left, 98, "a denied request spends nothing of the layer's limit");
    }
}

#[tokio::test]
async fn several_checks_of_the_requests_own_limiter_are_decided_together() {
    async fn both(limiter: RequestLimiter) -> Result<String, RateLimited> {
        let (a, b) = (Key::new("list", "a"), Key::new("list", "b"));
        let decisions = limiter.check_all(&[Check::new(&INVITES, &a).cost(2), Check::new(&INVITES, &b)]).await?;
        Ok(decisions.iter().map(|decision| decision.remaining().to_string()).collect())
    }
    let app = App::new(Router::new().route("/", get(both)));
    assert_eq!(app.get("/").await.body, "01");
    assert_eq!(app.get("/").await.status, 429);
    let left = app.limiter.peek(&INVITES, &Key::new("list", "b")).await.unwrap().remaining();
    assert_eq!(left, 1, "none is charged");
}

#[tokio::test]
async fn a_degraded_429_and_a_503_are_told_apart() {
    let limiter = RateGuard::builder().redis("redis://127.0.0.1:1").on_error(OnError::Local).build().unwrap();
    let key = Key::user(1);
    for _ in 0..2 {
        limiter.check(&INVITES, &key).await.into_result().unwrap();
    }
    let denied = limiter.check(&INVITES, &key).await.into_result().unwrap_err();
    assert_eq!((denied.status(), denied.degraded(), denied.never()), (StatusCode::TOO_MANY_REQUESTS, true, false));
    assert!(denied.retry_after().is_some());
    let closed = limiter.check(&CLOSED, &key).await.into_result().unwrap_err();
    assert_eq!((closed.status(), closed.degraded(), closed.never()), (StatusCode::SERVICE_UNAVAILABLE, true, false));
}

#[tokio::test]
async fn the_clients_address_is_an_extractor_and_an_extension() {
    async fn whoami(address: ClientIp, Extension(also): Extension<ClientIp>) -> String {
        assert_eq!(address, also);
        address.to_string()
    }
    let limiter = RateGuard::builder().trusted_proxies(["10.0.0.0/8"]).build().unwrap();
    let app = App::with(limiter, Router::new().route("/", get(whoami)));
    assert_eq!(app.send(from("203.0.113.7", "/")).await.body, "203.0.113.7");
    let mut proxied = from("10.0.0.1", "/");
    proxied.headers_mut().insert("x-forwarded-for", "2001:db8::7".parse().unwrap());
    assert_eq!(app.send(proxied).await.body, "2001:db8::7", "the whole address, not its network");
}

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

/// How many calls of scripts the server has had.
fn calls(server: &RedisServer) -> u64 {
    let stats: String = server.command(&["INFO", "commandstats"]);
    let scripts = stats.lines().filter(|line| line.starts_with("cmdstat_eval"));
    scripts.filter_map(|line| line.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn a_client_is_told_its_own_quotas_in_one_call_and_without_being_counted() {
    #[rate_limit(limit = 5, window = 60, name = "search")]
    async fn search() {}
    #[rate_limit(limit = 5, window = 60, name = "item", key = id)]
    async fn item(Path(id): Path<u32>) {
        let _ = id;
    }
    let server = RedisServer::start();
    for limiter in limiters(&server).await {
        limiter.register_handlers(handlers![search, item]);
        let layer = RateLimitLayer::new(limiter.clone())
            .rule(by_plan())
            .rule(
                HttpLimit::new("writes", Quota::token_bucket(2, Duration::from_secs(60)).burst(4), KeyBy::Ip)
                    .methods([Method::POST]),
            )
            .rule(HttpLimit::new("quiet", Quota::per_minute(9), KeyBy::Ip).shadow(true))
            .rule(HttpLimit::new("inside", Quota::per_minute(9), KeyBy::Ip).exempt(["192.0.2.1"]));
        let routes = Router::new()
            .route("/search", get(search))
            .route("/item/{id}", get(item))
            .route("/post", post(|| async {}));
        let app = App::with(limiter.clone(), Router::new())
            .map(|_| routes.layer(layer).route("/usage", get(usage)).layer(RateLimitLayer::new(limiter.clone())));
        app.get("/search").await;
        app.post("/post", "").await;
        let mut asked = request("/usage");
        asked.extensions_mut().insert(UserId::new("ann"));
        asked.extensions_mut().insert(Plan(Some(7)));
        let before = calls(&server);
        let answer = app.send(asked).await;
        assert!(calls(&server) - before <= 1, "one call for all of them");
        assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (200, "application/json"));
        let told: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let mut quotas: Vec<_> = told["quotas"]
            .as_array()
            .unwrap()
            .iter()
            .map(|quota| {
                (
                    quota["policy"].as_str().unwrap(),
                    quota["limit"].as_u64().unwrap(),
                    quota["remaining"].as_u64().unwrap(),
                )
            })
            .collect();
        quotas.sort_unstable();
        assert_eq!(quotas, [("plan", 7, 7), ("search", 5, 4), ("writes", 4, 3)], "{}", answer.body);
        assert!(
            told["quotas"]
                .as_array()
                .unwrap()
                .iter()
                .all(|quota| quota["reset"].as_u64().is_some_and(|reset| reset <= 60))
        );
        let again = app.get("/usage").await.body;
        assert!(again.contains("\"search\",\"limit\":5,\"remaining\":4"), "{again}");
    }
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

#[tokio::test]
async fn middleware_outside_of_the_layer_sees_the_decisions() {
    async fn outside(request: Request, next: Next) -> Response {
        let mut response = next.run(request).await;
        let told = response.extensions().get::<Decisions>().map(|decisions| {
            decisions
                .iter()
                .map(|decision| format!("{}:{} ", decision.policy(), decision.remaining()))
                .collect::<Vec<_>>()
                .concat()
        });
        response.headers_mut().insert("x-told", told.unwrap_or_default().parse().unwrap());
        response
    }
    #[rate_limit(limit = 2, window = 60, name = "handler")]
    async fn handler() {}
    let limiter = RateGuard::memory();
    let layer =
        RateLimitLayer::new(limiter.clone()).limit("layer", Quota::per_minute(9), KeyBy::Ip).headers(Headers::NONE);
    let routes = Router::new().route("/", get(handler)).layer(layer).layer(middleware::from_fn(outside));
    let app = App::new(Router::new()).map(|_| routes);
    let told = async || app.get("/").await.headers["x-told"].to_str().unwrap().to_owned();
    assert_eq!(
        [told().await, told().await, told().await],
        ["layer:8 handler:1 ", "layer:7 handler:0 ", "layer:7 handler:0 "]
    );
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
async fn of_nested_layers_with_limiters_of_their_own_the_address_is_that_of_the_nearest() {
    async fn whoami(address: ClientIp, Extension(also): Extension<ClientIp>) -> String {
        format!("{address} {also}")
    }
    let outer = RateGuard::memory();
    let inner = RateGuard::builder().memory().trusted_proxies(["192.0.2.0/24"]).build().unwrap();
    let app = App::with(inner.clone(), Router::new().route("/", get(whoami)))
        .map(|routes| routes.layer(RateLimitLayer::new(outer)));
    assert_eq!(app.get_with("/", "x-forwarded-for", "203.0.113.7").await.body, "203.0.113.7 203.0.113.7");
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
