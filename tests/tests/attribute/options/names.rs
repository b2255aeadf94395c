//! `name`, and the name of a limit without one.

use super::*;

#[rate_limit(limit = 9, window = 60)]
async fn own() {}
#[rate_limit(limit = 9, window = 60)]
#[rate_limit(limit = 99, window = 60, key = "global")]
async fn r#loop() {}
#[rate_limit(limit = 9, window = 60, name = "shared")]
async fn one() {}
#[rate_limit(limit = 9, window = 60, name = "shared")]
async fn other() {}

#[tokio::test]
async fn default_to_the_path_of_the_function_and_are_shared_if_given() {
    let app = App::new(
        Router::new()
            .route("/own", get(own))
            .route("/loop", get(r#loop))
            .route("/one", get(one))
            .route("/other", get(other)),
    );
    assert_eq!(app.statuses(&["/own", "/own", "/loop", "/one", "/other"]).await, [200; 5]);
    assert_eq!(left(&app, "attribute::options::names::own", 9, client()).await, 7);
    assert_eq!(left(&app, "attribute::options::names::loop", 9, client()).await, 8);
    assert_eq!(left(&app, "attribute::options::names::loop#2", 99, Key::global()).await, 98);
    assert_eq!(left(&app, "shared", 9, client()).await, 7);
}
