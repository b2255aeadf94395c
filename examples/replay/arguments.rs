//! The command line.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, value_parser};
use rateguard::Quota;

const EXAMPLES: &str = "\
Examples, where `replay` stands for `cargo run --release --example replay --`:
  replay access.log --quota 100/1m
  replay access.log access.log.1 access.log.2.gz --quota 100/1m --quota token_bucket:20/1s:burst=60
  replay app.jsonl --by field:tenant.id --quota 1000/1h --path /api/ --chart tenants.html
  journalctl -u app -o cat | replay - --by user --quota 5/1m --method POST --path /login

Each line is read by its own format: common, combined (also with a virtual host before it), or a JSON object. Gzip is
recognized by its content. Files are merged by time, so their order does not matter.";

/// What would this limit have done to yesterday's traffic?
#[derive(Debug, Parser)]
#[expect(clippy::doc_markdown, reason = "`--help` prints it as it is")]
#[command(name = "replay", after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Access logs, plain or gzip; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// A limit to try, such as 100/1m or token_bucket:10/1s:burst=50; several are counted side by side
    #[arg(long = "quota", short, required = true, value_name = "QUOTA")]
    pub(crate) quotas: Vec<Quota>,

    /// Who is counted: ip, user, global, or field:NAME, such as field:tenant.id or field:user_agent
    #[arg(long, default_value = "ip", value_name = "WHO")]
    pub(crate) by: By,

    /// How many leading bits of an IPv6 address identify a client
    #[arg(long, default_value_t = 64, value_name = "BITS", value_parser = value_parser!(u8).range(32..=128))]
    pub(crate) ipv6_prefix: u8,

    /// Only requests whose path begins with this, such as /api/; may be repeated
    #[arg(long = "path", value_name = "PREFIX")]
    pub(crate) paths: Vec<String>,

    /// Only requests with this method, such as POST; may be repeated
    #[arg(long = "method", value_name = "METHOD")]
    pub(crate) methods: Vec<String>,

    /// In JSON: the field with the time, instead of time, timestamp, @timestamp, ts, …
    #[arg(long, value_name = "NAME")]
    pub(crate) time_field: Option<String>,

    /// In JSON: the field with the client's address, instead of remote_addr, client_ip, ip, …
    #[arg(long, value_name = "NAME")]
    pub(crate) ip_field: Option<String>,

    /// Lines that are at most this much older than a line before them are sorted
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = value_parser!(u32).range(..=86_400))]
    pub(crate) reorder: u32,

    /// How many clients the table shows for each quota
    #[arg(long, default_value_t = 10, value_name = "CLIENTS")]
    pub(crate) top: usize,

    /// Draw requests and denials over time into this file, .svg or .html
    #[arg(long, value_name = "FILE", value_parser = chart_file)]
    pub(crate) chart: Option<PathBuf>,
}

impl Arguments {
    /// Checks what concerns several arguments.
    pub(crate) fn checked(self) -> Result<Arguments, clap::Error> {
        let wrong = |problem: String| Arguments::command().error(ErrorKind::ValueValidation, problem);
        for (at, quota) in self.quotas.iter().enumerate() {
            if self.quotas.iter().take(at).any(|earlier| earlier == quota) {
                return Err(wrong(format!("--quota {quota} is there twice: remove one of them")));
            }
        }
        for (at, file) in self.files.iter().enumerate() {
            if self.files.iter().take(at).any(|earlier| earlier == file) {
                let problem = format!("{} is there twice, and would be counted twice: remove one", file.display());
                return Err(wrong(problem));
            }
        }
        Ok(self)
    }
}

/// Who is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Ip,
    User,
    Global,
    Field(String),
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<By, String> {
        match text.split_once(':') {
            None if text == "ip" => Ok(By::Ip),
            None if text == "user" => Ok(By::User),
            None if text == "global" => Ok(By::Global),
            Some(("field", name)) if !name.is_empty() => Ok(By::Field(name.to_owned())),
            _ => Err("write ip, user, global, or field:NAME, such as field:tenant.id".to_owned()),
        }
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            By::Ip => f.write_str("ip"),
            By::User => f.write_str("user"),
            By::Global => f.write_str("global"),
            By::Field(name) => f.write_str(name),
        }
    }
}

fn chart_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if is_page(&path) || has_extension(&path, "svg") {
        Ok(path)
    } else {
        Err("write a name that ends in .svg or .html".to_owned())
    }
}

/// Whether it is the name of an HTML page.
pub(crate) fn is_page(path: &Path) -> bool {
    has_extension(path, "html")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}
