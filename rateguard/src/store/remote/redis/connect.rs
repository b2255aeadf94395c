//! How a connection is made: settings of the socket, the protocol, the script, and whether the server would write.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError,
};
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;

use super::cluster::Member;
use super::connection::serve;
use super::{Endpoint, Group, command, reply};
use crate::error::StoreError;
use crate::store::remote::backlog::Queue;
use crate::store::remote::outage::Outage;
use crate::store::remote::script::call::Names;
use crate::store::remote::script::{Call, Script};
use crate::store::remote::stopwatch::within;
use crate::store::remote::worker::{self, End};

/// How long a connect may take, and then what is needed before the first check.
const CONNECT: Duration = Duration::from_secs(1);
/// A server that acknowledges nothing for so long is gone. Checks notice sooner; this is for the socket's own end.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// After so much silence the system asks the other end whether it is still there, and again at the interval.
const SILENCE: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_secs(5);

/// How the task connects.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) endpoint: Endpoint,
    /// How long a call may take.
    pub(super) deadline: Duration,
    /// What every key begins with.
    pub(super) prefix: String,
    /// The cluster that the server is a part of.
    pub(super) member: Option<Member>,
}

/// Shows the addresses alone.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.endpoint)
    }
}

/// A connection that is ready for the script.
pub(super) struct Connection {
    pub(super) link: MultiplexedConnection,
    pub(super) scripts: Names,
    pub(super) member: Option<Member>,
    pub(super) closed: Closed,
}

/// Tells when the other end has closed the connection, also while nobody asks anything. In the older protocol it is never
/// told.
#[derive(Clone, Default)]
pub(super) struct Closed(Arc<Notify>);

impl Closed {
    pub(super) async fn wait(&self) {
        self.0.notified().await;
    }

    /// What a server sends unasked. All but the end is let go at once: nothing that it could send grows here.
    fn take(&self, info: &PushInfo) {
        if info.kind == PushKind::Disconnection {
            self.0.notify_one();
        }
    }
}

impl worker::Connector for Connector {
    type Connection = Connection;

    async fn connect(&mut self) -> Result<Connection, StoreError> {
        self.try_connect().await
    }

    async fn serve(&self, connection: Connection, outage: &mut Outage, queue: &mut Queue) -> End {
        // The runtime's share of polls would make it look as if nothing had come. It yields by itself.
        unconstrained(serve(connection, self.deadline, outage, queue)).await
    }

    fn lost(&self) {
        if let Some(member) = &self.member {
            member.lost();
        }
    }
}

/// Makes connections.
pub(super) struct Connector {
    /// As it was given, until a server said that it does not know the newer protocol.
    endpoint: Endpoint,
    deadline: Duration,
    prefix: String,
    member: Option<Member>,
    /// How many attempts there were: where there is a choice whom to ask, each begins with another.
    attempts: usize,
}

impl Connector {
    pub(super) fn new(settings: Settings) -> Connector {
        let mut endpoint = settings.endpoint;
        endpoint.set_info(endpoint.info().clone().set_tcp_settings(socket()));
        #[cfg(feature = "tls")]
        if endpoint.is_tls() {
            choose_cryptography();
        }
        Connector {
            endpoint,
            deadline: settings.deadline,
            prefix: settings.prefix,
            member: settings.member,
            attempts: 0,
        }
    }

    async fn try_connect(&mut self) -> Result<Connection, StoreError> {
        let turn = self.attempts;
        self.attempts += 1;
        let mut server = self.endpoint.resolve(turn).await?;
        let (link, closed) = match open(&server).await {
            Err(error) if is_newer_protocol(&server) && lacks_newer_protocol(&error) => {
                let older = server.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
                self.endpoint.set_info(self.endpoint.info().clone().set_redis_settings(older.clone()));
                server = server.set_redis_settings(older);
                open(&server).await
            }
            opened => opened,
        }
        .map_err(reply::failed)?;
        let mut connection = Connection { link, scripts: Names::default(), member: self.member.clone(), closed };
        let prepared = within(CONNECT, self.prepare(&mut connection)).await;
        prepared.unwrap_or_else(|| Err(StoreError::timed_out()))?;
        Ok(connection)
    }

    async fn prepare(&self, connection: &mut Connection) -> Result<(), StoreError> {
        for script in Script::ALL {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(script.text());
            connection.scripts.set(script, load.query_async(&mut connection.link).await.map_err(reply::failed)?);
        }
        self.probe(connection).await
    }

    /// Has the script delete a key that nobody has. Whoever may not run it, or not write (a replica; a server that
    /// cannot save), is no better than a server that is down; and finding that out here costs no request anything.
    async fn probe(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let group = Group::probe(&self.prefix, &self.tag());
        let groups = [&group];
        let call = Call::new(&groups);
        let command = command::by_name(&connection.scripts, &call);
        let reply = match command.query_async(&mut connection.link).await {
            // A node without that slot. It is there, and says so with each job.
            Err(error) if self.member.as_ref().is_some_and(|member| member.is_redirect(&error)) => return Ok(()),
            answered => answered.map_err(reply::failed)?,
        };
        reply::groups(reply, &call)?.into_iter().flatten().try_for_each(|answer| answer.map(|_| ()))
    }

    /// What stands between the probe's braces.
    fn tag(&self) -> String {
        if let Some(member) = &self.member {
            return member.tag();
        }
        "probe".to_owned()
    }
}

async fn open(server: &ConnectionInfo) -> Result<(MultiplexedConnection, Closed), RedisError> {
    // Deadlines are ours: by a clock that needs no timer of the runtime's, and counts no stall of it.
    let mut config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let closed = Closed::default();
    if is_newer_protocol(server) {
        let closed = closed.clone();
        config = config.set_push_sender(move |info| {
            closed.take(&info);
            Ok::<(), std::convert::Infallible>(())
        });
    }
    let client = Client::open(server.clone())?;
    let opened = within(CONNECT, client.get_multiplexed_async_connection_with_config(&config)).await;
    let link = opened.unwrap_or_else(|| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))?;
    Ok((link, closed))
}

/// The process may have several implementations and none chosen, which rustls answers with a panic.
#[cfg(feature = "tls")]
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error means that somebody else has chosen meanwhile.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

fn is_newer_protocol(server: &ConnectionInfo) -> bool {
    server.redis_settings().protocol() != ProtocolVersion::RESP2
}

fn socket() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(INTERVAL);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    settings
}

/// Servers older than 6, and proxies, that do not know `HELLO 3`.
fn lacks_newer_protocol(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported
        || error.code() == Some("NOPROTO")
        || error.to_string().to_ascii_lowercase().contains("unknown command")
}
