//! Every option of the attribute does what it says, in each of its forms.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::stream;
use rateguard::{Key, ManualClock, Policy, Quota, RateGuard, UserId, rate_limit};
use rateguard_tests::{App, request};
use serde::Deserialize;

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Order {
    customer: String,
    items: Vec<u32>,
}

/// Charges one unit to a policy, and returns what was left before.
async fn left(app: &App, policy: &'static str, limit: u32, key: Key) -> u32 {
    app.limiter.check(&Policy::new(policy, Quota::sliding_window(limit, MINUTE)), &key).await.remaining() + 1
}

fn client() -> Key {
    Key::ip([192, 0, 2, 1])
}

mod order_of_things {
    use super::*;

    static ORDERS: AtomicUsize = AtomicUsize::new(0);
    static BY_CUSTOMER: AtomicUsize = AtomicUsize::new(0);

    #[rate_limit(limit = 2, window = 60)]
    async fn order(Json(order): Json<Order>) -> String {
        ORDERS.fetch_add(1, Ordering::Relaxed);
        order.customer
    }

    #[tokio::test]
    async fn a_limit_over_the_head_is_decided_before_the_body_is_read() {
        let app = App::new(Router::new().route("/order", post(order)));
        let good = r#"{"customer":"ada","items":[1]}"#;
        assert_eq!(app.post("/order", good).await.status, 200);
        assert_eq!(app.post("/order", "{").await.status, 400, "counted, although the body is invalid");
        assert_eq!(app.post("/order", "{").await.status, 429, "denied before the body is read");
        let read = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&read);
        let body = stream::once(async move {
            seen.store(true, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(b"{}"))
        });
        let request = Request::post("/order").header("content-type", "application/json");
        let request = request.body(Body::from_stream(body)).unwrap();
        assert_eq!(app.send(request).await.status, 429);
        assert!(!read.load(Ordering::Relaxed), "the body was read");
        assert_eq!(ORDERS.load(Ordering::Relaxed), 1);
    }

    #[rate_limit(limit = 2, window = 60, key = order.customer)]
    async fn order_by_customer(Json(order): Json<Order>) -> String {
        BY_CUSTOMER.fetch_add(1, Ordering::Relaxed);
        order.customer
    }

    #[tokio::test]
    async fn a_limit_over_an_argument_is_decided_after_extraction_and_before_the_handler_runs() {
        let app = App::new(Router::new().route("/order", post(order_by_customer)));
        for customer in ["ada", "bob"] {
            let order = format!(r#"{{"customer":"{customer}","items":[]}}"#);
            for status in [200, 200, 429] {
                assert_eq!(app.post("/order", &order).await.status, status, "{customer}");
            }
        }
        assert_eq!(app.post("/order", "{").await.status, 400, "no key to count");
        assert_eq!(BY_CUSTOMER.load(Ordering::Relaxed), 4);
    }
}

mod keys {
    use super::*;

    #[rate_limit(limit = 1, window = 60, key = "header:X-Api-Key")]
    async fn header() {}
    #[rate_limit(limit = 1, window = 60, key = "cookie:session")]
    async fn cookie() {}
    #[rate_limit(limit = 1, window = 60, key = "global")]
    async fn global() {}
    #[rate_limit(limit = 1, window = 60, key = "user")]
    async fn user() {}
    #[rate_limit(limit = 1, window = 60, key = "path:tenant")]
    async fn path() {}
    #[rate_limit(limit = 1, window = 60, key = ("path:tenant", "header:x-api-key"))]
    async fn tuple() {}
    #[rate_limit(limit = 1, window = 60, key = |req| req.uri.query())]
    async fn closure_of_an_option() {}
    #[rate_limit(limit = 1, window = 60, key = |req: &Parts| Key::new("path", req.uri.path()))]
    async fn closure_of_a_key() {}
    #[rate_limit(limit = 1, window = 60, key = ("path:tenant", |req| req.uri.query(), page.len()))]
    async fn tuple_of_all_forms(Query(page): Query<Vec<(String, String)>>) {
        drop(page);
    }
    #[rate_limit(limit = 1, window = 60, key = page.first().map(|(name, _)| name))]
    async fn expression_of_an_option(Query(page): Query<Vec<(String, String)>>) {
        drop(page);
    }

    async fn authenticate(mut request: Request, next: Next) -> Response {
        if let Some(user) = request.headers().get("x-user") {
            let id = UserId::new(user.to_str().unwrap());
            request.extensions_mut().insert(id);
        }
        next.run(request).await
    }

    fn app() -> App {
        App::new(
            Router::new()
                .route("/header", get(header))
                .route("/cookie", get(cookie))
                .route("/global", get(global))
                .route("/user", get(user))
                .route("/path/{tenant}", get(path))
                .route("/tuple/{tenant}", get(tuple))
                .route("/option", get(closure_of_an_option))
                .route("/key/{*rest}", get(closure_of_a_key))
                .route("/all/{tenant}", get(tuple_of_all_forms))
                .route("/expression", get(expression_of_an_option))
                .route("/nobody", get(path)),
        )
        .map(|app| app.layer(middleware::from_fn(authenticate)))
    }

    #[tokio::test]
    async fn each_literal_counts_clients_by_its_part_of_the_request() {
        let app = app();
        for (path, name, one, other) in [
            ("/header", "x-api-key", "one", "other"),
            ("/cookie", "cookie", "a=b; session=one", "session=other; a=b"),
            ("/user", "x-user", "ada", "bob"),
        ] {
            assert_eq!(app.get_with(path, name, one).await.status, 200, "{path}");
            assert_eq!(app.get_with(path, name, one).await.status, 429, "{path}");
            assert_eq!(app.get_with(path, name, other).await.status, 200, "{path}");
        }
        assert_eq!(app.statuses(&["/path/a", "/path/a", "/path/b", "/path/b"]).await, [200, 429, 200, 429]);
        let mut elsewhere = request("/global");
        let address = std::net::SocketAddr::from(([198, 51, 100, 7], 1));
        elsewhere.extensions_mut().insert(axum::extract::ConnectInfo(address));
        assert_eq!(app.send(elsewhere).await.status, 200);
        assert_eq!(app.get("/global").await.status, 429, "one bucket for all");
    }

    #[tokio::test]
    async fn a_tuple_is_one_key_of_several_parts() {
        let app = app();
        for (path, key, status) in [
            ("/tuple/a", "1", 200),
            ("/tuple/a", "1", 429),
            ("/tuple/a", "2", 200),
            ("/tuple/b", "1", 200),
            ("/tuple/b", "2", 200),
            ("/tuple/b", "2", 429),
        ] {
            assert_eq!(app.get_with(path, "x-api-key", key).await.status, status, "{path} {key}");
        }
        let paths = ["/all/a?x=1", "/all/a?x=1", "/all/b?x=1", "/all/a?x=2", "/all/a?x=2&y=1"];
        assert_eq!(app.statuses(&paths).await, [200, 429, 200, 200, 200]);
    }

    #[tokio::test]
    async fn a_closure_reads_the_head_and_an_expression_the_arguments() {
        let app = app();
        assert_eq!(app.statuses(&["/option?a", "/option?a", "/option?b"]).await, [200, 429, 200]);
        assert_eq!(app.statuses(&["/key/a?1", "/key/a?2", "/key/b"]).await, [200, 429, 200]);
        assert_eq!(app.statuses(&["/expression?a=1", "/expression?a=2", "/expression?b"]).await, [200, 429, 200]);
    }

    #[tokio::test]
    async fn a_request_without_the_key_is_counted_by_address() {
        for path in ["/header", "/cookie", "/user", "/option", "/expression"] {
            let app = app();
            assert_eq!(app.statuses(&[path, path]).await, [200, 429], "{path}");
            let mut elsewhere = request(path);
            let address = std::net::SocketAddr::from(([198, 51, 100, 7], 1));
            elsewhere.extensions_mut().insert(axum::extract::ConnectInfo(address));
            assert_eq!(app.send(elsewhere).await.status, 200, "{path}");
        }
    }

    #[tokio::test]
    async fn a_parameter_that_the_route_does_not_have_is_a_500() {
        assert_eq!(app().get("/nobody").await.status, 500);
    }
}

mod costs {
    use super::*;

    #[rate_limit(limit = 10, window = 60, cost = 4)]
    async fn literal() {}
    #[rate_limit(limit = 10, window = 60, cost = |req| req.headers.len())]
    async fn closure() {}
    #[rate_limit(limit = 10, window = 60, cost = order.items.len())]
    async fn expression(Json(order): Json<Order>) -> String {
        order.items.len().to_string()
    }
    #[rate_limit(limit = 10, window = 60, cost = PRICE / 2)]
    async fn constant() {}
    const PRICE: u64 = 8;
    #[rate_limit(limit = 10, window = 60, cost = *items)]
    async fn signed(Path(items): Path<Box<i64>>) -> String {
        items.to_string()
    }

    #[tokio::test]
    async fn are_charged_to_the_quota() {
        let app = App::new(
            Router::new()
                .route("/literal", get(literal))
                .route("/closure", get(closure))
                .route("/expression", post(expression))
                .route("/constant", get(constant))
                .route("/signed/{items}", get(signed)),
        );
        let remaining = "x-ratelimit-remaining";
        assert_eq!(app.get("/literal").await.number(remaining), Some(6));
        assert_eq!(app.get("/literal").await.number(remaining), Some(2));
        assert_eq!(app.get("/literal").await.status, 429);
        assert_eq!(app.get_with("/closure", "a", "b").await.number(remaining), Some(9));
        assert_eq!(app.get("/closure").await.number(remaining), Some(8), "never less than 1");
        let order = r#"{"customer":"ada","items":[1,2,3,4,5,6]}"#;
        assert_eq!(app.post("/expression", order).await.number(remaining), Some(4));
        assert_eq!(app.post("/expression", order).await.status, 429);
        assert_eq!(app.get("/constant").await.number(remaining), Some(6));
        assert_eq!(app.get("/signed/-5").await.number(remaining), Some(9));
        assert_eq!(app.get("/signed/9").await.number(remaining), Some(0));
    }
}

mod skips {
    use super::*;

    #[rate_limit(limit = 1, window = 60, skip = false)]
    async fn never() {}
    #[rate_limit(limit = 1, window = 60, skip = |req| req.headers.contains_key("x-probe"))]
    async fn closure() {}
    #[rate_limit(limit = 1, window = 60, skip = user == "admin")]
    async fn expression(Path(user): Path<String>) {
        drop(user);
    }
    #[rate_limit(limit = 1, window = 60, skip = OFF.load(Ordering::Relaxed))]
    async fn switch() {}
    static OFF: AtomicBool = AtomicBool::new(false);

    #[tokio::test]
    async fn leave_requests_uncounted() {
        let app = App::new(
            Router::new()
                .route("/never", get(never))
                .route("/closure", get(closure))
                .route("/expression/{user}", get(expression))
                .route("/switch", get(switch)),
        );
        assert_eq!(app.statuses(&["/never", "/never"]).await, [200, 429]);
        for _ in 0..3 {
            assert_eq!(app.get_with("/closure", "x-probe", "1").await.status, 200);
        }
        assert_eq!(app.statuses(&["/closure", "/closure"]).await, [200, 429]);
        assert_eq!(app.statuses(&["/expression/admin"; 3]).await, [200; 3]);
        assert_eq!(app.statuses(&["/expression/ada", "/expression/ada"]).await, [200, 429]);
        assert_eq!(app.statuses(&["/switch", "/switch"]).await, [200, 429]);
        OFF.store(true, Ordering::Relaxed);
        assert_eq!(app.get("/switch").await.status, 200);
    }
}

mod refunds {
    use super::*;

    async fn answer(code: u16) -> Response {
        StatusCode::from_u16(code).unwrap().into_response()
    }

    #[rate_limit(limit = 1, window = 60, refund_if = |res| res.status().is_success())]
    async fn only_failures(Path(code): Path<u16>) -> Response {
        answer(code).await
    }
    #[rate_limit(limit = 1, window = 60, key = code / 1000, refund_if = is_error)]
    async fn only_successes(Path(code): Path<u16>) -> Response {
        answer(code).await
    }
    fn is_error(response: &Response) -> bool {
        response.status().is_server_error()
    }

    #[tokio::test]
    async fn give_the_charge_back_depending_on_the_response() {
        let routes =
            Router::new().route("/failures/{code}", get(only_failures)).route("/successes/{code}", get(only_successes));
        let app = App::new(routes);
        let paths = ["/failures/200", "/failures/200", "/failures/401", "/failures/200"];
        assert_eq!(app.statuses(&paths).await, [200, 200, 401, 429]);
        let paths = ["/successes/500", "/successes/500", "/successes/200", "/successes/200"];
        assert_eq!(app.statuses(&paths).await, [500, 500, 200, 429]);
    }
}

mod names {
    use super::*;

    #[rate_limit(limit = 9, window = 60)]
    async fn own() {}
    #[rate_limit(limit = 9, window = 60)]
    #[rate_limit(limit = 99, window = 60, key = "global")]
    async fn r#loop() {}
    #[rate_limit(limit = 9, window = 60, name = "shared")]
    async fn one() {}
    #[rate_limit(limit = 9, window = 60, name = "shared")]
    async fn other() {}

    #[tokio::test]
    async fn default_to_the_path_of_the_function_and_are_shared_if_given() {
        let app = App::new(
            Router::new()
                .route("/own", get(own))
                .route("/loop", get(r#loop))
                .route("/one", get(one))
                .route("/other", get(other)),
        );
        assert_eq!(app.statuses(&["/own", "/own", "/loop", "/one", "/other"]).await, [200; 5]);
        assert_eq!(left(&app, "attribute::handlers_options::names::own", 9, client()).await, 7);
        assert_eq!(left(&app, "attribute::handlers_options::names::loop", 9, client()).await, 8);
        assert_eq!(left(&app, "attribute::handlers_options::names::loop#2", 99, Key::global()).await, 98);
        assert_eq!(left(&app, "shared", 9, client()).await, 7);
    }
}

mod windows {
    use super::*;

    const HALF: Duration = Duration::from_millis(500);

    #[rate_limit(limit = 1, window = "500ms")]
    async fn text() {}
    #[rate_limit(limit = 1, window = HALF)]
    async fn constant() {}
    #[rate_limit(limit = 1, window = Duration::from_millis(500))]
    async fn expression() {}
    #[rate_limit(limit = 1, window = "1d")]
    async fn day() {}

    #[tokio::test]
    async fn are_seconds_or_texts_with_a_unit_or_durations() {
        let clock = ManualClock::new();
        let app = App::with(
            RateGuard::builder().clock(clock.clone()).build().unwrap(),
            Router::new()
                .route("/text", get(text))
                .route("/constant", get(constant))
                .route("/expression", get(expression))
                .route("/day", get(day)),
        );
        let all = ["/text", "/constant", "/expression", "/day"];
        assert_eq!(app.statuses(&all).await, [200; 4]);
        assert_eq!(app.statuses(&all).await, [429; 4]);
        clock.advance(Duration::from_millis(499));
        assert_eq!(app.statuses(&all).await, [429; 4]);
        clock.advance(Duration::from_millis(1));
        assert_eq!(app.statuses(&all).await, [200, 200, 200, 429]);
        assert_eq!(app.get("/day").await.number("retry-after"), Some(86_400), "half a second less, rounded up");
    }
}

mod algorithms {
    use super::*;

    #[rate_limit(limit = 2, window = 60, algorithm = "sliding_window")]
    async fn sliding_window() {}
    #[rate_limit(limit = 2, window = 60, algorithm = "sliding_counter")]
    async fn sliding_counter() {}
    #[rate_limit(limit = 2, window = 60, algorithm = "fixed_window")]
    async fn fixed_window() {}
    #[rate_limit(limit = 2, window = 60, algorithm = "token_bucket")]
    async fn token_bucket() {}
    #[rate_limit(limit = 1, window = 60, algorithm = "token_bucket", burst = BURST + 1)]
    async fn burst() {}
    // More than the limit, and less than the burst.
    #[rate_limit(limit = 1, window = 60, algorithm = "token_bucket", burst = BURST + 1, cost = 3)]
    async fn costly() {}
    const BURST: u32 = 2;

    #[tokio::test]
    async fn each_allows_its_number_of_requests() {
        let app = App::new(
            Router::new()
                .route("/sliding_window", get(sliding_window))
                .route("/sliding_counter", get(sliding_counter))
                .route("/fixed_window", get(fixed_window))
                .route("/token_bucket", get(token_bucket))
                .route("/burst", get(burst))
                .route("/costly", get(costly)),
        );
        for path in ["/sliding_window", "/sliding_counter", "/fixed_window", "/token_bucket"] {
            assert_eq!(app.statuses(&[path; 3]).await, [200, 200, 429], "{path}");
        }
        assert_eq!(app.statuses(&["/burst"; 4]).await, [200, 200, 200, 429]);
        assert_eq!(app.statuses(&["/costly"; 2]).await, [200, 429]);
    }
}

mod failures {
    use super::*;

    #[rate_limit(limit = 1, window = 60)]
    async fn default() {}
    #[rate_limit(limit = 1, window = 60, on_error = "open")]
    async fn open() {}
    #[rate_limit(limit = 1, window = 60, on_error = "closed")]
    async fn closed() {}
    #[rate_limit(limit = 1, window = 60, on_error = "local")]
    async fn local() {}
    #[rate_limit(limit = 1, window = 60, on_error = "closed", key = id)]
    async fn closed_by_argument(Path(id): Path<u32>) {
        let _ = id;
    }

    #[tokio::test]
    async fn of_the_store_are_answered_as_on_error_says() {
        // No server listens there.
        let limiter = RateGuard::redis("redis://127.0.0.1:1").unwrap();
        let routes = Router::new()
            .route("/default", get(default))
            .route("/open", get(open))
            .route("/closed", get(closed))
            .route("/local", get(local))
            .route("/argument/{id}", get(closed_by_argument));
        let app = App::with(limiter, routes);
        assert_eq!(app.statuses(&["/default", "/default", "/open", "/open"]).await, [200; 4]);
        assert_eq!(app.statuses(&["/closed", "/argument/7"]).await, [503; 2]);
        assert_eq!(app.statuses(&["/local", "/local"]).await, [200, 429]);
    }
}

mod shadows {
    use super::*;

    #[rate_limit(limit = 1, window = 60, shadow = true)]
    async fn on() {}
    #[rate_limit(limit = 1, window = 60, shadow = !ON)]
    async fn off() {}
    const ON: bool = true;

    #[tokio::test]
    async fn count_and_never_deny() {
        let app = App::new(Router::new().route("/on", get(on)).route("/off", get(off)));
        assert_eq!(app.statuses(&["/on", "/on", "/off", "/off"]).await, [200, 200, 200, 429]);
        assert_eq!(left(&app, "attribute::handlers_options::shadows::on", 2, client()).await, 1);
    }
}

mod stacks {
    use super::*;

    #[rate_limit(limit = 2, window = 60, key = "header:x-api-key", name = "by-key")]
    #[rate_limit(limit = 9, window = "1h", name = "by-address")]
    async fn by_the_head() {}

    #[tokio::test]
    async fn are_decided_together_and_a_denial_charges_none_of_them() {
        let app = App::new(Router::new().route("/", get(by_the_head)));
        for (remaining, status) in [(1, 200), (0, 200), (0, 429), (0, 429)] {
            let answer = app.get_with("/", "x-api-key", "one").await;
            assert_eq!((answer.number("x-ratelimit-remaining"), answer.status), (Some(remaining), status));
            assert_eq!(answer.number("x-ratelimit-limit"), Some(2), "the one nearest to exhaustion");
        }
        let by_address = Policy::new("by-address", Quota::sliding_window(9, Duration::from_secs(3600)));
        assert_eq!(app.limiter.check(&by_address, &client()).await.remaining(), 9 - 2 - 1);
        assert_eq!(app.get_with("/", "x-api-key", "other").await.status, 200);
    }

    #[rate_limit(limit = 2, window = 60, key = tenant, name = "by-tenant")]
    #[rate_limit(limit = 9, window = 60, cost = tenant.len(), name = "by-length")]
    async fn by_arguments(Path(tenant): Path<String>) {
        drop(tenant);
    }

    #[tokio::test]
    async fn over_arguments_are_decided_together_as_well() {
        let app = App::new(Router::new().route("/{tenant}", get(by_arguments)));
        assert_eq!(app.statuses(&["/ab", "/ab", "/ab", "/abcdef", "/abcde"]).await, [200, 200, 429, 429, 200]);
        assert_eq!(left(&app, "by-tenant", 2, Key::new("tenant", "abcdef")).await, 2);
    }

    #[rate_limit(limit = 2, window = 60, key = tenant, name = "deferred")]
    #[rate_limit(limit = 9, window = 60, name = "at-once")]
    async fn by_both(Path(tenant): Path<String>) {
        drop(tenant);
    }

    #[tokio::test]
    async fn over_the_head_and_over_arguments_are_all_counted() {
        let app = App::new(Router::new().route("/{tenant}", get(by_both)));
        assert_eq!(app.statuses(&["/a", "/a", "/a", "/b"]).await, [200, 200, 429, 200]);
        assert_eq!(left(&app, "deferred", 2, Key::new("tenant", "a")).await, 1);
        assert_eq!(left(&app, "at-once", 9, client()).await, 6, "the denial is not charged");
    }

    #[rate_limit(limit = 1, window = 1, key = "global")]
    #[rate_limit(limit = 1, window = 60, key = ("ip", *number))]
    #[rate_limit(limit = 1, window = 60, key = |req| req.uri.path(), name = "third")]
    async fn three(State(()): State<()>, Extension(number): Extension<Arc<usize>>) {
        drop(number);
    }

    #[tokio::test]
    async fn may_have_any_number_of_limits() {
        let clock = ManualClock::new();
        let limiter = RateGuard::builder().clock(clock.clone()).build().unwrap();
        let routes = Router::new().route("/", get(three)).with_state(()).layer(Extension(Arc::new(7_usize)));
        let app = App::with(limiter, routes);
        assert_eq!(app.statuses(&["/", "/"]).await, [200, 429]);
        clock.advance(Duration::from_secs(1));
        assert_eq!(app.get("/").await.status, 429, "the first allows again, the others do not");
    }
}
