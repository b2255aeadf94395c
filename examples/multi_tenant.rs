//! Each tenant has the quota of its contract, and each of its users a share of it. One layer has all of it.
//!
//! ```text
//! cargo run --example multi_tenant
//! curl -i -H 'authorization: Bearer ann-of-acme' http://127.0.0.1:3000/orders       # acme: 6 per minute, 3 for each user
//! for i in 1 2 3 4; do curl -s -w '%{http_code}\n' -H 'authorization: Bearer ann-of-acme' http://127.0.0.1:3000/orders; done
//! curl -i -H 'authorization: Bearer bob-of-acme' http://127.0.0.1:3000/orders       # Bob still has his own share
//! curl -i -H 'authorization: Bearer gus-of-globex' http://127.0.0.1:3000/orders     # globex: another contract
//! curl -i -H 'authorization: Bearer ina-of-initech' http://127.0.0.1:3000/orders    # initech: not limited
//! curl -i http://127.0.0.1:3000/orders                                              # 401, 2 per minute by address
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json};
use rateguard::{Headers, HttpLimit, Key, KeyBy, Quota, RateGuard, RateLimitLayer, UserId};

const MINUTE: Duration = Duration::from_secs(60);

/// The company that a request comes from.
#[derive(Clone, Copy)]
struct Tenant {
    name: &'static str,
    contract: Contract,
}

#[derive(Clone, Copy)]
enum Contract {
    /// Units per minute.
    Limited(u32),
    /// A steady rate per minute, and how much may come at once.
    Steady(u32, u32),
    Unlimited,
}

impl Contract {
    /// The quota; `None` is not limited.
    fn quota(self) -> Option<Quota> {
        match self {
            Contract::Limited(units) => Some(Quota::sliding_window(units, MINUTE)),
            Contract::Steady(rate, burst) => Some(Quota::token_bucket(rate, MINUTE).burst(burst)),
            Contract::Unlimited => None,
        }
    }
}

/// A real program asks its database here, or verifies a signature.
fn known(token: &str) -> Option<(Tenant, &'static str)> {
    let acme = Tenant { name: "acme", contract: Contract::Limited(6) };
    let globex = Tenant { name: "globex", contract: Contract::Steady(60, 4) };
    let initech = Tenant { name: "initech", contract: Contract::Unlimited };
    match token {
        "ann-of-acme" => Some((acme, "ann")),
        "bob-of-acme" => Some((acme, "bob")),
        "cleo-of-acme" => Some((acme, "cleo")),
        "gus-of-globex" => Some((globex, "gus")),
        "ina-of-initech" => Some((initech, "ina")),
        _ => None,
    }
}

/// Tells the limits who asks. It rejects nobody: guesses of tokens pass the limits too, by their address.
async fn authenticate(mut request: Request, next: Next) -> Response {
    let token = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if let Some((tenant, user)) = token.and_then(known) {
        request.extensions_mut().insert(tenant);
        request.extensions_mut().insert(UserId::new(user));
    }
    next.run(request).await
}

fn tenant(head: &Parts) -> Option<&Tenant> {
    head.extensions.get()
}

/// Each tenant is counted by its name; a request without one by its address.
fn by_tenant() -> KeyBy {
    KeyBy::from_fn(|head| Some(Key::new("tenant", tenant(head)?.name)))
}

fn limits(limiter: RateGuard) -> RateLimitLayer {
    RateLimitLayer::new(limiter)
        .rule(
            HttpLimit::new("tenant", Quota::per_minute(2), by_tenant())
                // Without a tenant, the limit's own quota applies.
                .quota_by(|head| tenant(head).map_or(Some(Quota::per_minute(2)), |tenant| tenant.contract.quota()))
                .cost(|head| if head.method == Method::POST { 2 } else { 1 }),
        )
        .rule(
            // Half of the contract for each user, so that one of them cannot use it up. Two tenants may have users of the
            // same name, so the key has both. `None`: other contracts have no such rule.
            HttpLimit::new("tenant-user", Quota::per_minute(1), KeyBy::all([by_tenant(), KeyBy::User])).quota_by(
                |head| match tenant(head)?.contract {
                    Contract::Limited(units) => Some(Quota::per_minute(units.div_ceil(2))),
                    Contract::Steady(..) | Contract::Unlimited => None,
                },
            ),
        )
        .headers(Headers::X_RATE_LIMIT | Headers::IETF)
}

async fn orders(tenant: Option<Extension<Tenant>>) -> Response {
    match tenant {
        Some(Extension(tenant)) => Json([format!("an order of {}", tenant.name)]).into_response(),
        None => (StatusCode::UNAUTHORIZED, "who are you?\n").into_response(),
    }
}

fn app(limiter: RateGuard) -> Router {
    Router::new()
        .route("/orders", get(orders).post(orders))
        .layer(limits(limiter))
        // Added later, so it runs earlier.
        .layer(middleware::from_fn(authenticate))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The company's own jobs and health checks, from its network. Behind a proxy, name it with `trusted_proxies`:
    // otherwise every client has the address of the proxy.
    let limiter = RateGuard::builder().store_from_env().exempt(["10.0.0.0/8", "fd00::/8"]).build()?;
    let listener = rateguard_examples::listen(&["curl -i -H 'authorization: Bearer ann-of-acme' URL/orders"]).await?;
    axum::serve(listener, app(limiter).into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, from: [u8; 4], method: Method, token: &str) -> u16 {
        let request = Request::builder()
            .method(method)
            .uri("/orders")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .extension(rateguard_examples::client(from));
        app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16()
    }

    const OUTSIDE: [u8; 4] = [203, 0, 113, 7];

    async fn get(app: &Router, token: &str) -> u16 {
        ask(app, OUTSIDE, Method::GET, token).await
    }

    #[tokio::test]
    async fn a_tenants_users_share_its_contract_and_none_of_them_has_more_than_half() {
        let app = app(RateGuard::memory());
        for status in [200, 200, 200, 429] {
            assert_eq!(get(&app, "ann-of-acme").await, status, "Ann's half");
        }
        for status in [200, 200, 200, 429] {
            assert_eq!(get(&app, "bob-of-acme").await, status, "Bob's half: Ann's denied request was not charged");
        }
        assert_eq!(get(&app, "cleo-of-acme").await, 429, "nothing is left of the contract");
    }

    #[tokio::test]
    async fn contracts_differ_and_writes_cost_two() {
        let app = app(RateGuard::memory());
        for (method, status) in [(Method::POST, 200), (Method::GET, 200), (Method::POST, 429), (Method::GET, 200)] {
            assert_eq!(ask(&app, OUTSIDE, method, "gus-of-globex").await, status);
        }
        for _ in 0..30 {
            assert_eq!(get(&app, "ina-of-initech").await, 200);
        }
    }

    #[tokio::test]
    async fn who_is_nobodys_user_is_counted_by_address_and_the_own_network_is_not_counted() {
        let app = app(RateGuard::builder().exempt(["10.0.0.0/8"]).build().unwrap());
        for status in [401, 401, 429] {
            assert_eq!(get(&app, "a-guess").await, status);
        }
        assert_eq!(ask(&app, [203, 0, 113, 8], Method::GET, "a-guess").await, 401);
        for _ in 0..10 {
            assert_eq!(ask(&app, [10, 1, 2, 3], Method::GET, "ann-of-acme").await, 200);
        }
    }
}
