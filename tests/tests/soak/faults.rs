//! Faults in an order that a seed decides. Each round has all of them once.

use std::time::Duration;

use rateguard_tests::{Fault as Network, Illness};

use crate::deployment::{Deployment, Kind};
use crate::load::Load;
use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Killed,
    Stopped,
    Paused,
    ScriptFlushed,
    ThreadsBlocked,
    Overload,
    // Of the network.
    AnswersLate,
    AnswersLost,
    AnswersHalved,
    AnswersGarbled,
    Silence,
    Closed,
    // Of several servers.
    Failover,
    SlotMoved,
    // Of a service.
    ServiceFails,
    ServiceSlow,
    ServiceMisreports,
}

const EVERYWHERE: [Fault; 6] =
    [Fault::Killed, Fault::Stopped, Fault::Paused, Fault::ScriptFlushed, Fault::ThreadsBlocked, Fault::Overload];
const NETWORK: [Fault; 6] = [
    Fault::AnswersLate,
    Fault::AnswersLost,
    Fault::AnswersHalved,
    Fault::AnswersGarbled,
    Fault::Silence,
    Fault::Closed,
];

impl Fault {
    /// All that this deployment may meet, again and again.
    pub(crate) fn order(kind: Kind, seed: u64) -> impl Iterator<Item = Fault> {
        let mut faults = EVERYWHERE.to_vec();
        match kind {
            Kind::One => faults.extend(NETWORK),
            Kind::Upstash => {
                faults.extend(NETWORK);
                faults.extend([Fault::ServiceFails, Fault::ServiceSlow, Fault::ServiceMisreports]);
            }
            Kind::Sentinel => faults.push(Fault::Failover),
            // Slots move more often than nodes fail.
            Kind::Cluster => faults.extend([Fault::Failover, Fault::SlotMoved, Fault::SlotMoved, Fault::SlotMoved]),
        }
        let mut random = Random::new(seed);
        std::iter::from_fn(move || {
            random.shuffle(&mut faults);
            Some(faults.clone())
        })
        .flatten()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::Killed => "killed",
            Fault::Stopped => "stopped",
            Fault::Paused => "paused",
            Fault::ScriptFlushed => "script flushed",
            Fault::ThreadsBlocked => "threads blocked",
            Fault::Overload => "overload",
            Fault::AnswersLate => "answers late",
            Fault::AnswersLost => "answers lost",
            Fault::AnswersHalved => "answers halved",
            Fault::AnswersGarbled => "answers garbled",
            Fault::Silence => "silence",
            Fault::Closed => "closed at once",
            Fault::Failover => "failover",
            Fault::SlotMoved => "slot moved",
            Fault::ServiceFails => "service fails",
            Fault::ServiceSlow => "service slow",
            Fault::ServiceMisreports => "service misreports",
        }
    }

    pub(crate) fn duration(self, kind: Kind, random: &mut Random) -> Duration {
        let lasts = match self {
            // Until the sentinels have noticed: a master that is back before that has forgotten who it was.
            Fault::Killed if kind == Kind::Sentinel => 3000 + random.below(2000),
            Fault::ThreadsBlocked | Fault::Overload => 2000 + random.below(2000),
            Fault::ScriptFlushed | Fault::Failover | Fault::SlotMoved => 0,
            _ => 100 + random.below(2500),
        };
        Duration::from_millis(lasts)
    }

    /// Whether the store may not know afterwards what it had counted before, or its answers are not its own.
    pub(crate) fn loses_counts(self, kind: Kind, length: Duration) -> bool {
        match self {
            Fault::Killed | Fault::Failover | Fault::AnswersGarbled | Fault::ServiceMisreports => true,
            // Another server takes over, which may not have heard of the last counts.
            Fault::Stopped | Fault::Paused => {
                matches!(kind, Kind::Sentinel | Kind::Cluster) && length > Duration::from_millis(300)
            }
            _ => false,
        }
    }

    /// Makes it, and ends it after a while.
    pub(crate) fn make(self, deployment: &mut Deployment, load: &Load, lasts: Duration, random: &mut Random) {
        let wait = || std::thread::sleep(lasts);
        match self {
            Fault::Killed => deployment.kill(random, wait),
            Fault::Stopped => deployment.stop(random, wait),
            Fault::Paused => deployment.pause(random, lasts),
            Fault::ScriptFlushed => deployment.flush_scripts(),
            Fault::ThreadsBlocked => load.block_threads(lasts, random),
            Fault::Overload => deployment.while_busy(|| load.overload(lasts)),
            Fault::AnswersLate => {
                deployment.network(Network::Late(Duration::from_millis(random.below(150))), wait);
            }
            Fault::AnswersLost => deployment.network(Network::CutAnswers, wait),
            Fault::AnswersHalved => deployment.network(Network::HalveAnswers, wait),
            Fault::AnswersGarbled => deployment.network(Network::Garble(random.below(u64::MAX)), wait),
            Fault::Silence => deployment.network(Network::Silence, wait),
            Fault::Closed => deployment.network(Network::Close, wait),
            Fault::Failover => deployment.fail_over(random),
            Fault::SlotMoved => deployment.move_slot(random),
            Fault::ServiceFails => deployment.service(Illness::Answers(500, "{\"error\":\"ERR internal\"}"), wait),
            Fault::ServiceSlow => {
                let slow = Duration::from_millis(random.below(300));
                deployment.service(Illness::Slow(slow), wait);
            }
            Fault::ServiceMisreports => deployment.service(Illness::Misreports("{\"result\":[1,2"), wait),
        }
    }
}
