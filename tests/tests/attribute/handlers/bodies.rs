//! Bodies with early returns, borrows and blocks.

use super::*;

#[rate_limit(limit = 2, window = 60)]
async fn looping(Path(mut id): Path<u32>) -> String {
    loop {
        tokio::task::yield_now().await;
        if id > 8 {
            return id.to_string();
        }
        id += 1;
    }
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn looping_by_argument(Path(mut id): Path<u32>) -> String {
    'outer: loop {
        tokio::task::yield_now().await;
        id += 1;
        for _ in 0..3 {
            if id > 8 {
                break 'outer id.to_string();
            }
        }
    }
}

#[rate_limit(limit = 2, window = 60)]
async fn counting_down(Path(id): Path<u32>) -> String {
    if id == 0 {
        return "0".to_owned();
    }
    let rest = Box::pin(counting_down(Path(id - 1))).await;
    format!("{id} {rest}")
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn counting_down_by_argument(Path(id): Path<u32>) -> String {
    #![allow(clippy::needless_return, reason = "an inner attribute still applies to the whole function")]
    if id == 0 {
        return "0".to_owned();
    }
    let rest = Box::pin(counting_down_by_argument(Path(id - 1))).await;
    return format!("{id} {rest}");
}

#[tokio::test]
async fn may_loop_and_return_early_and_call_themselves() {
    assert_eq!(got(get(looping)).await, ok("9"));
    assert_eq!(got(get(looping_by_argument)).await, ok("9"));
    assert_eq!(got(get(counting_down)).await, ok("7 6 5 4 3 2 1 0"));
    assert_eq!(got(get(counting_down_by_argument)).await, ok("7 6 5 4 3 2 1 0"));
}

#[rate_limit(limit = 2, window = 60, key = search.words, cost = search.words.len() / 4)]
async fn consuming(Query(search): Query<Search>) -> String {
    search.words
}

#[rate_limit(limit = 2, window = 60, key = format!("{id}-{}", &search.words[..2]))]
async fn formatted(Path(id): Path<u32>, Query(search): Query<Search>) -> String {
    drop(search);
    id.to_string()
}

/// An argument that is not `Sync`.
struct NotSync(std::cell::Cell<u32>);

impl FromRequestParts<()> for NotSync {
    type Rejection = Infallible;
    async fn from_request_parts(_: &mut Parts, (): &()) -> Result<Self, Infallible> {
        Ok(NotSync(std::cell::Cell::new(7)))
    }
}

// The lock is released before the check is awaited. Held across the await, the handler would not be `Send`.
#[rate_limit(limit = 2, window = 60, key = *shared.lock().unwrap())]
async fn locked(State(shared): State<Arc<Mutex<u32>>>) -> String {
    shared.lock().unwrap().to_string()
}

#[rate_limit(limit = 2, window = 60, key = id.0.get())]
async fn not_shareable(id: NotSync) -> String {
    tokio::task::yield_now().await;
    id.0.get().to_string()
}

#[tokio::test]
async fn own_the_arguments_that_a_key_has_borrowed() {
    assert_eq!(got(get(consuming)).await, ok("axum"));
    assert_eq!(got(get(formatted)).await, ok("7"));
    assert_eq!(got(get(not_shareable)).await, ok("7"));
    assert_eq!(got(get(locked).with_state(Arc::new(Mutex::new(7)))).await, ok("7"));
}
