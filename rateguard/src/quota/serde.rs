//! Quotas and algorithms in configuration files: as the text that `FromStr` reads and `Display` writes.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use ::serde::de::{Deserialize, Deserializer, Error, Visitor};
use ::serde::ser::{Serialize, Serializer};

use super::{Algorithm, Quota};

impl Serialize for Quota {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Quota, D::Error> {
        from_text(deserializer, "a quota as text, such as \"5/60s\"")
    }
}

impl Serialize for Algorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
        from_text(deserializer, "the name of an algorithm, such as \"sliding_window\"")
    }
}

/// Reads text by `FromStr`. `expected` completes "invalid type: …, expected".
pub(crate) fn from_text<'de, D, T>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    struct Text<T>(&'static str, PhantomData<T>);

    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text(expected, PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_written_and_read_as_its_text() {
        let quota: Quota = serde_json::from_str(r#""token_bucket:10/60s:burst=20""#).unwrap();
        assert_eq!(serde_json::to_string(&quota).unwrap(), r#""token_bucket:10/1m:burst=20""#);
        assert_eq!(serde_json::to_string(&Algorithm::FixedWindow).unwrap(), r#""fixed_window""#);
        assert_eq!(serde_json::from_str::<Algorithm>(r#""fixed_window""#).unwrap(), Algorithm::FixedWindow);
    }

    #[test]
    fn an_error_says_what_to_write() {
        let problem = |json: &str| serde_json::from_str::<Quota>(json).unwrap_err().to_string();
        assert!(problem(r#""5 a minute""#).contains("write limit/window, such as 5/60s"));
        assert!(problem(r#""0/60s""#).contains("limit is 0"));
        assert!(problem("5").contains("expected a quota as text, such as \"5/60s\""));
    }
}
