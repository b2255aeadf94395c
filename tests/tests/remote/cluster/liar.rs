//! A server that says anything.

use super::*;

/// A server that says of every key that it has moved, each time to another server, which is not there.
fn liar() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let moved = Arc::new(std::sync::atomic::AtomicU32::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, moved) = (client.unwrap(), Arc::clone(&moved));
            std::thread::spawn(move || {
                let mut commands = BufReader::new(client.try_clone().unwrap());
                while let Some(command) = command(&mut commands) {
                    let answer = match command[0].to_ascii_uppercase().as_str() {
                        "CLUSTER" => format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n"),
                        "SCRIPT" => "$4\r\nname\r\n".to_owned(),
                        "EVALSHA" => {
                            let n = moved.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            format!("-MOVED 1 127.1.{}.{}:1\r\n", n / 250 % 250, n % 250 + 1)
                        }
                        "CLIENT" => "+OK\r\n".to_owned(),
                        _ => "-ERR unknown command\r\n".to_owned(),
                    };
                    if client.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_names_ever_new_nodes_does_not_fill_the_memory() {
    let limiter = RateGuard::redis(format!("redis+cluster://127.0.0.1:{}", liar())).unwrap();
    for turn in 0..50 {
        let checks = (0..20).map(|n| {
            let limiter = limiter.clone();
            async move { limiter.check(&policy("moved", 3), &user(20 * turn + n)).await }
        });
        futures_util::future::join_all(checks).await;
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks < 200, "{tasks} tasks after a thousand names");
}
