//! A cluster: several servers, each with a part of the slots.
//!
//! Each master is served like a single server: with a queue, a task that owns the connection, and a circuit breaker of its
//! own. So a node that is lost or hangs fails only the checks of its own slots. A job goes to the node that has its slot,
//! by a slot map that any node can send. If the map is out of date, the node answers that it has not run the script, and
//! names the node that would; the job then goes there. A job that may have run is never sent again. The checks
//! that wait for a node share a call, also those of different slots, if the node is known to reject every key that it does
//! not have.

mod address;
mod cross_slot;
mod dispatch;
mod hash_slot;
mod learn;
mod map;
mod node;
mod peers;
mod redirect;
mod slots;
mod state;
mod topology;
mod work;

pub(crate) use address::Address;
pub(crate) use dispatch::Cluster;
