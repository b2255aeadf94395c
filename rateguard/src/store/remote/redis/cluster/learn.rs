//! The task that asks who has which slots, for as long as there is a reason to.

use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_timer::Delay;

use super::Cluster;
use super::topology;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::backoff::Pace;
use crate::store::remote::stopwatch::{each_tick, tick};

/// At least so long between two times: ten in a second at the most, and two once it lasts.
const SHORTEST: Duration = Duration::from_millis(100);

/// The right to ask, which one task has at a time, and which it loses when it ends, be it with its runtime.
pub(super) struct Turn {
    cluster: Weak<Cluster>,
}

impl Turn {
    pub(super) fn take(cluster: &Cluster) -> Option<Turn> {
        let is_free = !cluster.learning.swap(true, Ordering::SeqCst);
        is_free.then(|| Turn { cluster: cluster.this.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.upgrade() {
            cluster.learning.store(false, Ordering::SeqCst);
        }
    }
}

pub(super) async fn run(mut turn: Turn) {
    let mut pace = Pace::default();
    loop {
        // Nothing of the cluster is held while others are waited for, so that it ends with its last handle.
        let Some(cluster) = turn.cluster.upgrade() else { return };
        cluster.wanted.store(false, Ordering::SeqCst);
        let asked = cluster.whom_to_ask();
        let tick = tick(cluster.deadline);
        drop(cluster);
        let mut learnt = Err(StoreError::new(StoreErrorKind::Unreachable, "there is no node to ask"));
        let asking = async {
            for (address, node) in asked {
                learnt = topology::ask(node, &address).await;
                if learnt.is_ok() {
                    break;
                }
            }
        };
        let waiting = turn.cluster.clone();
        let expire = || waiting.upgrade().inspect(|cluster| cluster.expire_waiting()).is_some();
        // Large, and rare.
        Box::pin(each_tick(tick, asking, expire)).await;
        let Some(cluster) = turn.cluster.upgrade() else { return };
        match learnt {
            Ok(ranges) => cluster.adopt(ranges),
            Err(error) => cluster.in_vain(&error.outage()),
        }
        drop(cluster);
        Delay::new(pace.next().max(SHORTEST)).await;
        let Some(cluster) = turn.cluster.upgrade() else { return };
        if cluster.wants_to_know() {
            continue;
        }
        drop(turn);
        // Whoever wanted to know since then has found the turn taken.
        if !cluster.wanted.load(Ordering::SeqCst) {
            return;
        }
        let Some(again) = Turn::take(&cluster) else { return };
        turn = again;
    }
}
