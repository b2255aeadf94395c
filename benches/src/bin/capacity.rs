//! What a check costs Redis, by the number of checks that share a call: the load that one core of Redis can carry; and what a
//! check costs the nodes of a cluster.
//!
//! ```text
//! cargo run --release -p rateguard-benches --bin capacity
//! ```

use rateguard_benches::capacity::{Rows, measure, seconds, table};
use rateguard_benches::process_group;
use rateguard_benches::progress::Progress;

fn main() {
    process_group::run(|| {
        let mut progress = Progress::start(seconds(Rows::All));
        let rows = measure(Rows::All, &mut progress);
        progress.clears();
        println!("{}", table(&rows));
    });
}
