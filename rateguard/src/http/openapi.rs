//! Limited handlers in OpenAPI documents that other crates make of types.

use serde_json::{Value, json};

#[cfg(feature = "aide")]
mod by_aide;
#[cfg(feature = "utoipa")]
mod by_utoipa;

/// The answer to a denied request, as a response object of OpenAPI, with the limits in words.
fn denial(words: &str) -> Value {
    let whole =
        |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "description": format!("Too many requests. {words}").trim_end(),
        "headers": {
            "retry-after": whole("Seconds to wait; absent if waiting does not help"),
            "x-ratelimit-limit": whole("How much is allowed in a window"),
            "x-ratelimit-remaining": whole("How much of it is left"),
            "x-ratelimit-reset": whole("Seconds until all of it is there again"),
        },
        // RFC 9457.
        "content": { "application/problem+json": { "schema": { "type": "object" } } },
    })
}
