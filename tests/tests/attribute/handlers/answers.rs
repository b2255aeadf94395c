//! What handlers answer with.

use super::*;

#[rate_limit(limit = 2, window = 60)]
async fn nothing() {}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn nothing_by_argument(Path(id): Path<u32>) {
    let _ = id;
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn unit_by_argument(Path(id): Path<u32>) -> () {
    let _ = id;
}

#[rate_limit(limit = 2, window = 60)]
async fn html() -> Html<&'static str> {
    Html("<p>")
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn redirect(Path(id): Path<u32>) -> Redirect {
    Redirect::to(&format!("/{id}"))
}

#[rate_limit(limit = 2, window = 60)]
async fn something() -> impl IntoResponse {
    (StatusCode::CREATED, [(header::ETAG, "\"1\"")], "something")
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn something_by_argument(Path(id): Path<u32>) -> impl IntoResponse {
    (StatusCode::CREATED, [(header::ETAG, "\"1\"")], id.to_string())
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn response(Path(id): Path<u32>) -> Response {
    if id == 7 {
        return StatusCode::NO_CONTENT.into_response();
    }
    "else".into_response()
}

#[tokio::test]
async fn of_all_types_arrive_unchanged() {
    assert_eq!(got(get(nothing)).await, ok(""));
    assert_eq!(got(get(nothing_by_argument)).await, ok(""));
    assert_eq!(got(get(unit_by_argument)).await, ok(""));
    assert_eq!(got(get(html)).await, ok("<p>"));
    assert_eq!(got(get(redirect)).await.0, 303);
    assert_eq!(got(get(something)).await, (201, "something".to_owned()));
    assert_eq!(got(get(something_by_argument)).await, (201, "7".to_owned()));
    assert_eq!(got(get(response)).await.0, 204);
}

struct Invalid(String);

impl From<std::num::ParseIntError> for Invalid {
    fn from(error: std::num::ParseIntError) -> Invalid {
        Invalid(error.to_string())
    }
}

impl IntoResponse for Invalid {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, self.0).into_response()
    }
}

#[rate_limit(limit = 2, window = 60)]
async fn parsed(Query(search): Query<Search>) -> Result<Json<u32>, Invalid> {
    Ok(Json(search.words.parse()?))
}

#[rate_limit(limit = 2, window = 60, key = search.words)]
async fn parsed_by_argument(Query(search): Query<Search>) -> Result<Json<u32>, Invalid> {
    Ok(Json(search.words.parse()?))
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn some_result(Path(id): Path<u32>) -> Result<impl IntoResponse, Invalid> {
    if id == 7 {
        return Err(Invalid("seven".to_owned()));
    }
    Ok([(header::ETAG, "\"1\"")])
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn axums_own_result(Path(id): Path<u32>) -> axum::response::Result<String> {
    Err((StatusCode::IM_A_TEAPOT, id.to_string()))?;
    Ok(String::new())
}

trait Failure: Send {
    fn text(&self) -> String;
}

impl Failure for u32 {
    fn text(&self) -> String {
        self.to_string()
    }
}

impl IntoResponse for Box<dyn Failure> {
    fn into_response(self) -> Response {
        (StatusCode::CONFLICT, self.text()).into_response()
    }
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn boxed_at_the_end(Path(id): Path<u32>) -> Result<(), Box<dyn Failure>> {
    match id {
        0 => Ok(()),
        _ => Err(Box::new(id)),
    }
}

#[tokio::test]
async fn may_be_results_and_returned_early() {
    let invalid = (400, "invalid digit found in string".to_owned());
    assert_eq!(got(get(parsed)).await, invalid);
    assert_eq!(got(get(parsed_by_argument)).await, invalid);
    assert_eq!(got(get(some_result)).await, (400, "seven".to_owned()));
    assert_eq!(got(get(axums_own_result)).await, (418, "7".to_owned()));
    assert_eq!(got(get(boxed_at_the_end)).await, (409, "7".to_owned()));
}

#[rate_limit(limit = 2, window = 60)]
async fn events() -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::iter([Ok(Event::default().data("one"))]))
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn events_by_argument(Path(id): Path<u32>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::iter([Ok(Event::default().data(id.to_string()))]))
}

#[rate_limit(limit = 2, window = 60)]
async fn streamed() -> Body {
    Body::from_stream(stream::iter(["one ", "two"].map(Ok::<_, Infallible>)))
}

#[tokio::test]
async fn may_be_streams() {
    assert_eq!(got(get(events)).await, ok("data: one\n\n"));
    assert_eq!(got(get(events_by_argument)).await, ok("data: 7\n\n"));
    assert_eq!(got(get(streamed)).await, ok("one two"));
}
