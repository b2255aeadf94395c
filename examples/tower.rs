//! A plain tower service behind hyper: only the layer, without axum's router and without the attribute.
//!
//! ```text
//! cargo run --example tower
//! for i in 1 2 3 4; do curl -i http://127.0.0.1:3000/; done            # 3 per minute, then 429
//! curl -i http://127.0.0.1:3000/health                                 # never counted
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rateguard::{KeyBy, Quota, RateGuard, RateLimitLayer};
use tower::{Service, ServiceBuilder, service_fn};

/// The service, for any body type. The body is not read before the request is allowed.
async fn hello<B>(request: Request<B>) -> Result<Response, Infallible> {
    Ok(Response::new(Body::from(format!("hello from {}\n", request.uri().path()))))
}

/// The service with its limit. With the layer, the response is axum's: `http::Response<axum::body::Body>`.
fn limited<B: Send + 'static>(
    limiter: RateGuard,
) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future: Send> + Clone + Send {
    let layer = RateLimitLayer::new(limiter)
        .limit("everything", Quota::sliding_window(3, Duration::from_secs(60)), KeyBy::Ip)
        .skip(|head| head.uri.path() == "/health");
    ServiceBuilder::new().layer(layer).service(service_fn(hello))
}

/// Adds the client's address to each request, which axum does automatically.
fn from_client<S, B>(
    service: S,
    client: SocketAddr,
) -> impl Service<Request<B>, Response = Response, Error = Infallible, Future = S::Future> + Clone
where
    S: Service<Request<B>, Response = Response, Error = Infallible> + Clone,
{
    ServiceBuilder::new()
        .map_request(move |mut request: Request<B>| {
            request.extensions_mut().insert(ConnectInfo(client));
            request
        })
        .service(service)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = limited(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["curl -i URL/"]).await?;
    loop {
        let (stream, client) = match listener.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                // No free file descriptor, or the client has already disconnected. The server goes on in both cases.
                eprintln!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(from_client(service.clone(), client));
        tokio::spawn(async move {
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("{client}: {error}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn each_client_has_its_quota_and_health_is_not_counted() {
        let service = limited(RateGuard::memory());
        let ask = async |from: u8, path: &str| {
            let client = SocketAddr::from(([203, 0, 113, from], 50_000));
            let request = Request::builder().uri(path).body(()).unwrap();
            from_client(service.clone(), client).oneshot(request).await.unwrap().status().as_u16()
        };
        for status in [200, 200, 200, 429] {
            assert_eq!(ask(7, "/").await, status);
        }
        assert_eq!(ask(7, "/health").await, 200);
        assert_eq!(ask(8, "/").await, 200);
    }
}
