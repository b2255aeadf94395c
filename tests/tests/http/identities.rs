//! Identities beyond the address: cookies, path parameters, users; and the mistakes in putting them together.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum_extra::TypedHeader;
use axum_extra::extract::CookieJar;
use axum_extra::headers::Authorization;
use axum_extra::headers::authorization::Bearer;
use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer, UserId, rate_limit};
use rateguard_tests::Log;
use tower::ServiceExt;
use tower_cookies::{CookieManagerLayer, Cookies};
use tracing::Level;

fn two() -> Quota {
    Quota::sliding_window(2, Duration::from_secs(60))
}

async fn ask(app: &Router, path: &str, cookie: &str) -> u16 {
    let client = MockConnectInfo(std::net::SocketAddr::from(([203, 0, 113, 7], 50_000)));
    let request = Request::builder().uri(path).header("cookie", cookie).body(Body::empty()).unwrap();
    app.clone().layer(client).oneshot(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_layer_counts_by_cookie_and_by_path_parameter() {
    let app = Router::new().route("/tenants/{tenant}/orders", get(|| async {})).layer(
        RateLimitLayer::new(RateGuard::memory()).limit("tenant", two(), KeyBy::path("tenant")).limit(
            "session",
            Quota::sliding_window(3, Duration::from_secs(60)),
            KeyBy::cookie("session"),
        ),
    );
    for status in [200, 200, 429] {
        assert_eq!(ask(&app, "/tenants/a/orders", "session=x").await, status);
    }
    assert_eq!(ask(&app, "/tenants/b/orders", "other=1; session=x").await, 200);
    assert_eq!(ask(&app, "/tenants/b/orders", "session=x").await, 429, "the session has used its three units");
    assert_eq!(ask(&app, "/tenants/b/orders", "session=y").await, 200);
}

#[tokio::test]
async fn a_layer_by_a_parameter_that_the_route_does_not_capture_answers_500() {
    let layer = RateLimitLayer::new(RateGuard::memory()).limit("tenant", two(), KeyBy::path("tenant"));
    let app = Router::new().route("/orders/{id}", get(|| async {})).layer(layer);
    assert_eq!(ask(&app, "/orders/1", "").await, 500);
}

#[rate_limit(limit = 2, window = 60, key = "path:t")]
async fn by_segment() {}

#[tokio::test]
async fn a_path_that_is_not_utf8_is_the_clients_mistake_and_leaves_the_log_to_the_programs_own() {
    let (log, _guard) = Log::capture(Level::INFO);
    let layer = || RateLimitLayer::new(RateGuard::memory());
    let alone = Router::new().route("/t/{t}", get(|_: axum::extract::Path<String>| async {}));
    let attribute = Router::new().route("/t/{t}", get(by_segment)).layer(layer());
    let layered = Router::new()
        .route("/t/{t}", get(|| async {}))
        .layer(layer().limit("segment", two(), KeyBy::path("t")).limit("address", two(), KeyBy::Ip));
    for app in [alone, attribute, layered] {
        assert_eq!(ask(&app, "/t/%ff", "").await, 400);
        assert_eq!(ask(&app, "/t/%C3%A9", "").await, 200);
    }
    assert_eq!(log.text(), "");

    let wrong = Router::new().route("/t/{other}", get(by_segment)).layer(layer());
    assert_eq!(ask(&wrong, "/t/%ff", "").await, 400);
    assert_eq!(ask(&wrong, "/t/x", "").await, 500);
    assert!(log.text().contains("captures no `t`"), "{}", log.text());
}

async fn authenticate(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(UserId::new("alice"));
    next.run(request).await
}

#[rate_limit(limit = 100, window = 60, key = "user")]
async fn handler() {}

#[tokio::test]
async fn authentication_that_runs_after_the_limit_is_said_once_with_the_mend() {
    let (log, _guard) = Log::capture(Level::INFO);
    let limit = || RateLimitLayer::new(RateGuard::memory()).limit("by-user", two(), KeyBy::User);
    let logged = || log.text();

    let right = Router::new().route("/", get(handler)).layer(limit()).layer(middleware::from_fn(authenticate));
    assert_eq!(ask(&right, "/", "").await, 200);
    assert_eq!(logged(), "");

    let wrong = Router::new().route("/", get(handler)).layer(middleware::from_fn(authenticate)).layer(limit());
    for _ in 0..2 {
        assert_eq!(ask(&wrong, "/", "").await, 200);
    }
    let logged = logged();
    assert_eq!(logged.matches("add the authentication layer after the RateLimitLayer").count(), 1, "{logged}");
}

const REAL: &str = "REAL";

/// Lets the request pass if this is what was given out.
async fn verified(given: Option<&str>, request: Request, next: Next) -> Result<Response, StatusCode> {
    if given == Some(REAL) { Ok(next.run(request).await) } else { Err(StatusCode::UNAUTHORIZED) }
}

async fn by_cookie_jar(jar: CookieJar, request: Request, next: Next) -> Result<Response, StatusCode> {
    verified(jar.get("session").map(tower_cookies::Cookie::value_trimmed), request, next).await
}

async fn by_tower_cookies(cookies: Cookies, request: Request, next: Next) -> Result<Response, StatusCode> {
    let cookie = cookies.get("session");
    verified(cookie.as_ref().map(tower_cookies::Cookie::value_trimmed), request, next).await
}

async fn by_bearer(
    TypedHeader(sent): TypedHeader<Authorization<Bearer>>,
    request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    verified(Some(sent.token()), request, next).await
}

#[rate_limit(limit = 2, window = 60, key = "cookie:session")]
async fn by_session() {}

#[rate_limit(limit = 2, window = 60, key = "header:authorization")]
async fn by_credentials() {}

/// Sends each request as the same known client. Returns how many were served.
async fn served(app: &Router, requests: impl IntoIterator<Item = Vec<(&'static str, String)>>) -> usize {
    let mut served = 0;
    for lines in requests {
        let mut request = rateguard_tests::request("/");
        request.extensions_mut().insert(ConnectInfo(std::net::SocketAddr::from(([192, 0, 2, 1], 50_000))));
        for (name, value) in lines {
            request.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        match app.clone().oneshot(request).await.unwrap().status().as_u16() {
            200 => served += 1,
            status => assert_eq!(status, 429, "the app knows who it is"),
        }
    }
    served
}

/// 0 to 19 as four bits and more, to tell twenty spellings apart.
fn bit(n: usize, at: usize) -> bool {
    n >> at & 1 == 1
}

/// Escapes some characters.
fn escaped(text: &str, n: usize) -> String {
    let escape = |(at, c): (usize, char)| match (bit(n, at), n < 16) {
        (false, _) => c.to_string(),
        (true, true) => format!("%{:02X}", u32::from(c)),
        (true, false) => format!("%{:02x}", u32::from(c)),
    };
    text.chars().enumerate().map(escape).collect()
}

#[tokio::test]
async fn a_verified_cookie_has_one_quota_under_every_spelling() {
    type Spell = fn(usize) -> Vec<(&'static str, String)>;
    let spellings: [(&str, Spell); 8] = [
        ("plain", |_| vec![("cookie", "session=REAL".into())]),
        ("junk in front", |n| vec![("cookie", format!("session=junk{n}; session=REAL"))]),
        ("two lines", |n| vec![("cookie", format!("session=junk{n}")), ("cookie", "session=REAL".into())]),
        ("escaped value", |n| vec![("cookie", format!("session={}", escaped(REAL, n)))]),
        ("escaped name", |n| vec![("cookie", format!("{}=REAL", escaped("session", n)))]),
        ("junk, escaped name", |n| vec![("cookie", format!("session=junk{n}; %73ession=REAL"))]),
        ("not UTF-8 behind it", |n| vec![("cookie", format!("session=REAL; session=%ff{n}"))]),
        ("in quotes", |n| vec![("cookie", format!("session=\"{}\"", escaped(REAL, n)))]),
    ];
    let routes = || Router::new().route("/", get(by_session)).layer(RateLimitLayer::new(RateGuard::memory()));
    let layered = || {
        let limit = RateLimitLayer::new(RateGuard::memory()).limit("session", two(), KeyBy::cookie("session"));
        Router::new().route("/", get(|| async {})).layer(limit)
    };
    let jar = |app: Router| app.layer(middleware::from_fn(by_cookie_jar));
    let tower = |app: Router| app.layer(middleware::from_fn(by_tower_cookies)).layer(CookieManagerLayer::new());
    let mut all = Vec::new();
    for (how, spelling) in spellings {
        for (library, app) in [
            ("axum-extra, attribute", jar(routes())),
            ("axum-extra, layer", jar(layered())),
            ("tower-cookies, attribute", tower(routes())),
            ("tower-cookies, layer", tower(layered())),
        ] {
            all.push((how, library, served(&app, (0..20).map(spelling)).await));
        }
    }
    let more: Vec<_> = all.iter().filter(|(.., served)| *served != 2).collect();
    assert!(more.is_empty(), "of 20 requests at limit 2 were served: {more:#?}");

    // What follows is beyond ASCII, which axum-extra does not read.
    let spaced = |n: usize| vec![("cookie", format!("session={}REAL{}", "\u{a0}".repeat(n), "\u{3000}".repeat(n % 3)))];
    assert_eq!(served(&tower(routes()), (0..20).map(spaced)).await, 2, "white space of Unicode");

    // All of them together: what the session has, and what the address has for requests without one session.
    let app = jar(routes());
    let mixed = (0..20).flat_map(|n| spellings.map(|(_, spelling)| spelling(n)));
    assert_eq!(served(&app, mixed).await, 4);
}

#[tokio::test]
async fn verified_credentials_have_one_quota_under_every_spelling() {
    let app = Router::new()
        .route("/", get(by_credentials))
        .layer(RateLimitLayer::new(RateGuard::memory()))
        .layer(middleware::from_fn(by_bearer));
    let scheme = |n: usize| -> String {
        let cased = |(at, c): (usize, char)| if bit(n, at) { c.to_ascii_uppercase() } else { c };
        "bearer".chars().enumerate().map(cased).collect()
    };
    let spelt = (0..20).map(|n| vec![("authorization", format!("{}{}REAL", scheme(n), " ".repeat(1 + n % 5)))]);
    assert_eq!(served(&app, spelt).await, 2, "of 20 requests at limit 2");
}

#[tokio::test]
async fn a_header_sent_twice_is_no_identity() {
    let limit = RateLimitLayer::new(RateGuard::memory()).limit("key", two(), KeyBy::header("x-api-key"));
    let app = Router::new().route("/", get(|| async {})).layer(limit);
    let twice = |n: usize| vec![("x-api-key", format!("junk{n}")), ("x-api-key", REAL.to_owned())];
    assert_eq!(served(&app, (0..20).map(twice)).await, 2, "counted by the address");
    assert_eq!(served(&app, [vec![("x-api-key", REAL.to_owned())]]).await, 1, "and not by either of them");
}

#[rate_limit(limit = 2, window = 60, key = "user")]
async fn by_user() {}

#[tokio::test]
async fn an_empty_user_is_no_identity() {
    async fn nameless(mut request: Request, next: Next) -> Response {
        request.extensions_mut().insert(UserId::new(""));
        next.run(request).await
    }
    let layer = || RateLimitLayer::new(RateGuard::memory());
    for app in [
        Router::new().route("/", get(by_user)).layer(layer()),
        Router::new().route("/", get(|| async {})).layer(layer().limit("user", two(), KeyBy::User)),
    ] {
        let app = app.layer(middleware::from_fn(nameless));
        let ask = async |client: [u8; 4]| {
            let client = MockConnectInfo(std::net::SocketAddr::from((client, 50_000)));
            let request = Request::builder().uri("/").body(Body::empty()).unwrap();
            app.clone().layer(client).oneshot(request).await.unwrap().status().as_u16()
        };
        for status in [200, 200, 429] {
            assert_eq!(ask([192, 0, 2, 1]).await, status);
        }
        assert_eq!(ask([192, 0, 2, 2]).await, 200, "another address is another client");
    }
}
