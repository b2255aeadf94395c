//! Measurements. See the programs beside this file, and the README.

pub mod capacity;
pub mod process_group;
pub mod progress;
pub mod wire;
