//! The parts of a key, stored so that a request's key costs no allocation.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smallvec::SmallVec;

/// The kind of a key: a `'static` text, or one that all keys of the kind share.
#[derive(Clone)]
pub(crate) enum Kind {
    Known(&'static str),
    Shared(Arc<str>),
}

impl Kind {
    /// One that is made while the program runs.
    pub(crate) fn shared(text: String) -> Kind {
        Kind::Shared(text.into())
    }

    /// What follows the first dot: the name of a header in `header.x-api-key`.
    pub(crate) fn name(&self) -> &str {
        let kind = self.as_str();
        kind.split_once('.').map_or(kind, |(_, name)| name)
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Kind::Known(text) => text,
            Kind::Shared(text) => text,
        }
    }
}

impl From<Cow<'static, str>> for Kind {
    fn from(text: Cow<'static, str>) -> Kind {
        match text {
            Cow::Borrowed(text) => Kind::Known(text),
            Cow::Owned(text) => Kind::Shared(text.into()),
        }
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Kind {}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_str().hash(hasher);
    }
}

/// The value of a key, as bytes. Up to 40 are stored in place, enough for the text of a UUID.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Value(SmallVec<[u8; 40]>);

impl Value {
    pub(crate) fn bytes(bytes: &[u8]) -> Value {
        Value(SmallVec::from_slice(bytes))
    }

    /// The text that `Display` writes.
    pub(crate) fn text(value: impl fmt::Display) -> Value {
        let mut text = Value(SmallVec::new());
        // Writing to memory cannot fail. If a `Display` reports an error, what it has written so far counts.
        let _ = write!(text, "{value}");
        text
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text, if it is UTF-8.
    pub(crate) fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Write for Value {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
