//! The slots of a cluster: the slot of a key, and the node of a slot.

use std::sync::Arc;

use super::address::Address;
use super::node::Node;
use super::topology::Range;

/// Every cluster has this many slots.
const COUNT: u16 = 16_384;
/// The owner of a slot that no node has. A cluster never has this many nodes.
const NOBODY: u16 = u16::MAX;

/// The slot of a key, by the text between its first braces (Redis Cluster specification, "Hash tags").
pub(super) fn slot(key: &str) -> u16 {
    crc16(tag(key).as_bytes()) % COUNT
}

fn tag(key: &str) -> &str {
    let Some((_, rest)) = key.split_once('{') else { return key };
    match rest.split_once('}') {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    }
}

/// CRC16-XMODEM: the polynomial 0x1021, a byte at a time, without a table.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        let mut x = (crc >> 8) ^ u16::from(*byte);
        x ^= x >> 4;
        (crc << 8) ^ (x << 12) ^ (x << 5) ^ x
    })
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_key_is_as_the_specification_says() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, number) in [("foo", 12_182), ("somekey", 11_058), ("foo{hash_tag}", 2515), ("", 0)] {
            assert_eq!(slot(key), number, "{key}");
        }
        assert_eq!(slot("ratelimit:{user:1}:a:sw2"), slot("user:1"));
        assert_eq!(slot("{user1000}.following"), slot("other:{user1000}:{x}"));
        assert_eq!(tag("foo{}{bar}"), "foo{}{bar}", "empty braces do not count");
        assert_eq!(tag("foo{{bar}}zap"), "{bar");
    }
}
