//! The programs in `examples/`, as a user runs them: each in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rateguard_tests::RedisServer;

/// Where the programs are, once they are built as `./tests/run` builds everything.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    // target/debug/deps/examples-…
    let profile = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--workspace", "--all-features", "--examples"]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "the examples do not build");
    profile.join("examples")
});

fn examples() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut names: Vec<String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 3, "{names:?}");
    names
}

fn program(name: &str, port: u16, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAMS.join(name));
    for variable in ["REDIS_URL", "UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN"] {
        command.env_remove(variable);
    }
    command.env("PORT", port.to_string()).envs(environment.iter().copied()).stdin(Stdio::null());
    command
}

/// A program that runs, ended with the test.
struct Running {
    process: Child,
    address: SocketAddr,
}

impl Running {
    fn start(name: &str, environment: &[(&str, &str)]) -> Running {
        let mut process = program(name, 0, environment).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("Listening on http://")?;
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
            let address = rest.get(..end)?.trim_end_matches(['.', ':']);
            Some(address.parse().unwrap_or_else(|_| panic!("{name}: no address in {line:?}")))
        });
        // What else it prints must not stop it.
        std::thread::spawn(move || for _ in lines {});
        let address = address.unwrap_or_else(|| panic!("{name} ended before it listened"));
        Running { process, address }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("http://{}{path}", self.address)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn each_example_runs_and_answers() {
    for name in examples() {
        let running = Running::start(&name, &[]);
        let (status, body) = running.get("/").await;
        assert!(status < 500, "{name}: {status} {body}");
    }
}

#[test]
fn a_port_that_is_taken_is_said_in_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for name in examples() {
        let output = program(&name, port, &[]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{name}");
        assert!(
            said.contains(&format!("cannot listen on 127.0.0.1:{port}")) && said.contains("PORT"),
            "{name}: {said}"
        );
    }
}

#[test]
fn a_setting_that_is_wrong_is_said_in_a_sentence() {
    let mut process =
        program("redis", 0, &[("REDIS_URL", "http://example.com")]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(!process.wait().unwrap().success());
    assert!(said.contains("http://example.com") && said.contains("redis://"), "{said}");
}

#[tokio::test]
async fn two_servers_have_one_quota_and_go_on_when_redis_does_not() {
    let mut server = RedisServer::start();
    let url = server.url();
    let environment = [("REDIS_URL", url.as_str())];
    let (one, other) = (Running::start("redis", &environment), Running::start("redis", &environment));
    for running in [&one, &other] {
        until(running, "/health", "counting together").await;
    }

    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(one.get("/").await.0);
        statuses.push(other.get("/").await.0);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429, 429]);
    assert_eq!(server.keys(), ["shop:{ip:127.0.0.1}:orders:sw2"]);

    server.kill();
    until(&one, "/health", "degraded").await;
    // Until then the last denial stands: it is certain, whether Redis is there or not.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let alone = [one.get("/").await.0, one.get("/").await.0, one.get("/").await.0];
    assert_eq!(alone, [200, 200, 429], "half of five for each of two servers, rounded down");

    server.launch();
    until(&one, "/health", "counting together").await;
    assert_eq!(one.get("/").await.0, 200, "the new server knows nothing of the old one's counts");
}

/// The status, and what is left of the quota.
async fn quota(request: reqwest::RequestBuilder) -> (u16, Option<u32>) {
    let answer = request.send().await.unwrap();
    let left = answer.headers().get("x-ratelimit-remaining").map(|left| left.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), left)
}

#[tokio::test]
async fn a_user_who_upgrades_has_the_larger_quota_at_once_on_both_servers_and_keeps_what_was_counted() {
    let server = RedisServer::start();
    let url = server.url();
    let environment = [("REDIS_URL", url.as_str())];
    let servers = [Running::start("plans", &environment), Running::start("plans", &environment)];
    for running in &servers {
        // Until the store answers, the usage is not known.
        until(running, "/usage", "\"remaining\":3").await;
    }
    let client = reqwest::Client::new();
    let mut told = Vec::new();
    for (i, token) in ["free"; 3].into_iter().chain(["paying"; 4]).chain(["free"]).enumerate() {
        let address = servers[i % 2].address;
        told.push(
            quota(client.get(format!("http://{address}/report")).bearer_auth(format!("token-of-{token}-fred"))).await,
        );
    }
    let left = |left| (200, Some(left));
    let denied = (429, Some(0));
    assert_eq!(told, [left(1), left(0), denied, left(2), left(1), left(0), denied, denied]);
    assert_eq!(server.keys(), ["ratelimit:{user:fred}:plan:sw2"]);
}

#[tokio::test]
async fn the_desk_of_a_server_without_requests_resets_what_another_has_counted() {
    let server = RedisServer::start();
    let url = server.url();
    let environment = [("REDIS_URL", url.as_str())];
    let (one, other) = (Running::start("support_desk", &environment), Running::start("support_desk", &environment));
    let client = reqwest::Client::new();
    let post = |at: &Running, path: &str, form: &'static str| {
        let request = client.post(format!("http://{}/{path}", at.address)).bearer_auth("token-of-the-desk");
        request.header("content-type", "application/x-www-form-urlencoded").body(form)
    };
    let at_desk = async |at: &Running, path: &str| {
        let request = post(at, path, "policy=mails&kind=form.address&value=ada@example.com");
        request.send().await.unwrap().text().await.unwrap()
    };
    let patience = Instant::now() + Duration::from_secs(30);
    for running in [&one, &other] {
        // Until the store answers, the count is not known.
        while !at_desk(running, "desk/look-up").await.starts_with("3 of 3 left") {
            assert!(Instant::now() < patience, "{}", at_desk(running, "desk/look-up").await);
        }
    }
    let ask = || quota(post(&one, "forgot-password", "address=ada@example.com"));
    let told = [ask().await, ask().await, ask().await, ask().await];
    assert_eq!(told, [(200, Some(2)), (200, Some(1)), (200, Some(0)), (429, Some(0))]);
    assert!(at_desk(&other, "desk/look-up").await.starts_with("0 of 3 left"));
    at_desk(&other, "desk/reset").await;
    assert!(at_desk(&other, "desk/look-up").await.starts_with("3 of 3 left"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(ask().await, (200, Some(2)), "the deny cache of the first server is over after a second");
}

#[test]
fn an_upload_in_chunks_costs_as_much_as_the_largest_whatever_length_it_announces() {
    let running = Running::start("uploads", &[]);
    for lengths in ["", "content-length: 1\r\n"] {
        let mut connection = TcpStream::connect(running.address).unwrap();
        let upload = format!(
            "POST /upload HTTP/1.1\r\nhost: a\r\n{lengths}transfer-encoding: chunked\r\nconnection: close\r\n\r\n\
             3\r\nabc\r\n0\r\n\r\n"
        );
        connection.write_all(upload.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let left = 10 * 1024 - 2 * 1024 - u32::from(!lengths.is_empty());
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("received 1 KiB\n"), "{answer}");
        assert!(answer.contains(&format!("x-ratelimit-remaining: {left}\r\n")), "{answer}");
    }
}

#[tokio::test]
async fn prometheus_scrapes_what_was_decided_and_what_redis_took() {
    let server = RedisServer::start();
    let running = Running::start("prometheus", &[("REDIS_URL", &server.url())]);
    // The first requests may come before the connection.
    let patience = Instant::now() + Duration::from_secs(30);
    while running.get("/").await.0 != 429 {
        assert!(Instant::now() < patience, "nothing is counted");
    }
    let (status, scraped) = running.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        r#"rateguard_requests_total{policy="index",outcome="allowed"} 5"#,
        r#"rateguard_requests_total{policy="index",outcome="denied"} 1"#,
    ] {
        assert!(scraped.lines().any(|other| other == line), "{line} in\n{scraped}");
    }
    let number = |name: &str| {
        let line =
            scraped.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in\n{scraped}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(number("rateguard_check_duration_seconds_count") >= 6.0);
    assert!(number(r#"rateguard_check_duration_seconds_bucket{le="+Inf"}"#) >= 6.0);
    assert!(number("rateguard_batch_size_sum") >= 6.0);
}

/// Asks until the answer has these words in it.
async fn until(running: &Running, path: &str, words: &str) {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, body) = running.get(path).await;
        if body.contains(words) {
            return;
        }
        assert!(Instant::now() < patience, "still {body:?}, not {words:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
