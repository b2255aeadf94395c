//! Draws the ratios to the bare handler as an SVG image, which brings its own colors for light and dark pages.

use std::fmt::Write;

use crate::results::Results;
use crate::scenario::Scenario;

/// The columns, and their headings.
const COLUMNS: [(Scenario, &str); 3] =
    [(Scenario::Spread, "10 000 clients"), (Scenario::Hot, "one client"), (Scenario::Deny, "one client, denied")];

// Narrow enough for a telephone, where an image is as wide as the page and its text shrinks with it.
const WIDTH: f64 = 420.0;
const MARGIN: f64 = 16.0;
const COLUMN: f64 = 131.0;
/// The longest bar. The value stands to the right.
const BAR: f64 = 86.0;
const FIRST_ROW: f64 = 104.0;
const ROW: f64 = 38.0;
/// Letters in a line of small text.
const LETTERS: usize = 66;

const STYLE: &str = "\
text{font:14px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}\
.head{font-size:16px;font-weight:600}.small{font-size:12px;fill:#59636e}.ours{font-weight:600}\
.page{fill:#fff;stroke:#d1d9e0}.bar{fill:#afb8c1}.ours-bar{fill:#0969da}.track{fill:#eff2f5}\
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}\
.page{fill:#0d1117;stroke:#3d444d}.bar{fill:#656c76}.ours-bar{fill:#4493f8}.track{fill:#212830}}";

/// The image.
pub(crate) fn svg(results: &Results) -> String {
    let rows = rows(results);
    let longest = rows.iter().flat_map(|row| row.ratios).flatten().fold(1.0, f64::max);
    let (title, unit) = ("Requests per second", "× the same handler without a limit; longer is better");
    let about = lines(&results.about);
    let end = FIRST_ROW + ROW * number(rows.len());
    let height = end + 16.0 * number(about.len()) + MARGIN / 2.0;

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-labelledby=\"title desc\">\n<title id=\"title\">{title}, {unit}</title>\n\
         <desc id=\"desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"6\"/>\n",
        escaped(&described(&rows)),
        WIDTH - 1.0,
        height - 1.0
    );
    text(&mut svg, "head", MARGIN, 30.0, title);
    text(&mut svg, "small", MARGIN, 50.0, unit);
    for (column, (_, heading)) in COLUMNS.into_iter().enumerate() {
        text(&mut svg, "small", left(column), 78.0, heading);
    }
    for (place, row) in rows.iter().enumerate() {
        let y = FIRST_ROW + ROW * number(place);
        let ours = row.name.starts_with("rateguard");
        text(&mut svg, if ours { "ours" } else { "" }, MARGIN, y, &row.name);
        for (column, ratio) in row.ratios.into_iter().enumerate() {
            let mut bar = |class: &str, ratio: f64| {
                let (x, y, length) = (left(column), y + 6.0, BAR * ratio / longest);
                let _ = writeln!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{length:.1}\" height=\"11\" rx=\"2\"/>"
                );
            };
            // What is missing to the bare handler.
            bar("track", 1.0);
            if let Some(ratio) = ratio {
                bar(if ours { "ours-bar" } else { "bar" }, ratio);
            }
            let value = ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"));
            text(&mut svg, "small", left(column) + BAR + 6.0, y + 16.0, &value);
        }
    }
    for (place, line) in about.iter().enumerate() {
        text(&mut svg, "small", MARGIN, end + 16.0 * number(place), line);
    }
    svg.push_str("</svg>\n");
    svg
}

struct Row {
    name: String,
    /// By column.
    ratios: [Option<f64>; COLUMNS.len()],
}

/// The contenders, in the order of the tables.
fn rows(results: &Results) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    for (scenario, _) in COLUMNS {
        for name in results.contenders(scenario) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let ratio = |name, scenario| results.ratio(scenario, name, "bare", |figures| figures.requests_per_second);
    let rows = names.into_iter().map(|name| Row {
        name: in_words(name).to_owned(),
        ratios: COLUMNS.map(|(scenario, _)| ratio(name, scenario)),
    });
    rows.collect()
}

/// What a floor is, for readers who do not know its name.
fn in_words(name: &str) -> &str {
    match name {
        "bare" => "no limit",
        "answer" => "no limit, but the same headers and 429",
        "ping" => "one PING per request, no limit",
        "incr" => "one INCR per request, no limit",
        "naive" => "the sorted-set script of tutorials",
        other => other,
    }
}

/// The values as text.
fn described(rows: &[Row]) -> String {
    let headings = COLUMNS.map(|(_, heading)| heading);
    let mut text = format!("For {}.", headings.join("; "));
    for row in rows {
        let values =
            row.ratios.map(|ratio| ratio.map_or_else(|| "not measured".to_owned(), |ratio| format!("{ratio:.2}")));
        let _ = write!(text, " {}: {}.", row.name, values.join("; "));
    }
    text
}

fn text(svg: &mut String, class: &str, x: f64, y: f64, what: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = writeln!(svg, "<text{class} x=\"{x:.1}\" y=\"{y}\">{}</text>", escaped(what));
}

fn left(column: usize) -> f64 {
    MARGIN + COLUMN * number(column)
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Breaks a text between words.
fn lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < LETTERS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::made;

    fn drawn() -> String {
        let mut runs =
            made::round(Scenario::Spread, &[("bare", 200.0), ("rateguard, Redis", 100.0), ("a <b> & c", 50.0)]);
        runs.extend(made::round(Scenario::Hot, &[("bare", 200.0), ("rateguard, Redis", 150.0)]));
        svg(&Results { runs, about: "5 rounds, 2 cores".to_owned(), ..Results::default() })
    }

    #[test]
    fn a_bar_is_as_long_as_its_ratio_and_its_value_stands_beside_it() {
        let svg = drawn();
        assert!(svg.contains("<rect class=\"ours-bar\" x=\"16\" y=\"148\" width=\"43.0\""), "{svg}");
        assert!(svg.contains("<text class=\"small\" x=\"108.0\" y=\"158\">0.50</text>"), "{svg}");
        // The longest bar is that of the bare handler.
        assert!(svg.contains("<rect class=\"bar\" x=\"16\" y=\"110\" width=\"86.0\""), "{svg}");
    }

    #[test]
    fn a_ratio_above_one_still_fits() {
        let runs = made::round(Scenario::Spread, &[("bare", 100.0), ("faster", 125.0)]);
        let svg = svg(&Results { runs, ..Results::default() });
        assert!(svg.contains("width=\"86.0\"") && svg.contains("width=\"68.8\""), "{svg}");
    }

    #[test]
    fn the_image_can_be_read_aloud() {
        let svg = drawn();
        assert!(svg.contains("role=\"img\" aria-labelledby=\"title desc\""), "{svg}");
        assert!(svg.contains("<title id=\"title\">Requests per second, × the same handler without a limit"), "{svg}");
        assert!(
            svg.contains("For 10 000 clients; one client; one client, denied. no limit: 1.00; 1.00; not measured.")
        );
    }

    #[test]
    fn names_cannot_break_the_image() {
        assert!(drawn().contains(">a &lt;b&gt; &amp; c</text>"));
    }

    #[test]
    fn it_brings_its_colors_for_dark_pages_and_needs_nothing_from_elsewhere() {
        let svg = drawn();
        assert!(svg.contains("@media(prefers-color-scheme:dark)"), "{svg}");
        assert_eq!(svg.matches("http").count(), 1, "only the namespace");
    }

    #[test]
    fn the_line_about_the_machine_is_broken_between_words() {
        let lines =
            lines("5 rounds of 2 s, load by wrk (2 threads), 2 cores (AMD EPYC-Rome Processor), redis-server 7.0.15.");
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.chars().count() <= LETTERS), "{lines:?}");
    }
}
