//! The client's address.

use super::*;

#[tokio::test]
async fn the_clients_address_is_an_extractor_and_an_extension() {
    async fn whoami(address: ClientIp, Extension(also): Extension<ClientIp>) -> String {
        assert_eq!(address, also);
        address.to_string()
    }
    let limiter = RateGuard::builder().trusted_proxies(["10.0.0.0/8"]).build().unwrap();
    let app = App::with(limiter, Router::new().route("/", get(whoami)));
    assert_eq!(app.send(from("203.0.113.7", "/")).await.body, "203.0.113.7");
    let mut proxied = from("10.0.0.1", "/");
    proxied.headers_mut().insert("x-forwarded-for", "2001:db8::7".parse().unwrap());
    assert_eq!(app.send(proxied).await.body, "2001:db8::7", "the whole address, not its network");
}

#[tokio::test]
async fn of_nested_layers_with_limiters_of_their_own_the_address_is_that_of_the_nearest() {
    async fn whoami(address: ClientIp, Extension(also): Extension<ClientIp>) -> String {
        format!("{address} {also}")
    }
    let outer = RateGuard::memory();
    let inner = RateGuard::builder().memory().trusted_proxies(["192.0.2.0/24"]).build().unwrap();
    let app = App::with(inner.clone(), Router::new().route("/", get(whoami)))
        .map(|routes| routes.layer(RateLimitLayer::new(outer)));
    assert_eq!(app.get_with("/", "x-forwarded-for", "203.0.113.7").await.body, "203.0.113.7 203.0.113.7");
}
