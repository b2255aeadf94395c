//! What lints find in bodies and in signatures.

use super::{App, Json, Path, Query, State, StatusCode};
#[cfg(not(plain))]
use rateguard::rate_limit;

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
async fn routed_nowhere(Path(id): Path<u64>) -> String {
    std::future::ready(id.to_string()).await
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub async fn visible_to_nobody(Path(id): Path<u64>) -> String {
    std::future::ready(id.to_string()).await
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn a_variable_that_is_not_used(Path(id): Path<u64>, State(app): State<App>) -> String {
    let unused = 1;
    std::future::ready(id.to_string()).await
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn mut_for_nothing(Path(mut id): Path<u64>) -> String {
    std::future::ready(id.to_string()).await
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn a_result_that_is_dropped(Path(id): Path<u64>) -> String {
    std::fs::remove_file("x");
    std::future::ready(id.to_string()).await
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = words))]
pub(crate) async fn a_return_that_is_not_needed(Query(words): Query<String>) -> Json<usize> {
    let length = std::future::ready(words.len()).await;
    return Json(length);
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = words))]
pub(crate) async fn a_clone_that_is_not_needed(Query(words): Query<String>) -> String {
    std::future::ready(()).await;
    words.clone()
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn a_lock_held_while_waiting(Path(id): Path<u64>) -> String {
    let lock = std::sync::Mutex::new(id);
    let guard = lock.lock().map(|guard| *guard).unwrap_or_default();
    std::future::ready(()).await;
    if guard == 0 { return String::new() } else { guard.to_string() }
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn code_that_is_never_reached(Path(id): Path<u64>) -> Result<String, StatusCode> {
    return std::future::ready(Ok(id.to_string())).await;
    Err(StatusCode::NOT_FOUND)
}

/// Public, and its errors are not documented.
pub mod public {
    use super::{Json, Path};
    #[cfg(not(plain))]
    use rateguard::rate_limit;

    /// Without a word about errors.
    #[cfg_attr(head, rate_limit(limit = 5, window = 60))]
    #[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
    pub async fn errors(Path(id): Path<String>) -> Result<Json<u64>, String> {
        std::future::ready(id.parse().map(Json).map_err(|_| id)).await
    }

    #[cfg_attr(head, rate_limit(limit = 5, window = 60))]
    #[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
    pub async fn without_documentation(Path(id): Path<String>) -> String {
        std::future::ready(id).await
    }
}
