//! Numbers and foreign text for people.

/// The longest text that is shown as it is.
const LONGEST: usize = 48;

/// A text of a log. Whoever sends requests chooses it, so it must not control the terminal.
pub(crate) fn shown(text: &str) -> String {
    let printable = |c: char| {
        let invisible =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if c.is_control() || invisible { c.escape_unicode().to_string() } else { c.to_string() }
    };
    let mut shown: String = text.chars().take(LONGEST).map(printable).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// `1 234 567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(' ');
        }
        shown.push(digit);
    }
    shown
}

/// `1 request`, `2 requests`.
pub(crate) fn count(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

/// `12.3 %`. What is not nothing is not shown as nothing.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    // In hundredths of a percent.
    let share = (u128::from(part) * 10_000).checked_div(u128::from(whole)).unwrap_or(0);
    match share {
        0 if part > 0 => "<0.01 %".to_owned(),
        _ => format!("{}.{:02} %", share / 100, share % 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_shares_are_never_rounded_to_nothing() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1 000", "1 234 567"]);
        assert_eq!([count(1, "line"), count(1200, "line")], ["1 line", "1 200 lines"]);
        for (part, whole, expected) in
            [(0, 0, "0.00 %"), (1, 3, "33.33 %"), (1, 1_000_000, "<0.01 %"), (7, 7, "100.00 %"), (0, 5, "0.00 %")]
        {
            assert_eq!(percent(part, whole), expected);
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(shown(&"ä".repeat(48)), "ä".repeat(48));
        assert_eq!(shown(&"ä".repeat(49)), "ä".repeat(48) + "…");
    }
}
