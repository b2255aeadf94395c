//! Several limits on one handler: a short one against bursts, a long one for the day. One more limit covers all routes.
//!
//! ```text
//! cargo run --example stacked
//! curl -i http://127.0.0.1:3000/report                                                  # the headers name every limit
//! for i in 1 2 3; do curl -s -o /dev/null -w '%{http_code}\n' http://127.0.0.1:3000/report; done    # 2 per second
//! for i in 1 2 3 4 5 6; do curl -i http://127.0.0.1:3000/report; sleep 0.6; done        # 5 per minute
//! ```

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rateguard::{Headers, KeyBy, Quota, RateGuard, RateLimitLayer, rate_limit};

/// All three are decided together. If one denies, the others are not charged, so a denied burst takes nothing from the day.
#[rate_limit(limit = 2, window = "1s", name = "report-burst")]
#[rate_limit(limit = 5, window = "1m", name = "report-minute")]
#[rate_limit(limit = 100, window = "1d", name = "report-day")]
async fn report() -> &'static str {
    "a report\n"
}

async fn index() -> &'static str {
    "an index, limited by the layer alone\n"
}

fn app(limiter: RateGuard) -> Router {
    let for_everything = Quota::token_bucket(10, Duration::from_secs(1)).burst(20);
    Router::new().route("/", get(index)).route("/report", get(report)).layer(
        RateLimitLayer::new(limiter)
            .limit("everything", for_everything, KeyBy::Ip)
            // The `X-RateLimit-…` headers show the limit nearest exhaustion. The headers of the IETF draft show all limits.
            .headers(Headers::X_RATE_LIMIT | Headers::IETF),
    )
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(RateGuard::from_env()?);
    let listener = rateguard_examples::listen(&["curl -i URL/report"]).await?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use axum::response::Response;
    use rateguard::ManualClock;
    use tower::ServiceExt;

    use super::*;

    async fn ask(app: &Router, path: &str) -> Response {
        let client = rateguard_examples::client([203, 0, 113, 7]);
        let request = Request::builder().uri(path).extension(client).body(Body::empty()).unwrap();
        app.clone().oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn a_denied_burst_takes_nothing_from_the_longer_windows() {
        let clock = ManualClock::new();
        let app = app(RateGuard::builder().clock(clock.clone()).build().unwrap());
        for status in [200, 200, 429, 429, 429] {
            assert_eq!(ask(&app, "/report").await.status(), status);
        }
        for status in [200, 200] {
            clock.advance(Duration::from_secs(1));
            assert_eq!(ask(&app, "/report").await.status(), status);
        }
        clock.advance(Duration::from_secs(1));
        let last = ask(&app, "/report").await;
        assert_eq!(last.status(), 200, "four units of the minute are used, not seven");
        assert_eq!(last.headers()["x-ratelimit-limit"], "5", "the one nearest exhaustion");
        assert_eq!(last.headers()["x-ratelimit-remaining"], "0");
        let fields = last.headers()["ratelimit"].to_str().unwrap();
        for part in [r#""everything";r=19;"#, r#""report-burst";r=1;"#, r#""report-day";r=95;"#] {
            assert!(fields.contains(part), "{part} in {fields}");
        }
        clock.advance(Duration::from_secs(1));
        let sixth = ask(&app, "/report").await;
        assert_eq!((sixth.status().as_u16(), &sixth.headers()["retry-after"]), (429, &"56".parse().unwrap()));
        assert_eq!(ask(&app, "/").await.status(), 200, "other routes go on");
    }
}
