//! Numbers as header values, and in the text of others.

use axum::http::HeaderValue;
use bytes::Bytes;

use crate::text::Text;

/// Numbers below this need no allocation: more than an hour has seconds.
const COUNT: usize = 4096;
const DIGITS: usize = 4;

/// All of them with four digits, one after the other: `0000`, `0001`, …
static TABLE: [u8; COUNT * DIGITS] = table();

const fn table() -> [u8; COUNT * DIGITS] {
    let mut table = [0; COUNT * DIGITS];
    let mut rest: &mut [u8] = &mut table;
    let [mut thousands, mut hundreds, mut tens, mut ones] = *b"0000";
    while let Some((digits, more)) = rest.split_first_chunk_mut::<DIGITS>() {
        *digits = [thousands, hundreds, tens, ones];
        ones += 1;
        if ones > b'9' {
            (ones, tens) = (b'0', tens + 1);
        }
        if tens > b'9' {
            (tens, hundreds) = (b'0', hundreds + 1);
        }
        if hundreds > b'9' {
            (hundreds, thousands) = (b'0', thousands + 1);
        }
        rest = more;
    }
    table
}

/// The digits of a number that the table has.
fn known(number: u64) -> Option<&'static [u8]> {
    let zeros = match number {
        0..=9 => 3,
        10..=99 => 2,
        100..=999 => 1,
        _ => 0,
    };
    let from = usize::try_from(number).ok()?.checked_mul(DIGITS)?;
    TABLE.get(from.checked_add(zeros)?..from.checked_add(DIGITS)?)
}

/// The digits of one that it does not have, at the end of some room. By hand, since the formatter takes several times as
/// long.
struct Digits {
    room: [u8; MOST_DIGITS],
    from: usize,
}

/// As many as a number can have.
const MOST_DIGITS: usize = 20;

impl Digits {
    fn of(number: u64) -> Digits {
        let (mut room, mut from, mut rest) = ([b'0'; MOST_DIGITS], MOST_DIGITS, number);
        for digit in room.iter_mut().rev() {
            *digit += u8::try_from(rest % 10).unwrap_or_default();
            (from, rest) = (from - 1, rest / 10);
            if rest == 0 {
                break;
            }
        }
        Digits { room, from }
    }

    fn as_bytes(&self) -> &[u8] {
        self.room.get(self.from..).unwrap_or_default()
    }
}

/// Appends the number in decimal.
pub(crate) fn push<const N: usize>(text: &mut Text<N>, number: u64) {
    match known(number) {
        Some(digits) => text.push(digits),
        None => text.push(Digits::of(number).as_bytes()),
    }
}

/// One of the sixteen. By hand, since `{:02x}` costs a request more than the hash that it would write.
pub(crate) fn hex_digit(of: u8) -> u8 {
    if of < 10 { b'0' + of } else { b'a' + of - 10 }
}

/// The number in decimal.
pub(crate) fn value(number: u64) -> HeaderValue {
    let value = match known(number) {
        Some(digits) => HeaderValue::from_maybe_shared(Bytes::from_static(digits)),
        // `HeaderValue::from` would make two allocations.
        None => HeaderValue::from_bytes(Digits::of(number).as_bytes()),
    };
    // Digits are always fit for a header.
    value.unwrap_or_else(|_| HeaderValue::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_written_as_it_is() {
        for number in (0..20_000).chain([u64::from(u32::MAX), u64::MAX]) {
            assert_eq!(value(number).to_str().unwrap(), number.to_string());
        }
    }
}
