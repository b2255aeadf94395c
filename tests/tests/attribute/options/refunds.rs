//! `refund_if`.

use super::*;

async fn answer(code: u16) -> Response {
    StatusCode::from_u16(code).unwrap().into_response()
}

#[rate_limit(limit = 1, window = 60, refund_if = |res| res.status().is_success())]
async fn only_failures(Path(code): Path<u16>) -> Response {
    answer(code).await
}
#[rate_limit(limit = 1, window = 60, key = code / 1000, refund_if = is_error)]
async fn only_successes(Path(code): Path<u16>) -> Response {
    answer(code).await
}
fn is_error(response: &Response) -> bool {
    response.status().is_server_error()
}

#[tokio::test]
async fn give_the_charge_back_depending_on_the_response() {
    let routes =
        Router::new().route("/failures/{code}", get(only_failures)).route("/successes/{code}", get(only_successes));
    let app = App::new(routes);
    let paths = ["/failures/200", "/failures/200", "/failures/401", "/failures/200"];
    assert_eq!(app.statuses(&paths).await, [200, 200, 401, 429]);
    let paths = ["/successes/500", "/successes/500", "/successes/200", "/successes/200"];
    assert_eq!(app.statuses(&paths).await, [500, 500, 200, 429]);
}
