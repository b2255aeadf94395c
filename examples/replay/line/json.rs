//! JSON lines: only the fields that are needed are kept.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Line, Problem, present, request};
use crate::arguments::{Arguments, By};
use crate::time;

/// Where servers write these by default, the first that is there counts: nginx and Apache as people set them up, Caddy,
/// Traefik, Envoy, load balancers, ECS, and `tracing_subscriber`.
const TIME: [&str; 12] = [
    "time",
    "timestamp",
    "@timestamp",
    "ts",
    "time_iso8601",
    "time_local",
    "msec",
    "StartUTC",
    "start_time",
    "datetime",
    "date",
    "t",
];
const ADDRESS: [&str; 14] = [
    "client_ip",
    "remote_addr",
    "remote_ip",
    "ip",
    "clientip",
    "client",
    "request.client_ip",
    "request.remote_ip",
    "client.ip",
    "source.ip",
    "ClientHost",
    "httpRequest.remoteIp",
    "remote_host",
    "fields.client_ip",
];
const USER: [&str; 8] =
    ["user", "user_id", "remote_user", "user.id", "user.name", "ClientUsername", "fields.user", "fields.user_id"];
const METHOD: [&str; 7] = [
    "method",
    "request_method",
    "request.method",
    "http.request.method",
    "RequestMethod",
    "httpRequest.requestMethod",
    "fields.method",
];
const PATH: [&str; 10] = [
    "path",
    "uri",
    "request_uri",
    "request.uri",
    "url.path",
    "RequestPath",
    "url",
    "httpRequest.requestUrl",
    "fields.path",
    "fields.uri",
];
/// `GET /search HTTP/1.1`, as nginx and Apache write it.
const REQUEST: [&str; 1] = ["request"];

/// What a field is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Time,
    Address,
    Value,
    Method,
    Path,
    Request,
}

/// The fields that are needed.
#[derive(Debug)]
pub(super) struct Names(Vec<(Role, String)>);

impl Names {
    pub(super) fn new(arguments: &Arguments) -> Names {
        let mut names = Names(Vec::new());
        names.add(Role::Time, arguments.time_field.as_deref(), &TIME);
        match &arguments.by {
            By::Global => {}
            By::Ip => names.add(Role::Address, arguments.ip_field.as_deref(), &ADDRESS),
            by => {
                names.add(Role::Address, arguments.ip_field.as_deref(), &ADDRESS);
                names.add(Role::Value, if let By::Field(name) = by { Some(name) } else { None }, &USER);
            }
        }
        if !arguments.methods.is_empty() {
            names.add(Role::Method, None, &METHOD);
        }
        if !arguments.paths.is_empty() {
            names.add(Role::Path, None, &PATH);
        }
        if !arguments.methods.is_empty() || !arguments.paths.is_empty() {
            names.add(Role::Request, None, &REQUEST);
        }
        names
    }

    fn add(&mut self, role: Role, chosen: Option<&str>, usual: &[&str]) {
        match chosen {
            Some(name) => self.0.push((role, name.to_owned())),
            None => self.0.extend(usual.iter().map(|name| (role, (*name).to_owned()))),
        }
    }

    /// The names of a role, for messages.
    fn of(&self, role: Role) -> String {
        let names: Vec<&str> = self.0.iter().filter(|(of, _)| *of == role).map(|(_, name)| name.as_str()).collect();
        names.join(", ")
    }
}

pub(super) fn read<'l>(line: &'l str, names: &Names) -> Result<Line<'l>, Problem> {
    let mut found: Vec<Option<Cow<'l, str>>> = vec![None; names.0.len()];
    let open = names.0.iter().enumerate().map(|(at, (_, name))| (at, name.as_str())).collect();
    let mut json = serde_json::Deserializer::from_str(line);
    let root = Value { here: Vec::new(), below: open, found: &mut found };
    root.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| format!("not JSON: {error}"))?;

    let mut first = |role: Role| {
        let mut fields = names.0.iter().zip(&mut found).filter(|((of, _), _)| *of == role);
        fields.find_map(|(_, value)| present(value.take()?))
    };
    let text = first(Role::Time)
        .ok_or_else(|| format!("no time in {}: name the field with --time-field", names.of(Role::Time)))?;
    let time = time::parse(&text).ok_or_else(|| format!("{text:?} is not a time"))?;
    let (mut method, mut path) = (first(Role::Method), first(Role::Path));
    if let Some(asked) = first(Role::Request) {
        let (its_method, its_path) = request(&asked);
        method = method.or_else(|| its_method.map(|method| method.to_owned().into()));
        path = path.or_else(|| its_path.map(|path| path.to_owned().into()));
    }
    Ok(Line { time, address: first(Role::Address), value: first(Role::Value), method, path })
}

/// What a name is in an object: each of these is the number of a wanted field, with what remains of its name.
type Open<'n> = Vec<(usize, &'n str)>;

/// A value that may be wanted, or have wanted fields.
struct Value<'n, 'f, 'l> {
    here: Vec<usize>,
    below: Open<'n>,
    found: &'f mut Vec<Option<Cow<'l, str>>>,
}

impl<'l> Value<'_, '_, 'l> {
    fn keep(self, text: impl Into<Cow<'l, str>>) {
        let text = text.into();
        for at in self.here {
            if let Some(place) = self.found.get_mut(at) {
                place.get_or_insert_with(|| text.clone());
            }
        }
    }
}

impl<'l> DeserializeSeed<'l> for Value<'_, '_, 'l> {
    type Value = ();

    fn deserialize<D: Deserializer<'l>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.here.is_empty() && self.below.is_empty() {
            return IgnoredAny::deserialize(deserializer).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'l> Visitor<'l> for Value<'_, '_, 'l> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'l str) -> Result<(), E> {
        self.keep(text);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.keep(text.to_owned());
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.keep(number.to_string());
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.keep(number.to_string());
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.keep(number.to_string());
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.keep(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    /// Of a list, the first value: so Caddy writes headers.
    fn visit_seq<A: SeqAccess<'l>>(self, mut list: A) -> Result<(), A::Error> {
        list.next_element_seed(self)?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'l>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some((here, below)) = object.next_key_seed(Name(&self.below))? {
            object.next_value_seed(Value { here, below, found: &mut *self.found })?;
        }
        Ok(())
    }
}

/// A name in an object. Wanted is the whole rest of a name, `tenant.id`, or its beginning, `tenant`. Upper and lower case are
/// the same, as for the names of headers.
struct Name<'o, 'n>(&'o Open<'n>);

impl<'l, 'n> DeserializeSeed<'l> for Name<'_, 'n> {
    type Value = (Vec<usize>, Open<'n>);

    fn deserialize<D: Deserializer<'l>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'n> Visitor<'_> for Name<'_, 'n> {
    type Value = (Vec<usize>, Open<'n>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        let (mut here, mut below) = (Vec::new(), Vec::new());
        for &(at, wanted) in self.0 {
            match wanted.get(..name.len()) {
                Some(begin) if begin.eq_ignore_ascii_case(name) => match wanted.get(name.len()..) {
                    Some("") => here.push(at),
                    Some(rest) => below.extend(rest.strip_prefix('.').map(|rest| (at, rest))),
                    None => {}
                },
                _ => {}
            }
        }
        Ok((here, below))
    }
}

#[cfg(test)]
mod tests;
