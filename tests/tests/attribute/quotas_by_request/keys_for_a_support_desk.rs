//! What the table in the attribute's documentation says: the key under which a support desk finds what was counted.

use super::*;

const QUOTA: Quota = Quota::per_minute(100);

struct Login {
    account: String,
    user: User,
    pair: (u8, u8),
}

fn login() -> Login {
    Login { account: "ada@example.com".to_owned(), user: user(), pair: (1, 2) }
}

fn user() -> User {
    User { name: "ada".to_owned(), plan: Plan::Free }
}

#[derive(Clone)]
struct Desk;

impl<S: Sync> axum::extract::FromRequestParts<S> for Login {
    type Rejection = ();
    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Login, ()> {
        Ok(login())
    }
}

#[rate_limit(quota = QUOTA, name = "ip", key = "ip")]
async fn ip() {}
#[rate_limit(quota = QUOTA, name = "user", key = "user")]
async fn by_user() {}
#[rate_limit(quota = QUOTA, name = "global", key = "global")]
async fn global() {}
#[rate_limit(quota = QUOTA, name = "header", key = "header:X-Api-Key")]
async fn header() {}
#[rate_limit(quota = QUOTA, name = "cookie", key = "cookie:session")]
async fn cookie() {}
#[rate_limit(quota = QUOTA, name = "path", key = "path:tenant")]
async fn path() {}
#[rate_limit(quota = QUOTA, name = "variable", key = tenant)]
async fn variable(Path(tenant): Path<String>) {
    drop(tenant);
}
#[rate_limit(quota = QUOTA, name = "field", key = login.account)]
async fn field(login: Login) {
    drop(login.account);
}
#[rate_limit(quota = QUOTA, name = "reference", key = &login.user.name)]
async fn reference(login: Login) {
    drop(login.user);
}
#[rate_limit(quota = QUOTA, name = "number", key = login.pair.0)]
async fn number(login: Login) {
    let _ = login.pair;
}
#[rate_limit(quota = QUOTA, name = "call", key = login.account.to_lowercase())]
async fn call(login: Login) {
    drop(login);
}
#[rate_limit(quota = QUOTA, name = "closure", key = |req| req.uri.path())]
async fn closure() {}
#[rate_limit(quota = QUOTA, name = "own", key = Key::new("account", &login.account))]
async fn own(login: Login) {
    drop(login);
}
#[rate_limit(quota = QUOTA, name = "stays", key = key)]
async fn stays(axum::Extension(key): axum::Extension<Key>) {
    drop(key);
}
#[rate_limit(quota = QUOTA, name = "tuple", key = ("ip", "path:tenant", login.account, "header:x-api-key"))]
async fn tuple(login: Login) {
    drop(login);
}
#[rate_limit(quota = QUOTA, name = "long", key = a_name_of_an_argument_of_more_than_40_bytes)]
async fn long(Path(a_name_of_an_argument_of_more_than_40_bytes): Path<String>) {
    drop(a_name_of_an_argument_of_more_than_40_bytes);
}

fn asked(path: &str) -> Request<Body> {
    let mut asked = request(path);
    asked.headers_mut().insert("x-api-key", "s3cret".parse().unwrap());
    asked.headers_mut().insert("cookie", "session=c00kie".parse().unwrap());
    asked.extensions_mut().insert(UserId::new("42"));
    asked
}

#[tokio::test]
async fn are_those_of_the_table() {
    let routes = Router::new()
        .route("/ip/{tenant}", get(ip))
        .route("/user/{tenant}", get(by_user))
        .route("/global/{tenant}", get(global))
        .route("/header/{tenant}", get(header))
        .route("/cookie/{tenant}", get(cookie))
        .route("/path/{tenant}", get(path))
        .route("/variable/{tenant}", get(variable))
        .route("/field/{tenant}", get(field))
        .route("/reference/{tenant}", get(reference))
        .route("/number/{tenant}", get(number))
        .route("/call/{tenant}", get(call))
        .route("/closure/{tenant}", get(closure))
        .route("/own/{tenant}", get(own))
        .route("/stays/{tenant}", get(stays))
        .route("/tuple/{tenant}", get(tuple))
        .route("/long/{tenant}", get(long))
        .layer(axum::Extension(Key::user("42")))
        .with_state(Desk);
    let app = App::new(routes);
    let account = "ada@example.com";
    for (policy, key) in [
        ("ip", Key::ip([192, 0, 2, 1])),
        ("user", Key::user("42")),
        ("global", Key::global()),
        ("header", Key::secret("header.x-api-key", "s3cret")),
        ("cookie", Key::secret("cookie.session", "c00kie")),
        ("path", Key::new("path.tenant", "acme")),
        ("variable", Key::new("tenant", "acme")),
        ("field", Key::new("login.account", account)),
        ("reference", Key::new("login.user.name", "ada")),
        ("number", Key::new("login.pair.0", 1)),
        ("call", Key::new("key", account)),
        ("closure", Key::new("key", "/closure/acme")),
        ("own", Key::new("account", account)),
        ("stays", Key::user(42)),
        (
            "tuple",
            Key::composite([
                Key::ip([192, 0, 2, 1]),
                Key::new("path.tenant", "acme"),
                Key::new("login.account", account),
                Key::secret("header.x-api-key", "s3cret"),
            ]),
        ),
        ("long", Key::new("key", "acme")),
    ] {
        let before = peeked(&app, policy, QUOTA, &key).await;
        assert_eq!(app.send(asked(&format!("/{policy}/acme"))).await.status, 200, "{policy}");
        assert_eq!((before, peeked(&app, policy, QUOTA, &key).await), (100, 99), "{policy}");
        app.limiter.reset(&Policy::new(policy, QUOTA), &key).await.unwrap();
        assert_eq!(peeked(&app, policy, QUOTA, &key).await, 100, "{policy}");
    }
}
