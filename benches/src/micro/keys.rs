//! Making a key from its parts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use divan::black_box;
use rateguard::{Key, ToKey};

#[divan::bench]
fn address_v4() -> Key {
    Key::ip(black_box(IpAddr::from(Ipv4Addr::new(192, 0, 2, 1))))
}

#[divan::bench]
fn address_v6() -> Key {
    Key::ip(black_box(IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))))
}

#[divan::bench]
fn global() -> Key {
    Key::global()
}

#[divan::bench]
fn user_by_number() -> Key {
    Key::user(black_box(4_711_u64))
}

#[divan::bench]
fn user_by_name() -> Key {
    Key::user(black_box("alice@example.com"))
}

#[divan::bench]
fn secret_of_32_bytes() -> Key {
    Key::secret("header.x-api-key", black_box("0123456789abcdef0123456789abcdef"))
}

/// Longer than the inline space of a key.
#[divan::bench]
fn secret_of_200_bytes() -> Key {
    Key::secret("header.authorization", black_box([b'x'; 200]))
}

/// The key of `key = (claims.sub, claims.tenant)`.
#[divan::bench]
fn expression_of_two() -> Option<Key> {
    (black_box("alice@example.com"), black_box(7_u32)).to_key()
}
