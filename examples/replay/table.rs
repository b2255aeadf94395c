//! The report as text.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::report::{Denied, Report};
use crate::tally::Tally;
use crate::text::{count, number, percent};

pub(crate) fn write(out: &mut impl Write, report: &Report, top: usize) -> io::Result<()> {
    write_input(out, report)?;
    if report.requests == 0 {
        return Ok(());
    }
    writeln!(out)?;
    write_quotas(out, report)?;
    for (at, quota) in report.quotas.iter().enumerate() {
        let denied = report.denied(at);
        writeln!(out)?;
        if denied.is_empty() {
            writeln!(out, "{quota} would have denied nobody.")?;
        } else {
            writeln!(out, "{quota} would have denied:")?;
            write_clients(out, report, &denied, top)?;
        }
    }
    Ok(())
}

/// What was read, and what was not counted.
fn write_input(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let seconds = report.took.as_secs_f64();
    writeln!(out, "{} in {seconds:.2} s", count(report.lines, "line"))?;
    if report.requests > 0 {
        let clients = u64::try_from(report.clients.len()).unwrap_or(u64::MAX);
        let (zone, first, last) = (report.zone, report.zone.show(report.first), report.zone.show(report.last));
        let (requests, clients) = (count(report.requests, "request"), count(clients, "client"));
        writeln!(out, "{requests} of {clients} by {}, {first} to {last} ({zone})", report.by)?;
    }
    if report.requests > 0 && report.only_addresses {
        writeln!(out, "no line has {}, so addresses are counted", report.by)?;
    }
    if report.left_out > 0 {
        writeln!(out, "{} left out by --path or --method", count(report.left_out, "line"))?;
    }
    if report.bad.count > 0 {
        writeln!(out, "{} not counted:", count(report.bad.count, "bad line"))?;
        report.bad.examples.iter().try_for_each(|example| writeln!(out, "  {example}"))?;
    }
    if report.late.count > 0 {
        writeln!(
            out,
            "{} counted too late, at the time of newer lines; a larger --reorder sorts them:",
            count(report.late.count, "line")
        )?;
        report.late.examples.iter().try_for_each(|example| writeln!(out, "  {example}"))?;
    }
    Ok(())
}

/// A row for each quota.
fn write_quotas(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let mut rows = vec![heading("quota", &["denied", "share", "clients"])];
    for (at, (quota, total)) in report.quotas.iter().zip(&report.totals).enumerate() {
        let clients = report.denied(at).len();
        let clients = number(u64::try_from(clients).unwrap_or(u64::MAX));
        let counts = [number(total.denied), percent(total.denied, report.requests), clients];
        rows.push(row(quota.to_string(), counts, report, total));
    }
    write_rows(out, "", &rows)
}

/// A row for each client.
fn write_clients(out: &mut impl Write, report: &Report, denied: &[Denied<'_>], top: usize) -> io::Result<()> {
    let mut rows = vec![heading("client", &["denied", "requests", "share"])];
    for Denied { client, tally } in denied.iter().take(top) {
        let counts = [number(tally.denied), number(client.requests), percent(tally.denied, client.requests)];
        rows.push(row(client.name.clone(), counts, report, tally));
    }
    write_rows(out, "  ", &rows)?;
    let others = u64::try_from(denied.len().saturating_sub(top)).unwrap_or(u64::MAX);
    if others > 0 {
        writeln!(out, "  and {}: --top {} shows all", count(others, "other client"), denied.len())?;
    }
    Ok(())
}

fn heading(first: &str, counts: &[&str; 3]) -> Vec<String> {
    let last = ["first denial", "last denial", "busiest minute"];
    [first].iter().chain(counts).chain(&last).map(|&name| name.to_owned()).collect()
}

fn row(name: String, counts: [String; 3], report: &Report, tally: &Tally) -> Vec<String> {
    let mut row = vec![name];
    row.extend(counts);
    if tally.denied > 0 {
        let show = |micros| time(report, micros);
        let (begins, denied) = tally.busiest;
        let minute = show(begins);
        let minute = minute.strip_suffix(":00").unwrap_or(&minute);
        row.extend([show(tally.first), show(tally.last), format!("{minute} ({})", number(denied))]);
    }
    row
}

/// Without the date, if all requests are of one day.
fn time(report: &Report, micros: u64) -> String {
    let shown = |micros| report.zone.show(micros);
    let date = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let (text, day) = (shown(micros), date(&shown(report.first)));
    if day == date(&shown(report.last)) { text.trim_start_matches(&day).trim_start().to_owned() } else { text }
}

/// Columns as wide as their longest text. Names and times are on the left, numbers on the right.
fn write_rows(out: &mut impl Write, indent: &str, rows: &[Vec<String>]) -> io::Result<()> {
    let length = |text: &String| text.chars().count();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> =
        (0..columns).map(|at| rows.iter().filter_map(|row| row.get(at)).map(length).max().unwrap_or(0)).collect();
    for row in rows {
        let mut line = indent.to_owned();
        for (at, (text, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - length(text));
            let is_number = (1..=3).contains(&at);
            let _ = if is_number { write!(line, "{space}{text}  ") } else { write!(line, "{text}{space}  ") };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
