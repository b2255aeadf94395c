//! Numbers as header values.

use axum::http::HeaderValue;
use bytes::Bytes;

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

/// The number in decimal.
pub(super) fn value(number: u64) -> HeaderValue {
    let zeros = match number {
        0..=9 => 3,
        10..=99 => 2,
        100..=999 => 1,
        _ => 0,
    };
    let text = usize::try_from(number).ok().and_then(|number| {
        let from = number.checked_mul(DIGITS)?;
        TABLE.get(from.checked_add(zeros)?..from.checked_add(DIGITS)?)
    });
    match text.map(|text| HeaderValue::from_maybe_shared(Bytes::from_static(text))) {
        Some(Ok(value)) => value,
        // Digits are always fit for a header; so it is a larger number.
        Some(Err(_)) | None => HeaderValue::from(number),
    }
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
