//! Numbers and times as people read them.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Bytes with a unit, as in `4.0 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{size:.1} {}", UNITS[unit]),
    }
}

/// Milliseconds since 1970 as RFC 3339 text, to the second.
pub fn time(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{at_ms} ms"))
}

/// The same to the millisecond, for files that are read back: [`parse_time`] gives `at_ms` again.
pub fn exact_time(at_ms: u64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{at_ms} ms"))
}

/// Milliseconds since 1970 of a day or moment, as in `2026-04-01` or `2026-04-01T09:00:00+09:00`.
pub fn parse_time(text: &str) -> Option<u64> {
    let moment = match text.contains('T') {
        true => OffsetDateTime::parse(text, &Rfc3339),
        false => OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339),
    };
    u64::try_from(moment.ok()?.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A line of CSV as RFC 4180 has it, with its end.
pub fn csv_row<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    fields.map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

/// One field; one that a spreadsheet would take for a formula is kept from being one.
fn quoted(field: &str) -> String {
    let field = match field.starts_with(['=', '+', '-', '@']) {
        true => format!("'{field}"),
        false => field.to_owned(),
    };
    match field.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_people_write_them() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(4 << 20), "4.0 MiB");
        assert_eq!(time(1_000), "1970-01-01T00:00:01Z");
        assert_eq!(parse_time("1970-01-02"), Some(86_400_000));
        assert_eq!(parse_time("1970-01-01T09:00:00+09:00"), Some(0));
        assert_eq!(parse_time("tomorrow"), None);
        assert_eq!(parse_time(&exact_time(1_795_929_785_269)), Some(1_795_929_785_269));
    }

    #[test]
    fn a_field_never_breaks_its_line_and_is_never_a_formula() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"no\"\n"), "\"say \"\"no\"\"\n\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(csv_row(["a", "b,c"].into_iter()), "a,\"b,c\"\n");
    }
}
