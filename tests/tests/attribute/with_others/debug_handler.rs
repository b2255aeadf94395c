//! `axum::debug_handler`.

use super::*;

#[rate_limit(limit = 2, window = 60)]
#[axum::debug_handler]
async fn alone() -> &'static str {
    "alone"
}

#[rate_limit(limit = 2, window = 60)]
#[axum::debug_handler(state = String)]
async fn below(Path(id): Path<u32>, State(name): State<String>) -> impl IntoResponse {
    format!("{id} {name}")
}

#[axum::debug_handler(state = String)]
#[rate_limit(limit = 2, window = 60)]
async fn above(Path(id): Path<u32>, State(name): State<String>) -> impl IntoResponse {
    format!("{id} {name}")
}

#[rate_limit(limit = 2, window = 60, key = id)]
#[axum::debug_handler]
async fn below_an_argument(State(name): State<String>, Path(id): Path<u32>) -> Result<String, String> {
    if id == 7 { Ok(format!("{id} {name}")) } else { Err(name) }
}

#[axum::debug_handler]
#[rate_limit(limit = 2, window = 60, key = id)]
#[rate_limit(limit = 99, window = "1h")]
async fn above_an_argument(State(name): State<String>, Path(id): Path<u32>) -> Result<String, String> {
    if id == 7 { Ok(format!("{id} {name}")) } else { Err(name) }
}

macro_rules! sixteen {
    ($(#[$attribute:meta])* $name:ident) => {
        $(#[$attribute])*
        #[expect(clippy::too_many_arguments, reason = "as many as axum takes")]
        async fn $name(
            Path(id): Path<u32>,
            State(name): State<String>,
            _: Method,
            _: Uri,
            _: Version,
            _: HeaderMap,
            _: Option<Extension<i8>>,
            _: Option<Extension<i16>>,
            _: Option<Extension<i32>>,
            _: Option<Extension<i64>>,
            _: Option<Extension<u8>>,
            _: Option<Extension<u16>>,
            _: Option<Extension<u32>>,
            _: Option<Extension<u64>>,
            _: Option<Extension<usize>>,
            body: String,
        ) -> String {
            format!("{id} {name}{body}")
        }
    };
}
sixteen!(
    #[rate_limit(limit = 2, window = 60)]
    #[axum::debug_handler]
    sixteen_below
);
sixteen!(
    #[axum::debug_handler]
    #[rate_limit(limit = 2, window = 60)]
    sixteen_above
);
sixteen!(
    #[axum::debug_handler]
    #[rate_limit(limit = 2, window = 60, key = |req| req.uri.path())]
    sixteen_by_closure
);

#[tokio::test]
async fn may_stand_above_or_below() {
    let routes = Router::new()
        .route("/alone", get(alone))
        .route("/below/{id}", get(below))
        .route("/above/{id}", get(above))
        .route("/below-argument/{id}", get(below_an_argument))
        .route("/above-argument/{id}", get(above_an_argument))
        .route("/sixteen-below/{id}", get(sixteen_below))
        .route("/sixteen-above/{id}", get(sixteen_above))
        .route("/sixteen-by-closure/{id}", get(sixteen_by_closure));
    let app = App::new(routes.with_state("axum".to_owned()));
    passes_twice(&app, "/alone", "alone").await;
    let with_arguments =
        ["below", "above", "below-argument", "above-argument", "sixteen-below", "sixteen-above", "sixteen-by-closure"];
    for path in with_arguments {
        passes_twice(&app, &format!("/{path}/7"), "7 axum").await;
    }
}
