//! Together with the attributes that handlers have beside `#[rate_limit]`, above them and below them.

mod debug_handler;
mod instrument;
mod utoipa_path;

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, Uri, Version};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use rateguard::rate_limit;
use rateguard_tests::App;
use serde::{Deserialize, Serialize};

/// Two requests are answered with this body, the third is denied.
async fn passes_twice(app: &App, path: &str, body: &str) {
    for _ in 0..2 {
        let answer = app.get(path).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
    }
    assert_eq!(app.get(path).await.status, 429, "{path}");
}
