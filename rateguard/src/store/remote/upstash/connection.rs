//! One connection. There is one request on it at a time.

use std::error::Error;
use std::fmt::Write;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::task::JoinHandle;
use tower_service::Service;

use super::Endpoint;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backoff::SETTLED;
use crate::store::remote::stopwatch::within;

/// How long connecting may take, with the name's resolution and the handshakes.
const CONNECT: Duration = Duration::from_secs(3);
/// After so much silence the system asks the other end whether it is still there.
const SILENCE: Duration = Duration::from_secs(15);
/// A batch of checks is answered with some thousand bytes.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// A connection that is ready for a request.
pub(super) struct Lane {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    since: Instant,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The connection was closed before any of the request was sent.
    Unsent,
    /// It may have been sent, so it is not sent again.
    Lost(StoreError),
}

impl Lane {
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Lane, StoreError> {
        match within(CONNECT, connect(endpoint)).await {
            Some(opened) => opened.map_err(|error| StoreError::unreachable(whole(&*error)).caused_by(error.into())),
            None => Err(StoreError::new(StoreErrorKind::TimedOut, "no connection within 3 seconds")),
        }
    }

    /// Posts a command. Redirects are answers like any other.
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
            // The request comes back if none of it was written.
            Err(mut error) => {
                return Err(match error.take_message() {
                    Some(_) => Unanswered::Unsent,
                    None => Unanswered::Lost(
                        StoreError::unreachable(whole(error.error())).caused_by(Arc::new(error.into_error())),
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
                "the answer is too long for the script's",
            ))),
            Err(error) => Err(Unanswered::Lost(StoreError::unreachable(whole(&*error)).caused_by(error.into()))),
        }
    }

    /// Whether another request can be sent. After an answer.
    pub(super) async fn is_ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Whether it was made only just now.
    pub(super) fn is_young(&self) -> bool {
        self.since.elapsed() < SETTLED
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.driver).poll(cx).map(|_| ())
    }
}

/// A connection that was given up in the middle of a request must not go on with it.
impl Drop for Lane {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The next of these to be closed by the other end.
pub(super) async fn closed(lanes: &mut Vec<Lane>) -> Lane {
    poll_fn(|cx| match lanes.iter_mut().position(|lane| lane.poll_closed(cx).is_ready()) {
        Some(at) => Poll::Ready(lanes.swap_remove(at)),
        None => Poll::Pending,
    })
    .await
}

async fn connect(endpoint: &Endpoint) -> Result<Lane, Box<dyn Error + Send + Sync>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(SILENCE));
    // It needs a timer of the runtime, which may have none. The other family is tried when the first fails.
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
        // How it ended is told to whoever waits for an answer.
        let _ = connection.await;
    });
    Ok(Lane { sender, driver, since: Instant::now() })
}

/// An error with its causes.
fn whole(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let _ = write!(text, ": {cause}");
        next = cause.source();
    }
    text
}
