//! Measurements; see the programs beside this file.
