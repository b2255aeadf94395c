//! Requests to a router without a listener, as one client or another.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::http::{HeaderMap, Request};
use rateguard::{RateGuard, RateLimitLayer};
use tower::ServiceExt;

/// An app with the layer on.
#[derive(Clone, Debug)]
pub struct App {
    routes: Router,
    /// The limiter, to look at the counts.
    pub limiter: RateGuard,
}

/// What the app answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: String,
}

impl App {
    /// With a limiter in memory.
    pub fn new(routes: Router) -> App {
        App::with(RateGuard::memory(), routes)
    }

    /// With this limiter.
    pub fn with(limiter: RateGuard, routes: Router) -> App {
        App { routes: routes.layer(RateLimitLayer::new(limiter.clone())), limiter }
    }

    /// Puts a layer around it all.
    pub fn map(self, wrap: impl FnOnce(Router) -> Router) -> App {
        App { routes: wrap(self.routes), limiter: self.limiter }
    }

    /// `GET` from 192.0.2.1.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(request(path)).await
    }

    /// `GET` from 192.0.2.1 with a header.
    pub async fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        let mut request = request(path);
        let name: axum::http::HeaderName = name.parse().expect("a header's name");
        request.headers_mut().insert(name, value.parse().expect("a header's value"));
        self.send(request).await
    }

    /// `POST` of JSON from 192.0.2.1.
    pub async fn post(&self, path: &str, json: &str) -> Answer {
        let mut request = request(path).map(|_| Body::from(json.to_owned()));
        *request.method_mut() = axum::http::Method::POST;
        request.headers_mut().insert("content-type", "application/json".parse().expect("a header's value"));
        self.send(request).await
    }

    /// Any request. Without an address of its own it comes from 192.0.2.1.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        if request.extensions().get::<ConnectInfo<SocketAddr>>().is_none() {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        }
        let response = self.routes.clone().oneshot(request).await.expect("a router never fails");
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("the whole body");
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8(body.into()).expect("text"),
        }
    }

    /// The statuses of several requests to one path.
    pub async fn statuses(&self, paths: &[&str]) -> Vec<u16> {
        let mut statuses = Vec::new();
        for path in paths {
            statuses.push(self.get(path).await.status);
        }
        statuses
    }
}

impl Answer {
    /// The number in a header, if it is there.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.headers.get(name)?.to_str().ok()?.parse().ok()
    }
}

/// `GET` of this path.
pub fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("a path")
}
