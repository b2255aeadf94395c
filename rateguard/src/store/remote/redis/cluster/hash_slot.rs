//! The slot of a key.

/// Every cluster has this many slots.
pub(super) const COUNT: u16 = 16_384;

/// The slot of a key, by the text between its first braces (Redis Cluster specification, "Hash tags").
pub(super) fn slot(key: &str) -> u16 {
    crc16(tag(key).as_bytes()) % COUNT
}

fn tag(key: &str) -> &str {
    let Some((_, rest)) = key.split_once('{') else { return key };
    match rest.split_once('}') {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    }
}

/// CRC16-XMODEM: the polynomial 0x1021, a byte at a time, without a table.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        let mut x = (crc >> 8) ^ u16::from(*byte);
        x ^= x >> 4;
        (crc << 8) ^ (x << 12) ^ (x << 5) ^ x
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_key_is_as_the_specification_says() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, number) in [("foo", 12_182), ("somekey", 11_058), ("foo{hash_tag}", 2515), ("", 0)] {
            assert_eq!(slot(key), number, "{key}");
        }
        assert_eq!(slot("ratelimit:{user:1}:a:sw2"), slot("user:1"));
        assert_eq!(slot("{user1000}.following"), slot("other:{user1000}:{x}"));
        assert_eq!(tag("foo{}{bar}"), "foo{}{bar}", "empty braces do not count");
        assert_eq!(tag("foo{{bar}}zap"), "{bar");
    }
}
