//! From handlers to their limits, for those who want to know them before the first request.

use super::handler_limits::{HandlerLimits, Limits};
use super::limit::HttpLimit;
use super::limited::Limited;

/// A function that the attribute has changed. `M` is inferred: the function's arguments.
#[diagnostic::on_unimplemented(
    message = "this is not a handler with a limit",
    label = "no `#[rate_limit]` above it",
    note = "`handlers![…]` takes the paths of functions with `#[rate_limit]`, such as `handlers![search, api::login]`"
)]
pub trait LimitedHandler<M> {
    /// Its limits.
    fn limits() -> &'static [HttpLimit];
}

macro_rules! limited_handler {
    ($($argument:ident)*) => {
        impl<F, R, L: Limits, T, $($argument),*> LimitedHandler<(L, T, $($argument,)* R)> for F
        where
            F: Fn(Limited<L, T>, $($argument),*) -> R,
        {
            fn limits() -> &'static [HttpLimit] {
                L::limits()
            }
        }
    };
}
limited_handler!();
limited_handler!(A);
limited_handler!(A B);
limited_handler!(A B C);
limited_handler!(A B C D);
limited_handler!(A B C D E);
limited_handler!(A B C D E G);
limited_handler!(A B C D E G H);
limited_handler!(A B C D E G H I);
limited_handler!(A B C D E G H I J);
limited_handler!(A B C D E G H I J K);
limited_handler!(A B C D E G H I J K M);
limited_handler!(A B C D E G H I J K M N);
limited_handler!(A B C D E G H I J K M N O);
limited_handler!(A B C D E G H I J K M N O P);
limited_handler!(A B C D E G H I J K M N O P Q);

/// The limits of a function.
pub fn limits_of<M, F: LimitedHandler<M>>(_: F) -> HandlerLimits {
    HandlerLimits(F::limits())
}

/// The limits of these handlers, for [`RateGuard::register_handlers`](crate::RateGuard::register_handlers): paths of functions
/// with `#[rate_limit]`.
#[macro_export]
macro_rules! handlers {
    ($($handler:expr),* $(,)?) => {
        [$($crate::__private::limits_of($handler)),*]
    };
}
