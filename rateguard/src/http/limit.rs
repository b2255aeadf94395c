//! One limit of a handler, as the attribute wrote it down: all of it constant.

use std::any::type_name;
use std::sync::OnceLock;

use axum::http::request::Parts;
use axum::response::Response;

use super::extract::KeySource;
use super::guard::Limits;
use crate::policy::Policy;

/// A limit that a handler carries.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) policy: Policy,
    pub(crate) key: KeySource,
    pub(crate) cost: Cost,
    pub(crate) skip: Skip,
    pub(crate) refund_if: Option<fn(&Response) -> bool>,
    /// Whether its name is the handler's.
    named_by_default: bool,
}

/// What a request takes of the quota.
#[derive(Clone, Copy, Debug)]
pub enum Cost {
    /// Always the same. At least 1.
    Fixed(u32),
    /// Read from the request's head.
    Head(fn(&Parts) -> u32),
    /// Known once the handler's arguments are there.
    Late,
}

/// Whether a request passes uncounted.
#[derive(Clone, Copy, Debug)]
pub enum Skip {
    /// It never does.
    Never,
    /// Read from the request's head.
    Head(fn(&Parts) -> bool),
    /// Known once the handler's arguments are there.
    Late,
}

impl Rule {
    /// A limit at cost 1.
    pub const fn new(policy: Policy, key: KeySource) -> Rule {
        Rule { policy, key, cost: Cost::Fixed(1), skip: Skip::Never, refund_if: None, named_by_default: false }
    }

    /// Its name is the handler's, and becomes the full one.
    pub const fn named_by_default(mut self) -> Rule {
        self.named_by_default = true;
        self
    }

    /// What a request takes.
    pub const fn cost(mut self, cost: Cost) -> Rule {
        self.cost = cost;
        self
    }

    /// Which requests pass uncounted.
    pub const fn skip(mut self, skip: Skip) -> Rule {
        self.skip = skip;
        self
    }

    /// Which responses give the charge back. A request whose client hangs up before has no response, and stays charged.
    pub const fn refund_if(mut self, refund_if: fn(&Response) -> bool) -> Rule {
        self.refund_if = Some(refund_if);
        self
    }

    /// Whether it can only be decided once the handler's arguments are there.
    pub(crate) const fn is_late(&self) -> bool {
        self.key.is_late() || matches!(self.cost, Cost::Late) || matches!(self.skip, Skip::Late)
    }
}

/// The limits of a handler under their full names, made once.
///
/// `module_path!()` leaves out the functions around a handler, so that two handlers of one name in two functions of a module
/// would share a bucket. The name of the marker's type has them, but is no constant.
#[derive(Debug, Default)]
pub struct NamedRules(OnceLock<&'static [Rule]>);

impl NamedRules {
    /// Not made yet.
    pub const fn new() -> NamedRules {
        NamedRules(OnceLock::new())
    }

    /// Those of `L`.
    pub fn of<L: Limits>(&self) -> &'static [Rule] {
        self.0.get_or_init(|| match full_name(L::HANDLER, type_name::<L>()) {
            None => L::RULES,
            // Kept for ever, as constants are, and once for each handler.
            Some(full) => L::RULES.iter().map(|rule| rule.under(L::HANDLER, &full)).collect::<Vec<_>>().leak(),
        })
    }
}

impl Rule {
    /// `full` takes the place of `handler` in a name that was not given: what follows it, as in `search#2`, stays.
    fn under(&self, handler: &str, full: &str) -> Rule {
        let mut rule = self.clone();
        let name = self.policy.name().strip_prefix(handler).filter(|_| self.named_by_default);
        if let Some(number) = name {
            rule.policy = rule.policy.with_name(format!("{full}{number}").leak());
        }
        rule
    }
}

/// The longest part of a name that is made of functions' names, in bytes.
const LONGEST: usize = 180;

/// A handler's name with the functions around it, from the type of its marker. `None` if there are none: then the name is
/// `module::function`.
fn full_name(handler: &str, marker: &str) -> Option<String> {
    let (module, function) = handler.rsplit_once("::")?;
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

/// A number of units, of any integer type. Less than 1 counts as 1: a request that costs nothing is written `skip`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a cost",
    label = "not an integer",
    note = "the cost of a request is an integer, such as `cost = body.items.len()`"
)]
pub trait IntoCost {
    /// The units, from 1 to `u32::MAX`.
    fn to_cost(self) -> u32;
}

macro_rules! into_cost {
    ($($integer:ty)+) => {$(
        impl IntoCost for $integer {
            fn to_cost(self) -> u32 {
                #[allow(irrefutable_let_patterns, unused_comparisons, clippy::absurd_extreme_comparisons, reason = "one text for signed and unsigned")]
                if self <= 0 { 1 } else { u32::try_from(self).unwrap_or(u32::MAX) }
            }
        }
        impl IntoCost for &$integer {
            fn to_cost(self) -> u32 {
                (*self).to_cost()
            }
        }
    )+};
}
into_cost!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_cost<'a, C: IntoCost>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> C) -> u32 {
    closure(parts).to_cost()
}

/// Runs a user's closure over the head; being a function, it tells the closure its argument's type.
pub fn head_skip<'a>(parts: &'a Parts, closure: impl FnOnce(&'a Parts) -> bool) -> bool {
    closure(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        ] {
            assert_eq!(full_name(handler, marker).as_deref(), full, "{marker}");
        }
    }

    #[test]
    fn a_full_name_that_is_too_long_is_cut_and_stays_different() {
        let long = |last: &str| full_name("app::search", &format!("app::{}::{last}::__m", "ü".repeat(120))).unwrap();
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
        let rule = |name| Rule::new(Policy::new(name, QUOTA), KeySource::Ip);
        let under = |rule: Rule| rule.under("app::search", "app::main::search").policy.name().to_owned();
        assert_eq!(under(rule("app::search").named_by_default()), "app::main::search");
        assert_eq!(under(rule("app::search#2").named_by_default()), "app::main::search#2");
        assert_eq!(under(rule("app::search")), "app::search");
    }
}
