//! `policy`.

use super::*;

const LOGIN: Policy = Policy::new("login", Quota::per_hour(2)).unit("attempts");

#[rate_limit(policy = LOGIN, key = account)]
async fn log_in(Path(account): Path<String>) {
    drop(account);
}

#[rate_limit(policy = self::LOGIN, key = "path:account", exempt = ["loopback"], cost = 2)]
async fn by_head(Path(account): Path<String>) {
    drop(account);
}

struct Api;

#[rate_limit]
impl Api {
    const POLICY: Policy = Policy::new("api", Quota::per_hour(1)).shadow(true);
    const LIMIT: u32 = 1;

    #[rate_limit(policy = Self::POLICY)]
    async fn shadowed() {}

    #[rate_limit(limit = |_req| Self::LIMIT, window = Self::window(), name = "api-limit")]
    async fn limited() {}

    #[rate_limit(limit = Self::LIMIT + size, window = 60, key = "global", name = "api-size")]
    async fn sized(Path(size): Path<u32>) {
        let _: u32 = size;
    }

    const fn window() -> Duration {
        MINUTE
    }
}

#[tokio::test]
async fn code_peeks_and_resets_what_the_attribute_counts() {
    let app = App::new(Router::new().route("/{account}", get(log_in)));
    assert_eq!(app.statuses(&["/ada", "/ada", "/ada", "/bob"]).await, [200, 200, 429, 200]);
    assert!(app.get("/ada").await.body.contains("No more than 2 attempts in 1 hour"));
    let ada = Key::new("account", "ada");
    assert_eq!(app.limiter.peek(&LOGIN, &ada).await.unwrap().remaining(), 0);
    app.limiter.reset(&LOGIN, &ada).await.unwrap();
    assert_eq!(app.limiter.peek(&LOGIN, &ada).await.unwrap().remaining(), 2);
    assert_eq!(app.statuses(&["/ada", "/ada", "/ada"]).await, [200, 200, 429]);
}

#[tokio::test]
async fn the_limit_keeps_its_other_options() {
    let app = App::new(Router::new().route("/{account}", get(by_head)));
    assert_eq!(app.statuses(&["/ada", "/ada"]).await, [200, 429]);
    let key = Key::new("path.account", "ada");
    assert_eq!(app.limiter.peek(&LOGIN, &key).await.unwrap().remaining(), 0);
}

#[tokio::test]
async fn may_be_a_constant_of_an_impl_block() {
    let routes = Router::new()
        .route("/shadowed", get(Api::shadowed))
        .route("/limited", get(Api::limited))
        .route("/sized/{size}", get(Api::sized));
    let app = App::new(routes);
    assert_eq!(app.statuses(&["/shadowed", "/shadowed"]).await, [200, 200], "shadow mode");
    assert_eq!(app.limiter.peek(&Api::POLICY, &client()).await.unwrap().remaining(), 0);
    assert_eq!(app.statuses(&["/limited", "/limited"]).await, [200, 429]);
    assert_eq!(app.statuses(&["/sized/1", "/sized/1", "/sized/1", "/sized/2"]).await, [200, 200, 429, 200]);
}
