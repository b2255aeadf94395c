//! `shadow`.

use super::*;

#[rate_limit(limit = 1, window = 60, shadow = true)]
async fn on() {}
#[rate_limit(limit = 1, window = 60, shadow = !ON)]
async fn off() {}
const ON: bool = true;

#[tokio::test]
async fn count_and_never_deny() {
    let app = App::new(Router::new().route("/on", get(on)).route("/off", get(off)));
    assert_eq!(app.statuses(&["/on", "/on", "/off", "/off"]).await, [200, 200, 200, 429]);
    assert_eq!(left(&app, "attribute::options::shadows::on", 2, client()).await, 1);
}
