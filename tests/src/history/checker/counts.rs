//! How often something was asked.

/// How often something was asked and answered.
#[derive(Debug, Default)]
pub struct Counts {
    pub allowed: u64,
    pub denied: u64,
    pub degraded: u64,
    pub peeks: u64,
    pub refunds: u64,
    pub give_backs: u64,
    pub resets: u64,
    pub failed: u64,
    /// Calls of killed processes without an answer.
    pub unanswered: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Counts) {
        self.allowed += other.allowed;
        self.denied += other.denied;
        self.degraded += other.degraded;
        self.peeks += other.peeks;
        self.refunds += other.refunds;
        self.give_backs += other.give_backs;
        self.resets += other.resets;
        self.failed += other.failed;
        self.unanswered += other.unanswered;
    }
}
