//! Upstash's REST protocol in front of a real Redis, by its documentation. `./tests/run --upstash-clients` asks Upstash's
//! own clients whether it is faithful.

mod text;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::{RedisServer, free_port};

use text::{command, commands, decoded, json_of, said};

/// What is wrong with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Illness {
    /// Nothing.
    None,
    /// It does nothing and answers this, a status and a body.
    Answers(u16, &'static str),
    /// It lets each request wait for so long before it is done.
    Slow(Duration),
    /// It does what it is asked and answers this instead of what came of it.
    Misreports(&'static str),
}

/// The service, on a port and threads of its own, ended with the value.
#[derive(Debug)]
pub struct UpstashServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

#[derive(Debug)]
struct Shared {
    redis: String,
    token: Mutex<String>,
    illness: Mutex<Illness>,
    asked: Mutex<VecDeque<String>>,
}

impl UpstashServer {
    /// The token of a server that has no other.
    pub const TOKEN: &str = "AX_sASQgODM5-hunter2-ZjExOGQ";

    /// Starts one on a free port.
    pub fn start(redis: &RedisServer) -> UpstashServer {
        UpstashServer::start_at(free_port(), redis)
    }

    /// Starts one on this port.
    pub fn start_at(port: u16, redis: &RedisServer) -> UpstashServer {
        let shared = Arc::new(Shared {
            redis: redis.url(),
            token: Mutex::new(UpstashServer::TOKEN.to_owned()),
            illness: Mutex::new(Illness::None),
            asked: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let app = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        // Bound here, so that whoever has the value can connect.
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a listener");
        listener.set_nonblocking(true).expect("a listener for tokio");
        let address = listener.local_addr().expect("its address");
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, app).await
        });
        UpstashServer { address, shared, runtime: Some(runtime) }
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What the token is from now on.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut lock(&self.shared.token));
    }

    /// What is wrong from now on.
    pub fn set(&self, illness: Illness) {
        *lock(&self.shared.illness) = illness;
    }

    /// The names of the commands that came in since this was last asked, whatever was answered.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).drain(..).collect()
    }
}

impl Drop for UpstashServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Tests end their servers on a runtime of their own, which must not be blocked.
            runtime.shutdown_background();
        }
    }
}

fn lock<T>(value: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

type Command = Vec<Vec<u8>>;
type Answer = (StatusCode, serde_json::Value);

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let illness = lock(&shared.illness).clone();
    if let Illness::Slow(wait) = illness {
        tokio::time::sleep(wait).await;
    }
    let answer = match illness {
        Illness::Answers(status, body) => {
            lock(&shared.asked).push_back(String::new());
            return (StatusCode::from_u16(status).expect("a status"), body).into_response();
        }
        _ => shared.answer(&method, &uri, &headers, &body).await,
    };
    if let Illness::Misreports(body) = illness {
        return body.into_response();
    }
    let (status, json) = answer;
    (status, [(header::CONTENT_TYPE, "application/json")], json.to_string()).into_response()
}

fn error(status: StatusCode, text: impl AsRef<str>) -> Answer {
    (status, json!({ "error": text.as_ref() }))
}

impl Shared {
    async fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Answer {
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        if !self.is_authorized(headers, &pairs) {
            return error(StatusCode::UNAUTHORIZED, "WRONGPASS invalid or missing auth token");
        }
        if ![Method::GET, Method::HEAD, Method::POST, Method::PUT].contains(method) {
            return error(StatusCode::METHOD_NOT_ALLOWED, "ERR method not allowed");
        }
        let encoded = headers.get("upstash-encoding").is_some_and(|encoding| encoding == "base64");
        match uri.path() {
            "/" => match serde_json::from_slice(body).ok().and_then(command) {
                Some(command) => self.single(&command, encoded).await,
                None => error(StatusCode::BAD_REQUEST, "ERR failed to parse command"),
            },
            "/pipeline" | "/multi-exec" => match commands(body) {
                Some(commands) if uri.path() == "/pipeline" => self.pipeline(&commands, encoded).await,
                Some(commands) => self.transaction(&commands, encoded).await,
                None => error(StatusCode::BAD_REQUEST, "ERR failed to parse pipeline request"),
            },
            path => {
                let mut command: Command = path.split('/').skip(1).map(decoded).collect();
                if matches!(*method, Method::POST | Method::PUT) && !body.is_empty() {
                    command.push(body.to_vec());
                }
                for (name, value) in pairs.into_iter().filter(|(name, _)| name != "_token") {
                    command.push(name.into());
                    command.extend((!value.is_empty()).then(|| value.into()));
                }
                self.single(&command, encoded).await
            }
        }
    }

    fn is_authorized(&self, headers: &HeaderMap, pairs: &[(String, String)]) -> bool {
        let token = lock(&self.token);
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        given == Some(&**token) || pairs.iter().any(|(name, value)| name == "_token" && *value == *token)
    }

    async fn connection(&self) -> Result<MultiplexedConnection, RedisError> {
        let url = format!("{}/?protocol=resp2", self.redis);
        // The client's own patience is half a second, which a busy machine may take.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn run(&self, connection: &mut MultiplexedConnection, command: &Command) -> Result<Value, RedisError> {
        let name = command.first().map(|name| String::from_utf8_lossy(name).to_ascii_uppercase());
        lock(&self.asked).push_back(name.unwrap_or_default());
        let mut cmd = redis::Cmd::new();
        for word in command {
            cmd.arg(word);
        }
        connection.send_packed_command(&cmd).await?.extract_error()
    }

    async fn single(&self, command: &Command, encoded: bool) -> Answer {
        let result = match self.connection().await {
            Ok(mut connection) => self.run(&mut connection, command).await,
            Err(error) => Err(error),
        };
        match result {
            Ok(value) => (StatusCode::OK, json!({ "result": json_of(value, encoded) })),
            Err(failed) => error(StatusCode::BAD_REQUEST, said(&failed)),
        }
    }

    /// Each command has its own answer.
    async fn pipeline(&self, commands: &[Command], encoded: bool) -> Answer {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(failed) => return error(StatusCode::INTERNAL_SERVER_ERROR, said(&failed)),
        };
        let mut answers = Vec::new();
        for command in commands {
            answers.push(match self.run(&mut connection, command).await {
                Ok(value) => json!({ "result": json_of(value, encoded) }),
                Err(failed) => json!({ "error": said(&failed) }),
            });
        }
        (StatusCode::OK, answers.into())
    }

    /// All or none: a command that is not accepted discards the others.
    async fn transaction(&self, commands: &[Command], encoded: bool) -> Answer {
        match self.try_transaction(commands, encoded).await {
            Ok(answers) => (StatusCode::OK, answers.into()),
            Err(failed) => error(StatusCode::BAD_REQUEST, said(&failed)),
        }
    }

    async fn try_transaction(&self, commands: &[Command], encoded: bool) -> Result<Vec<serde_json::Value>, RedisError> {
        let mut connection = self.connection().await?;
        self.run(&mut connection, &vec![b"MULTI".to_vec()]).await?;
        for command in commands {
            // The answer says more than EXEC's, which is an error then.
            self.run(&mut connection, command).await?;
        }
        let mut exec = redis::cmd("EXEC");
        let Value::Array(values) = connection.send_packed_command(exec.arg(&[] as &[&str])).await? else {
            return Ok(Vec::new());
        };
        let answer = |value| match value {
            Value::ServerError(failed) => json!({ "error": said(&failed.into()) }),
            value => json!({ "result": json_of(value, encoded) }),
        };
        Ok(values.into_iter().map(answer).collect())
    }
}
