//! A quota with a name, and what happens to it when the store fails.

use std::borrow::Cow;
use std::fmt;
use std::panic::Location;

use crate::quota::Quota;

/// What a check answers while the store cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum OnError {
    /// Allow the request while the store is known to be away: availability first. What it is merely too slow, too full or
    /// too busy for is counted in this process, with the full quota.
    #[default]
    Open,
    /// Deny it with `503 Service Unavailable`, whenever the store gives no answer: protection first.
    Closed,
    /// Count in this process alone, with the full quota, until the store is back.
    Local,
    /// Count in this process alone, with the share of one of so many servers: see [`OnError::local_share`].
    #[non_exhaustive]
    LocalShare {
        /// How many servers share the quota.
        servers: u32,
    },
}

impl OnError {
    /// Count in this process alone until the store is back, with `1/servers` of the quota, so that `servers` of them
    /// together admit what one quota admits.
    ///
    /// The share is rounded down, but is at least 1. A request whose cost is above the share, though not above the
    /// quota, takes the whole share. `0` and `1` mean the whole quota.
    ///
    /// ```
    /// # use rateguard::{OnError, RateGuard};
    /// let limiter = RateGuard::builder().redis("redis://127.0.0.1").on_error(OnError::local_share(4)).build()?;
    /// # Ok::<(), rateguard::ConfigError>(())
    /// ```
    pub const fn local_share(servers: u32) -> OnError {
        OnError::LocalShare { servers }
    }

    /// Of two, the one with more denies more.
    pub(crate) const fn strictness(self) -> u32 {
        match self {
            OnError::Open => 0,
            OnError::Local => 1,
            OnError::LocalShare { .. } => 2,
            OnError::Closed => 3,
        }
    }

    /// Among how many servers the quota is shared while this process counts alone, if it is to.
    pub(crate) const fn local_parts(self) -> Option<u32> {
        match self {
            OnError::Local => Some(1),
            OnError::LocalShare { servers } => Some(servers),
            OnError::Open | OnError::Closed => None,
        }
    }
}

/// A named [`Quota`].
///
/// The name is part of the key under which the count is kept: two policies with one name share one bucket for the
/// same client, two policies with different names never do, even if their numbers are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    name: Cow<'static, str>,
    /// Stands for the name where a few collisions do no harm. Made with the policy, so that no check pays for it.
    number: u32,
    quota: Quota,
    on_error: Option<OnError>,
    shadow: bool,
    place: Place,
}

/// Where a policy was written down with a quota that does not change. It says nothing about what the policy does.
#[derive(Clone, Copy, Debug)]
struct Place(Option<&'static Location<'static>>);

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

impl Eq for Place {}

impl Policy {
    /// The longest name, in bytes.
    pub const MAX_NAME: usize = 200;

    /// A policy under a name known when the program is written.
    ///
    /// The quota is that of this place in the program: a policy of the same name, algorithm and limiter that is written in
    /// another place with another quota is taken for a mistake, and an error in the log names both. Where the quota of one
    /// name depends on the client, as with plans, use [`Policy::try_new`].
    ///
    /// A name is 1 to [`Policy::MAX_NAME`] bytes, without spaces, control characters, `"`, `\`, `{` or `}`.
    ///
    /// # Panics
    ///
    /// When the name is none. In a constant that is a compile error.
    #[track_caller]
    #[expect(clippy::panic, reason = "documented; in a constant it is the compile error")]
    pub const fn new(name: &'static str, quota: Quota) -> Policy {
        if let Err(error) = check_name(name) {
            panic!("{}", error.rule());
        }
        let place = Place(Some(Location::caller()));
        Policy { name: Cow::Borrowed(name), number: number(name), quota, on_error: None, shadow: false, place }
    }

    /// A policy under a name or with a quota made at run time. The quotas of one name may differ: what a client has used
    /// counts under each of them.
    ///
    /// # Errors
    ///
    /// When the name is empty, longer than [`Policy::MAX_NAME`] bytes, or has a character that [`Policy::new`] excludes.
    pub fn try_new(name: impl Into<Cow<'static, str>>, quota: Quota) -> Result<Policy, PolicyNameError> {
        let name = name.into();
        check_name(&name)?;
        Ok(Policy { number: number(&name), name, quota, on_error: None, shadow: false, place: Place(None) })
    }

    /// What to answer while the store cannot be asked, instead of the limiter's own setting.
    pub const fn on_error(mut self, on_error: OnError) -> Policy {
        self.on_error = Some(on_error);
        self
    }

    /// Decide and count, but never refuse: to see what a limit would do before it does it.
    pub const fn shadow(mut self, shadow: bool) -> Policy {
        self.shadow = shadow;
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

    /// Whether this policy only watches.
    pub const fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// The policy's own answer to a failing store, if it has one.
    pub const fn get_on_error(&self) -> Option<OnError> {
        self.on_error
    }

    /// The same for policies of the same name, and nearly always another for those of another.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// The same under another quota.
    pub(crate) fn with_quota(mut self, quota: Quota) -> Policy {
        self.quota = quota;
        self
    }

    /// The same, written in this place.
    pub(crate) fn written_at(mut self, place: &'static Location<'static>) -> Policy {
        self.place = Place(Some(place));
        self
    }

    /// Where it was written, if it was written with a quota that stays.
    pub(crate) fn place(&self) -> Option<&'static Location<'static>> {
        self.place.0
    }

    /// The same under another name; unchanged if that cannot be one.
    pub(crate) fn with_name(mut self, name: &'static str) -> Policy {
        if check_name(name).is_ok() {
            (self.name, self.number) = (Cow::Borrowed(name), number(name));
        }
        self
    }

    /// The name, if it was known at compile time, so that it lies where it is for ever.
    pub(crate) fn static_name(&self) -> Option<&'static str> {
        match self.name {
            Cow::Borrowed(name) => Some(name),
            Cow::Owned(_) => None,
        }
    }

    /// The name, to be kept by a decision. Free for names known at compile time.
    pub(crate) fn shared_name(&self) -> Cow<'static, str> {
        self.name.clone()
    }
}

/// FNV-1a (Fowler, Noll and Vo), folded.
#[expect(clippy::cast_possible_truncation, reason = "folded")]
pub(crate) const fn number(name: &str) -> u32 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut rest = name.as_bytes();
    while let [byte, tail @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        rest = tail;
    }
    (hash ^ (hash >> 32)) as u32
}

const fn check_name(name: &str) -> Result<(), PolicyNameError> {
    let bytes = name.as_bytes();
    if bytes.is_empty() {
        return Err(PolicyNameError::Empty);
    }
    if bytes.len() > Policy::MAX_NAME {
        return Err(PolicyNameError::TooLong);
    }
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        if *byte <= b' ' || *byte == 0x7f || matches!(*byte, b'"' | b'\\' | b'{' | b'}') {
            return Err(PolicyNameError::Character);
        }
        rest = tail;
    }
    Ok(())
}

/// A name that a policy cannot have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyNameError {
    /// The name is empty.
    Empty,
    /// The name is longer than [`Policy::MAX_NAME`] bytes.
    TooLong,
    /// The name has a space, a control character, `"`, `\`, `{` or `}`.
    Character,
}

impl PolicyNameError {
    const fn rule(self) -> &'static str {
        match self {
            PolicyNameError::Empty => "the name of a policy is empty: give it one, such as \"search\"",
            PolicyNameError::TooLong => "the name of a policy is longer than 200 bytes: shorten it",
            PolicyNameError::Character => {
                "the name of a policy has a space, a control character, a quote, a backslash or a brace: \
                 use letters, digits and - _ . : /"
            }
        }
    }
}

impl fmt::Display for PolicyNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule())
    }
}

impl std::error::Error for PolicyNameError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const QUOTA: Quota = Quota::sliding_window(1, Duration::from_secs(1));

    #[test]
    fn a_name_that_could_break_a_key_a_header_or_a_log_line_is_refused() {
        for bad in ["", "a b", "a\nb", "a\"b", "a\\b", "{a", "a}", "\u{7f}"] {
            assert!(Policy::try_new(bad, QUOTA).is_err(), "{bad:?}");
        }
        assert!(Policy::try_new("x".repeat(201), QUOTA).is_err());
        for good in ["search", "app::api::search", "größe", "per-user/day.v2"] {
            assert_eq!(Policy::try_new(good, QUOTA).unwrap().name(), good);
        }
    }
}
