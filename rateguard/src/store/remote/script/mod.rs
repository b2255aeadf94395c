//! The Lua scripts: what they are asked, how their arguments are written and their replies read. Nothing here knows how a
//! call reaches the server.

pub(crate) mod call;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error_text;
pub(crate) mod group;

pub(crate) use call::{Call, Script};
pub(crate) use group::{Group, Op, RemoteCheck};
