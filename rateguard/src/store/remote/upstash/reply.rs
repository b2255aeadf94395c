//! What the service's answers mean.

use hyper::StatusCode;
use serde_json::Value;

use super::endpoint::Endpoint;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::script::error_text::named;
use crate::store::remote::script::{Call, GroupAnswer, Part, malformed};

/// An error that the service answered.
#[derive(Debug)]
pub(super) struct ServiceError {
    pub(super) error: StoreError,
    pub(super) meaning: Meaning,
}

/// What an error tells about the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The service does not have the script, so the script has not run.
    UnknownScript,
    /// The service works; the error is the answer to this command.
    Answer,
    /// The service fails, perhaps for a moment.
    Failing,
    /// The next command would fail as well.
    Lost,
}

/// The result of a command.
pub(super) fn result(endpoint: &Endpoint, status: StatusCode, body: &[u8]) -> Result<Value, ServiceError> {
    let mut body = serde_json::from_slice::<Value>(body).unwrap_or_default();
    if status == StatusCode::OK
        && let Some(result) = body.get_mut("result")
    {
        return Ok(result.take());
    }
    let said = body.get("error").and_then(Value::as_str).map(|text| endpoint.quote(text));
    Err(service_error(status, said.as_deref()))
}

fn service_error(status: StatusCode, said: Option<&str>) -> ServiceError {
    if said.is_some_and(|text| text.starts_with("NOSCRIPT")) {
        return ServiceError { error: StoreError::other("NOSCRIPT"), meaning: Meaning::UnknownScript };
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
        // The text of Redis says more than the status of the gateway.
        (Some(said), Some(kind)) => match named(said) {
            error if error.kind() != StoreErrorKind::Other => error,
            _ => StoreError::new(kind, format!("HTTP {}: {said}", status.as_u16())),
        },
        (None, Some(kind)) => StoreError::new(kind, format!("the service answered HTTP {}", status.as_u16())),
        (None, None) => {
            let problem = format!("HTTP {}, with a body that is not of Upstash's REST protocol", status.as_u16());
            StoreError::new(StoreErrorKind::Protocol, problem)
        }
    };
    let meaning = match error.kind() {
        StoreErrorKind::Authentication => Meaning::Lost,
        StoreErrorKind::Throttled | StoreErrorKind::Protocol | StoreErrorKind::TooManyClients => Meaning::Failing,
        _ if by_status.is_some() => Meaning::Failing,
        _ => Meaning::Answer,
    };
    ServiceError { error, meaning }
}

/// The answer to each group, or an error if the result is not one of the script's.
pub(super) fn groups(result: Value, call: &Call<'_>) -> Result<Vec<GroupAnswer>, StoreError> {
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

    fn kind_and_meaning(status: u16, body: &str) -> (StoreErrorKind, Meaning) {
        let endpoint = Endpoint::parse(("", "http://127.0.0.1"), ("", "hunter2")).unwrap();
        let error = result(&endpoint, StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap_err();
        assert!(!error.error.to_string().contains("hunter2"));
        (error.error.kind(), error.meaning)
    }

    #[test]
    fn every_answer_of_the_service_has_the_kind_that_an_operator_expects() {
        use Meaning::{Answer, Failing, Lost, UnknownScript};
        for (status, body, expected) in [
            (400, r#"{"error":"WRONGTYPE Operation"}"#, (StoreErrorKind::WrongType, Answer)),
            (400, r#"{"error":"ERR hunter2 is wrong"}"#, (StoreErrorKind::Other, Answer)),
            (400, r#"{"error":"NOPERM this user has no permissions"}"#, (StoreErrorKind::Forbidden, Answer)),
            (400, r#"{"error":"NOSCRIPT No matching script"}"#, (StoreErrorKind::Other, UnknownScript)),
            (400, r#"{"error":"ERR max daily request limit exceeded."}"#, (StoreErrorKind::Throttled, Failing)),
            (400, r#"{"error":"ERR max requests limit exceeded. Limit: 5"}"#, (StoreErrorKind::Throttled, Failing)),
            (400, r#"{"error":"ERR DB capacity quota exceeded"}"#, (StoreErrorKind::OutOfMemory, Answer)),
            (401, r#"{"error":"WRONGPASS invalid or missing auth token"}"#, (StoreErrorKind::Authentication, Lost)),
            (401, "", (StoreErrorKind::Authentication, Lost)),
            (403, "no", (StoreErrorKind::Forbidden, Failing)),
            (429, r#"{"error":"slow down"}"#, (StoreErrorKind::Throttled, Failing)),
            (429, "", (StoreErrorKind::Throttled, Failing)),
            (500, r#"{"error":"hunter2"}"#, (StoreErrorKind::Unreachable, Failing)),
            (502, "<html>", (StoreErrorKind::Unreachable, Failing)),
            (503, "", (StoreErrorKind::Busy, Failing)),
            (301, "", (StoreErrorKind::Protocol, Failing)),
            (404, "", (StoreErrorKind::Protocol, Failing)),
            (200, "<html>hunter2", (StoreErrorKind::Protocol, Failing)),
            (200, "", (StoreErrorKind::Protocol, Failing)),
            (200, "[1]", (StoreErrorKind::Protocol, Failing)),
            (200, r#"{"no":1}"#, (StoreErrorKind::Protocol, Failing)),
            (200, r#"{"error":"OOM command not allowed"}"#, (StoreErrorKind::OutOfMemory, Answer)),
        ] {
            assert_eq!(kind_and_meaning(status, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_result_that_is_not_the_scripts_is_an_error_and_never_a_panic() {
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
