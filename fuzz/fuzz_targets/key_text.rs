//! Any two keys: different texts if they differ, the same if they do not, and nothing in them that others trip over.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rateguard::{Key, fuzzing};

#[derive(Arbitrary, Debug)]
enum Plan {
    Global,
    Ip(IpAddr),
    User(String),
    Plain(String, String),
    Secret(String, Vec<u8>),
    Composite(Vec<Plan>),
}

impl Plan {
    fn key(self) -> Key {
        match self {
            Plan::Global => Key::global(),
            Plan::Ip(address) => Key::ip(address),
            Plan::User(id) => Key::user(id),
            Plan::Plain(kind, value) => Key::new(kind, value),
            Plan::Secret(kind, value) => Key::secret(kind, value),
            Plan::Composite(parts) => Key::composite(parts.into_iter().map(Plan::key)),
        }
    }
}

fuzz_target!(|plans: (Plan, Plan)| {
    let keys = (plans.0.key(), plans.1.key());
    let texts = (fuzzing::key_text(&keys.0), fuzzing::key_text(&keys.1));
    assert_eq!(keys.0 == keys.1, texts.0 == texts.1, "{texts:?}");
    for (key, text) in [(keys.0, texts.0), (keys.1, texts.1)] {
        // Somebody reads the text and tries to be that client.
        for (at, _) in text.match_indices(':') {
            let forged = Key::new(text[..at].to_owned(), &text[at + 1..]);
            assert_eq!(forged == key, fuzzing::key_text(&forged) == text, "{text}");
        }
        assert!(!text.is_empty());
        assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}\"\\".contains(&byte)), "{text}");
    }
});
