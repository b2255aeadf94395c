//! From what the service said to a result, or what is wrong with it.

use axum::http::StatusCode;
use serde_json::Value;

use super::Endpoint;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::script::Call;
use crate::store::remote::script::call::Answered;
use crate::store::remote::script::decode::{Part, malformed};
use crate::store::remote::script::error_text::named;

/// A command that was answered with an error.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: StoreError,
    pub(super) meaning: Meaning,
}

/// What an error says of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The script is not known there, so it has not run.
    UnknownScript,
    /// It is there, and the error concerns what it was asked.
    Well,
    /// It may be a passing trouble.
    Unwell,
    /// No other answer is to be expected for now.
    Useless,
}

/// The answer's result.
pub(super) fn result(endpoint: &Endpoint, status: StatusCode, body: &[u8]) -> Result<Value, Refused> {
    let mut body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if status == StatusCode::OK
        && let Some(result) = body.get_mut("result")
    {
        return Ok(result.take());
    }
    let said = body.get("error").and_then(Value::as_str).map(|text| endpoint.quote(text));
    Err(refused(status, said.as_deref()))
}

fn refused(status: StatusCode, said: Option<&str>) -> Refused {
    if said.is_some_and(|text| text.starts_with("NOSCRIPT")) {
        return Refused { error: StoreError::other("NOSCRIPT"), meaning: Meaning::UnknownScript };
    }
    let by_status = match status {
        StatusCode::UNAUTHORIZED => Some(StoreErrorKind::Authentication),
        StatusCode::FORBIDDEN => Some(StoreErrorKind::Forbidden),
        StatusCode::TOO_MANY_REQUESTS => Some(StoreErrorKind::Throttled),
        StatusCode::SERVICE_UNAVAILABLE => Some(StoreErrorKind::Busy),
        status if status.is_server_error() => Some(StoreErrorKind::Unreachable),
        _ => None,
    };
    let error = match (said, by_status) {
        (Some(said), None) => named(said),
        // Redis' own word says more than the gateway's number.
        (Some(said), Some(kind)) => match named(said) {
            error if error.kind() != StoreErrorKind::Other => error,
            _ => StoreError::new(kind, format!("HTTP {}: {said}", status.as_u16())),
        },
        (None, Some(kind)) => StoreError::new(kind, format!("the service answered HTTP {}", status.as_u16())),
        (None, None) => {
            let problem = format!("HTTP {}, and not as Upstash's REST protocol says", status.as_u16());
            StoreError::new(StoreErrorKind::Protocol, problem)
        }
    };
    let meaning = match error.kind() {
        StoreErrorKind::Authentication => Meaning::Useless,
        StoreErrorKind::Throttled | StoreErrorKind::Protocol | StoreErrorKind::TooManyClients => Meaning::Unwell,
        _ if by_status.is_some() => Meaning::Unwell,
        _ => Meaning::Well,
    };
    Refused { error, meaning }
}

/// The answers to each group, or an error if the result is not what the script sends.
pub(super) fn groups(result: Value, call: &Call<'_>) -> Result<Vec<Answered>, StoreError> {
    let Value::Array(values) = result else { return Err(malformed()) };
    let part = |value| match value {
        Value::Number(number) => number.as_i64().map_or(Part::Other, Part::Number),
        Value::String(text) => Part::Text(text),
        _ => Part::Other,
    };
    call.read(values.into_iter().map(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::remote::script::Group;

    fn refusal(status: u16, body: &str) -> (StoreErrorKind, Meaning) {
        let endpoint = Endpoint::parse(("", "http://127.0.0.1"), ("", "hunter2")).unwrap();
        let refused = result(&endpoint, StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap_err();
        assert!(!refused.error.to_string().contains("hunter2"));
        (refused.error.kind(), refused.meaning)
    }

    #[test]
    fn what_the_service_answers_is_named_as_an_operator_would() {
        use Meaning::{UnknownScript, Unwell, Useless, Well};
        for (status, body, expected) in [
            (400, r#"{"error":"WRONGTYPE Operation"}"#, (StoreErrorKind::WrongType, Well)),
            (400, r#"{"error":"ERR hunter2 is wrong"}"#, (StoreErrorKind::Other, Well)),
            (400, r#"{"error":"NOPERM this user has no permissions"}"#, (StoreErrorKind::Forbidden, Well)),
            (400, r#"{"error":"NOSCRIPT No matching script"}"#, (StoreErrorKind::Other, UnknownScript)),
            (400, r#"{"error":"ERR max daily request limit exceeded."}"#, (StoreErrorKind::Throttled, Unwell)),
            (400, r#"{"error":"ERR max requests limit exceeded. Limit: 5"}"#, (StoreErrorKind::Throttled, Unwell)),
            (400, r#"{"error":"ERR DB capacity quota exceeded"}"#, (StoreErrorKind::OutOfMemory, Well)),
            (401, r#"{"error":"WRONGPASS invalid or missing auth token"}"#, (StoreErrorKind::Authentication, Useless)),
            (401, "", (StoreErrorKind::Authentication, Useless)),
            (403, "no", (StoreErrorKind::Forbidden, Unwell)),
            (429, r#"{"error":"slow down"}"#, (StoreErrorKind::Throttled, Unwell)),
            (429, "", (StoreErrorKind::Throttled, Unwell)),
            (500, r#"{"error":"hunter2"}"#, (StoreErrorKind::Unreachable, Unwell)),
            (502, "<html>", (StoreErrorKind::Unreachable, Unwell)),
            (503, "", (StoreErrorKind::Busy, Unwell)),
            (301, "", (StoreErrorKind::Protocol, Unwell)),
            (404, "", (StoreErrorKind::Protocol, Unwell)),
            (200, "<html>hunter2", (StoreErrorKind::Protocol, Unwell)),
            (200, "", (StoreErrorKind::Protocol, Unwell)),
            (200, "[1]", (StoreErrorKind::Protocol, Unwell)),
            (200, r#"{"no":1}"#, (StoreErrorKind::Protocol, Unwell)),
            (200, r#"{"error":"OOM command not allowed"}"#, (StoreErrorKind::OutOfMemory, Well)),
        ] {
            assert_eq!(refusal(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_result_that_is_not_the_scripts_is_an_error_never_a_panic() {
        let probe = Group::probe("x", "probe");
        let groups = |value: Value| groups(value, &Call::new(&[&probe]));
        for odd in
            ["null", "1", "[]", "[1]", "[1.5,1]", "[1,2,3]", r#"["1",1]"#, r#"{"a":1}"#, "[99999999999999999999,1]"]
        {
            assert!(groups(serde_json::from_str(odd).unwrap()).is_err(), "{odd}");
        }
        assert!(groups(serde_json::from_str("[1,1]").unwrap()).is_ok());
    }
}
