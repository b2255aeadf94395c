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

/// As many digits as a number can have.
const MOST_DIGITS: usize = 20;

/// Appends the number in decimal. By hand, since the formatter takes several times as long.
pub(crate) fn push<const N: usize>(text: &mut Text<N>, number: u64) {
    if let Some(digits) = known(number) {
        return text.push(digits);
    }
    let (mut digits, mut from, mut rest) = ([b'0'; MOST_DIGITS], MOST_DIGITS, number);
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(rest % 10).unwrap_or_default();
        (from, rest) = (from - 1, rest / 10);
        if rest == 0 {
            break;
        }
    }
    text.push(digits.get(from..).unwrap_or_default());
}

/// One of the sixteen. By hand, since `{:02x}` costs a request more than the hash that it would write.
pub(crate) fn hex_digit(of: u8) -> u8 {
    if of < 10 { b'0' + of } else { b'a' + of - 10 }
}

/// The number in decimal.
pub(crate) fn value(number: u64) -> HeaderValue {
    let [value] = values([number]);
    value
}

/// Each of the numbers in decimal. Those that the table does not have share one allocation.
pub(crate) fn values<const N: usize>(numbers: [u64; N]) -> [HeaderValue; N] {
    // Room for three of the largest.
    let mut written = Text::<64>::new();
    let ranges = numbers.map(|number| {
        let from = written.len();
        if known(number).is_none() {
            push(&mut written, number);
        }
        from..written.len()
    });
    let written = written.into_bytes();
    let mut ranges = ranges.into_iter();
    numbers.map(|number| {
        let range = ranges.next().unwrap_or_default();
        let text = known(number).map_or_else(|| written.slice(range), Bytes::from_static);
        // Digits are always fit for a header.
        HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from(number))
    })
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

    #[test]
    fn of_several_numbers_each_is_written_as_it_is() {
        for numbers in [[1, 2, 3], [4095, 4096, 4097], [100_000, 0, u64::MAX], [u64::MAX; 3]] {
            assert_eq!(values(numbers).map(|value| value.to_str().unwrap().to_owned()), numbers.map(|n| n.to_string()));
        }
    }
}
