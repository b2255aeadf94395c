//! The headers that tell clients about their quota, in each of their forms, read by a parser that is not ours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::http::{HeaderMap, Request};
use axum::response::IntoResponse;
use axum::routing::get;
use rateguard::{
    Headers, HttpLimit, KeyBy, ManualClock, OnError, Policy, Quota, RateGuard, RateLimitLayer, rate_limit,
};
use rateguard_tests::{Answer, App, RedisServer, connected, request};
use sfv::{BareItem, List, ListEntry, Parser};
use tower_http::cors::{Any, CorsLayer};

const MINUTE: Duration = Duration::from_secs(60);

#[rate_limit(limit = 100, window = 60, name = "burst")]
#[rate_limit(limit = 1000, window = "1d", name = "daily")]
async fn stacked() {}

#[rate_limit(limit = 2, window = 60, name = "two")]
async fn two() {}

fn limiter(headers: Headers) -> (RateGuard, ManualClock) {
    let clock = ManualClock::new();
    let limiter = RateGuard::builder().memory().clock(clock.clone()).headers(headers).build().unwrap();
    (limiter, clock)
}

fn routes() -> Router {
    Router::new().route("/stacked", get(stacked)).route("/two", get(two)).route("/free", get(|| async {}))
}

/// A header that must not be there twice.
fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().unwrap().to_owned();
    assert!(values.next().is_none(), "{name} is doubled");
    Some(value)
}

/// A list of structured fields: each member's string, and its integers by name.
fn list(answer: &Answer, name: &str) -> Vec<(String, Vec<(String, i64)>)> {
    let text = header(&answer.headers, name).unwrap_or_else(|| panic!("no {name}: {:?}", answer.headers));
    let list: List = Parser::new(&text).parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    list.into_iter()
        .map(|member| {
            let ListEntry::Item(item) = member else { panic!("{text}: an inner list") };
            let BareItem::String(member) = item.bare_item else { panic!("{text}: no String") };
            let parameters = item.params.into_iter().map(|(key, value)| match value {
                BareItem::Integer(value) => (key.to_string(), i64::from(value)),
                other => panic!("{text}: {key} is {other:?}"),
            });
            (String::from(member), parameters.collect())
        })
        .collect()
}

fn member(name: &str, parameters: &[(&str, i64)]) -> (String, Vec<(String, i64)>) {
    (name.to_owned(), parameters.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect())
}

fn has_x(answer: &Answer) -> bool {
    ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"]
        .iter()
        .all(|name| header(&answer.headers, name).is_some())
}

fn has_ietf(answer: &Answer) -> bool {
    ["ratelimit-policy", "ratelimit"].iter().all(|name| header(&answer.headers, name).is_some())
}

/// What one limit of a layer is told as.
async fn told(quota: Quota, requests: usize) -> (Vec<(String, i64)>, Vec<(String, i64)>, Answer) {
    let (limiter, _clock) = limiter(Headers::IETF);
    let layer = RateLimitLayer::new(limiter).limit("only", quota, KeyBy::Global);
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    let mut answer = app.get("/free").await;
    for _ in 1..requests {
        answer = app.get("/free").await;
    }
    let (policies, quotas) = (list(&answer, "ratelimit-policy"), list(&answer, "ratelimit"));
    assert_eq!((policies.len(), quotas.len()), (1, 1));
    (policies[0].1.clone(), quotas[0].1.clone(), answer)
}

fn numbers(parameters: &[(&str, i64)]) -> Vec<(String, i64)> {
    member("", parameters).1
}

#[tokio::test]
async fn the_fields_of_the_draft_list_every_limit_that_counted_the_request() {
    let (limiter, clock) = limiter(Headers::IETF);
    let layer = RateLimitLayer::new(limiter).limit("global", Quota::sliding_window(500, MINUTE), KeyBy::Global);
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    let answer = app.get("/stacked").await;
    assert_eq!(
        list(&answer, "ratelimit-policy"),
        [
            member("global", &[("q", 500), ("w", 60)]),
            member("burst", &[("q", 100), ("w", 60)]),
            member("daily", &[("q", 1000), ("w", 86_400)]),
        ]
    );
    clock.advance(Duration::from_secs(20));
    let answer = app.get("/stacked").await;
    assert_eq!(
        list(&answer, "ratelimit"),
        [
            member("global", &[("r", 498), ("t", 40)]),
            member("burst", &[("r", 98), ("t", 40)]),
            // Of a large limit, both have left within a thousandth of the window: together.
            member("daily", &[("r", 998), ("t", 86_400)]),
        ]
    );
    assert!(!has_x(&answer));
}

#[tokio::test]
async fn where_nothing_is_left_t_is_the_retry_after() {
    let (limiter, clock) = limiter(Headers::IETF);
    let app = App::with(limiter, routes());
    app.get("/two").await;
    clock.advance(Duration::from_millis(12_500));
    let last = app.get("/two").await;
    assert_eq!(list(&last, "ratelimit"), [member("two", &[("r", 0), ("t", 48)])]);
    let denied = app.get("/two").await;
    assert_eq!(denied.status, 429);
    assert_eq!(list(&denied, "ratelimit"), [member("two", &[("r", 0), ("t", 48)])]);
    assert_eq!(denied.number("retry-after"), Some(48));
}

#[tokio::test]
async fn a_window_below_a_second_is_told_as_one_and_a_bucket_as_what_it_holds() {
    let (policy, quota, _) = told(Quota::sliding_window(5, Duration::from_millis(100)), 1).await;
    assert_eq!((policy, quota), (numbers(&[("q", 5), ("w", 1)]), numbers(&[("r", 4), ("t", 1)])));

    let (policy, quota, _) = told(Quota::sliding_window(5, Duration::from_millis(1500)), 1).await;
    assert_eq!((policy, quota), (numbers(&[("q", 5), ("w", 2)]), numbers(&[("r", 4), ("t", 2)])));

    // 10 a minute that may gather to 20: what the bucket holds, in the time that it takes to fill.
    let bucket = Quota::token_bucket(10, MINUTE).burst(20);
    let (policy, quota, _) = told(bucket, 1).await;
    assert_eq!((policy, quota), (numbers(&[("q", 20), ("w", 120)]), numbers(&[("r", 19), ("t", 6)])));
    // The last token: the next one is there after 6 seconds, not when the bucket is full.
    let (_, quota, answer) = told(bucket, 20).await;
    assert_eq!((answer.status, quota), (200, numbers(&[("r", 0), ("t", 6)])));
    let (_, quota, answer) = told(bucket, 21).await;
    assert_eq!((answer.status, answer.number("retry-after")), (429, Some(6)));
    assert_eq!(quota, numbers(&[("r", 0), ("t", 6)]));

    // A small bucket that fills quickly is told by its rate.
    let (policy, quota, _) = told(Quota::token_bucket(1000, Duration::from_secs(1)).burst(10), 1).await;
    assert_eq!((policy, quota), (numbers(&[("q", 1000), ("w", 1)]), numbers(&[("r", 9), ("t", 1)])));
}

#[tokio::test]
async fn the_other_algorithms_are_told_as_limit_and_window() {
    for quota in [Quota::fixed_window(7, MINUTE), Quota::sliding_counter(7, MINUTE)] {
        let (policy, _, answer) = told(quota, 8).await;
        assert_eq!(policy, numbers(&[("q", 7), ("w", 60)]));
        let retry = i64::from(answer.number("retry-after").unwrap());
        assert_eq!(list(&answer, "ratelimit")[0].1, numbers(&[("r", 0), ("t", retry)]));
    }
}

#[tokio::test]
async fn any_name_of_a_policy_is_a_string_that_reads_back() {
    let quota = Quota::sliding_window(5, MINUTE);
    for (name, written) in [
        ("app::api::search", "app::api::search"),
        ("größe", "gr%c3%b6%c3%9fe"),
        ("100%", "100%25"),
        ("a;q=1,b", "a;q=1,b"),
        ("🚀", "%f0%9f%9a%80"),
    ] {
        let (limiter, _clock) = limiter(Headers::IETF);
        let layer =
            RateLimitLayer::new(limiter).limit(name, quota, KeyBy::Global).limit("second", quota, KeyBy::Global);
        let app = App::new(Router::new()).map(|_| routes().layer(layer));
        let answer = app.get("/free").await;
        for field in ["ratelimit-policy", "ratelimit"] {
            let names: Vec<String> = list(&answer, field).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [written, "second"]);
        }
    }
}

#[tokio::test]
async fn one_name_is_told_once_as_what_is_nearest_exhaustion() {
    let (limiter, _clock) = limiter(Headers::IETF | Headers::X_RATE_LIMIT);
    let inner = RateLimitLayer::new(limiter.clone()).limit("same", Quota::sliding_window(3, MINUTE), KeyBy::Ip);
    let outer = RateLimitLayer::new(limiter).limit("same", Quota::sliding_window(9, MINUTE), KeyBy::Global);
    let app = App::new(Router::new()).map(|_| routes().layer(inner).layer(outer));
    let answer = app.get("/free").await;
    assert_eq!(list(&answer, "ratelimit-policy"), [member("same", &[("q", 3), ("w", 60)])]);
    assert_eq!(list(&answer, "ratelimit"), [member("same", &[("r", 2), ("t", 60)])]);
    assert_eq!(answer.number("x-ratelimit-limit"), Some(3));
}

#[tokio::test]
async fn each_choice_is_kept_by_served_and_denied_requests_alike() {
    for (headers, x, ietf) in [
        (Headers::default(), true, false),
        (Headers::X_RATE_LIMIT, true, false),
        (Headers::IETF, false, true),
        (Headers::X_RATE_LIMIT | Headers::IETF, true, true),
        (Headers::NONE, false, false),
    ] {
        let (limiter, _clock) = limiter(headers);
        let app = App::with(limiter, routes());
        for status in [200, 200, 429] {
            let answer = app.get("/two").await;
            assert_eq!((answer.status, has_x(&answer), has_ietf(&answer)), (status, x, ietf), "{headers:?}");
            assert_eq!(answer.number("retry-after").is_some(), status == 429, "a denial says when, in any case");
            if headers == Headers::NONE {
                assert!(answer.headers.keys().all(|name| !name.as_str().contains("ratelimit")));
            }
        }
    }
}

#[tokio::test]
async fn a_layers_choice_goes_before_its_limiters_and_the_outermost_one_decides() {
    let (limiter, _clock) = limiter(Headers::X_RATE_LIMIT);
    let layer = || RateLimitLayer::new(limiter.clone());
    let one = App::new(Router::new()).map(|_| routes().layer(layer().headers(Headers::IETF)));
    let answer = one.get("/two").await;
    assert!(has_ietf(&answer) && !has_x(&answer));

    let inner = routes().layer(layer().headers(Headers::IETF));
    let two = App::new(Router::new()).map(|_| inner.layer(layer()));
    let answer = two.get("/two").await;
    assert!(has_x(&answer) && !has_ietf(&answer));
    let inner = routes().layer(layer().headers(Headers::IETF));
    let none = App::new(Router::new()).map(|_| inner.layer(layer().headers(Headers::NONE)));
    let answer = none.get("/stacked").await;
    assert!(!has_x(&answer) && !has_ietf(&answer));
}

#[tokio::test]
async fn the_reset_is_in_seconds_from_now_or_since_1970() {
    let (limiter, clock) = limiter(Headers::X_RATE_LIMIT.reset_as_epoch());
    let app = App::with(limiter, routes());
    app.get("/two").await;
    clock.advance(Duration::from_secs(20));
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now();
    for status in [200, 429] {
        let answer = app.get("/two").await;
        assert_eq!(answer.status, status);
        let reset = u64::from(answer.number("x-ratelimit-reset").unwrap());
        assert!((before + 40..=now() + 41).contains(&reset), "{reset}");
        assert_eq!(answer.number("retry-after").is_some_and(|seconds| seconds == 40), status == 429);
    }
}

#[tokio::test]
async fn what_another_server_said_of_its_quota_is_neither_overwritten_nor_doubled() {
    async fn passed_on() -> impl IntoResponse {
        [("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", "4999"), ("ratelimit", "\"upstream\";r=7")]
    }
    let quota = Quota::sliding_window(1, MINUTE);
    let (limiter, _clock) = limiter(Headers::X_RATE_LIMIT | Headers::IETF);
    let layer = RateLimitLayer::new(limiter).limit("ours", quota, KeyBy::Global);
    let app = App::new(Router::new()).map(|_| Router::new().route("/", get(passed_on)).layer(layer));
    let answer = app.get("/").await;
    assert_eq!(header(&answer.headers, "x-ratelimit-limit").unwrap(), "5000");
    assert_eq!(header(&answer.headers, "x-ratelimit-remaining").unwrap(), "4999");
    assert_eq!(header(&answer.headers, "x-ratelimit-reset"), None, "no mixture of theirs and ours");
    assert_eq!(list(&answer, "ratelimit"), [member("upstream", &[("r", 7)])]);
    assert_eq!(header(&answer.headers, "ratelimit-policy"), None);
    let denied = app.get("/").await;
    assert_eq!((denied.status, denied.number("x-ratelimit-limit")), (429, Some(1)), "a denial is ours alone");
    assert!(has_ietf(&denied));
}

#[tokio::test]
async fn shadows_and_what_could_not_be_counted_are_not_told() {
    let (limiter, _clock) = limiter(Headers::X_RATE_LIMIT | Headers::IETF);
    let shadow = Policy::new("shadow", Quota::sliding_window(1, MINUTE)).shadow(true);
    let layer = RateLimitLayer::new(limiter).rule(HttpLimit::from_policy(shadow, KeyBy::Global)).limit(
        "real",
        Quota::sliding_window(9, MINUTE),
        KeyBy::Global,
    );
    let app = App::new(Router::new()).map(|_| routes().layer(layer));
    for _ in 0..3 {
        let answer = app.get("/free").await;
        assert_eq!(list(&answer, "ratelimit").len(), 1);
        assert_eq!(list(&answer, "ratelimit-policy"), [member("real", &[("q", 9), ("w", 60)])]);
    }

    let mut server = RedisServer::start();
    let builder = RateGuard::builder().headers(Headers::X_RATE_LIMIT | Headers::IETF).on_error(OnError::Open);
    let app = App::with(connected(builder, &server).await, routes());
    let answer = app.get("/two").await;
    assert!(has_x(&answer) && has_ietf(&answer), "{answer:?}");
    server.kill();
    let answer = app.get("/two").await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.keys().all(|name| !name.as_str().contains("ratelimit")), "{answer:?}");
}

#[tokio::test]
async fn a_script_in_a_browser_may_read_what_is_exposed_also_of_a_denial() {
    let headers = Headers::X_RATE_LIMIT | Headers::IETF;
    let (limiter, _clock) = limiter(headers);
    let cors = CorsLayer::new().allow_origin(Any).expose_headers(headers.names());
    let app = App::with(limiter, routes()).map(|routes| routes.layer(cors));
    for status in [200, 200, 429] {
        let mut request: Request<_> = request("/two");
        request.headers_mut().insert("origin", "https://shop.example".parse().unwrap());
        let answer = app.send(request).await;
        assert_eq!(answer.status, status);
        let exposed = header(&answer.headers, "access-control-expose-headers").unwrap();
        let exposed: Vec<&str> = exposed.split(',').map(str::trim).collect();
        let ours = |name: &str| name.contains("ratelimit") || name == "retry-after";
        for name in answer.headers.keys().filter(|name| ours(name.as_str())) {
            assert!(exposed.contains(&name.as_str()), "{name} is not in {exposed:?}");
        }
        assert_eq!(exposed.len(), 6);
    }
}
