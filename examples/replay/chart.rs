//! Requests and denials over time, as SVG: a panel for each quota. It has no script and no font of its own, and follows the
//! reader's light or dark theme.

use std::fmt::Write;

use crate::report::Report;
use crate::text::{count, number, percent};
use crate::timeline::Interval;

mod axis;

use axis::{ceiling, length_name, ticks};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
/// Above the first panel: the title and the legend.
const TOP: f64 = 84.0;
const PANEL: f64 = 208.0;
/// Within a panel: its heading, then the plot, then the times.
const HEADING: f64 = 28.0;
const PLOT: f64 = 136.0;

const STYLE: &str = "\
svg{--back:#ffffff;--text:#1f2328;--dim:#59636e;--line:#d1d9e0;--allowed:#8ebcf2;--denied:#b3141f}
@media(prefers-color-scheme:dark){svg{--back:#0d1117;--text:#f0f6fc;--dim:#9198a1;--line:#3d444d;--allowed:#31568a;--denied:#ff7b72}}
text{font:13px system-ui,-apple-system,\"Segoe UI\",\"DejaVu Sans\",sans-serif;fill:var(--text)}
.title{font-size:18px;font-weight:600}.name{font-weight:600}.dim{fill:var(--dim)}.end{text-anchor:end}.mid{text-anchor:middle}
.line{stroke:var(--line);fill:none}.a{fill:var(--allowed)}.d{fill:var(--denied)}";

/// The whole picture.
pub(crate) fn chart(report: &Report) -> String {
    let panels = report.quotas.len();
    let height = TOP + PANEL * small(panels);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title description\">\n<title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n\
         <style>\n{STYLE}\n</style>\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"var(--back)\"/>\n",
        escape(&title(report)),
        escape(&description(report)),
    );
    legend(&mut svg, report);
    for at in 0..panels {
        panel(&mut svg, report, at, TOP + PANEL * small(at));
    }
    svg += "</svg>\n";
    svg
}

fn title(report: &Report) -> String {
    format!("What {} would have done", if report.quotas.len() == 1 { "this limit" } else { "these limits" })
}

/// For readers who do not see the picture: what the panels show, as sentences.
fn description(report: &Report) -> String {
    let mut text = format!("{}. Requests over time, and how many of them would have been denied.", input(report));
    for (at, quota) in report.quotas.iter().enumerate() {
        let _ = write!(text, " {quota}: {}.", denials(report, at));
    }
    text
}

fn input(report: &Report) -> String {
    let (first, last) = (report.zone.show(report.first), report.zone.show(report.last));
    format!("{} by {}, {first} to {last} ({})", count(report.requests, "request"), report.by, report.zone)
}

/// How many requests this quota would have denied.
fn denials(report: &Report, quota: usize) -> String {
    let denied = report.totals.get(quota).map_or(0, |total| total.denied);
    let clients = u64::try_from(report.denied(quota).len()).unwrap_or(u64::MAX);
    match denied {
        0 => "none denied".to_owned(),
        _ => {
            format!("{} denied ({}) of {}", number(denied), percent(denied, report.requests), count(clients, "client"))
        }
    }
}

fn legend(svg: &mut String, report: &Report) {
    let right = WIDTH - RIGHT;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"32\" class=\"title\">{}</text>\n<text x=\"{LEFT}\" y=\"56\" class=\"dim\">{}</text>\n\
         <rect x=\"{}\" y=\"20\" width=\"12\" height=\"12\" class=\"a\"/><text x=\"{}\" y=\"31\">allowed</text>\
         <rect x=\"{}\" y=\"20\" width=\"12\" height=\"12\" class=\"d\"/><text x=\"{}\" y=\"31\">denied</text>",
        escape(&title(report)),
        escape(&input(report)),
        right - 146.0,
        right - 128.0,
        right - 62.0,
        right - 44.0,
    );
}

fn panel(svg: &mut String, report: &Report, quota: usize, top: f64) {
    let timeline = &report.timeline;
    let ceiling = ceiling(timeline.intervals.iter().map(|interval| interval.requests).max().unwrap_or(0));
    let (right, begin) = (WIDTH - RIGHT, top + HEADING);
    let bottom = begin + PLOT;
    let name = report.quotas.get(quota).map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\"><tspan class=\"name\">{}</tspan> <tspan dx=\"6\">{}</tspan></text>\
         <text x=\"{right}\" y=\"{}\" class=\"dim end\">requests per {}</text>",
        top + 14.0,
        escape(&name),
        escape(&denials(report, quota)),
        top + 14.0,
        length_name(timeline.length),
    );
    let height_of = |requests: u64| PLOT * float(requests) / float(ceiling);
    let steps = if ceiling.is_multiple_of(2) { vec![0, ceiling / 2, ceiling] } else { vec![0, ceiling] };
    for step in steps {
        let y = bottom - height_of(step);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {y:.1}H{right}\" class=\"line\"/><text x=\"{}\" y=\"{:.1}\" class=\"dim end\">{}</text>",
            LEFT - 8.0,
            y + 4.5,
            number(step),
        );
    }
    let width = (right - LEFT) / small(timeline.intervals.len().max(1));
    for (place, interval) in timeline.intervals.iter().enumerate().filter(|(_, interval)| interval.requests > 0) {
        let begins = (timeline.first + u64::try_from(place).unwrap_or(0)) * timeline.length;
        let bar = Bar { x: LEFT + width * small(place), width, bottom, begins: report.zone.show(begins * 1_000_000) };
        bar.write(svg, interval, quota, height_of);
    }
    let from = timeline.first * timeline.length;
    let span = small(timeline.intervals.len()) * float(timeline.length);
    for tick in ticks(report.zone, from, timeline.length, timeline.intervals.len()) {
        let x = LEFT + (right - LEFT) * float(tick.at - from) / span;
        // A date at the end would be cut off.
        let anchor = if x > right - RIGHT { "end" } else { "mid" };
        let (below, text) = (bottom + 5.0, bottom + 20.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {bottom}V{below}\" class=\"line\"/><text x=\"{x:.1}\" y=\"{text}\" class=\"dim {anchor}\">{}</text>",
            tick.name,
        );
    }
}

/// One interval of one panel.
struct Bar {
    x: f64,
    width: f64,
    bottom: f64,
    begins: String,
}

impl Bar {
    /// Denials are at the bottom, so that they can be compared. What is not nothing is seen.
    fn write(&self, svg: &mut String, interval: &Interval, quota: usize, height_of: impl Fn(u64) -> f64) {
        let denied = interval.denied.get(quota).copied().unwrap_or(0);
        let seen = |count: u64, height: f64| if count == 0 { 0.0 } else { height.max(1.5) };
        let whole = seen(interval.requests, height_of(interval.requests));
        let red = seen(denied, height_of(denied));
        let (x, gap) = (self.x, if self.width > 3.0 { 1.0 } else { 0.0 });
        let width = self.width - gap;
        let _ = write!(
            svg,
            "<g><title>{}: {}, {} denied</title><path class=\"a\" d=\"M{x:.1} {:.1}v-{:.1}h{width:.2}v{:.1}z\"/>",
            self.begins,
            count(interval.requests, "request"),
            number(denied),
            self.bottom - red,
            (whole - red).max(0.0),
            (whole - red).max(0.0),
        );
        if denied > 0 {
            let _ = write!(svg, "<path class=\"d\" d=\"M{x:.1} {:.1}v-{red:.1}h{width:.2}v{red:.1}z\"/>", self.bottom);
        }
        *svg += "</g>\n";
    }
}

/// For text in SVG and HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Exact up to 2^53, which is more than a picture can show.
#[expect(clippy::cast_precision_loss, reason = "a pixel is much more than what is lost")]
fn float(number: u64) -> f64 {
    number as f64
}

fn small(number: usize) -> f64 {
    float(u64::try_from(number).unwrap_or(u64::MAX))
}
