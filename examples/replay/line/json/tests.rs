//! Lines as servers write them.

use clap::Parser;

use super::*;

fn names(arguments: &str) -> Names {
    let fixed = "replay access.log --quota 1/1s --path / --method GET";
    Names::new(&Arguments::try_parse_from(fixed.split(' ').chain(arguments.split_whitespace())).unwrap())
}

#[test]
fn lines_of_well_known_servers_are_read() {
    let nginx = r#"{"time_iso8601":"2026-11-25T14:55:36+01:00","remote_addr":"203.0.113.7","remote_user":"alice","request":"GET /a?b HTTP/1.1","status":200}"#;
    let caddy = r#"{"level":"info","ts":1795614936.25,"request":{"remote_ip":"10.0.0.1","client_ip":"203.0.113.7","method":"GET","uri":"/a?b","headers":{"X-Api-Key":["k1","k2"]}},"user_id":"alice","status":200}"#;
    let traefik = r#"{"ClientHost":"203.0.113.7","ClientUsername":"alice","RequestMethod":"GET","RequestPath":"/a?b","StartUTC":"2026-11-25T13:55:36.1Z","time":null}"#;
    let ecs = r#"{"@timestamp":"2026-11-25T13:55:36Z","source.ip":"203.0.113.7","user":{"id":"alice"},"http":{"request":{"method":"GET"}},"url":{"path":"/a?b","port":1}}"#;
    let tracing = r#"{"timestamp":"2026-11-25T13:55:36.5Z","fields":{"client_ip":"203.0.113.7","user":"alice","method":"GET","path":"/a?b"}}"#;
    for line in [nginx, caddy, traefik, ecs, tracing] {
        let read = read(line, &names("--by user")).unwrap();
        assert_eq!(read.time.micros / 1_000_000, 1_795_614_936, "{line}");
        assert_eq!(read.address.as_deref(), Some("203.0.113.7"), "{line}");
        assert_eq!(read.value.as_deref(), Some("alice"), "{line}");
        assert_eq!((read.method.as_deref(), read.path.as_deref()), (Some("GET"), Some("/a?b")), "{line}");
    }
}

#[test]
fn fields_are_found_by_their_path_whichever_way_it_is_nested() {
    let line = r#"{"t":1795614936,"a":{"b":{"c":"nested"},"b.d":"half"},"a.e":"flat","list":[{"name":"one"},{"name":"two"}],
        "number":-5,"truth":true,"text":"\"quoted\"","empty":"","dash":"-","none":null,"headers":{"X-Api-Key":["k1","k2"]}}"#;
    for (field, expected) in [
        ("a.b.c", Some("nested")),
        ("a.b.d", Some("half")),
        ("a.e", Some("flat")),
        ("list.name", Some("one")),
        ("number", Some("-5")),
        ("truth", Some("true")),
        ("text", Some("\"quoted\"")),
        ("headers.x-api-key", Some("k1")),
        ("empty", None),
        ("dash", None),
        ("none", None),
        ("a.b", None),
        ("absent", None),
    ] {
        let read = read(line, &names(&format!("--by field:{field}"))).unwrap();
        assert_eq!(read.value.as_deref(), expected, "{field}");
    }
}

#[test]
fn the_fields_for_time_and_address_can_be_named() {
    let line = r#"{"time":"not this","ip":"10.0.0.1","meta":{"at":1795614936123,"from":"203.0.113.7"}}"#;
    let read = read(line, &names("--time-field meta.at --ip-field meta.from")).unwrap();
    assert_eq!((read.time.micros, read.address.as_deref()), (1_795_614_936_123_000, Some("203.0.113.7")));
}

#[test]
fn a_bad_line_has_a_reason() {
    for (line, said) in [
        ("{", "not JSON: EOF"),
        (r#"{"time":1795614936} trailing"#, "not JSON: trailing"),
        (r#"{"when":"2026-11-25T13:55:36Z"}"#, "--time-field"),
        (r#"{"time":"tomorrow"}"#, "\"tomorrow\" is not a time"),
        (r#"{"time":-5}"#, "\"-5\" is not a time"),
    ] {
        let problem = read(line, &names("")).unwrap_err();
        assert!(problem.contains(said), "{line}: {problem}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(read(&deep, &names("--by field:a")).unwrap_err().contains("not JSON"));
}
