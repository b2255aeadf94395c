//! The clients of a log: each has a number, the key that the limiter counts, and its share of the report.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use rateguard::{Key, RateGuard};

use crate::arguments::By;
use crate::line::{Line, Problem};
use crate::tally::Tally;
use crate::text::shown;

pub(crate) struct Client {
    pub(crate) key: Key,
    /// Its name in the report.
    pub(crate) name: String,
    pub(crate) requests: u64,
    /// One for each quota.
    pub(crate) tallies: Vec<Tally>,
}

pub(crate) struct Clients {
    by: By,
    ipv6_prefix: u8,
    quotas: usize,
    all: Vec<Client>,
    by_key: HashMap<Key, u32>,
    /// As lines write them, so that a key is made once for each text.
    by_address: HashMap<Box<str>, u32>,
    by_value: HashMap<Box<str>, u32>,
}

impl Clients {
    pub(crate) fn new(by: By, ipv6_prefix: u8, quotas: usize) -> Clients {
        let (by_key, by_address, by_value) = Default::default();
        Clients { by, ipv6_prefix, quotas, all: Vec::new(), by_key, by_address, by_value }
    }

    /// The number of the client who sent this request.
    pub(crate) fn of(&mut self, line: &Line<'_>, limiter: &RateGuard) -> Result<u32, Problem> {
        if self.by == By::Global {
            return self.number(Key::global(), || "all clients".to_owned());
        }
        if let Some(value) = &line.value {
            if let Some(&number) = self.by_value.get(&**value) {
                return Ok(number);
            }
            let kind = self.by.to_string();
            let number = self.number(Key::new(kind, value), || shown(value))?;
            self.by_value.insert((&**value).into(), number);
            return Ok(number);
        }
        // As the limiter does it: without the user or the field, the address is counted.
        let Some(text) = line.address.as_deref() else {
            return Err("there is no client address: name the field with --ip-field".into());
        };
        if let Some(&number) = self.by_address.get(text) {
            return Ok(number);
        }
        let address = address(text).ok_or_else(|| format!("{text:?} is not an address"))?;
        let key = limiter.counted_key(&Key::ip(address));
        let suffix = if self.by == By::Ip { String::new() } else { format!(" (no {})", self.by) };
        let (prefix, name) = (self.ipv6_prefix, key.display().to_string());
        let number = self.number(key, || network(name.trim_start_matches("ip:"), prefix) + &suffix)?;
        self.by_address.insert(text.into(), number);
        Ok(number)
    }

    fn number(&mut self, key: Key, name: impl FnOnce() -> String) -> Result<u32, Problem> {
        if let Some(&number) = self.by_key.get(&key) {
            return Ok(number);
        }
        let number = u32::try_from(self.all.len()).map_err(|_| "there are more than 4 billion clients")?;
        let tallies = vec![Tally::default(); self.quotas];
        self.all.push(Client { key: key.clone(), name: name(), requests: 0, tallies });
        self.by_key.insert(key, number);
        Ok(number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Client> {
        self.all.get_mut(usize::try_from(number).ok()?)
    }

    /// Whether no line had the user or the field that was asked for.
    pub(crate) fn are_only_addresses(&self) -> bool {
        !matches!(self.by, By::Ip | By::Global) && self.by_value.is_empty()
    }

    /// Those who have sent requests. Others are only in lines that are not counted.
    pub(crate) fn into_all(self) -> Vec<Client> {
        self.all.into_iter().filter(|client| client.requests > 0).collect()
    }
}

/// An address, also with a port or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(bare)
}

/// The network that a client is counted by, as it is written.
fn network(address: &str, ipv6_prefix: u8) -> String {
    match address.parse() {
        // An address that a translator has made is counted as a whole.
        Ok(IpAddr::V6(ip)) if ip.to_bits().trailing_zeros() >= 128 - u32::from(ipv6_prefix) && ipv6_prefix < 128 => {
            format!("{address}/{ipv6_prefix}")
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::time;

    fn names(by: &str, prefix: u8, lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let limiter = RateGuard::builder().ipv6_prefix(prefix).build().unwrap();
        let mut clients = Clients::new(by.parse().unwrap(), prefix, 1);
        for &(address, value) in lines {
            let some = |text: &'static str| (!text.is_empty()).then_some(Cow::Borrowed(text));
            let time = time::parse("1795614936").unwrap();
            let line = Line { time, address: some(address), value: some(value), method: None, path: None };
            match clients.of(&line, &limiter) {
                Ok(number) => clients.get_mut(number).unwrap().requests += 1,
                Err(problem) => panic!("{problem}"),
            }
        }
        clients.into_all().into_iter().map(|client| format!("{}: {}", client.name, client.requests)).collect()
    }

    #[test]
    fn addresses_are_counted_as_the_limiter_counts_them() {
        let lines = [
            ("203.0.113.7", ""),
            ("203.0.113.7:50000", ""),
            ("::ffff:203.0.113.7", ""),
            ("64:ff9b::203.0.113.7", ""),
            ("2001:db8:1:2:3::4", ""),
            ("[2001:db8:1:2:5::6]:443", ""),
            ("[2001:db8:1:2f::]", ""),
        ];
        assert_eq!(names("ip", 64, &lines), ["203.0.113.7: 4", "2001:db8:1:2::/64: 2", "2001:db8:1:2f::/64: 1"]);
        assert_eq!(names("ip", 56, &lines), ["203.0.113.7: 4", "2001:db8:1::/56: 3"]);
        assert_eq!(names("ip", 128, &lines).len(), 4);
    }

    #[test]
    fn without_a_user_the_address_is_counted() {
        let lines = [("203.0.113.7", "alice"), ("203.0.113.8", "alice"), ("203.0.113.7", ""), ("203.0.113.7", "bob")];
        assert_eq!(names("user", 64, &lines), ["alice: 2", "203.0.113.7 (no user): 1", "bob: 1"]);
        assert_eq!(names("global", 64, &lines), ["all clients: 4"]);
    }

    #[test]
    fn control_characters_of_a_log_do_not_reach_the_terminal() {
        assert_eq!(names("field:user_agent", 64, &[("", "\u{1b}[31mred\u{202e}")]), ["\\u{1b}[31mred\\u{202e}: 1"]);
    }
}
