//! The forms of a Redis URL.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use super::cluster::Address;
use super::endpoint::Endpoint;

const SENTINEL_PORT: &str = "26379";

/// Reads a URL of one of our schemes. Errors never repeat any part of it.
pub(crate) fn parse(scheme: &str, rest: &str) -> Result<Endpoint, String> {
    if scheme.starts_with("rediss") && !cfg!(feature = "tls") {
        return Err(format!("this build has no TLS for {scheme}://: enable the feature \"tls\" of rateguard"));
    }
    match scheme {
        "redis" | "rediss" => one(&format!("{scheme}://{rest}")).map(Endpoint::one),
        "redis+unix" | "unix" => unix(rest),
        "redis+sentinel" => sentinels("redis", rest),
        "rediss+sentinel" => sentinels("rediss", rest),
        "redis+cluster" => cluster("redis", rest),
        "rediss+cluster" => cluster("rediss", rest),
        _ => Err("the scheme is unknown".to_owned()),
    }
}

/// The client library sends no login without a password, so every check would fail.
const NO_PASSWORD: &str = "it has a user without a password: write a password alone with a colon in front, as in \
                           redis://:password@host, and a user with a password as in redis://user:password@host";

/// `redis[s]://[[user]:password@]host[:port][/database][?protocol=resp2]`.
fn one(text: &str) -> Result<ConnectionInfo, String> {
    if names_several_hosts(text) {
        return Err(
            "redis:// is one server: write several sentinels as redis+sentinel://host1,host2/name, and the nodes of a \
                    cluster as redis+cluster://host1,host2"
                .to_owned(),
        );
    }
    if has_slash_before_at(text) {
        return Err("write a / in a password as %2F".to_owned());
    }
    let url = url::Url::parse(text).map_err(|error| format!("it is not a URL ({error})"))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host".to_owned());
    }
    if !url.username().is_empty() && url.password().is_none_or(str::is_empty) {
        return Err(NO_PASSWORD.to_owned());
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Err("the database after the last / is not a number".to_owned());
    }
    // RESP3 if the server has it, unless the URL asks for RESP2.
    let older = url.query_pairs().any(|(_, value)| value == "resp2");
    if let Some((name, _)) = url.query_pairs().find(|(name, _)| name != "protocol") {
        return Err(unknown_parameter(&name, text.split_once('?').map_or("", |(_, after)| after)));
    }
    if url.fragment().is_some() {
        return Err("write a # in a password as %23".to_owned());
    }
    // The library's own message could repeat the URL.
    let info = url.into_connection_info().map_err(|_| "it is not a Redis URL".to_owned())?;
    let protocol = if older { ProtocolVersion::RESP2 } else { ProtocolVersion::RESP3 };
    let settings = info.redis_settings().clone().set_protocol(protocol);
    Ok(info.set_redis_settings(settings))
}

fn has_slash_before_at(text: &str) -> bool {
    let (_, rest) = text.split_once("://").unwrap_or(("", text));
    let path = rest.split(['?', '#']).next().and_then(|rest| rest.split_once('/'));
    path.is_some_and(|(_, path)| path.contains('@'))
}

fn names_several_hosts(text: &str) -> bool {
    let (_, rest) = text.split_once("://").unwrap_or(("", text));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    split_credentials(authority).1.contains(',')
}

/// `query` is everything after the question mark.
fn unknown_parameter(name: &str, query: &str) -> String {
    // Credentials come before an @, so this question mark is in a password.
    if query.contains('@') {
        return "write a ? in a password as %3F".to_owned();
    }
    format!("the parameter {name:?} is unknown")
}

/// Splits after the last `@`. Without one, the first part is empty.
fn split_credentials(text: &str) -> (&str, &str) {
    text.rfind('@').map_or(("", text), |at| text.split_at(at + 1))
}

/// `[[user]:password@]/path[?db=database]`.
fn unix(rest: &str) -> Result<Endpoint, String> {
    let (head, query) = rest.split_once('?').unwrap_or((rest, ""));
    let at = head.find('/').ok_or("it names no path to a socket")?;
    let (credentials, path) = head.split_at(at);
    if !credentials.is_empty() && !credentials.ends_with('@') {
        return Err("the path of a socket is absolute, so three slashes follow the scheme".to_owned());
    }
    // Otherwise the credentials would be a part of the path, which the log shows.
    if path.split('/').nth(1).is_some_and(|first| first.contains('@')) {
        return Err("credentials come before the path, so two slashes follow the scheme: \
                    redis+unix://:password@/path"
            .to_owned());
    }
    let mut database = "";
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let number = parameter.strip_prefix("db=").filter(|number| number.parse::<u32>().is_ok());
        database = number.ok_or("the only parameter of a socket is `db`, the number of the database")?;
    }
    let address = ConnectionAddr::Unix(path.into());
    if !address.is_supported() {
        return Err("this system has no Unix sockets".to_owned());
    }
    Ok(Endpoint::one(one(&format!("redis://{credentials}socket/{database}"))?.set_addr(address)))
}

/// `[[user]:password@]host[:port],…/name[/database][?sentinel_username=…&sentinel_password=…]`: the credentials before
/// the hosts are those of the master.
fn sentinels(scheme: &str, rest: &str) -> Result<Endpoint, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (credentials, rest) = split_credentials(rest);
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    if service.is_empty() || service.contains('#') {
        return Err("it does not name the master: its name follows the hosts, as in host1,host2/mymaster".to_owned());
    }
    let (mut username, mut password, mut protocol) = (None, None, String::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "sentinel_username" => username = Some(value),
            "sentinel_password" => password = Some(value),
            "protocol" => protocol = format!("?protocol={value}"),
            _ => return Err(unknown_parameter(&name, query)),
        }
    }
    if username.is_some() && password.as_ref().is_none_or(|password| password.is_empty()) {
        return Err("it has a sentinel_username without a sentinel_password".to_owned());
    }
    let mut nodes = Vec::new();
    for host in hosts.split(',') {
        // An IPv6 address has colons as well, inside its brackets.
        let has_port = host.rsplit(']').next().is_some_and(|end| end.contains(':'));
        let port = if has_port { String::new() } else { format!(":{SENTINEL_PORT}") };
        let node = one(&format!("{scheme}://{host}{port}"))?;
        let mut settings = node.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        if let Some(username) = &username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &password {
            settings = settings.set_password(password);
        }
        nodes.push(node.set_redis_settings(settings));
    }
    let master = one(&format!("{scheme}://{credentials}master/{database}{protocol}"))?;
    Ok(Endpoint::sentinels(master, nodes, service.to_owned()))
}

/// `[[user]:password@]host[:port],…[/0][?protocol=resp2]`: the credentials are those of every node.
fn cluster(scheme: &str, rest: &str) -> Result<Endpoint, String> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (credentials, rest) = split_credentials(rest);
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    if !matches!(database, "" | "0") {
        return Err("a cluster has no database but 0".to_owned());
    }
    let mut seeds = Vec::new();
    for host in hosts.split(',') {
        match one(&format!("{scheme}://{host}"))?.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                seeds.push(Address { host: host.clone(), port: *port });
            }
            _ => return Err("the nodes of a cluster have addresses".to_owned()),
        }
    }
    let every = one(&format!("{scheme}://{credentials}node?{query}"))?;
    Ok(Endpoint::cluster(every, seeds))
}
