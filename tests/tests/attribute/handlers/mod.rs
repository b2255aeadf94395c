//! Every form of handler that axum accepts, with a limit of two: two requests are answered as without the limit, the
//! third is denied. A limit over the request's head changes only the signature. A limit over an argument (`key = …`
//! below) also puts a check before the body, so both are tested with everything that a body can do.

mod answers;
mod arguments;
mod bodies;
mod generics;
mod places;
mod upgrades;

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequestParts, Path, Query, RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use futures_util::{Stream, stream};
use rateguard::{Limited, RateGuard, RateLimitLayer, rate_limit};
use rateguard_tests::{Answer, App, request, serve};
use serde::Deserialize;

/// Sends the request three times, and returns the first answer.
async fn two_of_three(route: MethodRouter, request: impl Fn() -> axum::http::Request<Body>) -> Answer {
    let app = App::new(Router::new().route("/{id}", route));
    let first = app.send(request()).await;
    let second = app.send(request()).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_ne!(first.status, 429);
    assert_eq!(first.number("x-ratelimit-remaining"), Some(1), "counted once");
    assert_eq!(app.send(request()).await.status, 429);
    first
}

async fn got(route: MethodRouter) -> (u16, String) {
    let answer = two_of_three(route, || request("/7?words=axum")).await;
    (answer.status, answer.body)
}

async fn posted(route: MethodRouter, json: &'static str) -> (u16, String) {
    let json_request = move || {
        let request = Request::post("/7").header("content-type", "application/json");
        request.body(Body::from(json)).unwrap()
    };
    let answer = two_of_three(route, json_request).await;
    (answer.status, answer.body)
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[derive(Clone, Deserialize)]
struct Search {
    words: String,
    page: Option<u32>,
}

#[derive(Deserialize)]
struct Order {
    items: Vec<u32>,
}
