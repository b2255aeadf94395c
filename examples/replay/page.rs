//! The chart as an HTML page, with the numbers of the quotas as a table.

use std::fmt::Write;

use crate::chart::{chart, escape};
use crate::report::Report;
use crate::text::{number, percent};

const STYLE: &str = "\
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem;
background:#fff;color:#1f2328}
svg{max-width:100%;height:auto}table{border-collapse:collapse;margin-left:72px}th,td{padding:.3rem 1rem .3rem 0;text-align:left}
th{font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr+tr{border-top:1px solid #d1d9e0}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#f0f6fc}tr+tr{border-color:#3d444d}}";

pub(crate) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>rateguard replay</title>\n<style>\n{STYLE}\n</style>\n\
         {}<table>\n<tr><th>quota</th><th class=\"n\">denied</th><th class=\"n\">share</th><th class=\"n\">clients</th>\
         <th>first denial</th><th>last denial</th></tr>\n",
        chart(report),
    );
    for (at, (quota, total)) in report.quotas.iter().zip(&report.totals).enumerate() {
        let show = |micros| if total.denied > 0 { report.zone.show(micros) } else { String::new() };
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
            escape(&quota.to_string()),
            number(total.denied),
            escape(&percent(total.denied, report.requests)),
            number(u64::try_from(report.denied(at).len()).unwrap_or(u64::MAX)),
            show(total.first),
            show(total.last),
        );
    }
    page += "</table>\n</html>\n";
    page
}
