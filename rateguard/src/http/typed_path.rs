//! Support for axum-extra's typed paths, which contain their route.

use std::fmt;

use axum::http::Uri;
use axum_extra::routing::TypedPath;

use super::Limited;

impl<L, T: TypedPath> TypedPath for Limited<L, T> {
    const PATH: &'static str = T::PATH;

    fn to_uri(&self) -> Uri {
        self.1.to_uri()
    }
}

// A typed path is written as the path it stands for.
impl<L, T: fmt::Display> fmt::Display for Limited<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.fmt(f)
    }
}
