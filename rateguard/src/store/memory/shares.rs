//! How many slots of a shard each policy has, so that none loses its own to another's flood.

use hashbrown::HashTable;

/// The policies that have slots. There are no more of them than slots.
#[derive(Debug, Default)]
pub(super) struct Shares(HashTable<Share>);

#[derive(Debug)]
struct Share {
    policy: u32,
    slots: usize,
}

impl Shares {
    pub(super) fn took(&mut self, policy: u32) {
        match self.0.find_mut(hash(policy), |share| share.policy == policy) {
            Some(share) => share.slots += 1,
            None => {
                self.0.insert_unique(hash(policy), Share { policy, slots: 1 }, |share| hash(share.policy));
            }
        }
    }

    pub(super) fn left(&mut self, policy: u32) {
        if let Ok(mut entry) = self.0.find_entry(hash(policy), |share| share.policy == policy) {
            entry.get_mut().slots -= 1;
            if entry.get().slots == 0 {
                entry.remove();
            }
        }
    }

    pub(super) fn of(&self, policy: u32) -> usize {
        self.0.find(hash(policy), |share| share.policy == policy).map_or(0, |share| share.slots)
    }

    /// How many of `cap` slots are each policy's own, with this one among them.
    pub(super) fn share(&self, cap: usize, policy: u32) -> usize {
        let others = self.0.len() - usize::from(self.of(policy) > 0);
        cap / (others + 1)
    }
}

/// For the table, in which the highest bits count as well.
fn hash(policy: u32) -> u64 {
    u64::from(policy).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
