//! Policies in configuration files.

use std::borrow::Cow;

use ::serde::de::{Deserialize, Deserializer, Error};
use ::serde::ser::{Serialize, Serializer};

use super::{OnError, Policy};
use crate::quota::Quota;
use crate::quota::serde::from_text;

/// The fields of a policy in a file. An unknown field is an error, since it is most likely a misspelt one.
#[derive(::serde::Serialize, ::serde::Deserialize)]
#[serde(rename = "Policy", deny_unknown_fields)]
struct Written<'n> {
    name: Cow<'n, str>,
    quota: Quota,
    #[serde(default)]
    on_error: Option<OnError>,
    #[serde(default)]
    shadow: bool,
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = Cow::Borrowed(self.name());
        Written { name, quota: self.quota(), on_error: self.get_on_error(), shadow: self.is_shadow() }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
        let Written { name, quota, on_error, shadow } = Written::deserialize(deserializer)?;
        let policy = Policy::try_new(name.into_owned(), quota).map_err(D::Error::custom)?.shadow(shadow);
        Ok(match on_error {
            Some(on_error) => policy.on_error(on_error),
            None => policy,
        })
    }
}

impl Serialize for OnError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OnError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OnError, D::Error> {
        from_text(deserializer, "open, closed, local or local_share(n)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Policy, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_is_written_and_read_with_its_fields() {
        let json = r#"{"name":"search","quota":"5/1m","on_error":"local_share(4)","shadow":true}"#;
        let policy = Policy::new("search", Quota::per_minute(5)).on_error(OnError::local_share(4)).shadow(true);
        assert_eq!(read(json).unwrap(), policy);
        assert_eq!(serde_json::to_string(&policy).unwrap(), json);
        let short = Policy::new("search", Quota::per_minute(5));
        assert_eq!(read(r#"{"quota":"5/60s","name":"search"}"#).unwrap(), short);
        assert_eq!(read(&serde_json::to_string(&short).unwrap()).unwrap(), short);
    }

    #[test]
    fn an_error_names_what_is_wrong() {
        for (json, said) in [
            (r#"{"name":"a b","quota":"5/1m"}"#, "has a space"),
            (r#"{"name":"a","quota":"5"}"#, "no `/`"),
            (r#"{"name":"a"}"#, "missing field `quota`"),
            (r#"{"name":"a","quota":"5/1m","on_eror":"open"}"#, "unknown field `on_eror`"),
            (r#"{"name":"a","quota":"5/1m","on_error":"ajar"}"#, "failure policy `ajar` is unknown"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
