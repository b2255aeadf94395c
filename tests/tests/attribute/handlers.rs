//! Every form of handler that axum accepts, with a limit of two: two requests are answered as without the limit, the
//! third is denied. A limit over the request's head changes only the signature. A limit over an argument (`key = …`
//! below) also puts a check before the body, so both are tested with everything that a body can do.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt::Display;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequestParts, Path, Query, RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Method, StatusCode, Uri, Version, header};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use futures_util::{Stream, stream};
use rateguard::{Limited, RateGuard, RateLimitLayer, rate_limit};
use rateguard_tests::{Answer, App, request, serve};
use serde::Deserialize;

/// Sends the request three times, and returns the first answer.
async fn two_of_three(route: MethodRouter, request: impl Fn() -> axum::http::Request<Body>) -> Answer {
    let app = App::new(Router::new().route("/{id}", route));
    let first = app.send(request()).await;
    let second = app.send(request()).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    assert_ne!(first.status, 429);
    assert_eq!(first.number("x-ratelimit-remaining"), Some(1), "counted once");
    assert_eq!(app.send(request()).await.status, 429);
    first
}

async fn got(route: MethodRouter) -> (u16, String) {
    let answer = two_of_three(route, || request("/7?words=axum")).await;
    (answer.status, answer.body)
}

async fn posted(route: MethodRouter, json: &'static str) -> (u16, String) {
    let json_request = move || {
        let request = Request::post("/7").header("content-type", "application/json");
        request.body(Body::from(json)).unwrap()
    };
    let answer = two_of_three(route, json_request).await;
    (answer.status, answer.body)
}

fn ok(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

#[derive(Clone, Deserialize)]
struct Search {
    words: String,
    page: Option<u32>,
}

#[derive(Deserialize)]
struct Order {
    items: Vec<u32>,
}

mod arguments {
    use super::*;

    #[rate_limit(limit = 2, window = 60)]
    async fn none() -> &'static str {
        "none"
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn several(Path(id): Path<u32>, Query(search): Query<Search>, State(db): State<&'static str>) -> String {
        format!("{id} {} {db}", search.words)
    }

    #[tokio::test]
    async fn a_handler_may_have_none_or_several() {
        assert_eq!(got(get(none)).await, ok("none"));
        assert_eq!(got(get(several).with_state("db")).await, ok("7 axum db"));
    }

    #[rate_limit(limit = 2, window = 60)]
    #[expect(clippy::too_many_arguments, reason = "as many as axum takes")]
    async fn sixteen(
        method: Method,
        uri: Uri,
        version: Version,
        headers: HeaderMap,
        _: Option<Extension<i8>>,
        RawQuery(query): RawQuery,
        Path(id): Path<u32>,
        Query(search): Query<Search>,
        State(db): State<&'static str>,
        _: Extensions,
        _: Option<Extension<u8>>,
        _: Option<Extension<u16>>,
        _: Option<Extension<u32>>,
        _: Option<Extension<u64>>,
        Extension(limiter): Extension<&'static str>,
        body: String,
    ) -> String {
        let _ = (version, query);
        format!("{method} {uri} {} {id} {} {db} {limiter} {body:?}", headers.len(), search.words)
    }

    #[rate_limit(limit = 2, window = 60, key = (id, search.words), cost = headers.len() + 1)]
    #[expect(clippy::too_many_arguments, reason = "as many as axum takes")]
    async fn sixteen_and_a_key_of_two(
        method: Method,
        uri: Uri,
        version: Version,
        headers: HeaderMap,
        _: Option<Extension<i8>>,
        RawQuery(query): RawQuery,
        Path(id): Path<u32>,
        Query(search): Query<Search>,
        State(db): State<&'static str>,
        _: Extensions,
        _: Option<Extension<u8>>,
        _: Option<Extension<u16>>,
        _: Option<Extension<u32>>,
        _: Option<Extension<u64>>,
        Extension(limiter): Extension<&'static str>,
        body: String,
    ) -> String {
        let _ = (version, query);
        format!("{method} {uri} {} {id} {} {db} {limiter} {body:?}", headers.len(), search.words)
    }

    #[tokio::test]
    async fn a_handler_may_have_sixteen_which_is_axums_maximum() {
        let expected = ok("GET /7?words=axum 0 7 axum db extra \"\"");
        assert_eq!(got(get(sixteen).with_state("db").layer(Extension("extra"))).await, expected);
        let route = get(sixteen_and_a_key_of_two).with_state("db").layer(Extension("extra"));
        assert_eq!(got(route).await, expected);
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn json_last(Path(id): Path<u32>, Json(order): Json<Order>) -> String {
        format!("{id} {}", order.items.len())
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn json_alone(Json(order): Json<Order>) -> String {
        order.items.len().to_string()
    }

    #[rate_limit(limit = 2, window = 60, key = order.items.len())]
    async fn json_alone_and_in_the_key(Json(order): Json<Order>) -> String {
        order.items.len().to_string()
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn request_last(method: Method, request: Request) -> String {
        format!("{method} {}", request.uri())
    }

    #[rate_limit(limit = 2, window = 60, key = request.uri())]
    async fn request_alone(request: Request) -> String {
        request.uri().to_string()
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn bytes_as_a_result(body: Result<Bytes, axum::extract::rejection::BytesRejection>) -> String {
        body.map_or_else(|error| error.to_string(), |body| body.len().to_string())
    }

    #[tokio::test]
    async fn the_last_may_take_the_body_even_if_it_is_the_only_one() {
        assert_eq!(posted(post(json_last), r#"{"items":[1,2]}"#).await, ok("7 2"));
        assert_eq!(posted(post(json_alone), r#"{"items":[1,2]}"#).await, ok("2"));
        assert_eq!(posted(post(json_alone_and_in_the_key), r#"{"items":[1,2]}"#).await, ok("2"));
        assert_eq!(posted(post(request_last), "{}").await, ok("POST /7"));
        assert_eq!(posted(post(request_alone), "{}").await, ok("/7"));
        assert_eq!(posted(post(bytes_as_a_result), "{}").await, ok("2"));
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn taken_apart(
        Query(Search { words, page: which }): Query<Search>,
        mut headers: HeaderMap,
        _: Method,
    ) -> String {
        headers.clear();
        format!("{words} {which:?} {}", headers.len())
    }

    #[rate_limit(limit = 2, window = 60, key = (words, which.unwrap_or(1)))]
    async fn taken_apart_for_the_key(
        Query(Search { mut words, page: which }): Query<Search>,
        Path((id,)): Path<(u32,)>,
        _: Method,
    ) -> String {
        words.push('!');
        format!("{words} {which:?} {id}")
    }

    #[rate_limit(limit = 2, window = 60, key = search.words)]
    async fn bound_whole(search @ Query(_): Query<Search>) -> String {
        search.0.words
    }

    #[tokio::test]
    async fn may_have_patterns() {
        assert_eq!(got(get(taken_apart)).await, ok("axum None 0"));
        assert_eq!(got(get(taken_apart_for_the_key)).await, ok("axum! None 7"));
        assert_eq!(got(get(bound_whole)).await, ok("axum"));
    }

    struct Borrowed<'a>(&'a str);

    impl FromRequestParts<()> for Borrowed<'static> {
        type Rejection = Infallible;
        async fn from_request_parts(_: &mut Parts, (): &()) -> Result<Self, Infallible> {
            Ok(Borrowed("static"))
        }
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn with_lifetimes<'a>(Extension(text): Extension<Cow<'a, str>>, Borrowed(other): Borrowed<'a>) -> String
    where
        'a: 'a,
    {
        format!("{text} {other}")
    }

    #[rate_limit(limit = 2, window = 60, key = text)]
    async fn with_a_lifetime_left_out(Extension(text): Extension<Cow<'static, str>>, other: Borrowed<'_>) -> String {
        format!("{text} {}", other.0)
    }

    #[tokio::test]
    async fn may_have_types_with_lifetimes() {
        let extra = Extension(Cow::Borrowed("extra"));
        assert_eq!(got(get(with_lifetimes).layer(extra.clone())).await, ok("extra static"));
        assert_eq!(got(get(with_a_lifetime_left_out).layer(extra)).await, ok("extra static"));
    }
}

mod generics {
    use super::*;

    trait Colour: Send + 'static {
        const NAME: &'static str;
    }
    struct Red;
    struct Blue;
    impl Colour for Red {
        const NAME: &'static str = "red";
    }
    impl Colour for Blue {
        const NAME: &'static str = "blue";
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn named<C, const N: usize>(Path(id): Path<u32>) -> String
    where
        C: Colour,
    {
        format!("{} {N} {id}", C::NAME)
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    async fn named_by_argument<C: Colour, T>(Path(id): Path<T>) -> String
    where
        T: Display + Send,
    {
        format!("{} {id}", C::NAME)
    }

    #[tokio::test]
    async fn are_given_at_the_route() {
        assert_eq!(got(get(named::<Red, 3>)).await, ok("red 3 7"));
        assert_eq!(got(get(named::<Blue, 4>)).await, ok("blue 4 7"));
        assert_eq!(got(get(named_by_argument::<Blue, u32>)).await, ok("blue 7"));
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn anything(id: Path<impl Display>) -> String {
        id.0.to_string()
    }

    #[rate_limit(limit = 2, window = 60, key = id.0)]
    async fn anything_in_the_key(id: Path<impl Display>) -> String {
        id.0.to_string()
    }

    #[tokio::test]
    async fn may_be_impl_trait() {
        // Such a handler needs a function pointer to get its type, with or without the attribute.
        let anything: fn(Limited<_, Path<u32>>) -> _ = anything;
        assert_eq!(got(get(anything)).await, ok("7"));
        let anything_in_the_key: fn(Limited<_, Path<String>>) -> _ = anything_in_the_key;
        assert_eq!(got(get(anything_in_the_key)).await, ok("7"));
    }
}

mod answers {
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
}

mod upgrades {
    use super::*;
    use axum::extract::ws::{WebSocket, WebSocketUpgrade};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    #[rate_limit(limit = 2, window = 60)]
    async fn socket(upgrade: WebSocketUpgrade) -> Response {
        upgrade.on_upgrade(closed)
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    async fn socket_by_argument(Path(id): Path<u32>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
        let _ = id;
        upgrade.on_upgrade(closed)
    }

    async fn closed(_: WebSocket) {}

    #[tokio::test]
    async fn to_web_sockets_are_limited() {
        let limiter = RateLimitLayer::new(RateGuard::memory());
        let app = Router::new().route("/head", get(socket)).route("/{id}", get(socket_by_argument)).layer(limiter);
        let address = serve(app).await;
        for path in ["/head", "/7"] {
            for status in ["101", "101", "429"] {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let request = format!(
                    "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut start = [0; 12];
                stream.read_exact(&mut start).await.unwrap();
                assert_eq!(start, format!("HTTP/1.1 {status}").as_bytes(), "{path}");
            }
        }
    }
}

mod bodies {
    use super::*;

    #[rate_limit(limit = 2, window = 60)]
    async fn looping(Path(mut id): Path<u32>) -> String {
        loop {
            tokio::task::yield_now().await;
            if id > 8 {
                return id.to_string();
            }
            id += 1;
        }
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    async fn looping_by_argument(Path(mut id): Path<u32>) -> String {
        'outer: loop {
            tokio::task::yield_now().await;
            id += 1;
            for _ in 0..3 {
                if id > 8 {
                    break 'outer id.to_string();
                }
            }
        }
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn counting_down(Path(id): Path<u32>) -> String {
        if id == 0 {
            return "0".to_owned();
        }
        let rest = Box::pin(counting_down(Path(id - 1))).await;
        format!("{id} {rest}")
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    async fn counting_down_by_argument(Path(id): Path<u32>) -> String {
        #![allow(clippy::needless_return, reason = "an inner attribute still applies to the whole function")]
        if id == 0 {
            return "0".to_owned();
        }
        let rest = Box::pin(counting_down_by_argument(Path(id - 1))).await;
        return format!("{id} {rest}");
    }

    #[tokio::test]
    async fn may_loop_and_return_early_and_call_themselves() {
        assert_eq!(got(get(looping)).await, ok("9"));
        assert_eq!(got(get(looping_by_argument)).await, ok("9"));
        assert_eq!(got(get(counting_down)).await, ok("7 6 5 4 3 2 1 0"));
        assert_eq!(got(get(counting_down_by_argument)).await, ok("7 6 5 4 3 2 1 0"));
    }

    #[rate_limit(limit = 2, window = 60, key = search.words, cost = search.words.len() / 4)]
    async fn consuming(Query(search): Query<Search>) -> String {
        search.words
    }

    #[rate_limit(limit = 2, window = 60, key = format!("{id}-{}", &search.words[..2]))]
    async fn formatted(Path(id): Path<u32>, Query(search): Query<Search>) -> String {
        drop(search);
        id.to_string()
    }

    /// An argument that is not `Sync`.
    struct NotSync(std::cell::Cell<u32>);

    impl FromRequestParts<()> for NotSync {
        type Rejection = Infallible;
        async fn from_request_parts(_: &mut Parts, (): &()) -> Result<Self, Infallible> {
            Ok(NotSync(std::cell::Cell::new(7)))
        }
    }

    // The lock is released before the check is awaited. Held across the await, the handler would not be `Send`.
    #[rate_limit(limit = 2, window = 60, key = *shared.lock().unwrap())]
    async fn locked(State(shared): State<Arc<Mutex<u32>>>) -> String {
        shared.lock().unwrap().to_string()
    }

    #[rate_limit(limit = 2, window = 60, key = id.0.get())]
    async fn not_shareable(id: NotSync) -> String {
        tokio::task::yield_now().await;
        id.0.get().to_string()
    }

    #[tokio::test]
    async fn own_the_arguments_that_a_key_has_borrowed() {
        assert_eq!(got(get(consuming)).await, ok("axum"));
        assert_eq!(got(get(formatted)).await, ok("7"));
        assert_eq!(got(get(not_shareable)).await, ok("7"));
        assert_eq!(got(get(locked).with_state(Arc::new(Mutex::new(7)))).await, ok("7"));
    }
}

mod places {
    use super::*;

    /// A handler of a module, with a comment.
    #[rate_limit(limit = 2, window = 60)]
    pub(crate) async fn documented() -> &'static str {
        "documented"
    }

    mod inner {
        use super::*;

        #[rate_limit(limit = 2, window = 60, key = id)]
        pub(in super::super) async fn visible_above(Path(id): Path<u32>) -> String {
            id.to_string()
        }
    }

    #[tokio::test]
    async fn may_be_modules_and_functions() {
        #[rate_limit(limit = LIMIT, window = 60)]
        async fn local() -> &'static str {
            "local"
        }
        // Visible to the attribute above, like any name to the code around it.
        const LIMIT: u32 = 2;

        assert_eq!(got(get(documented)).await, ok("documented"));
        assert_eq!(got(get(inner::visible_above)).await, ok("7"));
        assert_eq!(got(get(local)).await, ok("local"));
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn r#type(Query(search): Query<Search>) -> String {
        search.words
    }

    // Names that generated code could use itself.
    #[rate_limit(limit = 2, window = 60, key = (rate_limit_guard, deferred))]
    async fn rate_limit_guard(Path(rate_limit_guard): Path<u32>, Query(deferred): Query<Words>) -> String {
        let guard = rate_limit_guard;
        format!("{guard} {deferred}")
    }

    #[rate_limit(limit = 2, window = 60, key = |req| parts(req))]
    async fn parts_of() -> &'static str {
        "parts"
    }

    fn parts(req: &Parts) -> String {
        req.uri.to_string()
    }

    #[rate_limit(limit = 2, window = 60, key = |parts| parts.uri.path(), skip = |value| value.method == "PUT")]
    async fn denied(returned: Method) -> String {
        returned.to_string()
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn check(check: Method) -> String {
        check.to_string()
    }

    #[rate_limit(limit = 2, window = 60)]
    async fn is_send() -> &'static str {
        "is it?"
    }

    #[derive(Deserialize)]
    struct Words {
        words: String,
    }

    impl Display for Words {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.words)
        }
    }

    #[tokio::test]
    async fn may_have_names_that_generated_code_uses() {
        assert_eq!(got(get(r#type)).await, ok("axum"));
        assert_eq!(got(get(rate_limit_guard)).await, ok("7 axum"));
        assert_eq!(got(get(parts_of)).await, ok("parts"));
        assert_eq!(got(get(denied)).await, ok("GET"));
        assert_eq!(got(get(check)).await, ok("GET"));
        assert_eq!(got(get(is_send)).await, ok("is it?"));
    }

    macro_rules! handler {
        ($name:ident, $limit:expr, $window:literal, $key:expr, $argument:pat => $ty:ty, $body:block) => {
            #[rate_limit(limit = $limit, window = $window, key = $key)]
            async fn $name($argument: $ty) -> String $body
        };
    }

    handler!(made_by_a_macro, 1 + 1, "1m", |req: &Parts| req.method.to_string(), Path(_) => Path<u32>, { "made".to_owned() });

    #[tokio::test]
    async fn may_be_macros() {
        assert_eq!(got(get(made_by_a_macro)).await, ok("made"));
    }

    #[rate_limit(limit = 2, window = 60)]
    #[cfg(not(test))]
    async fn conditional() -> &'static str {
        "another"
    }

    #[rate_limit(limit = 2, window = 60)]
    #[cfg(test)]
    async fn conditional() -> &'static str {
        "this"
    }

    #[cfg_attr(test, rate_limit(limit = 2, window = 60))]
    #[cfg_attr(not(test), rate_limit(limit = 1, window = 60))]
    async fn conditionally_limited(#[cfg(test)] Path(id): Path<u32>, #[cfg(not(test))] _: Method) -> String {
        id.to_string()
    }

    #[rate_limit(limit = 2, window = 60, key = id)]
    #[cfg_attr(test, allow(unused_mut))]
    #[cfg(test)]
    async fn conditional_by_argument(#[allow(unused_mut)] Path(mut id): Path<u32>) -> String {
        id.to_string()
    }

    #[rate_limit(limit = 2, window = 60, key = nothing.of.this)]
    #[cfg(not(test))]
    async fn conditional_by_argument(nothing: NoSuchType) {}

    #[tokio::test]
    async fn may_be_conditional() {
        assert_eq!(got(get(conditional)).await, ok("this"));
        assert_eq!(got(get(conditionally_limited)).await, ok("7"));
        assert_eq!(got(get(conditional_by_argument)).await, ok("7"));
    }
}
