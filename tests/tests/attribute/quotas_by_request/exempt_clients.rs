//! `exempt`.

use super::*;

#[rate_limit(limit = 1, window = 60, name = "office", exempt = ["10.0.0.0/8", "2001:db8::/32", "198.51.100.7"])]
async fn office() {}
#[rate_limit(limit = 1, window = 60, key = "global", exempt = ["loopback", "private"])]
async fn inside() {}
#[rate_limit(limit = 1, window = 60, key = id, exempt = ["::ffff:10.0.0.0/104"])]
async fn deferred(Path(id): Path<String>) {
    drop(id);
}

async fn ask(app: &App, path: &str, address: &str) -> (u16, bool) {
    let mut asked = request(path);
    let address: IpAddr = address.parse().unwrap();
    asked.extensions_mut().insert(ConnectInfo(SocketAddr::from((address, 4711))));
    let answer = app.send(asked).await;
    (answer.status, answer.headers.contains_key("x-ratelimit-limit"))
}

#[tokio::test]
async fn are_never_counted() {
    let app = App::new(Router::new().route("/", get(office)).route("/in", get(inside)).route("/x/{id}", get(deferred)));
    for address in ["10.1.2.3", "10.255.0.1", "::ffff:10.1.2.3", "2001:db8:1::1", "198.51.100.7"] {
        for _ in 0..3 {
            assert_eq!(ask(&app, "/", address).await, (200, false), "{address}");
        }
        let key = Key::ip(address.parse::<IpAddr>().unwrap());
        assert_eq!(peeked(&app, "office", Quota::sliding_window(1, MINUTE), &key).await, 1, "{address}");
    }
    for address in ["11.0.0.1", "2001:db9::1", "198.51.100.8"] {
        assert_eq!(ask(&app, "/", address).await, (200, true), "{address}");
        assert_eq!(ask(&app, "/", address).await, (429, true), "{address}");
    }
    for address in ["127.0.0.1", "::1", "10.0.0.1", "172.31.0.1", "192.168.3.4", "fd00::1"] {
        assert_eq!(ask(&app, "/in", address).await, (200, false), "{address}");
    }
    for (address, status) in [("172.32.0.1", 200), ("fe80::1", 429)] {
        assert_eq!(ask(&app, "/in", address).await, (status, true), "{address}");
    }
    for (address, said) in [("10.0.0.1", (200, false)), ("192.0.2.1", (200, true)), ("192.0.2.2", (429, true))] {
        assert_eq!(ask(&app, "/x/same", address).await, said, "{address}");
        assert_eq!(ask(&app, "/x/same", "10.9.9.9").await, (200, false));
    }
}
