//! A Redis Cluster: three masters, and a replica of each.

use std::time::{Duration, Instant};

use redis::{FromRedisValue, Value};

use crate::{Authority, RedisServer, ServerProgram, free_port, free_port_with};

/// How many slots there are.
const SLOTS: u16 = 16_384;
const MASTERS: u16 = 3;
/// So far above its port a node listens to the others, unless it is told where.
const BUS_ABOVE: u16 = 10_000;

/// Real processes, ended with the value.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters at first, and then their replicas, in the same order.
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts them, and waits until every node knows all of the others.
    pub fn start() -> RedisCluster {
        RedisCluster::start_with(&[])
    }

    /// Starts them with more arguments.
    pub fn start_with(arguments: &[&str]) -> RedisCluster {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        RedisCluster::start_each(|| arguments.clone())
    }

    /// Starts them so that they speak TLS, among themselves as well, and returns the URL that begins with `rediss`. What
    /// the test says to them goes over other ports.
    pub fn start_tls(authority: &Authority) -> (RedisCluster, String) {
        let mut ports = Vec::new();
        let cluster = RedisCluster::start_each(|| {
            let port = free_port();
            ports.push(port);
            let mut arguments = authority.server_arguments(port);
            let more = ["--tls-auth-clients", "no", "--tls-cluster", "yes", "--tls-replication", "yes"];
            arguments.extend(more.map(str::to_owned));
            arguments
        });
        let hosts: Vec<_> = ports.iter().take(usize::from(MASTERS)).map(|port| format!("127.0.0.1:{port}")).collect();
        (cluster, format!("rediss+cluster://{}", hosts.join(",")))
    }

    /// Starts them, each with more arguments.
    fn start_each(mut arguments: impl FnMut() -> Vec<String>) -> RedisCluster {
        let node = |_| {
            let arguments = arguments();
            // Before Redis 7 the port of the bus cannot be told.
            let has_bus = ServerProgram::of(&arguments).is_at_least(7);
            let port = if has_bus { free_port() } else { free_port_with(BUS_ABOVE) };
            let bus = has_bus.then(|| free_port().to_string());
            let mut all = vec!["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            all.extend(bus.iter().flat_map(|bus| ["--cluster-port", bus]));
            // A slot without a node is no other slot's trouble; and a replica is not to weigh whether it is fit.
            all.extend(["--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"]);
            all.extend(["--repl-ping-replica-period", "1", "--repl-diskless-sync-delay", "0"]);
            all.extend(arguments.iter().map(String::as_str));
            RedisServer::start_at(port, &all)
        };
        let cluster = RedisCluster { nodes: (0..2 * MASTERS).map(node).collect() };
        cluster.join();
        cluster
    }

    fn join(&self) {
        let [first, others @ ..] = &self.nodes[..] else { panic!("six nodes") };
        let share = SLOTS / MASTERS + 1;
        for (n, master) in (0..MASTERS).zip(&self.nodes) {
            let (from, to) = (n * share, (n * share + share - 1).min(SLOTS - 1));
            // Redis 6.2 does not know ADDSLOTSRANGE.
            let slots: Vec<String> = (from..=to).map(|slot| slot.to_string()).collect();
            let words: Vec<&str> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            let _: String = master.command(&words);
            let _: String = master.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(n + 1).to_string()]);
        }
        for other in others {
            let bus: Vec<String> = other.command(&["CONFIG", "GET", "cluster-port"]);
            let bus = bus.last().cloned().unwrap_or_else(|| (other.port() + BUS_ABOVE).to_string());
            let _: String = first.command(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), &bus]);
        }
        let count = self.nodes.len();
        self.until("the nodes do not meet", |node| {
            node.command::<String>(&["CLUSTER", "NODES"]).lines().filter(|line| !line.contains("handshake")).count()
                == count
        });
        let (masters, replicas) = self.nodes.split_at(usize::from(MASTERS));
        for (master, replica) in masters.iter().zip(replicas) {
            let id: String = master.command(&["CLUSTER", "MYID"]);
            let _: String = replica.command(&["CLUSTER", "REPLICATE", &id]);
        }
        self.until("the cluster is not whole", |node| {
            let info: String = node.command(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
        });
        self.until("the replicas do not follow", |node| {
            let info: String = node.command(&["INFO", "replication"]);
            info.contains("master_link_status:up") || info.contains("connected_slaves:1")
        });
    }

    fn until(&self, complaint: &str, holds: impl Fn(&RedisServer) -> bool) {
        let patience = Instant::now() + Duration::from_secs(60);
        for node in &self.nodes {
            while !holds(node) {
                assert!(Instant::now() < patience, "{complaint}: {}", node.command::<String>(&["CLUSTER", "NODES"]));
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Whether every slot has a master, and every other node follows one.
    pub fn is_settled(&self) -> bool {
        let knows_all = |node: &RedisServer| {
            let info = node.try_command::<String>(&["CLUSTER", "INFO"]);
            info.is_ok_and(|info| info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384"))
        };
        let followers = self.nodes.iter().filter(|node| node.follows()).count();
        let masters = self.nodes.iter().filter(|node| node.is_master()).count();
        (masters, followers) == (usize::from(MASTERS), usize::from(MASTERS)) && self.nodes.iter().all(knows_all)
    }

    /// `redis+cluster://…`, with the masters that there are at first.
    pub fn url(&self) -> String {
        let hosts = self.nodes.iter().take(usize::from(MASTERS)).map(|node| format!("127.0.0.1:{}", node.port()));
        format!("redis+cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }

    /// Which slot a key is in, as a server says.
    pub fn slot(&self, key: &str) -> u16 {
        self.nodes.iter().find(|node| node.is_running()).expect("a node").command(&["CLUSTER", "KEYSLOT", key])
    }

    /// The same for many.
    pub fn slots(&self, keys: &[String]) -> Vec<u16> {
        let node = self.nodes.iter().find(|node| node.is_running()).expect("a node");
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.cmd("CLUSTER").arg("KEYSLOT").arg(key);
        }
        pipeline.query(&mut node.connection()).expect("their slots")
    }

    /// Where in `nodes` the master of a key's slot stands at first.
    pub fn master_of(&self, key: &str) -> usize {
        usize::from(self.slot(key) / (SLOTS / MASTERS + 1))
    }

    /// Moves a slot as `redis-cli --cluster reshard` does, but slowly. How many keys it held.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) -> usize {
        let node = |at: usize| self.nodes.get(at).expect("a node");
        let (slot, from, to) = (slot.to_string(), node(from), node(to));
        let id = |node: &RedisServer| node.command::<String>(&["CLUSTER", "MYID"]);
        let _: String = to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        let _: String = from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
        let mut moved = 0;
        loop {
            std::thread::sleep(Duration::from_millis(30));
            let keys: Vec<String> = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"]);
            let Some(key) = keys.first() else { break };
            let _: String = from.command(&["MIGRATE", "127.0.0.1", &to.port().to_string(), key, "0", "5000"]);
            moved += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
        for node in [to, from] {
            let _: String = node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
        }
        moved
    }

    /// Has the servers move the slot of this key by themselves, which Valkey 9 can; `false` if these cannot.
    pub fn servers_move_slot(&self, key: &str, from: usize, to: usize) -> bool {
        let node = |at: usize| self.nodes.get(at).expect("a node");
        let (slot, from, id) =
            (self.slot(key).to_string(), node(from), node(to).command::<String>(&["CLUSTER", "MYID"]));
        let asked = from.try_command::<Value>(&["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &slot, &slot, "NODE", &id]);
        if let Err(error) = asked {
            assert!(error.to_string().to_ascii_lowercase().contains("unknown subcommand"), "{error}");
            return false;
        }
        let patience = Instant::now() + Duration::from_secs(20);
        while from.try_command::<Value>(&["TYPE", key]).is_ok() {
            assert!(Instant::now() < patience, "the slot does not move");
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Runs a command at the node that has the key, wherever that is now.
    pub fn command<T: FromRedisValue>(&self, key: &str, words: &[&str]) -> T {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            for node in self.nodes.iter().filter(|node| node.is_running()) {
                match node.try_command::<Value>(words) {
                    Ok(value) => return redis::from_redis_value(value).expect("an answer of this sort"),
                    Err(error) if error.is_cluster_error() => {}
                    Err(error) => assert!(Instant::now() < patience, "{words:?}: {error}"),
                }
            }
            assert!(Instant::now() < patience, "no node has {key}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Every key of every master.
    pub fn keys(&self) -> Vec<String> {
        let masters = self.nodes.iter().filter(|node| node.is_running()).filter(|node| node.is_master());
        masters.flat_map(RedisServer::keys).collect()
    }
}
