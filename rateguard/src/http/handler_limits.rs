//! The limits that a handler carries, and the names of their policies.

use std::any::type_name;
use std::sync::OnceLock;

use super::limit::HttpLimit;

/// What a handler is limited by. Implemented by the hidden marker beside it.
pub trait Limits: Send + Sync + 'static {
    /// The handler, as `module::path::function`.
    const HANDLER: &'static str;
    /// Its limits, outermost attribute first. Those without a name of their own have the handler's.
    const LIMITS: &'static [HttpLimit];
    /// The limits in words, for the readers of an API's documentation.
    const WORDS: &'static str = "";

    /// The limits under their full names.
    fn limits() -> &'static [HttpLimit] {
        Self::LIMITS
    }
}

/// The limits of one handler, for [`RateGuard::register_handlers`](crate::RateGuard::register_handlers). Made by
/// [`handlers!`](crate::handlers).
#[derive(Clone, Copy, Debug)]
pub struct HandlerLimits(pub(crate) &'static [HttpLimit]);

/// The limits of a handler under their full names, made once.
///
/// `module_path!()` leaves out the functions around a handler, so that two handlers of one name in two functions of a module
/// would share a bucket. The name of the marker's type has them, but is no constant.
#[derive(Debug, Default)]
pub struct NamedLimits(OnceLock<&'static [HttpLimit]>);

impl NamedLimits {
    /// Not made yet.
    pub const fn new() -> NamedLimits {
        NamedLimits(OnceLock::new())
    }

    /// Those of `L`, whose handler is in `module`.
    pub fn of<L: Limits>(&self, module: &str) -> &'static [HttpLimit] {
        self.0.get_or_init(|| match full_name(L::HANDLER, module, type_name::<L>()) {
            None => L::LIMITS,
            // Kept for ever, as constants are, and once for each handler.
            Some(full) => L::LIMITS.iter().map(|limit| under(limit, L::HANDLER, &full)).collect::<Vec<_>>().leak(),
        })
    }
}

/// `full` takes the place of `handler` in a name that was not given: what follows it, as in `search#2`, stays.
fn under(limit: &HttpLimit, handler: &str, full: &str) -> HttpLimit {
    let mut limit = limit.clone();
    let name = limit.policy.name().strip_prefix(handler).filter(|_| limit.is_named_by_default);
    if let Some(number) = name {
        let name = format!("{full}{number}").leak();
        limit.policy = limit.policy.with_name(name);
    }
    limit
}

/// The longest part of a name that is made of functions' names, in bytes.
const LONGEST: usize = 180;

/// A handler's name with the functions around it, from the type of its marker. `None` if there are none: then the name is
/// `module::function`, or `module::Type::function` in an `impl` block.
fn full_name(handler: &str, module: &str, marker: &str) -> Option<String> {
    let function = handler.strip_prefix(module)?.strip_prefix("::")?;
    let (path, _) = marker.rsplit_once("::")?;
    // An `async fn` or a closure around the handler adds nothing that a reader knows, nor does an `r#`.
    let path = path.replace("::{{closure}}", "").replace("r#", "");
    if path == module.replace("r#", "") {
        return None;
    }
    // What cannot be in a name: the braces of a `{{constant}}`, the spaces of an `<impl A for B>`.
    let path = path.replace(['{', '}', '"', '\\'], "").replace(|c: char| c <= ' ' || c == '\u{7f}', "_");
    let full = format!("{path}::{function}");
    if full.len() <= LONGEST {
        return Some(full);
    }
    // Cut short, it would no longer tell apart what differs at the end.
    let end = (0..=LONGEST - 10).rev().find(|end| full.is_char_boundary(*end)).unwrap_or(0);
    Some(format!("{}~{:08x}", full.get(..end).unwrap_or_default(), crate::policy::number(&full)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::key_by::KeyBy;
    use crate::policy::Policy;
    use crate::quota::Quota;
    use std::time::Duration;

    #[test]
    fn a_full_name_has_the_functions_around_a_handler() {
        for (handler, marker, full) in [
            ("app::api::search", "app::api::__rate_limit_search", None),
            ("app::r#type::search", "app::type::__rate_limit_search", None),
            ("app::search", "app::routes::__rate_limit_search", Some("app::routes::search")),
            ("app::search", "app::main::{{closure}}::__rate_limit_search", Some("app::main::search")),
            ("app::search", "app::main::{{closure}}::{{closure}}::inner::__m", Some("app::main::inner::search")),
            ("app::search", "app::<impl app::Api>::routes::__m", Some("app::<impl_app::Api>::routes::search")),
            ("app::search", "app::{{constant}}::__m", Some("app::constant::search")),
            ("app::Shop::list", "app::__rate_limit_Shop_list", None),
            ("app::Shop::list", "app::main::__rate_limit_Shop_list", Some("app::main::Shop::list")),
        ] {
            let module = if handler.contains("api") {
                "app::api"
            } else if handler.contains("type") {
                "app::r#type"
            } else {
                "app"
            };
            assert_eq!(full_name(handler, module, marker).as_deref(), full, "{marker}");
        }
    }

    #[test]
    fn a_full_name_that_is_too_long_is_cut_and_stays_different() {
        let long =
            |last: &str| full_name("app::search", "app", &format!("app::{}::{last}::__m", "ü".repeat(120))).unwrap();
        let (a, b) = (long("a"), long("b"));
        assert_ne!(a, b);
        for name in [a, b] {
            assert!(name.len() <= LONGEST, "{name}");
            // With room for the number of a handler's second limit.
            let quota = Quota::sliding_window(1, Duration::from_secs(1));
            assert_eq!(Policy::try_new(format!("{name}#16"), quota).unwrap().name(), format!("{name}#16"));
        }
    }

    #[test]
    fn a_name_that_was_given_stays() {
        const QUOTA: Quota = Quota::sliding_window(1, Duration::from_secs(1));
        let limit = |name, is_named_by_default| {
            let limit = HttpLimit::from_policy(Policy::new(name, QUOTA), KeyBy::Ip);
            HttpLimit { is_named_by_default, ..limit }
        };
        let under = |limit: HttpLimit| under(&limit, "app::search", "app::main::search").policy.name().to_owned();
        assert_eq!(under(limit("app::search", true)), "app::main::search");
        assert_eq!(under(limit("app::search#2", true)), "app::main::search#2");
        assert_eq!(under(limit("app::search", false)), "app::search");
    }
}
