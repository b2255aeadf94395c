//! What handlers take, from nothing to sixteen extractors.

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
async fn taken_apart(Query(Search { words, page: which }): Query<Search>, mut headers: HeaderMap, _: Method) -> String {
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
