//! How a connection is made: socket settings, protocol version, scripts, and whether the server accepts writes.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError,
};
use tokio::sync::Notify;

use super::command;
use super::dispatch::Dispatch;
use super::endpoint::Endpoint;
use super::error::failed;
use crate::error::StoreError;
use crate::store::remote::script::{Call, Group, Script, ScriptNames};
use crate::store::remote::stopwatch::within;

/// How long connecting may take, and then again everything else before the first check.
const CONNECT: Duration = Duration::from_secs(1);
/// A server that acknowledges nothing for this long is gone. Checks notice sooner; this is for the socket's own end.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// TCP keepalive: after this much silence the system probes the other end, and again after each interval.
const SILENCE: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_secs(5);

/// A connection that is ready for calls of the scripts.
pub(crate) struct Connection {
    pub(super) redis: MultiplexedConnection,
    pub(super) scripts: ScriptNames,
    pub(super) closed: Closed,
}

/// Becomes known when the other end closes the connection, also while no call is under way. Never, with RESP2.
#[derive(Clone, Default)]
pub(super) struct Closed(Arc<Notify>);

impl Closed {
    pub(super) async fn wait(&self) {
        self.0.notified().await;
    }

    /// Takes a push message. All but the disconnection are dropped at once, so that nothing a server sends can pile up.
    fn take(&self, info: &PushInfo) {
        if info.kind == PushKind::Disconnection {
            self.0.notify_one();
        }
    }
}

/// Makes connections.
pub(crate) struct Connector<D> {
    /// As it was given, until a server turns out not to know RESP3.
    endpoint: Endpoint,
    pub(super) deadline: Duration,
    pub(super) prefix: String,
    pub(super) dispatch: D,
    /// How many attempts there were: each begins with another sentinel.
    attempts: usize,
}

impl<D: Dispatch> Connector<D> {
    pub(super) fn new(mut endpoint: Endpoint, deadline: Duration, prefix: String, dispatch: D) -> Connector<D> {
        endpoint.set_info(endpoint.info().clone().set_tcp_settings(socket()));
        #[cfg(feature = "tls")]
        if endpoint.is_tls() {
            choose_cryptography();
        }
        Connector { endpoint, deadline, prefix, dispatch, attempts: 0 }
    }

    pub(super) async fn connection(&mut self) -> Result<Connection, StoreError> {
        let turn = self.attempts;
        self.attempts += 1;
        let mut server = self.endpoint.resolve(turn).await?;
        let (redis, closed) = match open(&server).await {
            Err(error) if is_resp3(&server) && lacks_resp3(&error) => {
                let older = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
                self.endpoint.set_info(self.endpoint.info().clone().set_redis_settings(older.clone()));
                server = server.set_redis_settings(older);
                open(&server).await
            }
            opened => opened,
        }
        .map_err(failed)?;
        let mut connection = Connection { redis, scripts: ScriptNames::default(), closed };
        let prepared = within(CONNECT, self.prepare(&mut connection)).await;
        prepared.unwrap_or_else(|| Err(StoreError::timed_out()))?;
        Ok(connection)
    }

    async fn prepare(&self, connection: &mut Connection) -> Result<(), StoreError> {
        for script in Script::ALL {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script.text());
            connection.scripts.set(script, load.query_async(&mut connection.redis).await.map_err(failed)?);
        }
        self.probe(connection).await
    }

    /// Runs a script that deletes a key which does not exist. A server that forbids this, or accepts no writes (a replica, a
    /// server that cannot save), is treated as down. Finding that out here costs no request anything.
    async fn probe(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let group = Group::probe(&self.prefix, &self.dispatch.probe_tag());
        let groups = [&group];
        let call = Call::new(&groups);
        let command = command::by_name(&connection.scripts, &call);
        let reply = match command.query_async(&mut connection.redis).await {
            // A node without that slot. It answers, and will redirect each job.
            Err(error) if self.dispatch.is_redirect(&error) => return Ok(()),
            answered => answered.map_err(failed)?,
        };
        command::read(reply, &call)?.into_iter().flatten().try_for_each(|answer| answer.map(|_| ()))
    }
}

async fn open(server: &ConnectionInfo) -> Result<(MultiplexedConnection, Closed), RedisError> {
    // The deadlines are ours: they need no timer of the runtime, and do not count time in which it was blocked.
    let mut config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let closed = Closed::default();
    if is_resp3(server) {
        let closed = closed.clone();
        config = config.set_push_sender(move |info| {
            closed.take(&info);
            Ok::<(), std::convert::Infallible>(())
        });
    }
    let client = Client::open(server.clone())?;
    let opened = within(CONNECT, client.get_multiplexed_async_connection_with_config(&config)).await;
    let redis = opened.unwrap_or_else(|| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?;
    Ok((redis, closed))
}

/// Without a default provider, rustls panics if the process has several.
#[cfg(feature = "tls")]
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that another thread has just installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn is_resp3(server: &ConnectionInfo) -> bool {
    server.redis_settings().protocol() != ProtocolVersion::RESP2
}

fn socket() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(INTERVAL);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}

/// Servers older than 6, and some proxies, do not know `HELLO 3`.
fn lacks_resp3(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
        || error.code() == Some("NOPROTO")
        || error.to_string().to_ascii_lowercase().contains("unknown command")
}
