//! Asking a node for the slot map.

use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, ConnectionInfo, ProtocolVersion, Value};

use super::address::Address;
use crate::error::{StoreError, StoreErrorKind};
use crate::store::remote::redis::error::failed;
use crate::store::remote::stopwatch::within;

/// After this much silence the next node is asked.
const PATIENCE: Duration = Duration::from_secs(1);

/// Consecutive slots, and the master that has them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) master: Address,
}

/// The slot map as this node knows it. Every version has `CLUSTER SLOTS`, and answers it over TLS with the TLS ports.
pub(super) async fn ask(node: ConnectionInfo, here: &Address) -> Result<Vec<Range>, StoreError> {
    let asked = within(PATIENCE, async {
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let settings = node.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        let client = Client::open(node.set_redis_settings(settings))?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        redis::cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut connection).await
    });
    let answer = asked.await.ok_or_else(StoreError::timed_out)?.map_err(failed)?;
    match ranges(answer, here) {
        Some(ranges) if ranges.is_empty() => {
            Err(StoreError::new(StoreErrorKind::Busy, format!("{here} knows no node that has a slot")))
        }
        Some(ranges) => Ok(ranges),
        None => Err(StoreError::new(StoreErrorKind::Protocol, "the answer to CLUSTER SLOTS cannot be read")),
    }
}

/// `[[first, last, [host, port, …], replicas…]…]`.
fn ranges(answer: Value, here: &Address) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else { return None };
    ranges.into_iter().map(|range| self::range(range, here)).collect()
}

fn range(range: Value, here: &Address) -> Option<Range> {
    let Value::Array(parts) = range else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = &parts[..] else { return None };
    let [host, Value::Int(port), ..] = &master[..] else { return None };
    let host = match host {
        Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
        Value::SimpleString(host) => host.clone(),
        Value::Nil => String::new(),
        _ => return None,
    };
    let master = Address::told(&host, u16::try_from(*port).ok()?, here);
    Some(Range { first: u16::try_from(*first).ok()?, last: u16::try_from(*last).ok()?, master })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn a_slot_map_is_read_and_anything_else_is_not() {
        let here = Address { host: "asked".to_owned(), port: 1 };
        let range = |host: Value, port| {
            let node = |host| Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(vec![])]);
            Value::Array(vec![Value::Int(0), Value::Int(5460), node(host), node(text("replica"))])
        };
        for (host, known) in [(text("one"), "one"), (Value::Nil, "asked"), (text(""), "asked"), (text("?"), "asked")] {
            let master = Address { host: known.to_owned(), port: 6379 };
            let expected = vec![Range { first: 0, last: 5460, master }];
            assert_eq!(ranges(Value::Array(vec![range(host, 6379)]), &here), Some(expected));
        }
        for odd in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![Value::Array(vec![])]),
            Value::Array(vec![range(Value::Int(1), 6379)]),
            Value::Array(vec![range(text("one"), 70_000)]),
        ] {
            assert_eq!(ranges(odd, &here), None);
        }
    }
}
