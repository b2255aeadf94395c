//! Which headers tell clients about their quota.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};
use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};

pub(crate) const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
pub(crate) const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
pub(crate) const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
pub(crate) const POLICY_FIELD: HeaderName = HeaderName::from_static("ratelimit-policy");
pub(crate) const QUOTA_FIELD: HeaderName = HeaderName::from_static("ratelimit");

/// Which headers tell clients about their quota: a set, joined with `|`.
///
/// Chosen for a limiter ([`RateGuardBuilder::headers`](crate::RateGuardBuilder::headers)) or for a layer
/// ([`RateLimitLayer::headers`](crate::RateLimitLayer::headers)). The outermost layer that a request passes writes them,
/// once, for all limits that counted the request; its own choice goes before its limiter's. The default is
/// [`Headers::X_RATE_LIMIT`].
///
/// Unknown values are not written: nothing for a limit that was not counted
/// ([`Decision::degraded`](crate::Decision::degraded)), nor for one in shadow mode. `Retry-After` is a part of the denial and
/// is always sent.
///
/// If a response already has headers of one of the two families, as one from another server may, these stay, and ours of that
/// family are not written.
///
/// ```
/// use rateguard::{Headers, RateGuard, RateLimitLayer};
///
/// let limiter = RateGuard::builder().headers(Headers::X_RATE_LIMIT | Headers::IETF).build()?;
/// let quiet = RateLimitLayer::new(limiter).headers(Headers::NONE);
/// # Ok::<(), rateguard::ConfigError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Headers(u8);

const FAMILIES: [(Headers, &str); 3] =
    [(Headers::X_RATE_LIMIT, "X_RATE_LIMIT"), (Headers::IETF, "IETF"), (Headers::EPOCH, "reset_as_epoch")];

impl Headers {
    /// None of them.
    pub const NONE: Headers = Headers(0);

    /// `X-RateLimit-Limit`, `X-RateLimit-Remaining` (units) and `X-RateLimit-Reset` (seconds from now, rounded up) of the
    /// limit that is nearest exhaustion.
    pub const X_RATE_LIMIT: Headers = Headers(1);

    /// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, with every limit that counted the
    /// request:
    ///
    /// ```http
    /// ratelimit-policy: "burst";q=100;w=60,"daily";q=1000;w=86400
    /// ratelimit: "burst";r=50;t=30,"daily";r=950;t=80000
    /// ```
    ///
    /// `q` units in `w` seconds (at least 1), `r` units left, and `t` seconds until there are more; where none are left,
    /// until the next one. A token bucket that holds more than its limit is told as what it holds, in the time that it
    /// takes to fill. Both are lists of structured fields (RFC 9651), in which a name is ASCII: other characters of a
    /// policy's name, and `%`, are percent-encoded as in a Display String (`größe` is `gr%c3%b6%c3%9fe`).
    pub const IETF: Headers = Headers(1 << 1);

    const EPOCH: Headers = Headers(1 << 2);

    /// `X-RateLimit-Reset` as the time itself, in seconds since 1970 by this server's clock, for clients that expect
    /// that. Seconds from now need no clocks that agree, and are the default.
    ///
    /// ```
    /// # use rateguard::{Headers, RateGuard};
    /// let limiter = RateGuard::builder().headers(Headers::X_RATE_LIMIT.reset_as_epoch()).build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    pub const fn reset_as_epoch(self) -> Headers {
        Headers(self.0 | Headers::EPOCH.0)
    }

    /// Whether all of `others` are in the set.
    pub const fn contains(self, others: Headers) -> bool {
        self.0 & others.0 == others.0
    }

    /// The names of the headers in the set, and `Retry-After`: what a script in a browser is allowed to read only if
    /// `Access-Control-Expose-Headers` lists it. With tower-http's layer, added after the rate limit's so that it also
    /// sees the denials:
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use rateguard::{Headers, RateGuard, RateLimitLayer};
    /// use tower_http::cors::{Any, CorsLayer};
    ///
    /// let app: Router = Router::new()
    ///     .route("/", get(|| async { "hello" }))
    ///     .layer(RateLimitLayer::new(RateGuard::memory()))
    ///     .layer(CorsLayer::new().allow_origin(Any).expose_headers(Headers::X_RATE_LIMIT.names()));
    /// ```
    pub fn names(self) -> Vec<HeaderName> {
        let mut names = Vec::with_capacity(6);
        if self.contains(Headers::X_RATE_LIMIT) {
            names.extend([LIMIT, REMAINING, RESET]);
        }
        if self.contains(Headers::IETF) {
            names.extend([POLICY_FIELD, QUOTA_FIELD]);
        }
        names.push(header::RETRY_AFTER);
        names
    }

    pub(crate) const fn is_epoch(self) -> bool {
        self.contains(Headers::EPOCH)
    }
}

impl Default for Headers {
    fn default() -> Headers {
        Headers::X_RATE_LIMIT
    }
}

impl BitOr for Headers {
    type Output = Headers;

    fn bitor(self, others: Headers) -> Headers {
        Headers(self.0 | others.0)
    }
}

impl BitOrAssign for Headers {
    fn bitor_assign(&mut self, others: Headers) {
        *self = *self | others;
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = false;
        for (family, name) in FAMILIES {
            if self.contains(family) {
                write!(f, "{}{name}", if said { " | " } else { "" })?;
                said = true;
            }
        }
        if said { Ok(()) } else { f.write_str("NONE") }
    }
}

/// A number in decimal. The usual ones are made once and shared: three in each response would be three allocations.
pub(super) fn number(number: u64) -> HeaderValue {
    static SHARED: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| (0..1024_u64).map(HeaderValue::from).collect());
    let shared = usize::try_from(number).ok().and_then(|at| SHARED.get(at));
    if let Some(shared) = shared {
        return shared.clone();
    }
    // One allocation, where `HeaderValue::from` makes two. Digits are always valid in a header.
    HeaderValue::from_str(itoa::Buffer::new().format(number)).unwrap_or_else(|_| HeaderValue::from(number))
}
