//! A made-up Redis server: it takes commands and answers as the scripts do, without counting anything.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The policy that is always denied.
pub(crate) const DENIED: &str = "denied";

/// What the server calls the scripts.
const CHECK: &str = "cccccccccccccccccccccccccccccccccccccccc";
const WHOLE: &str = "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";

/// A server in a process of its own, whose instructions are not counted.
pub(crate) struct Server {
    process: Child,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start() -> Server {
        let mut server = Command::new(std::env::args_os().next().expect("a name"));
        let mut process = server.arg(SERVE).stdout(Stdio::piped()).spawn().expect("this program again");
        let mut url = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut url).expect("a line");
        Server { process, url: url.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended by itself if its connection was closed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The argument that makes this program a server.
pub(crate) const SERVE: &str = "--serve";

/// Serves one connection until the other end closes it.
pub(crate) fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("redis://{}", listener.local_addr().expect("an address"));
    let (mut connection, _) = listener.accept().expect("a connection");
    connection.set_nodelay(true).expect("a socket");
    let (mut received, mut chunk, mut answers) = (Vec::new(), vec![0; 65_536], Vec::new());
    loop {
        match connection.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(length) => received.extend_from_slice(&chunk[..length]),
        }
        answers.clear();
        while let Some((words, rest)) = command(&received) {
            answer(&words, &mut answers);
            received = rest.to_vec();
        }
        // By then, whoever asked has nothing left to do but wait, so that every answer finds the same state.
        thread::sleep(Duration::from_millis(2));
        connection.write_all(&answers).expect("the other end reads");
    }
}

/// The words of the first command, and what follows it; `None` if it is not all there.
fn command(bytes: &[u8]) -> Option<(Vec<String>, &[u8])> {
    let (count, mut rest) = number(bytes)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (length, after) = number(rest)?;
        words.push(String::from_utf8_lossy(after.get(..length)?).into_owned());
        rest = after.get(length + 2..)?;
    }
    Some((words, rest))
}

/// The number in a line such as `*3` or `$12`.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    let number = std::str::from_utf8(bytes.get(1..end)?).ok()?.parse().ok()?;
    Some((number, bytes.get(end + 2..)?))
}

fn answer(words: &[String], to: &mut Vec<u8>) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["HELLO", ..] => to.extend_from_slice(b"%1\r\n$5\r\nproto\r\n:3\r\n"),
        ["SCRIPT", _, text] => {
            // Only `check.lua` has a plan.
            let name = if text.contains("local plan") { CHECK } else { WHOLE };
            write!(to, "${}\r\n{name}\r\n", name.len()).expect("memory");
        }
        // Nothing but the probe, which resets a key.
        ["EVALSHA", WHOLE, ..] => numbers(to, &[TIME, 1]),
        ["EVALSHA", CHECK, keys, rest @ ..] => {
            let keys: usize = keys.parse().expect("the number of keys");
            let (keys, rest) = rest.split_at(keys);
            // The plan: how many requests share a limit.
            let plan =
                rest.first().and_then(|plan| plan.strip_prefix('!')).expect("a plan that asks for a packed reply");
            let together = plan.strip_prefix('+').and_then(|plan| plan.bytes().next());
            let granted = together.map_or(1, |number| i64::from(number - b'0'));
            let mut reply = vec![TIME];
            for key in keys {
                if key.contains(DENIED) {
                    reply.extend([0, 0, 30_000_000, 30_000_000]);
                } else {
                    reply.extend([granted, 40, 30_000_000, -1]);
                }
            }
            let packed: Vec<u8> = reply.iter().flat_map(|number| number.to_be_bytes()).collect();
            write!(to, "${}\r\n", packed.len()).expect("memory");
            to.extend_from_slice(&packed);
            to.extend_from_slice(b"\r\n");
        }
        _ => to.extend_from_slice(b"+OK\r\n"),
    }
}

/// Microseconds since 1970.
const TIME: i64 = 1_790_000_000_000_000;

fn numbers(to: &mut Vec<u8>, numbers: &[i64]) {
    write!(to, "*{}\r\n", numbers.len()).expect("memory");
    for number in numbers {
        write!(to, ":{number}\r\n").expect("memory");
    }
}
