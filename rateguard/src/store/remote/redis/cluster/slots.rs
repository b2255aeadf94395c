//! The slot map of a cluster: the node of a slot.

use std::sync::Arc;

use super::address::Address;
use super::hash_slot::COUNT;
use super::node::Node;
use super::topology::Range;

/// The owner of a slot that no node has. A cluster never has this many nodes.
const NOBODY: u16 = u16::MAX;

/// The slot map.
#[derive(Debug)]
pub(super) struct Slots {
    /// For each slot, the index of its node in `nodes`.
    owners: Vec<u16>,
    nodes: Vec<Arc<Node>>,
}

impl Slots {
    /// `node` finds or makes the node of an address. It is called once for each address.
    pub(super) fn new(ranges: Vec<Range>, mut node: impl FnMut(Address) -> Arc<Node>) -> Slots {
        let mut owners = vec![NOBODY; usize::from(COUNT)];
        let mut nodes: Vec<Arc<Node>> = Vec::new();
        for range in ranges {
            let at = nodes.iter().position(|known| known.address == range.master).unwrap_or_else(|| {
                nodes.push(node(range.master));
                nodes.len() - 1
            });
            let Ok(at) = u16::try_from(at) else { continue };
            for owner in owners.iter_mut().take(usize::from(range.last) + 1).skip(usize::from(range.first)) {
                *owner = at;
            }
        }
        Slots { owners, nodes }
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&Arc<Node>> {
        self.owners.get(usize::from(slot)).and_then(|at| self.nodes.get(usize::from(*at)))
    }

    /// The node at this address.
    pub(super) fn node(&self, address: &Address) -> Option<&Arc<Node>> {
        self.nodes.iter().find(|node| node.address == *address)
    }

    /// Whether every slot is where it is in the other map.
    pub(super) fn is_same(&self, other: &Slots) -> bool {
        let is_same = |slot| match (self.owner(slot), other.owner(slot)) {
            (Some(one), Some(other)) => one.address == other.address,
            (one, other) => one.is_none() && other.is_none(),
        };
        (0..COUNT).all(is_same)
    }

    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }
}
