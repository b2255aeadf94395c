//! `skip`.

use super::*;

#[rate_limit(limit = 1, window = 60, skip = false)]
async fn never() {}
#[rate_limit(limit = 1, window = 60, skip = |req| req.headers.contains_key("x-probe"))]
async fn closure() {}
#[rate_limit(limit = 1, window = 60, skip = user == "admin")]
async fn expression(Path(user): Path<String>) {
    drop(user);
}
#[rate_limit(limit = 1, window = 60, skip = OFF.load(Ordering::Relaxed))]
async fn switch() {}
static OFF: AtomicBool = AtomicBool::new(false);

#[tokio::test]
async fn leave_requests_uncounted() {
    let app = App::new(
        Router::new()
            .route("/never", get(never))
            .route("/closure", get(closure))
            .route("/expression/{user}", get(expression))
            .route("/switch", get(switch)),
    );
    assert_eq!(app.statuses(&["/never", "/never"]).await, [200, 429]);
    for _ in 0..3 {
        assert_eq!(app.get_with("/closure", "x-probe", "1").await.status, 200);
    }
    assert_eq!(app.statuses(&["/closure", "/closure"]).await, [200, 429]);
    assert_eq!(app.statuses(&["/expression/admin"; 3]).await, [200; 3]);
    assert_eq!(app.statuses(&["/expression/ada", "/expression/ada"]).await, [200, 429]);
    assert_eq!(app.statuses(&["/switch", "/switch"]).await, [200, 429]);
    OFF.store(true, Ordering::Relaxed);
    assert_eq!(app.get("/switch").await.status, 200);
}
