//! For aide, which documents a handler by the types of its arguments and of its answer.

use aide::generate::GenContext;
use aide::openapi::{Operation, Response};
use aide::{OperationInput, OperationOutput};

use super::denial;
use crate::http::handler_limits::Limits;
use crate::http::{Limited, RateLimited};

fn response(words: &str) -> Response {
    serde_json::from_value(denial(words)).unwrap_or_default()
}

impl<L: Limits, T: OperationInput> OperationInput for Limited<L, T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        T::operation_input(context, operation);
    }

    fn inferred_early_responses(context: &mut GenContext, operation: &mut Operation) -> Vec<(Option<u16>, Response)> {
        let mut responses = T::inferred_early_responses(context, operation);
        responses.push((Some(429), response(L::WORDS)));
        responses
    }
}

// What a handler with a limit over its arguments may answer. Its limits are in the response of its first argument.
impl OperationOutput for RateLimited {
    type Inner = RateLimited;

    fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<Response> {
        Some(response(""))
    }
}
