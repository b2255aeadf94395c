//! Bodies that somebody is typing.

use super::{App, Path, State};
#[cfg(not(plain))]
use rateguard::rate_limit;

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(late, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn a_point(Path(id): Path<u64>, State(app): State<App>) -> String {
    app.
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(late, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn no_semicolon(Path(id): Path<u64>) -> String {
    let text = id.to_string()
    text
}

#[cfg_attr(head, rate_limit(limit = 5, window = 60))]
#[cfg_attr(late, rate_limit(limit = 5, window = 60, key = id))]
pub(crate) async fn an_if(Path(id): Path<u64>) -> String {
    if id ==
}
