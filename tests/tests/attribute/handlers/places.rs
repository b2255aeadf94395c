//! Where handlers are written.

use super::*;

/// A handler of a module, with a comment.
#[rate_limit(limit = 2, window = 60)]
pub(crate) async fn documented() -> &'static str {
    "documented"
}

mod inner {
    use super::*;

    #[rate_limit(limit = 2, window = 60, key = id)]
    pub(in super::super) async fn visible_above(Path(id): Path<u32>) -> String {
        id.to_string()
    }
}

#[tokio::test]
async fn may_be_modules_and_functions() {
    #[rate_limit(limit = LIMIT, window = 60)]
    async fn local() -> &'static str {
        "local"
    }
    // Visible to the attribute above, like any name to the code around it.
    const LIMIT: u32 = 2;

    assert_eq!(got(get(documented)).await, ok("documented"));
    assert_eq!(got(get(inner::visible_above)).await, ok("7"));
    assert_eq!(got(get(local)).await, ok("local"));
}

#[rate_limit(limit = 2, window = 60)]
async fn r#type(Query(search): Query<Search>) -> String {
    search.words
}

// Names that generated code could use itself.
#[rate_limit(limit = 2, window = 60, key = (rate_limit_guard, deferred))]
async fn rate_limit_guard(Path(rate_limit_guard): Path<u32>, Query(deferred): Query<Words>) -> String {
    let guard = rate_limit_guard;
    format!("{guard} {deferred}")
}

#[rate_limit(limit = 2, window = 60, key = |req| parts(req))]
async fn parts_of() -> &'static str {
    "parts"
}

fn parts(req: &Parts) -> String {
    req.uri.to_string()
}

#[rate_limit(limit = 2, window = 60, key = |parts| parts.uri.path(), skip = |value| value.method == "PUT")]
async fn denied(returned: Method) -> String {
    returned.to_string()
}

#[rate_limit(limit = 2, window = 60)]
async fn check(check: Method) -> String {
    check.to_string()
}

#[rate_limit(limit = 2, window = 60)]
async fn is_send() -> &'static str {
    "is it?"
}

#[derive(Deserialize)]
struct Words {
    words: String,
}

impl Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.words)
    }
}

#[tokio::test]
async fn may_have_names_that_generated_code_uses() {
    assert_eq!(got(get(r#type)).await, ok("axum"));
    assert_eq!(got(get(rate_limit_guard)).await, ok("7 axum"));
    assert_eq!(got(get(parts_of)).await, ok("parts"));
    assert_eq!(got(get(denied)).await, ok("GET"));
    assert_eq!(got(get(check)).await, ok("GET"));
    assert_eq!(got(get(is_send)).await, ok("is it?"));
}

macro_rules! handler {
    ($name:ident, $limit:expr, $window:literal, $key:expr, $argument:pat => $ty:ty, $body:block) => {
        #[rate_limit(limit = $limit, window = $window, key = $key)]
        async fn $name($argument: $ty) -> String $body
    };
}

handler!(made_by_a_macro, 1 + 1, "1m", |req: &Parts| req.method.to_string(), Path(_) => Path<u32>, { "made".to_owned() });

#[tokio::test]
async fn may_be_macros() {
    assert_eq!(got(get(made_by_a_macro)).await, ok("made"));
}

#[rate_limit(limit = 2, window = 60)]
#[cfg(not(test))]
async fn conditional() -> &'static str {
    "another"
}

#[rate_limit(limit = 2, window = 60)]
#[cfg(test)]
async fn conditional() -> &'static str {
    "this"
}

#[cfg_attr(test, rate_limit(limit = 2, window = 60))]
#[cfg_attr(not(test), rate_limit(limit = 1, window = 60))]
async fn conditionally_limited(#[cfg(test)] Path(id): Path<u32>, #[cfg(not(test))] _: Method) -> String {
    id.to_string()
}

#[rate_limit(limit = 2, window = 60, key = id)]
#[cfg_attr(test, allow(unused_mut))]
#[cfg(test)]
async fn conditional_by_argument(#[allow(unused_mut)] Path(mut id): Path<u32>) -> String {
    id.to_string()
}

#[rate_limit(limit = 2, window = 60, key = nothing.of.this)]
#[cfg(not(test))]
async fn conditional_by_argument(nothing: NoSuchType) {}

#[tokio::test]
async fn may_be_conditional() {
    assert_eq!(got(get(conditional)).await, ok("this"));
    assert_eq!(got(get(conditionally_limited)).await, ok("7"));
    assert_eq!(got(get(conditional_by_argument)).await, ok("7"));
}
