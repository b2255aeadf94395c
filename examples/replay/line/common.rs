//! The common and the combined log format of Apache and nginx.

use std::net::IpAddr;

use super::{Line, Problem, present, request};
use crate::arguments::By;
use crate::time;

/// The fields that can be counted, beside the address and the user.
const FIELDS: [&str; 7] = ["method", "path", "status", "bytes", "referer", "user_agent", "host"];

/// Reads `[host ]address identity user [time] "request" status bytes`, and what may follow: `"referer" "user agent" …`.
pub(super) fn read<'l>(line: &'l str, by: &By) -> Result<Line<'l>, Problem> {
    let no_time = "no time in brackets, such as [25/Nov/2026:13:55:36 +0100]";
    let (who, rest) = line.split_once(" [").ok_or(no_time)?;
    let (text, rest) = rest.split_once(']').ok_or(no_time)?;
    let time = time::parse(text).ok_or("the time in brackets is not one, such as [25/Nov/2026:13:55:36 +0100]")?;
    let (asked, rest) = quoted(rest).ok_or("no request in quotes after the time, such as \"GET / HTTP/1.1\"")?;

    let (first, others) = who.split_once(' ').unwrap_or((who, ""));
    // In Apache's `vhost_combined`, the name of a virtual host comes first.
    let second = others.split(' ').next().unwrap_or_default();
    let has_host = !is_address(first) && is_address(second);
    let host = has_host.then_some(first);
    let (address, others) =
        if has_host { (second, others.get(second.len() + 1..).unwrap_or_default()) } else { (first, others) };
    let user = others.split_once(' ').map(|(_identity, user)| user);
    let (method, path) = request(asked);

    let value = match by {
        By::Ip | By::Global => None,
        By::User => user,
        By::Field(name) => {
            let is = |field: &&&str| field.eq_ignore_ascii_case(name);
            match *FIELDS.iter().find(is).ok_or_else(|| unknown(name))? {
                "method" => method,
                "path" => path.map(without_query),
                "status" => rest.split_ascii_whitespace().next(),
                "bytes" => rest.split_ascii_whitespace().nth(1),
                "referer" => quoted(rest).map(|(referer, _)| referer),
                "user_agent" => quoted(rest).and_then(|(_, rest)| quoted(rest)).map(|(agent, _)| agent),
                _ => host,
            }
        }
    };
    Ok(Line {
        time,
        address: present(address),
        value: value.and_then(present),
        method: method.and_then(present),
        path: path.and_then(present),
    })
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn unknown(name: &str) -> String {
    format!("the field {name:?} is not in a common or combined log: use one of {}", FIELDS.join(", "))
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// The next text in quotes, and what follows it. A quote after a backslash is part of the text.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let (_, text) = text.split_once('"')?;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "[25/Nov/2026:13:55:36 +0000]";

    fn value(line: &str, by: &str) -> Option<String> {
        read(line, &by.parse().unwrap()).unwrap().value.map(Into::into)
    }

    #[test]
    fn common_and_combined_lines_and_those_with_a_virtual_host_are_read() {
        let request = "\"GET /a b?c=d HTTP/1.1\"";
        for line in [
            format!("203.0.113.7 - alice {TIME} {request} 200 5"),
            format!("203.0.113.7 - alice {TIME} {request} 200 5 \"-\" \"curl/8\""),
            format!("203.0.113.7 - alice {TIME} {request} 200 5 \"-\" \"curl/8\" \"198.51.100.1\" rt=0.1"),
            format!("shop.example:443 203.0.113.7 - alice {TIME} {request} 200 5"),
        ] {
            let read = read(&line, &By::User).unwrap();
            assert_eq!(read.address.as_deref(), Some("203.0.113.7"), "{line}");
            assert_eq!(read.value.as_deref(), Some("alice"), "{line}");
            assert_eq!((read.method.as_deref(), read.path.as_deref()), (Some("GET"), Some("/a b?c=d")), "{line}");
            assert_eq!(read.time.micros, 1_795_614_936_000_000);
        }
    }

    #[test]
    fn fields_are_found_by_name_also_with_quotes_inside_of_them() {
        let line =
            format!(r#"shop:80 ::1 - - {TIME} "POST /x?y=\" HTTP/2.0" 201 99 "http://a/\"b" "a \"cat\" \\" tail"#);
        for (by, expected) in [
            ("field:method", "POST"),
            ("field:path", "/x"),
            ("field:status", "201"),
            ("field:bytes", "99"),
            ("field:referer", r#"http://a/\"b"#),
            ("field:User_Agent", r#"a \"cat\" \\"#),
            ("field:host", "shop:80"),
        ] {
            assert_eq!(value(&line, by).as_deref(), Some(expected), "{by}");
        }
        assert_eq!(value(&line, "user"), None);
        assert_eq!(value(&format!("::1 - - {TIME} \"-\" 400 0"), "field:path"), None);
    }

    #[test]
    fn a_bad_line_has_a_reason() {
        for (line, by, said) in [
            ("", "ip", "no time in brackets"),
            ("203.0.113.7 - - 25/Nov/2026", "ip", "no time in brackets"),
            ("203.0.113.7 - - [25/Nov/2026:13:55:36 +0000", "ip", "no time in brackets"),
            ("203.0.113.7 - - [now] \"GET / HTTP/1.1\" 200 5", "ip", "not one, such as"),
            ("203.0.113.7 - - [25/Nov/2026:13:55:36 +0000] GET / 200", "ip", "no request in quotes"),
            ("203.0.113.7 - - [25/Nov/2026:13:55:36 +0000] \"GET / 200", "ip", "no request in quotes"),
            ("::1 - - [25/Nov/2026:13:55:36 +0000] \"GET / HTTP/1.1\" 200 5", "field:tenant", "\"tenant\" is not in"),
        ] {
            let problem = read(line, &by.parse().unwrap()).unwrap_err();
            assert!(problem.contains(said), "{line}: {problem}");
        }
    }
}
