//! The extractor that the attribute puts in front of a handler's own.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::rule::Rule;
use crate::key::Key;

/// What a handler is limited by. Implemented by the hidden marker beside it.
pub trait Limits: Send + Sync + 'static {
    /// The handler, as `module::path::function`.
    const HANDLER: &'static str;
    /// Its limits, outermost attribute first.
    const RULES: &'static [Rule];
}

/// The extractor.
#[derive(Debug)]
pub struct Guard<L> {
    marker: PhantomData<fn() -> L>,
}

/// The answer in place of the handler's.
#[derive(Debug)]
pub struct RateLimited;

impl std::fmt::Display for RateLimited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rate limited")
    }
}
impl std::error::Error for RateLimited {}
impl IntoResponse for RateLimited {
    fn into_response(self) -> Response {
        Response::default()
    }
}

impl<S: Send + Sync, L: Limits> FromRequestParts<S> for Guard<L> {
    type Rejection = RateLimited;
    async fn from_request_parts(_parts: &mut Parts, _: &S) -> Result<Self, RateLimited> {
        Ok(Guard { marker: PhantomData })
    }
}

/// What the handler's arguments said about one of its rules.
#[derive(Debug)]
pub struct Late {}

impl Late {
    /// About the rule at this place in [`Limits::RULES`].
    pub fn rule(_index: usize) -> Late {
        Late {}
    }
    /// The next part of its key that was open.
    pub fn key(self, _key: Option<Key>) -> Late {
        self
    }
    /// What it takes.
    pub fn cost(self, _cost: u32) -> Late {
        self
    }
    /// Whether it passes uncounted.
    pub fn skip(self, _skip: bool) -> Late {
        self
    }
}

impl<L: Limits> Guard<L> {
    /// Decides the rules that waited for the handler's arguments.
    ///
    /// # Errors
    ///
    /// The answer to send when one of them refuses.
    pub async fn settle<const N: usize>(self, _late: [Late; N]) -> Result<(), RateLimited> {
        Ok(())
    }
}
