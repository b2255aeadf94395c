//! From the right end of a list to the client: past trusted proxies, to the first address that is none.

use std::net::IpAddr;

use axum::http::HeaderValue;
use axum::http::header::GetAll;

use super::proxies::TrustedProxies;
use super::{Unreadable, node};

/// How much of a header is looked at, from its end. Room for more proxies than a request can pass, and little enough
/// that a header of any size costs microseconds.
pub(super) const LOOKED_AT: usize = 8 * 1024;

/// The client that a list names: all lines together, from the right, past trusted proxies. `None` if the list is
/// empty; where all of it is trusted, the leftmost.
///
/// From the right, since each proxy appends what it saw itself: whatever the client wrote stands left of its own
/// address, and is never reached. That goes for the grammar too: a quote that a client opens cannot swallow what the
/// proxies appended.
pub(super) fn client(
    lines: &GetAll<'_, HeaderValue>,
    proxies: &TrustedProxies,
    read: fn(&[u8]) -> Result<IpAddr, Unreadable>,
) -> Result<Option<IpAddr>, Unreadable> {
    let mut leftmost = None;
    let mut budget = LOOKED_AT;
    for line in lines.iter().rev() {
        let line = line.as_bytes();
        let beyond = line.len().saturating_sub(budget);
        let (beyond, mut list) = line.split_at(beyond);
        // A line costs something even if it is empty.
        budget = budget.saturating_sub(list.len() + 1);
        loop {
            let (rest, element) = split_last(list);
            if rest.is_none() && !beyond.is_empty() {
                return Err(Unreadable);
            }
            let element = trim(element);
            // Empty elements are ignored (RFC 9110, section 5.6.1.2).
            if !element.is_empty() {
                let address = read(element)?;
                if !proxies.trust(address) {
                    return Ok(Some(address));
                }
                leftmost = Some(address);
            }
            match rest {
                Some(rest) => list = rest,
                None => break,
            }
        }
    }
    Ok(leftmost)
}

/// The address in a header that has one value. Two lines are one too many: one of them may be the client's.
pub(super) fn only(lines: &GetAll<'_, HeaderValue>) -> Result<Option<IpAddr>, Unreadable> {
    let mut lines = lines.iter();
    let value = match (lines.next(), lines.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) if value.len() <= LOOKED_AT => trim(value.as_bytes()),
        _ => return Err(Unreadable),
    };
    if value.is_empty() { Ok(None) } else { node::address(value).map(Some) }
}

/// The last element, and what stands before the comma in front of it. A comma in a quoted string separates nothing.
fn split_last(list: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (at, byte) in list.iter().enumerate().rev() {
        let (before, rest) = list.split_at(at);
        match byte {
            b',' if !quoted => return (Some(before), rest.get(1..).unwrap_or_default()),
            b'"' if !(quoted && escapes(before)) => quoted = !quoted,
            _ => {}
        }
    }
    (None, list)
}

/// Whether what stands before a character escapes it: an odd number of backslashes.
fn escapes(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// Without the white space that HTTP allows around elements: spaces and tabs, no more.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderMap;
    use axum::http::header::FORWARDED;

    fn walk(lines: &[Vec<u8>]) -> Result<Option<IpAddr>, Unreadable> {
        let proxies = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).unwrap();
        let headers: HeaderMap = lines.iter().map(|line| (FORWARDED, HeaderValue::from_bytes(line).unwrap())).collect();
        client(&headers.get_all(FORWARDED), &proxies, node::address)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn lists_are_split_at_commas_outside_quotes() {
        let split = |list: &str| {
            let mut elements = Vec::new();
            let mut rest = Some(list.as_bytes());
            while let Some(list) = rest {
                let element;
                (rest, element) = split_last(list);
                elements.insert(0, String::from_utf8(element.to_vec()).unwrap());
            }
            elements
        };
        assert_eq!(split(""), [""]);
        assert_eq!(split("a,b,,c"), ["a", "b", "", "c"]);
        assert_eq!(split(r#"a="x,y",b"#), [r#"a="x,y""#, "b"]);
        assert_eq!(split(r#"a="x\",y",b"#), [r#"a="x\",y""#, "b"]);
        assert_eq!(split(r#"a="x\\",y"#), [r#"a="x\\""#, "y"]);
        assert_eq!(split(r#"a="x\\\",y",b"#), [r#"a="x\\\",y""#, "b"]);
        // A quote that is never closed, or was never opened, takes nothing in that stands right of it.
        assert_eq!(split(r#"a=",b,c"#), [r#"a=""#, "b", "c"]);
        assert_eq!(split(r#"a,b",c"#), [r#"a,b""#, "c"]);
    }

    #[test]
    fn ten_thousand_elements_cost_what_the_last_few_do() {
        let forged = "6.6.6.6, ".repeat(10_000);
        assert_eq!(walk(&[format!("{forged}203.0.113.7, 10.0.0.2").into_bytes()]), Ok(Some(ip("203.0.113.7"))));
        let mut lines = vec![b"6.6.6.6".to_vec(); 10_000];
        lines.push(b"203.0.113.7".to_vec());
        assert_eq!(walk(&lines), Ok(Some(ip("203.0.113.7"))));
    }

    #[test]
    fn an_answer_that_lies_too_far_left_is_unreadable() {
        let proxies = "10.0.0.2,".repeat(10_000);
        let spaces = " ".repeat(1_000_000);
        let quotes = "\"\\".repeat(500_000);
        for line in [format!("6.6.6.6,{proxies}"), format!("6.6.6.6{spaces}"), ",".repeat(1_000_000), quotes] {
            assert_eq!(walk(&[line.into_bytes()]), Err(Unreadable));
        }
        let mut lines = vec![Vec::new(); 10_000];
        lines.insert(0, b"6.6.6.6".to_vec());
        assert_eq!(walk(&lines), Err(Unreadable));
    }

    #[test]
    fn what_is_looked_at_is_used_to_the_last_byte() {
        let fits = format!("7.7.7.7{}", ",".repeat(LOOKED_AT - 7));
        assert_eq!(walk(&[fits.clone().into_bytes()]), Ok(Some(ip("7.7.7.7"))));
        assert_eq!(walk(&[format!("1{fits}").into_bytes()]), Err(Unreadable));
        // The line before it is out of reach, and empty or not it may have been the client's.
        assert_eq!(walk(&[b"6.6.6.6".to_vec(), ",".repeat(LOOKED_AT).into_bytes()]), Err(Unreadable));
    }
}
