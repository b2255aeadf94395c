//! Mistakes in bodies that the compiler finds.

use super::{App, Json, Path, Query, State, StatusCode};
#[cfg(not(plain))]
use rateguard::rate_limit;

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn another_type(Path(id): Path<u64>) -> Json<String> {
    Json(id)
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn another_type_returned_early(Path(id): Path<u64>) -> Result<String, StatusCode> {
    if id == 0 {
        return Err("zero");
    }
    Ok(id.to_string())
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = name))]
pub(crate) async fn used_after_it_was_moved(Path(name): Path<String>) -> String {
    drop(name);
    name
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = name))]
pub(crate) async fn borrowed_by_a_thread(Path(name): Path<String>) {
    std::thread::spawn(|| println!("{name}"));
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn changed_and_not_mut(Path(id): Path<u64>) -> String {
    id += 1;
    id.to_string()
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn no_such_method(Path(id): Path<u64>, State(app): State<App>) -> String {
    app.find_all(id)
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn an_error_that_cannot_be_converted(Path(id): Path<String>) -> Result<String, StatusCode> {
    let id: u64 = id.parse()?;
    Ok(id.to_string())
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn a_question_mark_without_a_result(Path(id): Path<String>) -> String {
    let id: u64 = id.parse()?;
    id.to_string()
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = words))]
pub(crate) async fn nothing_at_the_end(Query(words): Query<String>) -> String {
    words.len();
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn not_awaited(Path(id): Path<u64>, State(app): State<App>) -> String {
    let db = app.db.read();
    format!("{id} {}", db.len())
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn a_borrow_that_ends_too_early(Path(id): Path<u64>) -> String {
    let text: &str;
    {
        let owned = id.to_string();
        text = &owned;
    }
    text.to_owned()
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(deferred, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn never(Path(id): Path<u64>) -> ! {
    loop {
        println!("{id}");
    }
}
