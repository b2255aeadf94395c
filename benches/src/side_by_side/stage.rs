//! The servers and the contenders of scenarios.

use rateguard_tests::{RedisCluster, RedisServer};

use crate::arguments::Arguments;
use crate::contender::{self, Contender};
use crate::peers::Peers;

/// All that runs during some scenarios. It ends when this is dropped.
pub(crate) struct Stage {
    pub(crate) contenders: Vec<Contender>,
    /// Those that count.
    pub(crate) servers: Vec<RedisServer>,
    _replicas: Vec<RedisServer>,
    _peers: Option<Peers>,
}

impl Stage {
    /// One server, for all scenarios but the cluster's.
    pub(crate) fn with_one_server(arguments: &Arguments) -> Stage {
        let server = RedisServer::start();
        let contenders = contender::with_one_server(&server);
        let peers = Peers::start(&server, arguments.peers);
        Stage::of(arguments, contenders, vec![server], Vec::new(), peers)
    }

    /// Three masters, each with a replica. No peer can ask a cluster.
    pub(crate) fn with_cluster(arguments: &Arguments) -> Stage {
        let mut cluster = RedisCluster::start();
        let contenders = contender::with_cluster(&cluster);
        let masters = cluster.nodes.drain(..3).collect();
        Stage::of(arguments, contenders, masters, cluster.nodes, None)
    }

    fn of(
        arguments: &Arguments,
        mut contenders: Vec<Contender>,
        servers: Vec<RedisServer>,
        replicas: Vec<RedisServer>,
        mut peers: Option<Peers>,
    ) -> Stage {
        contenders.extend(peers.iter_mut().flat_map(Peers::contenders));
        contenders.retain(|contender| arguments.wants_contender(&contender.name));
        Stage { contenders, servers, _replicas: replicas, _peers: peers }
    }
}
