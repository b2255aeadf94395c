//! Text that is made for one answer.

use std::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

/// Written in place, up to `N` bytes of it, and in one allocation once it is done: a `String` would have several, while
/// it grows and when it becomes [`Bytes`].
pub(crate) struct Text<const N: usize>(SmallVec<[u8; N]>);

impl<const N: usize> Text<N> {
    pub(crate) fn new() -> Text<N> {
        Text(SmallVec::new())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, text: impl AsRef<[u8]>) {
        self.0.extend_from_slice(text.as_ref());
    }

    /// Nothing is allocated for nothing.
    pub(crate) fn into_bytes(self) -> Bytes {
        if self.0.is_empty() { Bytes::new() } else { Bytes::from_owner(self.0) }
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn text_is_what_was_written_within_its_room_and_beyond_it() {
        let mut text = Text::<8>::new();
        assert_eq!(Text::<8>::new().into_bytes(), "");
        text.push("four");
        write!(text, " + {}", 4).unwrap();
        assert_eq!(text.len(), 8);
        text.push(b" > 8");
        assert_eq!(text.into_bytes(), "four + 4 > 8");
    }
}
