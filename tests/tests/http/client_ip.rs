//! The table of the chapter "Behind a proxy": each row is sent through the layer, and must be counted where the row says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue};
use axum::routing::get;
use rateguard::{KeyBy, Quota, RateGuard, RateGuardBuilder, RateLimitLayer};
use rateguard_tests::request;
use tower::ServiceExt;

const CHAPTER: &str = include_str!("../../../rateguard/src/guide/behind_a_proxy.md");

struct Row<'a> {
    configured: &'a str,
    peer: IpAddr,
    lines: Vec<(HeaderName, HeaderValue)>,
    /// The first address of the network that is counted, and how many bits it has.
    counted: (IpAddr, u32),
    text: &'a str,
}

/// One unit a client, so that a second request tells whether it is the same client.
struct Server(Router);

impl Server {
    fn new(builder: RateGuardBuilder) -> Server {
        let layer = RateLimitLayer::new(builder.build().unwrap());
        let quota = Quota::sliding_window(1, Duration::from_secs(3600));
        Server(Router::new().route("/", get(async || ())).layer(layer.limit("one", quota, KeyBy::Ip)))
    }

    async fn allows(&self, peer: IpAddr, lines: &[(HeaderName, HeaderValue)]) -> bool {
        let mut request = request("/");
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(peer, 4711)));
        for (name, value) in lines {
            request.headers_mut().append(name, value.clone());
        }
        match self.0.clone().oneshot(request).await.unwrap().status().as_u16() {
            200 => true,
            429 => false,
            other => panic!("answered {other}"),
        }
    }
}

/// Says with a builder what the chapter says in code.
fn configure(configured: &str) -> RateGuardBuilder {
    let mut builder = RateGuard::builder().max_keys(1000);
    for call in configured.split_terminator(')').map(|call| call.trim_start_matches('.')) {
        let (method, arguments) = call.split_once('(').unwrap();
        let texts: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
        builder = match method {
            "trusted_proxies" => builder.trusted_proxies(texts),
            "client_ip_header" => builder.client_ip_header(texts[0]),
            "forwarded_header" => builder.forwarded_header(),
            "ipv6_prefix" => builder.ipv6_prefix(arguments.parse().unwrap()),
            "ipv4_prefix" => builder.ipv4_prefix(arguments.parse().unwrap()),
            other => panic!("the chapter calls .{other}()"),
        };
    }
    builder
}

/// The texts between backticks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn rows() -> Vec<Row<'static>> {
    let mut rows = Vec::new();
    let mut configured = None;
    for line in CHAPTER.lines() {
        if let Some(text) = line.strip_prefix("Configured: ") {
            configured = Some(if text == "nothing." { "" } else { code(text).next().unwrap() });
        } else if let (Some(configured), true) = (configured, line.starts_with("| `")) {
            let cells: Vec<&str> = line.split(" |").map(|cell| cell.trim_start_matches("| ")).collect();
            let counted = code(cells[2]).next().unwrap();
            let (network, bits) = counted.split_once('/').unwrap_or((counted, ""));
            let network: IpAddr = network.parse().unwrap();
            let all_bits = if network.is_ipv4() { 32 } else { 128 };
            rows.push(Row {
                configured,
                peer: code(cells[0]).next().unwrap().parse().unwrap(),
                lines: code(cells[1]).flat_map(header_lines).collect(),
                counted: (network, bits.parse().unwrap_or(all_bits)),
                text: line,
            });
        }
    }
    rows
}

/// `Name: value`, with the notation of the chapter.
fn header_lines(text: &str) -> Vec<(HeaderName, HeaderValue)> {
    let mut repeated = text.to_owned();
    if let Some((before, rest)) = text.split_once('{') {
        let (repetition, after) = rest.split_once('}').unwrap();
        let (times, what) = repetition.split_once('×').unwrap();
        repeated = format!("{before}{}{after}", what.repeat(times.parse().unwrap()));
    }
    let mut parts = repeated.split("\\x");
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    let line = |line: &[u8]| {
        let colon = line.iter().position(|&byte| byte == b':').unwrap();
        let value = line[colon + 1..].trim_ascii();
        (HeaderName::from_bytes(&line[..colon]).unwrap(), HeaderValue::from_bytes(value).unwrap())
    };
    bytes.split(|&byte| byte == b'\n').map(line).collect()
}

/// The addresses just outside a network, as far as there are any.
fn neighbours((network, bits): (IpAddr, u32)) -> Vec<IpAddr> {
    match network {
        IpAddr::V4(v4) => {
            let (first, size) = (v4.to_bits(), 1 << (32 - bits));
            let around = [first.checked_sub(1), first.checked_add(size)];
            around.into_iter().flatten().map(|bits| Ipv4Addr::from_bits(bits).into()).collect()
        }
        IpAddr::V6(v6) => {
            let (first, size) = (v6.to_bits(), 1 << (128 - bits));
            let around = [first.checked_sub(1), first.checked_add(size)];
            around.into_iter().flatten().map(|bits| Ipv6Addr::from_bits(bits).into()).collect()
        }
    }
}

fn last((network, bits): (IpAddr, u32)) -> IpAddr {
    match network {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() | u32::MAX.checked_shr(bits).unwrap_or(0)).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() | u128::MAX.checked_shr(bits).unwrap_or(0)).into(),
    }
}

#[tokio::test]
async fn every_row_of_the_chapters_table_is_counted_where_it_says() {
    let rows = rows();
    // So that no row is lost to its formatting.
    assert_eq!(
        rows.len(),
        CHAPTER
            .lines()
            .skip_while(|line| !line.starts_with("Configured"))
            .filter(|line| line.starts_with("| `"))
            .count()
    );
    assert!(rows.len() > 100, "{} rows", rows.len());
    for row in rows {
        let server = Server::new(configure(row.configured));
        assert!(server.allows(row.peer, &row.lines).await, "{}", row.text);
        // The whole network is denied now, from its first address to its last, and no other address is.
        for address in [row.counted.0, last(row.counted)] {
            assert!(!server.allows(address, &[]).await, "{address} should be where this is counted: {}", row.text);
        }
        for address in neighbours(row.counted) {
            assert!(server.allows(address, &[]).await, "{address} should not be where this is counted: {}", row.text);
        }
    }
}

#[tokio::test]
async fn a_header_of_a_megabyte_costs_no_more_than_one_that_is_looked_at_whole() {
    let server = Server::new(configure(r#".trusted_proxies(["10.0.0.0/8"])"#));
    let forwarded = Server::new(configure(r#".trusted_proxies(["10.0.0.0/8"]).forwarded_header()"#));
    for (server, name, text) in [
        (&server, "x-forwarded-for", "10.0.0.2,"),
        (&server, "x-forwarded-for", ","),
        (&server, "x-forwarded-for", "x"),
        (&forwarded, "forwarded", "for=10.0.0.2,"),
        (&forwarded, "forwarded", "\\"),
        (&forwarded, "forwarded", "\"\\,"),
    ] {
        let mut quickest = [8 * 1024, 1024 * 1024].map(|size| {
            let value = HeaderValue::from_str(&text.repeat(size / text.len())).unwrap();
            ([(HeaderName::from_static(name), value)], Duration::MAX)
        });
        for _ in 0..30 {
            for (lines, quickest) in &mut quickest {
                let start = Instant::now();
                server.allows([10, 0, 0, 1].into(), lines).await;
                *quickest = start.elapsed().min(*quickest);
            }
        }
        let [(_, small), (_, large)] = quickest;
        assert!(large < small * 4, "{text:?}: 8 KiB took {small:?}, 1 MiB {large:?}");
    }
}
