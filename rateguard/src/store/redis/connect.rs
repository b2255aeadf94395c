//! How a connection is made: settings of the socket, the protocol, the script, and whether the server would write.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, ProtocolVersion, PushInfo, PushKind, RedisError,
};
use smallvec::smallvec;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::{Group, Op, RedisCheck, reply, script};
use crate::error::StoreError;
use crate::quota::Quota;

/// How long a connect may take, and each of the answers that it needs.
const CONNECT: Duration = Duration::from_secs(1);
/// How long all of it may take, with the name's resolution and a second try in the older protocol.
const CONNECT_ALL: Duration = Duration::from_secs(3);
/// A server that acknowledges nothing for so long is gone. Checks notice sooner; this is for the socket's own end.
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);
/// After so much silence the system asks the other end whether it is still there, and again at the interval.
const SILENCE: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_secs(5);

/// How the task connects.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) info: ConnectionInfo,
    /// How long a call may take.
    pub(super) deadline: Duration,
    /// What every key begins with.
    pub(super) prefix: String,
}

/// Shows the address alone.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.info.addr())
    }
}

/// A connection that is ready for the script.
pub(super) struct Connection {
    pub(super) link: MultiplexedConnection,
    /// The script's name on the server.
    pub(super) sha: String,
    /// There are none in the older protocol.
    notices: Option<Notices>,
}

type Notices = UnboundedReceiver<PushInfo>;

impl Connection {
    /// Until the other end has closed the connection, if that is told.
    pub(super) async fn closed(&mut self) {
        let Some(notices) = &mut self.notices else { return pending().await };
        while let Some(notice) = notices.recv().await {
            if notice.kind == PushKind::Disconnection {
                return;
            }
        }
    }
}

/// Makes connections.
pub(super) struct Connector {
    settings: Settings,
    /// As in the settings, until a server said that it does not know the newer protocol.
    info: ConnectionInfo,
}

impl Connector {
    pub(super) fn new(settings: Settings) -> Connector {
        let info = settings.info.clone().set_tcp_settings(socket());
        Connector { settings, info }
    }

    /// Connects, and sees whether the server would count.
    pub(super) async fn connect(&mut self) -> Result<Connection, StoreError> {
        match timeout(CONNECT_ALL, self.try_connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(StoreError::timed_out()),
        }
    }

    async fn try_connect(&mut self) -> Result<Connection, StoreError> {
        let (link, notices) = match self.open().await {
            Err(error) if self.is_newer_protocol() && lacks_newer_protocol(&error) => {
                let older = self.info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
                self.info = self.info.clone().set_redis_settings(older);
                self.open().await
            }
            opened => opened,
        }
        .map_err(reply::failed)?;
        let mut connection = Connection { link, sha: String::new(), notices };
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(script::SCRIPT);
        connection.sha = load.query_async(&mut connection.link).await.map_err(reply::failed)?;
        self.probe(&mut connection).await?;
        Ok(connection)
    }

    async fn open(&self) -> Result<(MultiplexedConnection, Option<Notices>), RedisError> {
        let mut config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(CONNECT));
        let mut notices = None;
        if self.is_newer_protocol() {
            // Says when the connection is closed, also while nobody asks anything.
            let (sender, receiver) = unbounded_channel();
            config = config.set_push_sender(sender);
            notices = Some(receiver);
        }
        let client = Client::open(self.info.clone())?;
        Ok((client.get_multiplexed_async_connection_with_config(&config).await?, notices))
    }

    /// Has the script delete a key that nobody has. Whoever may not run it, or not write (a replica; a server that
    /// cannot save), is no better than a server that is down; and finding that out here costs no request anything.
    async fn probe(&self, connection: &mut Connection) -> Result<(), StoreError> {
        let check = RedisCheck {
            // No client's identity is without a colon, but for `global`.
            key: format!("{}:{{probe}}:rateguard:sw", self.settings.prefix),
            quota: Quota::sliding_window(1, Duration::from_secs(1)),
            form: "z",
            cost: 0,
            shadow: false,
        };
        let group = Group { op: Op::Reset, checks: smallvec![check] };
        let call = script::call(Some(&connection.sha), &[&group]);
        let reply = call.query_async(&mut connection.link).await.map_err(reply::failed)?;
        reply::groups(reply, &[&group])?.into_iter().try_for_each(|answer| answer.map(|_| ()))
    }

    fn is_newer_protocol(&self) -> bool {
        self.info.redis_settings().protocol() != ProtocolVersion::RESP2
    }
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
