//! The two layers on top of `governor`: a token bucket for each key, in memory. With headers, like ours.

use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum_governor::extractor::Header;
use tower_governor::GovernorError;
use tower_governor::key_extractor::KeyExtractor;

use crate::routes;

#[derive(Clone)]
struct ByApiKey;

impl KeyExtractor for ByApiKey {
    type Key = String;

    fn extract<T>(&self, request: &Request<T>) -> Result<String, GovernorError> {
        let value = request.headers().get("x-api-key").and_then(|value| value.to_str().ok());
        value.map(str::to_owned).ok_or(GovernorError::UnableToExtractKey)
    }
}

/// tower_governor.
pub(crate) fn tower() -> Router {
    routes(|handler, allowed| {
        let config = tower_governor::governor::GovernorConfigBuilder::default()
            .period(Duration::from_secs(allowed.seconds.into()) / allowed.requests)
            .burst_size(allowed.requests)
            .key_extractor(ByApiKey)
            .use_headers()
            .finish()
            .expect("a quota");
        handler.layer(tower_governor::GovernorLayer::new(config))
    })
}

/// axum-governor.
pub(crate) fn axum() -> Router {
    use axum::http::HeaderName;
    use axum_governor::{GovernorConfigBuilder, GovernorLayer, Quota};
    static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
    routes(|handler, allowed| {
        let number = |n: u32| n.try_into().expect("not zero");
        let quota = match allowed.requests / allowed.seconds {
            0 => Quota::seconds_per_request(number(allowed.seconds / allowed.requests)),
            each_second => Quota::requests_per_second(number(each_second)),
        };
        let config = GovernorConfigBuilder::default()
            .with_extractor(Header(&API_KEY))
            .quota_default(quota.burst(number(allowed.requests)))
            .finish()
            .expect("a quota");
        handler.layer(GovernorLayer::new(config))
    })
}
