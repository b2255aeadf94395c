//! What happens when a node is lost, or redirects a job to another node.

use std::sync::atomic::Ordering;

use super::address::Address;
use super::cross_slot;
use super::dispatch::Cluster;
use super::hash_slot::slot;
use super::node::Peers;
use super::redirect::Redirect;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::job::Job;

/// The most redirects of one job. One is usual; a slot that is moving may need another.
const HOPS: u8 = 5;

impl Peers for Cluster {
    fn lost(&self) {
        self.learn(None);
    }

    fn redirect(&self, mut job: Job, redirect: &Redirect) {
        // Its deadline has passed.
        if job.is_abandoned() {
            return;
        }
        let Some(group) = job.as_group_mut() else {
            return job.fail(StoreError::other("a PING was redirected"));
        };
        group.route.hops += 1;
        if group.route.hops > HOPS {
            return busy(job, "the nodes of the cluster redirect to each other");
        }
        let limits = group.checks.len();
        group.route.asking = matches!(redirect, Redirect::Ask(_));
        match redirect {
            Redirect::Moved(address) => {
                self.learn(Some(address));
                self.send_to(address, job);
            }
            Redirect::Ask(address) => self.send_to(address, job),
            Redirect::TryAgain if limits > 1 => {
                let (left, unfinished) = (job.left, job.unfinished());
                if let Some((group, reply)) = job.into_group() {
                    let parts = cross_slot::one_by_one(&group);
                    // It fails only without a runtime, and then no task of ours would call this.
                    let _ = self.start_cross_slot(group, parts, left, reply, unfinished);
                }
            }
            Redirect::TryAgain => {
                // It shared a call with others of its slot. In a call of its own, its key is here or it is not.
                group.route.alone = true;
                self.send_or_fail(job);
            }
            Redirect::Down => {
                self.learn(None);
                busy(job, "CLUSTERDOWN: the node's cluster is not complete, or no node has the slot");
            }
        }
    }

    fn topology(&self) -> u64 {
        self.topology.load(Ordering::Acquire)
    }

    fn owner(&self, key: &str) -> Option<Address> {
        Some(self.slots()?.owner(slot(key))?.address.clone())
    }
}

fn busy(mut job: Job, why: &'static str) {
    job.fail(StoreError::new(StoreErrorKind::Busy, why));
}
