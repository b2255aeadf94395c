//! How many slots of a shard each policy has, so that a flood of one policy's keys does not take the slots of another.

use hashbrown::HashTable;

/// The policies that have slots.
#[derive(Debug, Default)]
pub(super) struct Shares(HashTable<Share>);

#[derive(Debug)]
struct Share {
    policy: u32,
    slots: usize,
}

impl Shares {
    pub(super) fn add(&mut self, policy: u32) {
        match self.0.find_mut(hash(policy), |share| share.policy == policy) {
            Some(share) => share.slots += 1,
            None => {
                self.0.insert_unique(hash(policy), Share { policy, slots: 1 }, |share| hash(share.policy));
            }
        }
    }

    pub(super) fn remove(&mut self, policy: u32) {
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

    /// How many of `cap` slots each policy may have, this policy included.
    pub(super) fn share(&self, cap: usize, policy: u32) -> usize {
        let others = self.0.len() - usize::from(self.of(policy) > 0);
        cap / (others + 1)
    }
}

/// The table also uses the highest bits.
fn hash(policy: u32) -> u64 {
    u64::from(policy).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
