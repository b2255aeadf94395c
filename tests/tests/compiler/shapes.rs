//! The attribute changes nothing but the limit. For thirty handlers (`shapes/`) and for mistakes in bodies, the
//! compiler and clippy report the same without limits, with limits over the request's head, and with limits over
//! arguments.

use std::process::Command;

use serde_json::Value;

/// A message of the compiler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    line: u64,
    column: u64,
    code: String,
    message: String,
    /// With labels, notes and the source.
    rendered: String,
}

impl Said {
    /// The message as if the body were that of the function. With a limit over arguments, it is that of a block.
    fn in_a_block(self) -> Said {
        let message = self.message.replace("an async block", "an async function");
        let (code, message) = match self.code.as_str() {
            // A variable that a block captures.
            "E0594" => ("E0384".to_owned(), "cannot assign twice to immutable variable `id`".to_owned()),
            _ => (self.code, message),
        };
        Said { code, message, rendered: String::new(), ..self }
    }
}

/// Runs clippy on the handlers with these limits, and on a module of mistakes if one is named.
fn said(limits: &str, module: Option<&str>) -> Vec<Said> {
    let mut command = Command::new(env!("CARGO"));
    command.args([
        "clippy",
        "--locked",
        "--offline",
        "--quiet",
        "--package",
        "rateguard-shapes",
        "--message-format=json",
    ]);
    command.env("SHAPES", limits).env("CARGO_TERM_COLOR", "never");
    if let Some(module) = module {
        command.env("MISTAKES", module);
    }
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = messages.filter(|message| message["target"]["name"] == "rateguard_shapes");
    let ours = ours.filter(|message| message["reason"] == "compiler-message");
    let mut said: Vec<Said> = ours.filter_map(|message| one(&message["message"])).collect();
    said.sort();
    assert_eq!(output.status.success(), said.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn one(message: &Value) -> Option<Said> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // "aborting due to 3 errors" has no place.
    let place = message["spans"].as_array()?.iter().find(|span| span["is_primary"] == true)?;
    let rendered = text(&message["rendered"]);
    // Only the first of several messages says where the lint is denied.
    let lines =
        rendered.lines().filter(|line| !line.contains("#[deny(") && !line.contains("long-type-") && line.trim() != "|");
    Some(Said {
        line: place["line_start"].as_u64()?,
        column: place["column_start"].as_u64()?,
        code: text(&message["code"]["code"]),
        message: text(&message["message"]),
        rendered: lines.collect::<Vec<_>>().join("\n"),
    })
}

#[test]
fn the_compiler_reports_the_same_with_and_without_limits() {
    for limits in ["plain", "head", "deferred"] {
        assert_eq!(said(limits, None), [], "no message about the thirty handlers, {limits}");
    }
    for (module, least) in [("mistakes", 11), ("lints", 11), ("half_typed", 3)] {
        let plain = said("plain", Some(module));
        assert!(plain.len() >= least, "{module}: {}", plain.len());
        compare(&said("head", Some(module)), &plain);
        let deferred = said("deferred", Some(module));
        for said in &deferred {
            for ours in ["rate_limit", "RateLimited", "Limited<", "macro expansion"] {
                let said = &said.rendered;
                assert!(!said.replace("cfg_attr(deferred, rate_limit", "").contains(ours), "{module}: {said}");
            }
        }
        let in_a_block = |said: Vec<Said>| said.into_iter().map(Said::in_a_block).collect::<Vec<_>>();
        compare(&in_a_block(deferred), &in_a_block(plain));
    }
}

#[track_caller]
fn compare(limited: &[Said], plain: &[Said]) {
    let more: Vec<_> = limited.iter().filter(|said| !plain.contains(said)).collect();
    let less: Vec<_> = plain.iter().filter(|said| !limited.contains(said)).collect();
    assert!(more.is_empty() && less.is_empty(), "with the limit {more:#?}, without {less:#?}");
}

/// The documentation of one of the functions, as text.
fn documented(limits: &str, function: &str) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(["doc", "--locked", "--offline", "--quiet", "--no-deps", "--package", "rateguard-shapes"]);
    let status = command.env("SHAPES", limits).current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(status.expect("cargo runs").success());
    let place = format!("{}/../doc/rateguard_shapes/fn.{function}.html", env!("CARGO_TARGET_TMPDIR"));
    let html = std::fs::read_to_string(place).expect("it is documented");
    let (_, html) = html.split_once("<pre").expect("its signature");
    let texts = html.split('<').filter_map(|tag| tag.split_once('>')).map(|(_, text)| text);
    let text = texts.collect::<String>().replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'");
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("&amp;", "&")
}

#[test]
fn the_documentation_is_that_of_the_written_function_with_the_limits_in_words() {
    for (function, words) in [
        ("todos_index", "The quota page.limit.map(|_| rateguard::Quota::per_minute(5)) for each page.limit."),
        ("todos_create", "At most 5 units a minute for each client address; a request counts as input.text.len()."),
        ("root", "At most 5 requests a minute for each client address."),
    ] {
        let plain = documented("plain", function);
        let limited = documented("deferred", function);
        assert_eq!(limited, format!("{plain} {words}"));
    }
}
