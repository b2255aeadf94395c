//! The program over small logs: its report, its charts, its exit codes.

use std::io::{Cursor, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;

struct Ran {
    code: u8,
    out: String,
    err: String,
}

/// Runs `replay` in a folder, where it finds these files.
fn ran(files: &[(&str, Vec<u8>)], stdin: &str, arguments: &str) -> Ran {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    ran_in(folder.path(), stdin, arguments)
}

/// `FOLDER` in the arguments is this folder; in what is printed it is left out.
fn ran_in(folder: &Path, stdin: &str, arguments: &str) -> Ran {
    let folder = format!("{}/", folder.display());
    let arguments = arguments.split_whitespace().map(|argument| argument.replace("FOLDER/", &folder).into());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let stdin = Box::new(Cursor::new(stdin.to_owned().into_bytes()));
    let code = run(std::iter::once("replay".into()).chain(arguments), stdin, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).unwrap().replace(&folder, "");
    Ran { code, out: text(out), err: text(err) }
}

/// What follows the first line, which has the seconds.
fn report(ran: &Ran) -> &str {
    assert_eq!((ran.code, ran.err.as_str()), (DONE, ""), "{}", ran.out);
    ran.out.split_once('\n').unwrap().1
}

fn common(clock: &str, address: &str) -> String {
    format!("{address} - alice [25/Nov/2026:{clock} +0100] \"GET /api/search?q=1 HTTP/1.1\" 200 5\n")
}

fn json(clock: &str, address: &str) -> String {
    format!(
        r#"{{"time":"2026-11-25T{clock}+01:00","remote_addr":"{address}","user":"alice","method":"GET","path":"/api/search"}}"#
    ) + "\n"
}

/// Six requests of one client and one of another. With 2 in any 60 seconds, the third, the fourth and the last are denied.
fn log(line: impl Fn(&str, &str) -> String) -> String {
    let times = ["10:00:00", "10:00:01", "10:00:10", "10:00:59", "10:01:00", "10:01:00"];
    let mut log: String = times.map(|clock| line(clock, "203.0.113.7")).concat();
    log += &line("10:01:02", "198.51.100.1");
    log
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const REPORT: &str = "\
7 requests of 2 clients by ip, 2026-11-25 10:00:00 to 2026-11-25 10:01:02 (+01:00)

quota  denied    share  clients  first denial  last denial  busiest minute
2/1m        3  42.85 %        1  10:00:10      10:01:00     10:00 (2)

2/1m would have denied:
  client       denied  requests    share  first denial  last denial  busiest minute
  203.0.113.7       3         6  50.00 %  10:00:10      10:01:00     10:00 (2)
";

#[test]
fn each_format_has_the_same_report() {
    let combined =
        |clock: &str, address: &str| common(clock, address).replace(" 5\n", " 5 \"-\" \"a \\\"cat\\\"\"\r\n");
    let with_host = |clock: &str, address: &str| format!("shop.example:443 {}", common(clock, address));
    for text in [log(common), log(combined), log(with_host), log(json)] {
        let plain = ran(&[("a.log", text.clone().into_bytes())], "", "FOLDER/a.log --quota 2/1m");
        assert_eq!(report(&plain), REPORT);
        let gzipped = ran(&[("a.log", gzip(&text))], "", "FOLDER/a.log --quota 2/1m");
        assert_eq!(report(&gzipped), REPORT);
        assert_eq!(report(&ran(&[], &text, "- -q 2/60")), REPORT);
    }
}

#[test]
fn files_are_merged_by_time_whatever_their_order_and_format() {
    let (one, two) = (log(common), log(json));
    let mut files = [Vec::new(), Vec::new()];
    for (at, (common, json)) in one.lines().zip(two.lines()).enumerate() {
        writeln!(&mut files[usize::from(at % 2 == 0)], "{}", if at % 3 == 0 { common } else { json }).unwrap();
    }
    let [a, b] = files;
    let files = [("a.log", a), ("b.log", gzip(&String::from_utf8(b).unwrap()))];
    for arguments in ["FOLDER/a.log FOLDER/b.log --quota 2/1m", "FOLDER/b.log FOLDER/a.log --quota 2/1m"] {
        assert_eq!(report(&ran(&files, "", arguments)), REPORT);
    }
}

#[test]
fn quotas_are_counted_side_by_side_and_do_not_touch_each_other() {
    let ran = ran(&[], &log(common), "- --quota 100/1m --quota 2/1m --quota token_bucket:1/1s:burst=2");
    let expected = "\
quota                      denied    share  clients  first denial  last denial  busiest minute
100/1m                          0   0.00 %        0
2/1m                            3  42.85 %        1  10:00:10      10:01:00     10:00 (2)
token_bucket:1/1s:burst=2       0   0.00 %        0
";
    assert!(report(&ran).contains(expected), "{}", ran.out);
    assert!(ran.out.contains("\n100/1m would have denied nobody.\n"), "{}", ran.out);
}

#[test]
fn times_have_a_date_if_the_log_is_longer_than_a_day() {
    let log = log(common).replacen("25/Nov", "24/Nov", 1);
    let said =
        "  203.0.113.7       3         6  50.00 %  2026-11-25 10:00:59  2026-11-25 10:01:00  2026-11-25 10:01 (2)\n";
    let ran = ran(&[], &log, "- --quota 2/1m");
    assert!(report(&ran).ends_with(said), "{}", ran.out);
}

#[test]
fn clients_are_addresses_users_fields_or_all_together() {
    let log = log(common);
    for (by, said) in [
        ("user", "  alice        3         7  42.85 %"),
        ("global", "  all clients       3         7  42.85 %"),
        ("field:path", "  /api/search       3         7  42.85 %"),
        ("field:referer", "  203.0.113.7 (no referer)       3         6  50.00 %"),
        ("field:referer", "\nno line has referer, so addresses are counted\n"),
    ] {
        let ran = ran(&[], &log, &format!("- --quota 2/1m --by {by}"));
        assert!(report(&ran).contains(said), "{by}: {}", ran.out);
    }
}

#[test]
fn an_ipv6_network_is_one_client() {
    let log = common("10:00:00", "2001:db8:1:2::1") + &common("10:00:00", "2001:db8:1:2::2");
    let log = log + &common("10:00:00", "2001:db8:1:3::3");
    let wide = ran(&[], &log, "- --quota 1/1m --ipv6-prefix 56");
    assert!(report(&wide).contains("  2001:db8:1::/56       2         3"), "{}", wide.out);
    let usual = ran(&[], &log, "- --quota 1/1m");
    assert!(report(&usual).contains("  2001:db8:1:2::/64       1         2"), "{}", usual.out);
    assert!(report(&ran(&[], &log, "- --quota 1/1m --ipv6-prefix 128")).contains("denied nobody"));
}

#[test]
fn only_the_chosen_requests_are_counted() {
    let log = log(common) + &log(json).replace("GET", "POST").replace("/api/", "/admin/");
    for (choice, said) in [
        ("", "14 requests"),
        ("--path /api/", "7 requests of 2 clients"),
        ("--path /admin/ --path /api/s", "14 requests"),
        ("--method post", "7 requests"),
        ("--method post --method get", "14 requests"),
    ] {
        let ran = ran(&[], &log, &format!("- --quota 2/1m {choice}"));
        assert!(report(&ran).starts_with(said), "{choice}: {}", ran.out);
        assert_eq!(ran.out.contains("7 lines left out by --path or --method"), said.starts_with('7'), "{}", ran.out);
    }
    let none = ran(&[], &log, "- --quota 2/1m --path /api/ --method POST");
    assert_eq!(none.code, FAILED);
    assert!(none.err.contains("no request was read") && none.out.contains("14 lines left out"), "{}", none.out);
}

#[test]
fn bad_lines_are_counted_and_the_first_are_shown() {
    let mut log = log(common).replacen('\n', "\n\nnonsense \u{1b}[31m\n{\"time\":1}{\n", 1).into_bytes();
    log.extend(b"caf\xe9 - - [25/Nov/2026:10:01:02 +0100] \"GET / HTTP/1.1\" 200 5\n".repeat(5));
    let ran = ran(&[("a.log", log)], "", "FOLDER/a.log --quota 2/1m");
    let expected = "\
7 bad lines not counted:
  a.log:3: no time in brackets, such as [25/Nov/2026:13:55:36 +0100]: nonsense \\u{1b}[31m
  a.log:4: not JSON: trailing characters at line 1 column 11: {\"time\":1}{
  a.log:11: \"caf\u{fffd}\" is not an address: caf\u{fffd} - - [25/Nov/2026:10:01:02 +0100] \"GET / HTT…
  a.log:12: ";
    assert!(report(&ran).contains(expected), "{}", ran.out);
    assert!(!ran.out.contains("a.log:14"), "{}", ran.out);
    assert!(ran.out.contains("\n2/1m        3  42.85 %"), "{}", ran.out);
}

#[test]
fn lines_out_of_order_are_sorted_and_later_ones_are_counted_at_the_time_of_newer_ones() {
    let log = log(common);
    let mut lines: Vec<&str> = log.split_inclusive('\n').collect();
    lines.reverse();
    let late = ran(&[], &lines.concat(), "- --quota 2/1m --reorder 1");
    let said = "4 lines counted too late, at the time of newer lines; a larger --reorder sorts them:\n  standard input:4: 1 s\n";
    assert!(report(&late).contains(said), "{}", late.out);
    assert!(
        late.out.contains("7 requests of 2 clients by ip, 2026-11-25 10:01:00 to 2026-11-25 10:01:02"),
        "{}",
        late.out
    );
    assert_eq!(report(&ran(&[], &lines.concat(), "- --quota 2/1m --reorder 62")), REPORT);
}

#[test]
fn the_chart_is_an_svg_or_a_page_that_says_the_same() {
    let folder = TempDir::new().unwrap();
    for (file, begins) in [("c.svg", "<svg xmlns"), ("c.html", "<!doctype html>")] {
        let ran = ran_in(folder.path(), &log(common), &format!("- --quota 2/1m --quota 9/1m --chart FOLDER/{file}"));
        report(&ran);
        let chart = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(chart.starts_with(begins), "{chart}");
        for said in [
            "<title id=\"title\">What these limits would have done</title>",
            "7 requests by ip, 2026-11-25 10:00:00 to 2026-11-25 10:01:02 (+01:00). Requests over time",
            " 2/1m: 3 denied (42.85 %) of 1 client. 9/1m: none denied.</desc>",
            "<title>2026-11-25 10:01:00: 2 requests, 1 denied</title>",
            "prefers-color-scheme:dark",
        ] {
            assert!(chart.contains(said), "{said}: {chart}");
        }
    }
}

#[test]
fn wrong_arguments_say_what_to_write_and_exit_with_2() {
    for (arguments, said) in [
        ("", "--quota <QUOTA>"),
        ("- --quota 5", "write limit/window, such as 5/60s"),
        ("- --quota 0/1m", "limit is 0"),
        ("- --quota 5/1m --quota 5/60s", "--quota 5/1m is there twice"),
        ("a.log a.log --quota 5/1m", "a.log is there twice"),
        ("- --quota 5/1m --by session", "write ip, user, global, or field:NAME"),
        ("- --quota 5/1m --by field:", "write ip, user, global, or field:NAME"),
        ("- --quota 5/1m --ipv6-prefix 24", "32..=128"),
        ("- --quota 5/1m --chart out.png", "ends in .svg or .html"),
        ("- --quota 5/1m --quote 5", "'--quota'"),
    ] {
        let ran = ran(&[], "", arguments);
        assert_eq!((ran.code, ran.out.as_str()), (WRONG_ARGUMENTS, ""), "{arguments}");
        assert!(ran.err.contains(said), "{arguments}: {}", ran.err);
    }
    let help = ran(&[], "", "--help");
    assert!(help.code == DONE && help.out.contains("Examples, where"), "{}", help.out);
}

#[test]
fn what_cannot_be_read_or_written_exits_with_1() {
    let cut = gzip(&log(common).repeat(100));
    let files = [("cut.gz", cut[..cut.len() - 20].to_vec())];
    for (arguments, said) in [
        ("FOLDER/absent.log --quota 5/1m", "cannot read absent.log: No such file"),
        ("FOLDER/ --quota 5/1m", "it is a folder"),
        ("FOLDER/cut.gz --quota 5/1m", "cannot read cut.gz after line "),
        ("- --quota 5/1m --chart FOLDER/absent/c.svg", "cannot write absent/c.svg: No such file"),
    ] {
        let ran = ran(&files, &log(common), arguments);
        assert_eq!(ran.code, FAILED, "{arguments}: {}", ran.out);
        assert!(ran.err.starts_with("error: ") && ran.err.contains(said), "{arguments}: {}", ran.err);
    }
    let empty = ran(&[], "", "- --quota 5/1m");
    assert_eq!((empty.code, empty.err.contains("no request was read")), (FAILED, true));
}
