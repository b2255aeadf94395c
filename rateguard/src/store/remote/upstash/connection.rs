//! One HTTP connection, with one request at a time.

use std::error::Error;
use std::fmt::Write;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::task::JoinHandle;
use tower_service::Service;

use super::endpoint::Endpoint;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backoff::SETTLED;
use crate::store::remote::stopwatch::within;

/// How long connecting may take, including the resolution of the name and the handshakes.
const CONNECT: Duration = Duration::from_secs(3);
/// TCP keepalive: after this much silence the system probes the other end.
const SILENCE: Duration = Duration::from_secs(15);
/// The answer to a batch of checks has a few thousand bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// A connection that is ready for a request.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    since: Instant,
}

/// Why a request has no answer.
pub(super) enum Unanswered {
    /// The connection was closed before anything of the request was sent.
    Unsent,
    /// The request may have been sent, so it is not sent again.
    Lost(StoreError),
}

impl Connection {
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Connection, StoreError> {
        match within(CONNECT, connect(endpoint)).await {
            Some(opened) => {
                opened.map_err(|error| StoreError::unreachable(with_causes(&*error)).caused_by(error.into()))
            }
            None => Err(StoreError::new(StoreErrorKind::TimedOut, "no connection within 3 seconds")),
        }
    }

    /// Posts a command. Redirects are not followed.
    pub(super) async fn post(
        &mut self,
        endpoint: &Endpoint,
        command: Bytes,
    ) -> Result<(StatusCode, Bytes), Unanswered> {
        let mut request = Request::new(Full::new(command));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.path.clone();
        let headers = request.headers_mut();
        headers.insert(header::HOST, endpoint.host.clone());
        headers.insert(header::AUTHORIZATION, endpoint.authorization.clone());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = match self.sender.try_send_request(request).await {
            Ok(response) => response,
            // The request comes back if nothing of it was written.
            Err(mut error) => {
                return Err(match error.take_message() {
                    Some(_) => Unanswered::Unsent,
                    None => Unanswered::Lost(
                        StoreError::unreachable(with_causes(error.error())).caused_by(Arc::new(error.into_error())),
                    ),
                });
            }
        };
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
        match body {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(Unanswered::Lost(StoreError::new(
                StoreErrorKind::Protocol,
                "the answer is too long to be one of the script's",
            ))),
            Err(error) => Err(Unanswered::Lost(StoreError::unreachable(with_causes(&*error)).caused_by(error.into()))),
        }
    }

    /// Waits until another request can be sent. `false` if the connection has ended.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Whether it was made only a moment ago.
    pub(super) fn is_young(&self) -> bool {
        self.since.elapsed() < SETTLED
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.driver).poll(cx).map(|_| ())
    }
}

/// A request that was given up must not go on.
impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The next of these connections that the service closes.
pub(super) async fn closed(connections: &mut Vec<Connection>) -> Connection {
    poll_fn(|cx| match connections.iter_mut().position(|connection| connection.poll_closed(cx).is_ready()) {
        Some(at) => Poll::Ready(connections.swap_remove(at)),
        None => Poll::Pending,
    })
    .await
}

async fn connect(endpoint: &Endpoint) -> Result<Connection, Box<dyn Error + Send + Sync>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(SILENCE));
    // Happy eyeballs needs a timer of the runtime, which may have none. The second address family is tried when the first
    // fails.
    tcp.set_happy_eyeballs_timeout(None);
    let mut connector = HttpsConnectorBuilder::new()
        .with_tls_config(endpoint.tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    poll_fn(|cx| connector.poll_ready(cx)).await?;
    let stream = connector.call(endpoint.uri.clone()).await?;
    let (sender, connection) = handshake(stream).await?;
    let driver = tokio::spawn(async move {
        // The request that waits for an answer gets the error.
        let _ = connection.await;
    });
    Ok(Connection { sender, driver, since: Instant::now() })
}

/// The text of an error and its causes.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}
