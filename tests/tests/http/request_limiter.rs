//! What a handler can do with the request's own limiter, and what of it is charged.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rateguard::{Key, KeyBy, Policy, Quota, RateGuard, RateLimitLayer, RateLimited, RequestLimiter};
use rateguard_tests::{App, RedisServer, connected};

const INVITES: Policy = Policy::new("invites", Quota::per_hour(1));
const ALL: Policy = Policy::new("all", Quota::per_minute(5));

/// Goes on without the invitation.
async fn leaves_it_out(limiter: RequestLimiter) -> &'static str {
    match limiter.check(&INVITES, &Key::user(1)).await {
        Ok(_) => "sent",
        Err(_) => "left out",
    }
}

async fn answers(limiter: RequestLimiter) -> Result<&'static str, RateLimited> {
    limiter.check(&INVITES, &Key::user(1)).await?;
    Ok("sent")
}

/// An error of the program's own, around the denial.
async fn wraps(limiter: RequestLimiter) -> Result<&'static str, Wrapped> {
    limiter.check(&INVITES, &Key::user(1)).await.map_err(Wrapped)?;
    Ok("sent")
}

struct Wrapped(RateLimited);

impl IntoResponse for Wrapped {
    fn into_response(self) -> Response {
        (StatusCode::IM_A_TEAPOT, self.0.into_response()).into_response()
    }
}

/// Makes an answer of its own, which the limiter does not know as a denial.
async fn says_so_itself(limiter: RequestLimiter) -> (StatusCode, &'static str) {
    match limiter.check(&INVITES, &Key::user(1)).await {
        Ok(_) => (StatusCode::OK, "sent"),
        Err(denied) => (denied.status(), "slow down"),
    }
}

fn app() -> App {
    let limiter = RateGuard::memory();
    let layer = RateLimitLayer::new(limiter.clone()).limit("all", ALL.quota(), KeyBy::Ip);
    let routes = Router::new()
        .route("/on", get(leaves_it_out))
        .route("/answer", get(answers))
        .route("/wrapped", get(wraps))
        .route("/itself", get(says_so_itself));
    App::with(limiter, Router::new()).map(|_| routes.layer(layer))
}

async fn left(app: &App) -> u32 {
    app.limiter.peek(&ALL, &Key::ip([192, 0, 2, 1])).await.unwrap().remaining()
}

#[tokio::test]
async fn a_request_that_is_served_after_a_denial_is_counted_by_the_layer() {
    let app = app();
    let mut told = Vec::new();
    for _ in 0..7 {
        let answer = app.get("/on").await;
        told.push((answer.status, answer.number("x-ratelimit-remaining")));
    }
    let statuses: Vec<u16> = told.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429], "{told:?}");
}

#[tokio::test]
async fn a_request_that_is_answered_with_the_denial_spends_nothing() {
    for path in ["/answer", "/wrapped"] {
        let app = app();
        app.get(path).await;
        for _ in 0..7 {
            assert_ne!(app.get(path).await.status, 200, "{path}");
        }
        assert_eq!(left(&app).await, 4, "{path}");
    }
}

#[tokio::test]
async fn an_answer_that_the_program_makes_itself_is_an_answer_like_any_other() {
    let app = app();
    assert_eq!(app.statuses(&["/itself", "/itself"]).await, [200, 429]);
    assert_eq!(left(&app).await, 3);
}

#[tokio::test]
async fn a_charge_is_given_back_once_by_the_handler_or_by_a_later_denial() {
    const EXPORTS: Policy = Policy::new("exports", Quota::fixed_window(5, Duration::from_secs(60)));
    async fn export(limiter: RequestLimiter) -> Result<(), RateLimited> {
        let charged = limiter.check(&EXPORTS, &Key::user(1)).await?;
        limiter.limiter().refund_decision(&charged).await.unwrap();
        limiter.check(&INVITES, &Key::user(1)).await?;
        Ok(())
    }
    let server = RedisServer::start();
    for limiter in [RateGuard::memory(), connected(RateGuard::builder(), &server).await] {
        let app = App::with(limiter.clone(), Router::new().route("/", get(export)));
        for _ in 0..3 {
            let _ = limiter.check(&EXPORTS, &Key::user(1)).await;
        }
        assert_eq!(app.statuses(&["/", "/"]).await, [200, 429]);
        assert_eq!(limiter.peek(&EXPORTS, &Key::user(1)).await.unwrap().remaining(), 2, "what others took stays taken");
    }
}

#[tokio::test]
async fn a_decision_gives_its_charge_back_once() {
    let server = RedisServer::start();
    let quotas = ["5/1m", "sliding_counter:5/1m", "fixed_window:5/1m", "token_bucket:5/1h"];
    for limiter in [RateGuard::memory(), connected(RateGuard::builder(), &server).await] {
        for quota in quotas {
            let policy = Policy::try_new(quota, quota.parse().unwrap()).unwrap();
            let first = limiter.check(&policy, &Key::user(1)).await;
            for _ in 0..3 {
                let _ = limiter.check(&policy, &Key::user(1)).await;
            }
            let copy = first.clone();
            limiter.refund_decision(&first).await.unwrap();
            limiter.refund_decision(&first).await.unwrap();
            limiter.refund_decision(&copy).await.unwrap();
            let left = limiter.peek(&policy, &Key::user(1)).await.unwrap().remaining();
            assert!(left <= 2, "{quota}: {left}");
        }
    }
}
