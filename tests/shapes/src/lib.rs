//! Thirty handlers in the shapes of real projects. Each has no limit, one over the request's head, or one over its
//! arguments. The compiler and clippy must report the same in all three cases.
#![deny(warnings, clippy::pedantic, clippy::nursery, missing_docs, unreachable_pub)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, Path, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::{Stream, StreamExt, stream};
#[cfg(not(plain))]
use rateguard::rate_limit;
use serde::{Deserialize, Serialize};
use tokio::sync::RwLock;

#[cfg(half_typed)]
mod half_typed {
    // Not as a module's file, which could not be formatted.
    include!("half_typed.in");
}
#[cfg(lints)]
pub mod lints;
#[cfg(mistakes)]
mod mistakes;

/// A task.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Todo {
    /// Its number.
    pub id: u32,
    /// The task in words.
    pub text: String,
    /// Whether it is done.
    pub completed: bool,
}

/// What to change.
#[derive(Debug, Deserialize)]
pub struct Change {
    /// Another text.
    pub text: Option<String>,
    /// Whether it is done.
    pub completed: Option<bool>,
}

/// A page of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
pub struct Page {
    /// Where it begins.
    pub offset: Option<usize>,
    /// How long it is.
    pub limit: Option<usize>,
}

/// All tasks.
pub type Db = Arc<RwLock<HashMap<u32, Todo>>>;

/// The app's state.
#[derive(Clone, Debug, Default)]
pub struct App {
    db: Db,
    greeting: &'static str,
}

/// An error.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Not found.
    NotFound,
    /// Not a number.
    Number(std::num::ParseIntError),
}

impl From<std::num::ParseIntError> for Error {
    fn from(error: std::num::ParseIntError) -> Self {
        Self::Number(error)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Number(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
        }
    }
}

type Result<T, E = Error> = std::result::Result<T, E>;

/// A store of values.
pub trait Repository: Send + Sync + 'static {
    /// Finds a value.
    fn find(&self, id: u32) -> impl Future<Output = Option<Todo>> + Send;
}

impl Repository for App {
    async fn find(&self, id: u32) -> Option<Todo> {
        self.db.read().await.get(&id).cloned()
    }
}

/// Lists all.
#[cfg_attr(head, rate_limit(quota = "token_bucket:5/60s:burst=9", unit = "pages", exempt = ["private", "::1"]))]
#[cfg_attr(deferred, rate_limit(quota = page.limit.map(|_| rateguard::Quota::per_minute(5)), key = page.limit))]
pub async fn todos_index(Query(page): Query<Page>, State(app): State<App>) -> impl IntoResponse {
    let todos: Vec<Todo> = app.db.read().await.values().cloned().collect();
    let page = todos.iter().skip(page.offset.unwrap_or(0)).take(page.limit.unwrap_or(usize::MAX));
    Json(page.cloned().collect::<Vec<_>>())
}

/// Adds one.
#[cfg_attr(head, rate_limit(limit = 5, window = 60, cost = 2))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, cost = input.text.len()))]
pub async fn todos_create(State(app): State<App>, Json(input): Json<Todo>) -> impl IntoResponse {
    app.db.write().await.insert(input.id, input.clone());
    (StatusCode::CREATED, Json(input))
}

/// Changes one.
///
/// # Errors
///
/// If it is not found.
#[cfg_attr(head, rate_limit(limit = |req| req.headers.len(), window = Duration::from_secs(60)))]
#[cfg_attr(deferred, rate_limit(limit = id, window = Duration::from_secs(60), key = id))]
pub async fn todos_update(
    Path(id): Path<u32>,
    State(app): State<App>,
    Json(change): Json<Change>,
) -> Result<Json<Todo>> {
    let mut todo = app.db.read().await.get(&id).cloned().ok_or(Error::NotFound)?;
    if let Some(text) = change.text {
        todo.text = text;
    }
    if let Some(completed) = change.completed {
        todo.completed = completed;
    }
    app.db.write().await.insert(id, todo.clone());
    Ok(Json(todo))
}

/// Removes one.
#[cfg_attr(head, rate_limit(limit = 5, window = 60, key = "path:id"))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = ("ip", id)))]
pub async fn todos_delete(Path(id): Path<u32>, State(app): State<App>) -> StatusCode {
    if app.db.write().await.remove(&id).is_some() { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

/// Says hello.
#[cfg_attr(not(plain), rate_limit(limit = 5, window = 60))]
pub async fn root() -> Html<&'static str> {
    std::future::ready(Html("<h1>Hello, World!</h1>")).await
}

/// Health check.
#[cfg_attr(not(plain), rate_limit(limit = 5, window = 60))]
pub async fn health() {
    tokio::task::yield_now().await;
}

/// Redirects.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = uri))]
pub async fn moved(uri: Uri) -> Redirect {
    std::future::ready(Redirect::permanent(&format!("/v2{uri}"))).await
}

/// Shows one of a repository.
///
/// # Errors
///
/// If it is not found.
#[cfg_attr(head, rate_limit(quota = |req| req.extensions.get::<rateguard::Quota>()))]
#[cfg_attr(deferred, rate_limit(limit = Some(id + 1), window = 60, algorithm = "token_bucket", burst = u32::MAX, key = id))]
pub async fn show<R>(State(repository): State<Arc<R>>, Path(id): Path<u32>) -> Result<Json<Todo>, StatusCode>
where
    R: Repository,
{
    repository.find(id).await.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Reads a number.
///
/// # Errors
///
/// If it is not a number.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = &text))]
#[tracing::instrument(skip_all, err)]
pub async fn parsed(Path(text): Path<String>) -> Result<String, std::string::String> {
    let number: u64 = text.parse().map_err(|error: std::num::ParseIntError| error.to_string())?;
    std::future::ready(Ok((number + 1).to_string())).await
}

/// Reads a number, or reports what is wrong with it.
///
/// # Errors
///
/// If it is not a number.
#[tracing::instrument]
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = text))]
pub async fn parsed_as_well(Path(text): Path<String>) -> Result<Json<u64>> {
    Ok(Json(std::future::ready(text.parse::<u64>()).await?))
}

/// Documented, with the limit above.
///
/// # Errors
///
/// If it is not found.
#[utoipa::path(get, path = "/documented/{id}", responses((status = 200, body = Todo)))]
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub async fn documented(Path(id): Path<u32>, State(app): State<App>) -> Result<Json<Todo>, StatusCode> {
    app.find(id).await.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// Documented by utoipa, from below.
#[cfg_attr(head, rate_limit(policy = rateguard::Policy::new("documented", rateguard::Quota::per_minute(5))))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = page.offset))]
#[utoipa::path(get, path = "/documented", params(Page), responses((status = 200, body = Vec<Todo>)))]
pub async fn documented_below(Query(page): Query<Page>, State(app): State<App>) -> Json<Vec<Todo>> {
    let todos = app.db.read().await;
    Json(todos.values().skip(page.offset.unwrap_or(0)).cloned().collect())
}

/// Sends events.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = user))]
pub async fn events(Path(user): Path<String>) -> Sse<impl Stream<Item = std::result::Result<Event, Infallible>>> {
    tracing::debug!(user, "connected");
    let events = stream::repeat_with(|| Event::default().data("hi!")).take(3);
    std::future::ready(Sse::new(events.map(Ok)).keep_alive(KeepAlive::new().interval(Duration::from_secs(1)))).await
}

/// Opens a web socket.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = agent(&headers)))]
pub async fn talk(upgrade: WebSocketUpgrade, headers: HeaderMap) -> impl IntoResponse {
    let name = agent(&headers).to_owned();
    std::future::ready(upgrade.on_upgrade(move |socket| echo(socket, name))).await
}

fn agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown")
}

async fn echo(mut socket: WebSocket, name: String) {
    while let Some(Ok(message)) = socket.recv().await {
        tracing::trace!(name, ?message);
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Takes an upload.
///
/// # Errors
///
/// If it is too long.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 500, window = 60, cost = body.len() / 1024))]
pub async fn upload(headers: HeaderMap, body: Bytes) -> std::result::Result<String, (StatusCode, String)> {
    if body.len() > 10_000 {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, format!("{} bytes", body.len())));
    }
    std::future::ready(Ok(format!("{} {}", headers.len(), body.len()))).await
}

/// Forwards a request.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = request.uri()))]
pub async fn proxied(State(app): State<App>, mut request: Request) -> Response {
    request.extensions_mut().insert(app.greeting);
    std::future::ready(Response::new(Body::new(request.into_body()))).await
}

/// Signs in.
#[cfg_attr(head, rate_limit(limit = 5, window = 60, refund_if = |res| res.status().is_success()))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = name, refund_if = |res| res.status().is_success()))]
pub async fn login(Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    match query.as_deref() {
        Some("secret") => [(header::SET_COOKIE, format!("session={name}"))].into_response(),
        Some(_) => StatusCode::UNAUTHORIZED.into_response(),
        None => std::future::ready(Redirect::to("/login").into_response()).await,
    }
}

/// Counts users; a field has the name of the function.
#[derive(Debug, Serialize)]
pub struct Stats {
    users: usize,
}

/// The count.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = method))]
pub async fn users(method: Method, State(app): State<App>) -> Json<Stats> {
    tracing::info!(%method);
    let users: Vec<u32> = app.db.read().await.keys().copied().collect();
    let last = users.iter().max().copied().unwrap_or_default();
    tracing::info!(last);
    Json(Stats { users: users.len() })
}

/// Waits for its turn.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = *id))]
pub async fn count_down(Path(id): Path<Box<u32>>) -> String {
    let mut left = *id;
    loop {
        if left == 0 {
            return "done".to_owned();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        left -= 1;
    }
}

/// Calls itself.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = depth))]
pub async fn tree(Path(depth): Path<u32>) -> String {
    if depth == 0 {
        return ".".to_owned();
    }
    let below = Box::pin(tree(Path(depth - 1))).await;
    format!("({below}{below})")
}

/// With an `impl Trait`.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub async fn cached(Path(id): Path<u32>) -> ([(header::HeaderName, &'static str); 1], impl IntoResponse) {
    std::future::ready(([(header::CACHE_CONTROL, "max-age=60")], id.to_string())).await
}

/// With a trait object in its result.
///
/// # Errors
///
/// If it is not found.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub async fn boxed(Path(id): Path<u32>) -> std::result::Result<Response, Response> {
    match std::future::ready(id).await {
        0 => Err(StatusCode::NOT_FOUND.into_response()),
        id => Ok(id.to_string().into_response()),
    }
}

/// For admins.
pub mod admin {
    use super::{App, Json, State, StatusCode, Todo};
    #[cfg(not(plain))]
    use rateguard::rate_limit;

    /// An admin.
    #[derive(Clone, Copy, Debug)]
    pub struct Admin(pub u64);

    impl<S: Sync> axum::extract::FromRequestParts<S> for Admin {
        type Rejection = StatusCode;

        async fn from_request_parts(parts: &mut axum::http::request::Parts, _: &S) -> Result<Self, StatusCode> {
            std::future::ready(parts.extensions.get::<Self>().copied().ok_or(StatusCode::FORBIDDEN)).await
        }
    }

    /// Everything.
    #[cfg_attr(head, rate_limit(limit = 5, window = 60, key = "user"))]
    #[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = admin.0))]
    pub async fn dump(admin: Admin, State(app): State<App>) -> Json<Vec<Todo>> {
        tracing::warn!(user = admin.0, "dumped");
        Json(app.db.read().await.values().cloned().collect())
    }

    /// Deletes everything.
    #[cfg_attr(head, rate_limit(limit = 1, window = "1h", key = "global"))]
    #[cfg_attr(deferred, rate_limit(limit = 1, window = "1h", key = id))]
    pub(crate) async fn clear(Admin(id): Admin, State(app): State<App>) {
        app.db.write().await.clear();
        tracing::warn!(id, "cleared");
    }
}

/// With an extension and a header that may be missing.
#[cfg_attr(head, rate_limit(limit = 5, window = 60, key = ("ip", "header:x-tenant")))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = (tenant, "ip")))]
#[axum::debug_handler]
async fn tenant(Extension(tenant): Extension<Arc<str>>, headers: HeaderMap) -> String {
    std::future::ready(format!("{tenant} {}", headers.len())).await
}

/// Returns a future itself.
///
/// # Errors
///
/// If it is not found.
#[cfg_attr(not(plain), rate_limit(limit = 5, window = 60))]
pub fn by_hand(State(app): State<App>, Path(id): Path<u32>) -> impl Future<Output = Result<Json<Todo>>> + Send {
    tracing::debug!(id);
    async move { app.find(id).await.map(Json).ok_or(Error::NotFound) }
}

/// With a body that ends in a macro.
#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = ids.len()))]
pub async fn joined(Json(ids): Json<Vec<u32>>) -> String {
    let texts: Vec<String> = std::future::ready(ids.iter().map(u32::to_string).collect()).await;
    let all = texts.join(",");
    format!("{all} {}", ids.len())
}

/// With two stacked limits.
#[cfg_attr(not(plain), rate_limit(limit = 5, window = 1))]
#[cfg_attr(head, rate_limit(limit = 500, window = "1h", algorithm = "token_bucket", burst = 10))]
#[cfg_attr(deferred, rate_limit(limit = 500, window = "1h", skip = id == 0))]
pub async fn stacked(Path(mut id): Path<u32>) -> String {
    id += 1;
    std::future::ready(id.to_string()).await
}

/// The whole app.
pub fn router() -> Router {
    let app = App { greeting: "hello", ..App::default() };
    Router::new()
        .route("/todos", get(todos_index).post(todos_create))
        .route("/todos/{id}", get(documented).patch(todos_update).delete(todos_delete))
        .route("/", get(root).post(tenant).delete(admin::clear))
        .with_state(app.clone())
        .route("/repository/{id}", get(show::<App>).with_state(Arc::new(app)))
}
