//! What did not hold.

#[derive(Debug, Default)]
pub(crate) struct Verdict(Vec<String>);

impl Verdict {
    pub(crate) fn expect(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.0.push(otherwise());
        }
    }

    /// Whether everything held.
    pub(crate) fn print(&self) -> bool {
        for what in &self.0 {
            println!("VIOLATION: {what}");
        }
        if self.0.is_empty() {
            println!("everything held");
        }
        self.0.is_empty()
    }
}
