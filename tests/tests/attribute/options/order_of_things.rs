//! When closures, extractors and expressions over the arguments run.

use super::*;

static ORDERS: AtomicUsize = AtomicUsize::new(0);
static BY_CUSTOMER: AtomicUsize = AtomicUsize::new(0);

#[rate_limit(limit = 2, window = 60)]
async fn order(Json(order): Json<Order>) -> String {
    ORDERS.fetch_add(1, Ordering::Relaxed);
    order.customer
}

#[tokio::test]
async fn a_limit_over_the_head_is_decided_before_the_body_is_read() {
    let app = App::new(Router::new().route("/order", post(order)));
    let good = r#"{"customer":"ada","items":[1]}"#;
    assert_eq!(app.post("/order", good).await.status, 200);
    assert_eq!(app.post("/order", "{").await.status, 400, "counted, although the body is invalid");
    assert_eq!(app.post("/order", "{").await.status, 429, "denied before the body is read");
    let read = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&read);
    let body = stream::once(async move {
        seen.store(true, Ordering::Relaxed);
        Ok::<_, std::io::Error>(Bytes::from_static(b"{}"))
    });
    let request = Request::post("/order").header("content-type", "application/json");
    let request = request.body(Body::from_stream(body)).unwrap();
    assert_eq!(app.send(request).await.status, 429);
    assert!(!read.load(Ordering::Relaxed), "the body was read");
    assert_eq!(ORDERS.load(Ordering::Relaxed), 1);
}

#[rate_limit(limit = 2, window = 60, key = order.customer)]
async fn order_by_customer(Json(order): Json<Order>) -> String {
    BY_CUSTOMER.fetch_add(1, Ordering::Relaxed);
    order.customer
}

#[tokio::test]
async fn a_limit_over_an_argument_is_decided_after_extraction_and_before_the_handler_runs() {
    let app = App::new(Router::new().route("/order", post(order_by_customer)));
    for customer in ["ada", "bob"] {
        let order = format!(r#"{{"customer":"{customer}","items":[]}}"#);
        for status in [200, 200, 429] {
            assert_eq!(app.post("/order", &order).await.status, status, "{customer}");
        }
    }
    assert_eq!(app.post("/order", "{").await.status, 400, "no key to count");
    assert_eq!(BY_CUSTOMER.load(Ordering::Relaxed), 4);
}
