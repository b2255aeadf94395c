//! For utoipa, where `responses(…)` names types.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

use super::denial;
use crate::http::RateLimited;

impl IntoResponses for RateLimited {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let response = serde_json::from_value::<Response>(denial("")).unwrap_or_default();
        BTreeMap::from([("429".to_owned(), RefOr::T(response))])
    }
}
