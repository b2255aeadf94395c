//! `grpc-status-details-bin`: a `google.rpc.Status` with a `google.rpc.RetryInfo`.
//!
//! These few fields are written here, so that the library needs no protobuf. The test with a decoder that is not ours is in
//! `tests/`.

use std::time::Duration;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// In base64 without padding, as binary metadata is sent.
pub(super) fn retry_info(code: u64, message: &str, wait: Duration) -> String {
    // google.protobuf.Duration { seconds = 1, nanos = 2 }
    let mut delay = Vec::new();
    number(&mut delay, 1, wait.as_secs());
    number(&mut delay, 2, wait.subsec_nanos().into());
    // google.rpc.RetryInfo { retry_delay = 1 }
    let mut info = Vec::new();
    bytes(&mut info, 1, &delay);
    // google.protobuf.Any { type_url = 1, value = 2 }
    let mut any = Vec::new();
    bytes(&mut any, 1, RETRY_INFO.as_bytes());
    bytes(&mut any, 2, &info);
    // google.rpc.Status { code = 1, message = 2, details = 3 }
    let mut status = Vec::new();
    number(&mut status, 1, code);
    bytes(&mut status, 2, message.as_bytes());
    bytes(&mut status, 3, &any);
    base64(&status)
}

const VARINT: u8 = 0;
const LENGTH_DELIMITED: u8 = 2;

/// A field with a number. Zero is what a missing field means.
fn number(out: &mut Vec<u8>, field: u8, value: u64) {
    if value > 0 {
        out.push(field << 3 | VARINT);
        varint(out, value);
    }
}

/// A field with text, bytes or a message.
fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    out.push(field << 3 | LENGTH_DELIMITED);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Seven bits a byte, the lowest first; the high bit says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        // So many bytes fill one digit more.
        text.extend((0..=chunk.len()).map(|at| digit((group >> (18 - 6 * at) & 0x3f) as u8)));
    }
    text
}

fn digit(six_bits: u8) -> char {
    char::from(match six_bits {
        0..=25 => b'A' + six_bits,
        26..=51 => b'a' + six_bits - 26,
        52..=61 => b'0' + six_bits - 52,
        62 => b'+',
        _ => b'/',
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648_without_padding() {
        let text = ["", "f", "fo", "foo", "foob", "fooba", "foobar"];
        let expected = ["", "Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"];
        assert_eq!(text.map(|text| base64(text.as_bytes())), expected);
        assert_eq!(base64(&[0xff, 0xef, 0xbe, 0xfb]), "/++++w");
    }

    #[test]
    fn the_details_are_a_status_with_a_retry_info() {
        // Made by another encoder: code 8, message "wait", 300 seconds and 5000 nanoseconds.
        let expected = "CAgSBHdhaXQaNAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIICgYIrAIQiCc";
        assert_eq!(retry_info(8, "wait", Duration::new(300, 5000)), expected);
    }

    #[test]
    fn a_varint_has_seven_bits_a_byte() {
        for (value, expected) in [(1, &[1][..]), (127, &[127]), (128, &[0x80, 1]), (300, &[0xac, 2])] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, expected);
        }
        let mut out = Vec::new();
        varint(&mut out, u64::MAX);
        assert_eq!(out.len(), 10);
    }
}
