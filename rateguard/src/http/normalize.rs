//! Brings values that clients can spell in several ways into one form, so that another spelling is not another client.

use axum::http::HeaderMap;
use axum::http::header::{AsHeaderName, COOKIE};
use smallvec::SmallVec;

/// Most values are not longer, and are kept in place.
type Bytes = SmallVec<[u8; 40]>;

/// The value of the cookie of this name, as the usual cookie libraries read it: percent-decoded, without quotes around
/// it. `None` if it is missing, empty, or there are several of the name, in one `Cookie` line or in several.
///
/// Which of several is believed depends on the library (RFC 6265, section 5.4, allows several): one of them may be
/// verified while another is counted.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<Bytes> {
    let pairs = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    let mut values = pairs.filter_map(|pair| {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (key, value) = pair.split_at(equals);
        let key = trim(key);
        let named = key == name.as_bytes() || PercentDecoded(key).eq(name.bytes());
        named.then(|| trim(value.get(1..).unwrap_or_default()))
    });
    let value: Bytes = PercentDecoded(only(&mut values)?).collect();
    match value.as_slice() {
        [] | [b'"', b'"'] => None,
        [b'"', unquoted @ .., b'"'] => Some(Bytes::from_slice(unquoted)),
        _ => Some(value),
    }
}

/// The value of a header, without white space around it. `None` if it is missing, empty, or there are several lines of
/// the name, of which one may be verified while another is counted.
pub(crate) fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&[u8]> {
    let value = trim(only(&mut headers.get_all(name).iter())?.as_bytes());
    if value.is_empty() { None } else { Some(value) }
}

/// The same of credentials (RFC 9110, section 11.4), with the scheme in lower case, and one space after it.
pub(crate) fn credentials(headers: &HeaderMap, name: impl AsHeaderName) -> Option<Bytes> {
    let value = header(headers, name)?;
    // Without a space it is no scheme, but a token, whose case matters.
    let Some(space) = value.iter().position(u8::is_ascii_whitespace) else {
        return Some(Bytes::from_slice(value));
    };
    let (scheme, rest) = value.split_at(space);
    let mut one_spelling = Bytes::from_slice(scheme);
    one_spelling.make_ascii_lowercase();
    one_spelling.push(b' ');
    one_spelling.extend_from_slice(rest.trim_ascii_start());
    Some(one_spelling)
}

/// Also without the white space of Unicode, as libraries trim text.
fn trim(value: &[u8]) -> &[u8] {
    str::from_utf8(value).map_or(value.trim_ascii(), |text| text.trim().as_bytes())
}

fn only<T>(values: &mut impl Iterator<Item = T>) -> Option<T> {
    let value = values.next()?;
    if values.next().is_none() { Some(value) } else { None }
}

/// `%41` is `A`; a `%` that two hexadecimal digits do not follow is itself.
struct PercentDecoded<'a>(&'a [u8]);

impl Iterator for PercentDecoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, after) = self.0.split_first()?;
        let decoded = match after {
            [high, low, rest @ ..] if *first == b'%' => {
                digit(*high).zip(digit(*low)).map(|(high, low)| (high << 4 | low, rest))
            }
            _ => None,
        };
        let (byte, rest) = decoded.unwrap_or((*first, after));
        self.0 = rest;
        Some(byte)
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let line = |&(name, value): &(&'static str, &[u8])| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap())
        };
        lines.iter().map(line).collect()
    }

    fn session(lines: &[&[u8]]) -> Option<String> {
        let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
        cookie(&headers(&lines), "session").map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    #[test]
    fn every_spelling_of_a_cookie_is_that_cookie() {
        for line in [
            "session=REAL",
            " a=b ;\tsession\t= REAL\t; c",
            "session=%52EAL",
            "session=%52%45%41%4C",
            "session=%52%45%41%4c",
            "%73ession=REAL",
            "session=\u{a0}REAL\u{3000}",
            "session=\"REAL\"",
            "session=%22REAL%22",
            "session2=x; xsession=y; session=REAL; Session=z; session",
        ] {
            assert_eq!(session(&[line.as_bytes()]).as_deref(), Some("REAL"), "{line}");
        }
        assert_eq!(session(&[b"a=b", b"session=REAL"]).as_deref(), Some("REAL"), "in the second line");
    }

    #[test]
    fn what_is_no_escape_is_itself() {
        for (line, value) in
            [("session=%zz%4", "%zz%4"), ("session=%", "%"), ("session=a=b", "a=b"), ("session=%2552", "%52")]
        {
            assert_eq!(session(&[line.as_bytes()]).as_deref(), Some(value));
        }
    }

    #[test]
    fn a_cookie_that_is_missing_empty_or_doubled_is_no_identity() {
        for lines in [
            &[][..],
            &[&b"session"[..]],
            &[b"session="],
            &[b"session=\"\""],
            &[b"session=junk; session=REAL"],
            &[b"session=REAL; session=REAL"],
            &[b"session=; session=REAL"],
            &[b"%73ession=junk; session=REAL"],
            &[b"session=junk", b"session=REAL"],
            &[b"session=\xff", b"session=REAL"],
        ] {
            assert_eq!(session(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn a_name_with_a_percent_sign_is_found_as_it_is_written() {
        let found = |line: &[u8], name| cookie(&headers(&[("cookie", line)]), name).is_some();
        assert!(found(b"a%20b=1", "a%20b") && found(b"a%2520b=1", "a%20b") && !found(b"a%20b=1", "a+b"));
    }

    #[test]
    fn the_scheme_of_credentials_has_one_spelling_and_the_credentials_stay() {
        for value in ["Bearer tOken", "bearer tOken", "bEARER   tOken", "BEARER \t tOken", " Bearer tOken "] {
            for name in ["authorization", "proxy-authorization"] {
                let found = credentials(&headers(&[(name, value.as_bytes())]), name);
                assert_eq!(found.as_deref(), Some(&b"bearer tOken"[..]), "{value:?}");
            }
        }
        let bare = headers(&[("authorization", b"tOken")]);
        assert_eq!(credentials(&bare, "authorization").as_deref(), Some(&b"tOken"[..]));
    }

    #[test]
    fn other_headers_are_only_trimmed_and_one_line_counts() {
        let key = |lines: &[(&'static str, &[u8])]| header(&headers(lines), "x-api-key").map(<[u8]>::to_vec);
        assert_eq!(key(&[("x-api-key", b"\tBearer  X ")]), Some(b"Bearer  X".to_vec()));
        assert_eq!(key(&[("x-api-key", b"x\xff")]), Some(b"x\xff".to_vec()));
        for none in [&[][..], &[("x-api-key", &b" "[..])], &[("x-api-key", b"junk"), ("x-api-key", b"REAL")]] {
            assert_eq!(key(none), None, "{none:?}");
        }
    }
}
