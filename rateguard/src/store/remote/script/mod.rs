//! The Lua scripts: what they decide, how their arguments are written, and how their replies are read. Nothing here knows how
//! a call reaches a server.

mod call;
pub(crate) mod decode;
mod encode;
pub(crate) mod error_text;
mod group;

#[cfg(feature = "redis")]
pub(crate) use call::Plan;
pub(crate) use call::{Call, GroupAnswer, Script, ScriptNames};
pub(crate) use decode::{Part, malformed};
pub(crate) use encode::Arguments;
pub(crate) use group::{Group, Op, RemoteCheck};
