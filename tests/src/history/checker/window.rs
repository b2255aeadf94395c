//! A window that is summed.

use super::*;

/// The charges from one time on to another.
pub(super) struct Window {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) charges: Vec<Charge>,
    pub(super) sum: u64,
    pub(super) taken_off: u64,
    /// What was asked to be given back, and when, soonest first.
    pub(super) given_back: BinaryHeap<Reverse<(u64, u64)>>,
    /// The latest begin of a charge: what ended before was not the last.
    pub(super) latest_start: u64,
    /// Those that may have been the last: end and limit.
    pub(super) last: VecDeque<(u64, u64)>,
    pub(super) most: Most,
}

/// The largest of the quotas in a window.
#[derive(Default)]
pub(super) struct Most {
    pub(super) limit: u64,
    pub(super) burst: u64,
    /// Limit and window of the fastest rate.
    pub(super) rate: (u64, u64),
}

impl Window {
    pub(super) fn new(start: u64) -> Window {
        Window {
            start,
            end: start,
            charges: Vec::new(),
            sum: 0,
            taken_off: 0,
            given_back: BinaryHeap::new(),
            latest_start: 0,
            last: VecDeque::new(),
            most: Most { rate: (0, 1), ..Most::default() },
        }
    }

    /// The next one by its end.
    pub(super) fn take(&mut self, charge: &Charge) {
        self.end = charge.end;
        self.sum += charge.cost;
        self.charges.push(*charge);
        self.given_back.extend(charge.given_back.map(Reverse));
        while let Some(Reverse((_, cost))) = self.given_back.peek().copied().filter(|next| next.0.0 < charge.end) {
            self.sum -= cost;
            self.given_back.pop();
        }
        self.latest_start = self.latest_start.max(charge.start);
        self.last.push_back((charge.end, charge.rule.limit));
        while self.last.front().is_some_and(|(end, _)| *end < self.latest_start) {
            self.last.pop_front();
        }
        let Rule { limit, window, burst } = charge.rule;
        self.most.limit = self.most.limit.max(limit);
        self.most.burst = self.most.burst.max(burst);
        if u128::from(limit) * u128::from(self.most.rate.1) > u128::from(self.most.rate.0) * u128::from(window) {
            self.most.rate = (limit, window);
        }
    }

    /// By how many units there is too much, or, below zero, how many there could be more.
    pub(super) fn excess(&self, algorithm: Algorithm) -> i128 {
        let allowed = match algorithm {
            Algorithm::SlidingWindow => self.last.iter().map(|(_, limit)| *limit).max().unwrap_or(0).into(),
            Algorithm::TokenBucket => {
                let (limit, window) = self.most.rate;
                let back = u128::from(self.end - self.start) * u128::from(limit) / u128::from(window);
                u128::from(self.most.burst) + back
            }
            _ => 2 * u128::from(self.most.limit),
        };
        let signed = |number: u128| i128::try_from(number).unwrap_or(i128::MAX);
        signed(self.sum.into()) - signed(self.taken_off.into()) - signed(allowed)
    }

    pub(super) fn describe(&self, excess: i128) -> String {
        let mut text = format!(
            "{excess} too many in {} µs from {} on: {} units, {} of them perhaps given back without a receipt",
            self.end - self.start,
            self.start,
            self.sum,
            self.taken_off
        );
        for charge in self.charges.iter().take(100) {
            let (start, end) = (charge.start - self.start, charge.end - self.start);
            let _ = write!(text, "\n    {start:>9} to {end:>9}: {} of {}", charge.cost, charge.rule);
            if let Some((from, cost)) = charge.given_back {
                let _ = write!(text, ", {cost} given back from {} on", from - self.start);
            }
        }
        text
    }
}
