//! `key`.

use super::*;

#[rate_limit(limit = 1, window = 60, key = "header:X-Api-Key")]
async fn header() {}
#[rate_limit(limit = 1, window = 60, key = "cookie:session")]
async fn cookie() {}
#[rate_limit(limit = 1, window = 60, key = "global")]
async fn global() {}
#[rate_limit(limit = 1, window = 60, key = "user")]
async fn user() {}
#[rate_limit(limit = 1, window = 60, key = "path:tenant")]
async fn path() {}
#[rate_limit(limit = 1, window = 60, key = ("path:tenant", "header:x-api-key"))]
async fn tuple() {}
#[rate_limit(limit = 1, window = 60, key = |req| req.uri.query())]
async fn closure_of_an_option() {}
#[rate_limit(limit = 1, window = 60, key = |req: &Parts| Key::new("path", req.uri.path()))]
async fn closure_of_a_key() {}
#[rate_limit(limit = 1, window = 60, key = ("path:tenant", |req| req.uri.query(), page.len()))]
async fn tuple_of_all_forms(Query(page): Query<Vec<(String, String)>>) {
    drop(page);
}
#[rate_limit(limit = 1, window = 60, key = page.first().map(|(name, _)| name))]
async fn expression_of_an_option(Query(page): Query<Vec<(String, String)>>) {
    drop(page);
}

async fn authenticate(mut request: Request, next: Next) -> Response {
    if let Some(user) = request.headers().get("x-user") {
        let id = UserId::new(user.to_str().unwrap());
        request.extensions_mut().insert(id);
    }
    next.run(request).await
}

fn app() -> App {
    App::new(
        Router::new()
            .route("/header", get(header))
            .route("/cookie", get(cookie))
            .route("/global", get(global))
            .route("/user", get(user))
            .route("/path/{tenant}", get(path))
            .route("/tuple/{tenant}", get(tuple))
            .route("/option", get(closure_of_an_option))
            .route("/key/{*rest}", get(closure_of_a_key))
            .route("/all/{tenant}", get(tuple_of_all_forms))
            .route("/expression", get(expression_of_an_option))
            .route("/nobody", get(path)),
    )
    .map(|app| app.layer(middleware::from_fn(authenticate)))
}

#[tokio::test]
async fn each_literal_counts_clients_by_its_part_of_the_request() {
    let app = app();
    for (path, name, one, other) in [
        ("/header", "x-api-key", "one", "other"),
        ("/cookie", "cookie", "a=b; session=one", "session=other; a=b"),
        ("/user", "x-user", "ada", "bob"),
    ] {
        assert_eq!(app.get_with(path, name, one).await.status, 200, "{path}");
        assert_eq!(app.get_with(path, name, one).await.status, 429, "{path}");
        assert_eq!(app.get_with(path, name, other).await.status, 200, "{path}");
    }
    assert_eq!(app.statuses(&["/path/a", "/path/a", "/path/b", "/path/b"]).await, [200, 429, 200, 429]);
    let mut elsewhere = request("/global");
    let address = std::net::SocketAddr::from(([198, 51, 100, 7], 1));
    elsewhere.extensions_mut().insert(axum::extract::ConnectInfo(address));
    assert_eq!(app.send(elsewhere).await.status, 200);
    assert_eq!(app.get("/global").await.status, 429, "one bucket for all");
}

#[tokio::test]
async fn a_tuple_is_one_key_of_several_parts() {
    let app = app();
    for (path, key, status) in [
        ("/tuple/a", "1", 200),
        ("/tuple/a", "1", 429),
        ("/tuple/a", "2", 200),
        ("/tuple/b", "1", 200),
        ("/tuple/b", "2", 200),
        ("/tuple/b", "2", 429),
    ] {
        assert_eq!(app.get_with(path, "x-api-key", key).await.status, status, "{path} {key}");
    }
    let paths = ["/all/a?x=1", "/all/a?x=1", "/all/b?x=1", "/all/a?x=2", "/all/a?x=2&y=1"];
    assert_eq!(app.statuses(&paths).await, [200, 429, 200, 200, 200]);
}

#[tokio::test]
async fn a_closure_reads_the_head_and_an_expression_the_arguments() {
    let app = app();
    assert_eq!(app.statuses(&["/option?a", "/option?a", "/option?b"]).await, [200, 429, 200]);
    assert_eq!(app.statuses(&["/key/a?1", "/key/a?2", "/key/b"]).await, [200, 429, 200]);
    assert_eq!(app.statuses(&["/expression?a=1", "/expression?a=2", "/expression?b"]).await, [200, 429, 200]);
}

#[tokio::test]
async fn a_request_without_the_key_is_counted_by_address() {
    for path in ["/header", "/cookie", "/user", "/option", "/expression"] {
        let app = app();
        assert_eq!(app.statuses(&[path, path]).await, [200, 429], "{path}");
        let mut elsewhere = request(path);
        let address = std::net::SocketAddr::from(([198, 51, 100, 7], 1));
        elsewhere.extensions_mut().insert(axum::extract::ConnectInfo(address));
        assert_eq!(app.send(elsewhere).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_parameter_that_the_route_does_not_have_is_a_500() {
    assert_eq!(app().get("/nobody").await.status, 500);
}
