//! Puts the requests of one log in the order of their times.
//!
//! A server writes a line when the request ends, often with the time when it began. So a line may be older than lines before
//! it, by as long as a request takes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A request: when, in which line of its log, by whom. In this order they are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hit {
    pub(crate) micros: u64,
    pub(crate) line: u64,
    pub(crate) client: u32,
}

/// Requests that wait until no older one can come.
#[derive(Debug)]
pub(crate) struct Order {
    waiting: BinaryHeap<Reverse<Hit>>,
    newest: u64,
    /// In microseconds.
    reorder: u64,
}

impl Order {
    pub(crate) fn new(reorder: u64) -> Order {
        Order { waiting: BinaryHeap::new(), newest: 0, reorder }
    }

    pub(crate) fn push(&mut self, hit: Hit) {
        self.newest = self.newest.max(hit.micros);
        self.waiting.push(Reverse(hit));
    }

    /// The oldest request, if it has waited long enough, or if the log has ended.
    pub(crate) fn pop(&mut self, ended: bool) -> Option<Hit> {
        let Reverse(oldest) = self.waiting.peek()?;
        let ready = ended || self.newest - oldest.micros >= self.reorder;
        if ready { self.waiting.pop().map(|Reverse(hit)| hit) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(reorder: u64, times: &[u64]) -> Vec<(u64, u64)> {
        let (mut order, mut out) = (Order::new(reorder), Vec::new());
        for (line, &micros) in (1..).zip(times) {
            order.push(Hit { micros, line, client: 0 });
            while let Some(hit) = order.pop(false) {
                out.push((hit.micros, hit.line));
            }
        }
        while let Some(hit) = order.pop(true) {
            out.push((hit.micros, hit.line));
        }
        out
    }

    #[test]
    fn lines_within_the_time_are_sorted_and_others_come_late() {
        assert_eq!(order(10, &[5, 3, 9, 4]), [(3, 2), (4, 4), (5, 1), (9, 3)]);
        assert_eq!(order(10, &[5, 25, 7, 26]), [(5, 1), (7, 3), (25, 2), (26, 4)]);
        assert_eq!(order(10, &[5, 25, 40, 7]), [(5, 1), (25, 2), (7, 4), (40, 3)]);
        assert_eq!(order(0, &[5, 3, 4]), [(5, 1), (3, 2), (4, 3)]);
    }

    #[test]
    fn lines_of_the_same_time_keep_their_order() {
        assert_eq!(order(10, &[5, 5, 5]), [(5, 1), (5, 2), (5, 3)]);
    }
}
