//! Quotas that depend on who asks, policies that code shares with the attribute, exempt clients, and the keys by which a
//! support desk finds a count.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::routing::get;
use rateguard::{Headers, Key, ManualClock, Policy, PolicyInfo, Quota, RateGuard, UserId, rate_limit};
use rateguard_tests::{App, request};
use serde::Deserialize;

const MINUTE: Duration = Duration::from_secs(60);

/// Who asks, as the test's requests say it themselves.
#[derive(Clone, Deserialize)]
struct User {
    name: String,
    plan: Plan,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Plan {
    Blocked,
    Free,
    Pro,
    Internal,
}

impl Plan {
    const fn per_minute(self) -> u32 {
        match self {
            Plan::Blocked => 0,
            Plan::Free => 2,
            Plan::Pro => 5,
            Plan::Internal => 1000,
        }
    }

    fn quota(self) -> Option<Quota> {
        match self {
            Plan::Internal => None,
            Plan::Pro => Some(Quota::per_minute(5)),
            Plan::Free | Plan::Blocked => Some(Quota::per_minute(2)),
        }
    }
}

/// The plan in the query of the request.
fn plan(head: &Parts) -> Plan {
    match head.uri.query() {
        Some(query) if query.contains("pro") => Plan::Pro,
        Some(query) if query.contains("internal") => Plan::Internal,
        Some(query) if query.contains("blocked") => Plan::Blocked,
        _ => Plan::Free,
    }
}

/// What a policy allows to the client of the tests.
async fn peeked(app: &App, policy: &'static str, quota: Quota, key: &Key) -> u32 {
    app.limiter.peek(&Policy::new(policy, quota), key).await.unwrap().remaining()
}

fn client() -> Key {
    Key::ip([192, 0, 2, 1])
}

fn with_clock(routes: Router) -> (App, ManualClock) {
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().clock(clock.clone()).headers(Headers::X_RATE_LIMIT | Headers::IETF).build();
    (App::with(limiter.unwrap(), routes), clock)
}

mod limit_of_the_request {
    use super::*;

    #[rate_limit(limit = |req| plan(req).per_minute(), window = 60, name = "by-head")]
    async fn by_head() {}

    #[rate_limit(limit = user.plan.per_minute(), window = "1m", key = user.name, name = "by-user")]
    async fn by_user(Query(user): Query<User>) {
        drop(user);
    }

    #[rate_limit(limit = Some(user.plan.per_minute()).filter(|limit| *limit < 1000), window = 60, key = user.name)]
    async fn or_none(Query(user): Query<User>) {
        drop(user);
    }

    #[rate_limit(limit = &size, window = MINUTE, algorithm = "token_bucket", burst = BURST)]
    async fn bucket(Path(size): Path<i64>) {
        let _: i64 = size;
    }

    const BURST: u32 = 3;

    #[tokio::test]
    async fn a_closure_over_the_head_gives_the_limit() {
        let (app, _) = with_clock(Router::new().route("/", get(by_head)));
        for (limit, remaining, status) in [(2, 1, 200), (2, 0, 200), (2, 0, 429)] {
            let answer = app.get("/").await;
            assert_eq!(answer.status, status);
            assert_eq!(answer.number("x-ratelimit-limit"), Some(limit));
            assert_eq!(answer.number("x-ratelimit-remaining"), Some(remaining));
        }
        assert_eq!(app.statuses(&["/?pro", "/?pro", "/?pro", "/?pro"]).await, [200, 200, 200, 429]);
        assert_eq!(app.get("/?pro").await.headers["ratelimit-policy"], r#""by-head";q=5;w=60"#);
    }

    #[tokio::test]
    async fn who_changes_plan_within_a_window_keeps_what_was_counted() {
        let (app, clock) = with_clock(Router::new().route("/", get(by_user)));
        let (free, pro) = ("/?name=ada&plan=free", "/?name=ada&plan=pro");
        assert_eq!(app.statuses(&[free, free, free]).await, [200, 200, 429]);
        let upgraded = app.get(pro).await;
        assert_eq!((upgraded.status, upgraded.number("x-ratelimit-limit")), (200, Some(5)));
        assert_eq!(upgraded.number("x-ratelimit-remaining"), Some(2), "5 less the 2 of before and this one");
        assert_eq!(upgraded.headers["ratelimit-policy"], r#""by-user";q=5;w=60"#);
        assert_eq!(app.statuses(&[pro, pro, pro]).await, [200, 200, 429]);
        assert_eq!(app.get(free).await.status, 429, "back on the smaller plan");
        assert_eq!(app.get("/?name=bob&plan=free").await.status, 200, "another user");
        assert_eq!(peeked(&app, "by-user", Quota::per_minute(5), &Key::new("user.name", "ada")).await, 0);
        clock.advance(MINUTE);
        assert_eq!(app.statuses(&[free, free, free]).await, [200, 200, 429]);
    }

    #[tokio::test]
    async fn a_limit_of_0_denies_always_and_says_no_time_to_wait_for() {
        let (app, clock) = with_clock(Router::new().route("/", get(by_user)).route("/head", get(by_head)));
        for path in ["/?name=eve&plan=blocked", "/head?blocked"] {
            for _ in 0..2 {
                let answer = app.get(path).await;
                assert_eq!((answer.status, answer.number("x-ratelimit-limit")), (429, Some(0)), "{path}");
                assert!(!answer.headers.contains_key("retry-after"), "{answer:?}");
                assert!(answer.body.contains("\"No requests are allowed\""), "{answer:?}");
                clock.advance(MINUTE);
            }
        }
        assert_eq!(app.get("/?name=eve&plan=free").await.status, 200, "no denial was charged");
    }

    #[tokio::test]
    async fn no_limit_is_not_counted() {
        let app = App::new(Router::new().route("/", get(or_none)));
        for _ in 0..3 {
            let answer = app.get("/?name=root&plan=internal").await;
            assert_eq!((answer.status, answer.headers.get("x-ratelimit-limit")), (200, None));
        }
        let answer = app.get("/?name=root&plan=pro").await;
        assert_eq!(answer.number("x-ratelimit-remaining"), Some(4), "nothing was counted before");
    }

    #[tokio::test]
    async fn a_bucket_keeps_its_burst_and_takes_its_rate_from_the_request() {
        let (app, clock) = with_clock(Router::new().route("/{size}", get(bucket)));
        assert_eq!(app.statuses(&["/6", "/6", "/6", "/6"]).await, [200, 200, 200, 429]);
        clock.advance(MINUTE / 6);
        assert_eq!(app.statuses(&["/6", "/6"]).await, [200, 429], "one token in a sixth of a minute");
        clock.advance(MINUTE);
        assert_eq!(app.statuses(&["/-1", "/0", "/6"]).await, [429, 429, 200]);
    }
}

mod quota_of_the_request {
    use super::*;

    #[rate_limit(quota = |req| plan(req).quota(), name = "by-head")]
    async fn by_head() {}

    #[rate_limit(quota = |req: &Parts| { let plan = plan(req); Quota::fixed_window(plan.per_minute(), MINUTE) })]
    async fn always_one() {}

    #[rate_limit(quota = user.plan.quota(), key = user.name, name = "by-user")]
    async fn by_user(Query(user): Query<User>) {
        drop(user);
    }

    #[rate_limit(quota = *quota, key = "global")]
    async fn by_state(State(quota): State<&'static Quota>) {
        let _: &Quota = quota;
    }

    static SMALLEST: Quota = Quota::per_minute(1);

    // Only one of the two depends on who asks.
    #[rate_limit(quota = user.plan.quota(), key = user.name, name = "plan")]
    #[rate_limit(quota = "4/1m", name = "all")]
    async fn stacked(Query(user): Query<User>) {
        drop(user);
    }

    #[tokio::test]
    async fn a_closure_gives_a_quota_or_none() {
        let app = App::new(Router::new().route("/", get(by_head)).route("/always", get(always_one)));
        assert_eq!(app.statuses(&["/", "/", "/", "/?pro", "/?internal"]).await, [200, 200, 429, 200, 200]);
        let answer = app.get("/?internal").await;
        assert_eq!(answer.headers.get("x-ratelimit-limit"), None, "not limited here, so not counted");
        assert_eq!(peeked(&app, "by-head", Quota::per_minute(5), &client()).await, 2);
        assert_eq!(app.statuses(&["/always", "/always", "/always"]).await, [200, 200, 429]);
    }

    #[tokio::test]
    async fn an_expression_over_the_arguments_gives_a_quota_or_none() {
        let app = App::new(Router::new().route("/", get(by_user)));
        let (free, internal) = ("/?name=ada&plan=free", "/?name=ada&plan=internal");
        assert_eq!(app.statuses(&[free, internal, internal, free, free]).await, [200, 200, 200, 200, 429]);
        assert_eq!(app.get(internal).await.status, 200);
        let app = App::new(Router::new().route("/", get(by_state)).with_state(&SMALLEST));
        assert_eq!(app.statuses(&["/", "/"]).await, [200, 429]);
    }

    #[tokio::test]
    async fn a_limit_beside_it_is_decided_together_with_it() {
        let app = App::new(Router::new().route("/", get(stacked)));
        let (free, internal) = ("/?name=ada&plan=free", "/?name=root&plan=internal");
        assert_eq!(app.statuses(&[free, free, free]).await, [200, 200, 429]);
        assert_eq!(app.statuses(&[internal, internal, internal]).await, [200, 200, 429], "the denial was not charged");
    }

    #[tokio::test]
    async fn quotas_set_at_run_time_leave_it_alone() {
        let app = App::new(Router::new().route("/", get(by_head)));
        app.limiter.set_quota("by-head", Quota::per_minute(1));
        assert_eq!(app.statuses(&["/?pro", "/?pro", "/"]).await, [200, 200, 429]);
    }
}

mod constant_quota {
    use super::*;

    const SEARCH: Quota = Quota::sliding_window(2, MINUTE);

    #[rate_limit(quota = "2/60s")]
    async fn text() {}
    #[rate_limit(quota = " token_bucket : 2/1m :burst=3")]
    async fn bucket() {}
    #[rate_limit(quota = "fixed_window:1/1500us", name = "fine")]
    async fn fine() {}
    #[rate_limit(quota = SEARCH)]
    async fn named() {}
    #[rate_limit(quota = Quota::per_minute(2), cost = 2, name = "call")]
    async fn call() {}
    #[rate_limit(quota = if cfg!(debug_assertions) { Quota::per_hour(1) } else { SEARCH })]
    async fn chosen() {}

    #[tokio::test]
    async fn is_a_text_or_a_constant() {
        let routes = Router::new()
            .route("/text", get(text))
            .route("/bucket", get(bucket))
            .route("/fine", get(fine))
            .route("/named", get(named))
            .route("/call", get(call))
            .route("/chosen", get(chosen));
        let (app, _) = with_clock(routes);
        assert_eq!(app.statuses(&["/text", "/text", "/text"]).await, [200, 200, 429]);
        assert_eq!(app.statuses(&["/bucket", "/bucket", "/bucket", "/bucket"]).await, [200, 200, 200, 429]);
        assert_eq!(app.statuses(&["/fine", "/fine"]).await, [200, 429]);
        assert_eq!(app.statuses(&["/named", "/named", "/named"]).await, [200, 200, 429]);
        assert_eq!(app.statuses(&["/call", "/call"]).await, [200, 429]);
        assert_eq!(app.get("/chosen").await.status, 200);
        let quotas: Vec<String> =
            app.limiter.policies().iter().filter_map(PolicyInfo::quota).map(|quota| quota.to_string()).collect();
        assert!(quotas.contains(&"token_bucket:2/1m:burst=3".to_owned()), "{quotas:?}");
        assert!(quotas.contains(&"fixed_window:1/1500us".to_owned()), "{quotas:?}");
    }

    #[tokio::test]
    async fn is_replaced_by_one_that_is_set_at_run_time() {
        let app = App::new(Router::new().route("/", get(call)));
        app.limiter.set_quota("call", Quota::per_minute(4));
        assert_eq!(app.statuses(&["/", "/", "/"]).await, [200, 200, 429]);
    }
}

mod shared_policy {
    use super::*;

    const LOGIN: Policy = Policy::new("login", Quota::per_hour(2)).unit("attempts");

    #[rate_limit(policy = LOGIN, key = account)]
    async fn log_in(Path(account): Path<String>) {
        drop(account);
    }

    #[rate_limit(policy = self::LOGIN, key = "path:account", exempt = ["loopback"], cost = 2)]
    async fn by_head(Path(account): Path<String>) {
        drop(account);
    }

    struct Api;

    #[rate_limit]
    impl Api {
        const POLICY: Policy = Policy::new("api", Quota::per_hour(1)).shadow(true);
        const LIMIT: u32 = 1;

        #[rate_limit(policy = Self::POLICY)]
        async fn shadowed() {}

        #[rate_limit(limit = |_req| Self::LIMIT, window = Self::window(), name = "api-limit")]
        async fn limited() {}

        #[rate_limit(limit = Self::LIMIT + size, window = 60, key = "global", name = "api-size")]
        async fn sized(Path(size): Path<u32>) {
            let _: u32 = size;
        }

        const fn window() -> Duration {
            MINUTE
        }
    }

    #[tokio::test]
    async fn code_peeks_and_resets_what_the_attribute_counts() {
        let app = App::new(Router::new().route("/{account}", get(log_in)));
        assert_eq!(app.statuses(&["/ada", "/ada", "/ada", "/bob"]).await, [200, 200, 429, 200]);
        assert!(app.get("/ada").await.body.contains("No more than 2 attempts in 1 hour"));
        let ada = Key::new("account", "ada");
        assert_eq!(app.limiter.peek(&LOGIN, &ada).await.unwrap().remaining(), 0);
        app.limiter.reset(&LOGIN, &ada).await.unwrap();
        assert_eq!(app.limiter.peek(&LOGIN, &ada).await.unwrap().remaining(), 2);
        assert_eq!(app.statuses(&["/ada", "/ada", "/ada"]).await, [200, 200, 429]);
    }

    #[tokio::test]
    async fn the_limit_keeps_its_other_options() {
        let app = App::new(Router::new().route("/{account}", get(by_head)));
        assert_eq!(app.statuses(&["/ada", "/ada"]).await, [200, 429]);
        let key = Key::new("path.account", "ada");
        assert_eq!(app.limiter.peek(&LOGIN, &key).await.unwrap().remaining(), 0);
    }

    #[tokio::test]
    async fn may_be_a_constant_of_an_impl_block() {
        let routes = Router::new()
            .route("/shadowed", get(Api::shadowed))
            .route("/limited", get(Api::limited))
            .route("/sized/{size}", get(Api::sized));
        let app = App::new(routes);
        assert_eq!(app.statuses(&["/shadowed", "/shadowed"]).await, [200, 200], "shadow mode");
        assert_eq!(app.limiter.peek(&Api::POLICY, &client()).await.unwrap().remaining(), 0);
        assert_eq!(app.statuses(&["/limited", "/limited"]).await, [200, 429]);
        assert_eq!(app.statuses(&["/sized/1", "/sized/1", "/sized/1", "/sized/2"]).await, [200, 200, 429, 200]);
    }
}

mod exempt_clients {
    use super::*;

    #[rate_limit(limit = 1, window = 60, name = "office", exempt = ["10.0.0.0/8", "2001:db8::/32", "198.51.100.7"])]
    async fn office() {}
    #[rate_limit(limit = 1, window = 60, key = "global", exempt = ["loopback", "private"])]
    async fn inside() {}
    #[rate_limit(limit = 1, window = 60, key = id, exempt = ["::ffff:10.0.0.0/104"])]
    async fn deferred(Path(id): Path<String>) {
        drop(id);
    }

    async fn ask(app: &App, path: &str, address: &str) -> (u16, bool) {
        let mut asked = request(path);
        let address: IpAddr = address.parse().unwrap();
        asked.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 4711))));
        let answer = app.send(asked).await;
        (answer.status, answer.headers.contains_key("x-ratelimit-limit"))
    }

    #[tokio::test]
    async fn are_never_counted() {
        let app =
            App::new(Router::new().route("/", get(office)).route("/in", get(inside)).route("/x/{id}", get(deferred)));
        for address in ["10.1.2.3", "10.255.0.1", "::ffff:10.1.2.3", "2001:db8:1::1", "198.51.100.7"] {
            for _ in 0..3 {
                assert_eq!(ask(&app, "/", address).await, (200, false), "{address}");
            }
            let key = Key::ip(address.parse::<IpAddr>().unwrap());
            assert_eq!(peeked(&app, "office", Quota::sliding_window(1, MINUTE), &key).await, 1, "{address}");
        }
        for address in ["11.0.0.1", "2001:db9::1", "198.51.100.8"] {
            assert_eq!(ask(&app, "/", address).await, (200, true), "{address}");
            assert_eq!(ask(&app, "/", address).await, (429, true), "{address}");
        }
        for address in ["127.0.0.1", "::1", "10.0.0.1", "172.31.0.1", "192.168.3.4", "fd00::1"] {
            assert_eq!(ask(&app, "/in", address).await, (200, false), "{address}");
        }
        for (address, status) in [("172.32.0.1", 200), ("fe80::1", 429)] {
            assert_eq!(ask(&app, "/in", address).await, (status, true), "{address}");
        }
        for (address, said) in [("10.0.0.1", (200, false)), ("192.0.2.1", (200, true)), ("192.0.2.2", (429, true))] {
            assert_eq!(ask(&app, "/x/same", address).await, said, "{address}");
            assert_eq!(ask(&app, "/x/same", "10.9.9.9").await, (200, false));
        }
    }
}

mod words {
    use super::*;

    #[rate_limit(limit = 1000, window = "1m", unit = "tokens", cost = size)]
    async fn complete(Path(size): Path<u32>) {
        let _: u32 = size;
    }

    #[tokio::test]
    async fn of_a_denial_name_the_unit() {
        let app = App::new(Router::new().route("/{size}", get(complete)));
        assert_eq!(app.statuses(&["/999", "/2"]).await, [200, 429]);
        let answer = app.get("/2").await;
        assert!(answer.body.contains("No more than 1000 tokens in 1 minute"), "{}", answer.body);
    }
}

/// What the table in the attribute's documentation says: the key under which a support desk finds what was counted.
mod keys_for_a_support_desk {
    use super::*;

    const QUOTA: Quota = Quota::per_minute(100);

    struct Login {
        account: String,
        user: User,
        pair: (u8, u8),
    }

    fn login() -> Login {
        Login { account: "ada@example.com".to_owned(), user: user(), pair: (1, 2) }
    }

    fn user() -> User {
        User { name: "ada".to_owned(), plan: Plan::Free }
    }

    #[derive(Clone)]
    struct Desk;

    impl<S: Sync> axum::extract::FromRequestParts<S> for Login {
        type Rejection = ();
        async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Login, ()> {
            Ok(login())
        }
    }

    #[rate_limit(quota = QUOTA, name = "ip", key = "ip")]
    async fn ip() {}
    #[rate_limit(quota = QUOTA, name = "user", key = "user")]
    async fn by_user() {}
    #[rate_limit(quota = QUOTA, name = "global", key = "global")]
    async fn global() {}
    #[rate_limit(quota = QUOTA, name = "header", key = "header:X-Api-Key")]
    async fn header() {}
    #[rate_limit(quota = QUOTA, name = "cookie", key = "cookie:session")]
    async fn cookie() {}
    #[rate_limit(quota = QUOTA, name = "path", key = "path:tenant")]
    async fn path() {}
    #[rate_limit(quota = QUOTA, name = "variable", key = tenant)]
    async fn variable(Path(tenant): Path<String>) {
        drop(tenant);
    }
    #[rate_limit(quota = QUOTA, name = "field", key = login.account)]
    async fn field(login: Login) {
        drop(login.account);
    }
    #[rate_limit(quota = QUOTA, name = "reference", key = &login.user.name)]
    async fn reference(login: Login) {
        drop(login.user);
    }
    #[rate_limit(quota = QUOTA, name = "number", key = login.pair.0)]
    async fn number(login: Login) {
        let _ = login.pair;
    }
    #[rate_limit(quota = QUOTA, name = "call", key = login.account.to_lowercase())]
    async fn call(login: Login) {
        drop(login);
    }
    #[rate_limit(quota = QUOTA, name = "closure", key = |req| req.uri.path())]
    async fn closure() {}
    #[rate_limit(quota = QUOTA, name = "own", key = Key::new("account", &login.account))]
    async fn own(login: Login) {
        drop(login);
    }
    #[rate_limit(quota = QUOTA, name = "stays", key = key)]
    async fn stays(axum::Extension(key): axum::Extension<Key>) {
        drop(key);
    }
    #[rate_limit(quota = QUOTA, name = "tuple", key = ("ip", "path:tenant", login.account, "header:x-api-key"))]
    async fn tuple(login: Login) {
        drop(login);
    }
    #[rate_limit(quota = QUOTA, name = "long", key = a_name_of_an_argument_of_more_than_40_bytes)]
    async fn long(Path(a_name_of_an_argument_of_more_than_40_bytes): Path<String>) {
        drop(a_name_of_an_argument_of_more_than_40_bytes);
    }

    fn asked(path: &str) -> Request<Body> {
        let mut asked = request(path);
        asked.headers_mut().insert("x-api-key", "s3cret".parse().unwrap());
        asked.headers_mut().insert("cookie", "session=c00kie".parse().unwrap());
        asked.extensions_mut().insert(UserId::new("42"));
        asked
    }

    #[tokio::test]
    async fn are_those_of_the_table() {
        let routes = Router::new()
            .route("/ip/{tenant}", get(ip))
            .route("/user/{tenant}", get(by_user))
            .route("/global/{tenant}", get(global))
            .route("/header/{tenant}", get(header))
            .route("/cookie/{tenant}", get(cookie))
            .route("/path/{tenant}", get(path))
            .route("/variable/{tenant}", get(variable))
            .route("/field/{tenant}", get(field))
            .route("/reference/{tenant}", get(reference))
            .route("/number/{tenant}", get(number))
            .route("/call/{tenant}", get(call))
            .route("/closure/{tenant}", get(closure))
            .route("/own/{tenant}", get(own))
            .route("/stays/{tenant}", get(stays))
            .route("/tuple/{tenant}", get(tuple))
            .route("/long/{tenant}", get(long))
            .layer(axum::Extension(Key::user("42")))
            .with_state(Desk);
        let app = App::new(routes);
        let account = "ada@example.com";
        for (policy, key) in [
            ("ip", Key::ip([192, 0, 2, 1])),
            ("user", Key::user("42")),
            ("global", Key::global()),
            ("header", Key::secret("header.x-api-key", "s3cret")),
            ("cookie", Key::secret("cookie.session", "c00kie")),
            ("path", Key::new("path.tenant", "acme")),
            ("variable", Key::new("tenant", "acme")),
            ("field", Key::new("login.account", account)),
            ("reference", Key::new("login.user.name", "ada")),
            ("number", Key::new("login.pair.0", 1)),
            ("call", Key::new("key", account)),
            ("closure", Key::new("key", "/closure/acme")),
            ("own", Key::new("account", account)),
            ("stays", Key::user(42)),
            (
                "tuple",
                Key::composite([
                    Key::ip([192, 0, 2, 1]),
                    Key::new("path.tenant", "acme"),
                    Key::new("login.account", account),
                    Key::secret("header.x-api-key", "s3cret"),
                ]),
            ),
            ("long", Key::new("key", "acme")),
        ] {
            let before = peeked(&app, policy, QUOTA, &key).await;
            assert_eq!(app.send(asked(&format!("/{policy}/acme"))).await.status, 200, "{policy}");
            assert_eq!((before, peeked(&app, policy, QUOTA, &key).await), (100, 99), "{policy}");
            app.limiter.reset(&Policy::new(policy, QUOTA), &key).await.unwrap();
            assert_eq!(peeked(&app, policy, QUOTA, &key).await, 100, "{policy}");
        }
    }
}

/// A limit of 0 in shadow mode is not asked of the store, and the other limit keeps its own `refund_if`.
#[tokio::test]
async fn a_limit_of_0_in_shadow_mode_does_not_move_the_refunds_of_the_limits_beside_it() {
    #[rate_limit(limit = |_| 0, window = 60, name = "nothing", shadow = true, refund_if = |_| true)]
    #[rate_limit(limit = 2, window = 60, name = "kept")]
    async fn handler() {}
    let app = App::new(Router::new().route("/", get(handler)));
    assert_eq!(app.statuses(&["/", "/", "/"]).await, [200, 200, 429], "nothing is given back to the other");
}
