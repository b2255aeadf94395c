//! One element of `Forwarded` (RFC 7239, section 4), such as `for="[2001:db8::17]:4711";proto=https`.

use std::net::IpAddr;

use super::node::{self, Unreadable};

/// Longer than any address with a port and a zone.
const MAX_NODE: usize = 128;

/// The address in the element's `for`.
///
/// An element without `for` is a proxy that keeps its client to itself: the element before it may be the client's own,
/// so it is not read in its place. Two `for` say nothing either. Beyond the grammar, an address may stand there
/// without its quotes, and white space around `;`, as some proxies write: neither can be read in another way.
pub(super) fn client(element: &[u8]) -> Result<IpAddr, Unreadable> {
    let mut found = None;
    let mut reader = Reader(element);
    loop {
        reader.skip_while(|byte| matches!(byte, b' ' | b'\t'));
        match reader.0 {
            [] => return found.ok_or(Unreadable),
            [b';', rest @ ..] => reader.0 = rest,
            _ => {
                let name = reader.skip_while(is_token);
                let Some([b'=', value @ ..]) = (!name.is_empty()).then_some(reader.0) else {
                    return Err(Unreadable);
                };
                reader.0 = value;
                let value = reader.value()?;
                reader.skip_while(|byte| matches!(byte, b' ' | b'\t'));
                if !matches!(reader.0, [] | [b';', ..]) {
                    return Err(Unreadable);
                }
                if name.eq_ignore_ascii_case(b"for") && found.replace(value.address()?).is_some() {
                    return Err(Unreadable);
                }
            }
        }
    }
}

struct Reader<'a>(&'a [u8]);

/// What stands right of a `=`.
enum Value<'a> {
    /// As it is.
    Plain(&'a [u8]),
    /// With backslashes to take out.
    Escaped(&'a [u8]),
}

impl<'a> Reader<'a> {
    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.0.iter().position(|&byte| !belongs(byte)).unwrap_or(self.0.len());
        let (skipped, rest) = self.0.split_at(end);
        self.0 = rest;
        skipped
    }

    /// A token or a quoted string (RFC 9110, section 5.6.4).
    fn value(&mut self) -> Result<Value<'a>, Unreadable> {
        let [b'"', quoted @ ..] = self.0 else {
            let token = self.skip_while(|byte| is_token(byte) || matches!(byte, b'[' | b']' | b':'));
            return if token.is_empty() { Err(Unreadable) } else { Ok(Value::Plain(token)) };
        };
        let mut escaped = false;
        let mut backslashes = false;
        for (at, &byte) in quoted.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => (escaped, backslashes) = (true, true),
                b'"' => {
                    let (value, rest) = quoted.split_at(at);
                    self.0 = rest.get(1..).unwrap_or_default();
                    return Ok(if backslashes { Value::Escaped(value) } else { Value::Plain(value) });
                }
                _ => {}
            }
        }
        Err(Unreadable)
    }
}

impl Value<'_> {
    fn address(&self) -> Result<IpAddr, Unreadable> {
        let text = match self {
            Value::Plain(text) => return node::address(text),
            Value::Escaped(text) => text,
        };
        let mut plain = [0; MAX_NODE];
        let mut length = 0;
        let mut escaped = false;
        for &byte in *text {
            if byte == b'\\' && !escaped {
                escaped = true;
                continue;
            }
            escaped = false;
            *plain.get_mut(length).ok_or(Unreadable)? = byte;
            length += 1;
        }
        node::address(plain.get(..length).unwrap_or_default())
    }
}

/// What a token is made of (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_is_found_among_the_parameters_in_any_case() {
        for element in [
            "for=192.0.2.43",
            "For=192.0.2.43",
            "FOR=\"192.0.2.43\"",
            "for=\"192.0.2.43:47011\"",
            "for=192.0.2.43:47011",
            "for=\"192.0.2.43:_hidden\"",
            "for=\"1\\92.0.2\\.43\"",
            "for=\"::ffff:192.0.2.43\"",
            "by=203.0.113.43;for=192.0.2.43;proto=http",
            "proto=http ; for=192.0.2.43 ; by=_gateway",
            ";for=192.0.2.43;;",
            "host=\"a;for=6.6.6.6\";for=192.0.2.43",
            "host=\"a\\\";for=6.6.6.6;x=\\\"\";for=192.0.2.43",
            "x-for=6.6.6.6;for=192.0.2.43;forx=6.6.6.6",
        ] {
            assert_eq!(client(element.as_bytes()), Ok("192.0.2.43".parse().unwrap()), "{element}");
        }
        for element in ["for=\"[2001:db8:cafe::17]:4711\"", "for=[2001:db8:cafe::17]", "for=\"2001:db8:cafe::17\""] {
            assert_eq!(client(element.as_bytes()), Ok("2001:db8:cafe::17".parse().unwrap()), "{element}");
        }
    }

    #[test]
    fn what_names_no_address_is_unreadable() {
        for element in [
            "",
            ";",
            "proto=http",
            "for",
            "for=",
            "for=;",
            "for=\"\"",
            "for=unknown",
            "for=_gateway",
            "for=\"_gateway:80\"",
            "for=example.com",
            "for =1.2.3.4",
            "for= 1.2.3.4",
            "=1.2.3.4",
            "1.2.3.4",
            "for=1.2.3.4;for=1.2.3.4",
            "for=1.2.3.4;for=unknown",
            "for=1.2.3.4 x",
            "for=1.2.3.4;x",
            "for=1.2.3.4;x=",
            "for=1.2.3.4;x=\"",
            "for=\"1.2.3.4",
            "for=\"1.2.3.4\\\"",
            "for=\"1.2.3.4\"x=y",
            "for=\"1.2.3.4\"\"",
            "for='1.2.3.4'",
            "for=1.2.3.4;x=\u{e9}",
        ] {
            assert_eq!(client(element.as_bytes()), Err(Unreadable), "{element:?}");
        }
        assert_eq!(client(format!("for=\"\\{}\"", "1".repeat(MAX_NODE + 1)).as_bytes()), Err(Unreadable));
        assert_eq!(client(b"for=\xff"), Err(Unreadable));
    }
}
