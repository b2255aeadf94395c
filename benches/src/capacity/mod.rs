//! What a check costs Redis, by the number of checks that share a call.
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a program that measures stops where it cannot")]

mod row;
mod setup;
mod table;

use row::Measured;
pub use row::Row;
pub use setup::Rows;
pub use table::table;

use crate::progress::Progress;

/// The rows that are compared with each other: sorted sets, then the compact log.
pub const ONE: [&str; 2] = ["one server, sorted sets", "one server, compact"];
/// A server that also feeds a replica, as each node of our cluster does.
pub const WITH_REPLICA: [&str; 2] = ["one server with a replica, sorted sets", "one server with a replica, compact"];
/// The nodes of a cluster.
pub const CLUSTER: [&str; 2] = ["cluster of three, sorted sets", "cluster of three, compact"];

/// Simultaneous checks for each server or node.
const TOGETHER: [u32; 4] = [1, 8, 24, 64];
/// The rows are measured one after the other, this often. The median counts.
const ROUNDS: usize = 3;
/// About how long one row takes in one round.
const SECONDS: f64 = 0.9;

/// About how long the measurement takes.
pub fn seconds(rows: Rows) -> f64 {
    f64::from(rows.count()) * 12.0 * SECONDS
}

/// Starts the servers, measures, and stops the servers.
pub fn measure(rows: Rows, progress: &mut Progress) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        progress.begins("capacity: the servers start");
        let mut rows: Vec<Measured> = setup::start(rows).await;
        for together in TOGETHER {
            for round in 1..=ROUNDS {
                for row in &mut rows {
                    let name = row.name();
                    progress.begins(&format!("capacity, {together} together, round {round} of {ROUNDS}: {name}"));
                    row.measure(together).await;
                    progress.ends(SECONDS);
                }
            }
            for row in &mut rows {
                row.finish(together);
            }
        }
        rows.into_iter().map(Measured::into_row).collect()
    })
}
