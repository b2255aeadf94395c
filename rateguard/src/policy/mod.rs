//! A quota with a name, and what happens to it while the store does not answer.

mod name;
mod on_error;
#[cfg(feature = "serde")]
mod serde;

use std::borrow::Cow;
use std::panic::Location;

pub use name::PolicyNameError;
pub(crate) use name::number;
pub use on_error::OnError;

use crate::quota::Quota;

/// A named [`Quota`].
///
/// The count is kept under the policy's name and the client's key: two policies with the same name share one count for the
/// same client. Two policies with different names never do, even if their quotas are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    name: Cow<'static, str>,
    /// A short hash of the name, computed once. A few collisions do no harm.
    number: u32,
    quota: Quota,
    on_error: Option<OnError>,
    shadow: bool,
    unit: Option<&'static str>,
    origin: Origin,
}

/// Where the quota of a policy comes from. It does not make policies differ.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// It is constant, and written in this place of the program, which has a short hash.
    Constant(&'static Location<'static>, u32),
    /// It was made at run time.
    Runtime,
    /// Each request has its own.
    Request,
}

impl Origin {
    const fn constant(place: &'static Location<'static>) -> Origin {
        Origin::Constant(place, number(place.file()) ^ spot(place.line(), place.column()))
    }
}

/// Different for different places of a file up to column 4095, since generated code has long lines.
const fn spot(line: u32, column: u32) -> u32 {
    (line.rotate_left(12) ^ column).wrapping_mul(0x9e37_79b1)
}

impl PartialEq for Origin {
    fn eq(&self, _: &Origin) -> bool {
        true
    }
}

impl Eq for Origin {}

impl Policy {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 200;

    /// A policy whose name is written in the program.
    ///
    /// Its quota is taken as constant: if another place in the program gives the same name and algorithm another quota in
    /// the same limiter, that is a mistake, and an error in the log names both places. If the quota
    /// depends on the client, as with plans, let the limit compute it: `quota = …` of the attribute, or
    /// [`HttpLimit::quota_by`](crate::HttpLimit::quota_by); for checks of your own, make the policy with
    /// [`Policy::try_new`].
    ///
    /// A name is 1 to [`Policy::MAX_NAME`] bytes, without spaces, control characters, `"`, `\`, `{` or `}`.
    ///
    /// # Panics
    ///
    /// If the name is invalid. In a constant that is a compile error.
    #[track_caller]
    #[expect(clippy::panic, reason = "documented; in a constant it is the compile error")]
    pub const fn new(name: &'static str, quota: Quota) -> Policy {
        if let Err(error) = name::check(name) {
            panic!("{}", error.rule());
        }
        let origin = Origin::constant(Location::caller());
        Policy {
            name: Cow::Borrowed(name),
            number: number(name),
            quota,
            on_error: None,
            shadow: false,
            unit: None,
            origin,
        }
    }

    /// A policy whose name or quota is made at run time. Policies of one name may have different quotas: what a client has
    /// used counts under each of them.
    ///
    /// # Errors
    ///
    /// When the name is empty, longer than [`Policy::MAX_NAME`] bytes, or has a character that [`Policy::new`] excludes.
    pub fn try_new(name: impl Into<Cow<'static, str>>, quota: Quota) -> Result<Policy, PolicyNameError> {
        let name = name.into();
        name::check(&name)?;
        let origin = Origin::Runtime;
        Ok(Policy { number: number(&name), name, quota, on_error: None, shadow: false, unit: None, origin })
    }

    /// Sets the failure policy: what to answer while the store cannot be asked. The default is the limiter's.
    #[must_use = "this returns another policy"]
    pub const fn on_error(mut self, on_error: OnError) -> Policy {
        self.on_error = Some(on_error);
        self
    }

    /// Sets shadow mode: decide, count and report, but never deny. It shows what a limit would do before it does it.
    #[must_use = "this returns another policy"]
    #[doc(alias = "dry run")]
    pub const fn shadow(mut self, shadow: bool) -> Policy {
        self.shadow = shadow;
        self
    }

    /// Sets what the units are called in the words of a `429`, in the plural: `No more than 1000 tokens in 1 minute`. The
    /// default is `requests`.
    ///
    /// # Panics
    ///
    /// If `unit` is empty, longer than 32 bytes, or has other characters than ASCII letters and spaces. In a constant that
    /// is a compile error.
    #[must_use = "this returns another policy"]
    #[doc(alias = "points")]
    pub const fn unit(mut self, unit: &'static str) -> Policy {
        assert!(
            name::is_unit(unit),
            "the unit of a policy is 1 to 32 letters and spaces, in the plural, such as \"tokens\""
        );
        self.unit = Some(unit);
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The quota.
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Whether the policy is in [shadow mode](Policy::shadow).
    pub const fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// What [`on_error`](Policy::on_error) set; `None` for the limiter's setting.
    pub const fn get_on_error(&self) -> Option<OnError> {
        self.on_error
    }

    /// Equal for equal names, and nearly always different for different names.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// Equal for policies of one name that are written in one place, and nearly always different for others. Never 0.
    pub(crate) const fn mark(&self) -> u64 {
        let origin = match self.origin {
            Origin::Constant(_, place) => place,
            Origin::Runtime => 2,
            Origin::Request => 4,
        };
        (self.number as u64) << 32 | origin as u64 | 1
    }

    /// What [`unit`](Policy::unit) set.
    pub(crate) const fn get_unit(&self) -> Option<&'static str> {
        self.unit
    }

    /// The same policy, with a quota that each request has for itself. The one that it has is only a stand-in.
    pub(crate) const fn by_request(mut self) -> Policy {
        self.origin = Origin::Request;
        self
    }

    /// Whether each request has a quota for itself.
    pub(crate) const fn is_by_request(&self) -> bool {
        matches!(self.origin, Origin::Request)
    }

    /// The same policy with another quota.
    pub(crate) fn with_quota(mut self, quota: Quota) -> Policy {
        self.quota = quota;
        self
    }

    /// The same policy, as written in this place.
    pub(crate) fn written_at(mut self, place: &'static Location<'static>) -> Policy {
        self.origin = Origin::constant(place);
        self
    }

    /// Where it was written, if its quota is constant.
    pub(crate) fn place(&self) -> Option<&'static Location<'static>> {
        match self.origin {
            Origin::Constant(place, _) => Some(place),
            Origin::Runtime | Origin::Request => None,
        }
    }

    /// The same policy under another name; unchanged if the name is invalid.
    pub(crate) fn with_name(mut self, name: &'static str) -> Policy {
        if name::check(name).is_ok() {
            (self.name, self.number) = (Cow::Borrowed(name), number(name));
        }
        self
    }

    /// The name, if it is a `'static` one.
    pub(crate) fn static_name(&self) -> Option<&'static str> {
        match self.name {
            Cow::Borrowed(name) => Some(name),
            Cow::Owned(_) => None,
        }
    }

    /// The name, for a decision to keep. No allocation if it is a `'static` one.
    pub(crate) fn shared_name(&self) -> Cow<'static, str> {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_places_of_a_file_have_one_mark() {
        let mut seen = HashSet::new();
        assert!((1..500).all(|line| (1..1000).all(|column| seen.insert(spot(line, column)))));
    }

    #[test]
    fn a_mark_tells_names_and_places_and_quotas_by_request_apart() {
        const QUOTA: Quota = Quota::per_minute(1);
        let here = |name| Policy::new(name, QUOTA);
        let made = |name: &'static str| Policy::try_new(name, QUOTA).unwrap();
        let marks = [here("a"), here("b"), Policy::new("a", QUOTA), made("a"), made("b"), here("a").by_request()];
        assert_eq!(marks.iter().map(Policy::mark).collect::<HashSet<u64>>().len(), marks.len());
        assert_eq!(here("a").mark(), here("a").with_quota(Quota::per_minute(2)).mark());
    }
}
