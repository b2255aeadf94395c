//! Text that is made for one answer.

use std::fmt;

use smallvec::SmallVec;

/// Written in place, up to `N` bytes of it, so that what is made of it needs one allocation: a `String` has several, while
/// it grows and when it becomes `Bytes`.
pub(crate) struct Text<const N: usize>(SmallVec<[u8; N]>);

impl<const N: usize> Text<N> {
    pub(crate) fn new() -> Text<N> {
        Text(SmallVec::new())
    }

    pub(crate) fn push(&mut self, text: impl AsRef<[u8]>) {
        self.0.extend_from_slice(text.as_ref());
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
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
        assert_eq!(text.as_bytes(), b"");
        text.push("four");
        write!(text, " + {}", 4).unwrap();
        assert_eq!(text.as_bytes(), b"four + 4");
        text.push(b" > 7");
        assert_eq!(text.as_bytes(), b"four + 4 > 7");
    }
}
