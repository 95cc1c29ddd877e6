//! The picture of a forecast: drive-hours by month as bars, and a line for the hours that there are. Colours are attributes and
//! there is no style and no script, so that it may stand in a page that allows neither.

use super::ForecastMonth;
use crate::applicability::day;
use svg::Document;
use svg::node::element::{Circle, Group, Line, Polyline, Rectangle, Text, Title};

/// Height of the highest bar.
const HEIGHT: f64 = 220.0;
/// Width of a month.
const STEP: f64 = 20.0;
/// Room for the figures at the left, the legend above and the months below.
/// Room for figures at the left.
const LEFT: f64 = 56.0;
/// Room for the legend above.
const TOP: f64 = 44.0;
/// Room for months below.
const BELOW: f64 = 30.0;
/// Narrowest picture: its legend fits.
const WIDTH_MIN: f64 = 560.0;
/// What must be done and fits.
const FITS: &str = "#2f6690";
/// What does not.
const MISFIT: &str = "#b3261e";
const INK: &str = "#1f2733";
const GRID: &str = "#c9d1da";

/// Words of the picture.
#[derive(Debug, Clone, Copy)]
pub struct ChartWords {
    /// what it shows
    pub title: &'static str,
    /// hours that are needed, where they fit
    pub needed: &'static str,
    /// hours that are needed, where they do not fit
    pub misfit: &'static str,
    /// hours that there are
    pub available: &'static str,
    /// volumes that begin to move in a month
    pub begin: &'static str,
    /// unit of the figures
    pub hours: &'static str,
}

/// In English.
impl Default for ChartWords {
    fn default() -> Self {
        ChartWords {
            title: "Drive-hours needed by month",
            needed: "needed",
            misfit: "needed, and does not fit",
            available: "available",
            begin: "volumes begin to move",
            hours: "hours",
        }
    }
}

/// The picture of these months.
pub fn chart(months: &[ForecastMonth], words: &ChartWords) -> Document {
    let most = scale(months);
    let width = (LEFT + STEP * months.len() as f64 + STEP).max(WIDTH_MIN);
    let base = TOP + HEIGHT;
    let above = |hours: u64| base - (hours as f64 / most as f64).min(1.0) * HEIGHT;
    let mut document = Document::new()
        .set("viewBox", (0.0, 0.0, width, base + BELOW))
        .set("role", "img")
        .set("aria-label", words.title)
        .set("font-family", "sans-serif")
        .set("font-size", 11)
        .set("fill", INK)
        .add(Title::new(words.title));
    for hours in [0, most / 2, most] {
        let line = Line::new().set("x1", LEFT).set("x2", width).set("y1", above(hours)).set("y2", above(hours));
        let figure = text(LEFT - 6.0, above(hours) + 4.0, hours.to_string()).set("text-anchor", "end");
        document = document.add(line.set("stroke", GRID)).add(figure);
    }
    for (no, month) in months.iter().enumerate() {
        let x = LEFT + STEP * no as f64;
        let misfit = month.hours_left_over > 0 || month.bytes_without_room > 0;
        let name: String = day(month.begins_ms).chars().take(7).collect();
        let told = format!("{name}: {} {}; {} {}", month.begin.len(), words.begin, month.hours_needed, words.hours);
        let bar = Rectangle::new()
            .set("x", x + 2.0)
            .set("y", above(month.hours_needed))
            .set("width", STEP - 4.0)
            .set("height", base - above(month.hours_needed))
            .set("fill", if misfit { MISFIT } else { FITS });
        document = document.add(Group::new().add(Title::new(told)).add(bar));
        if no % 6 == 0 {
            document = document.add(text(x, base + 16.0, name));
        }
        if !month.begin.is_empty() {
            let count = text(x + STEP / 2.0, above(month.hours_needed) - 4.0, month.begin.len().to_string());
            document = document.add(count.set("text-anchor", "middle"));
        }
    }
    legend(document.add(available(months, most, above)), months, most, words)
}

/// Hours of the highest bar. Where far more hours are there than are needed, bars must still be seen.
fn scale(months: &[ForecastMonth]) -> u64 {
    let needed = months.iter().map(|month| month.hours_needed).max().unwrap_or(0);
    let available = months.iter().map(|month| month.hours_available).max().unwrap_or(0);
    let round = |hours: u64| hours.div_ceil(10) * 10;
    match available > needed.saturating_mul(4) && needed > 0 {
        true => round(needed.saturating_mul(5) / 4),
        false => round(needed.max(available)).max(10),
    }
}

fn available(months: &[ForecastMonth], most: u64, above: impl Fn(u64) -> f64) -> Group {
    let mut points = String::new();
    for (no, month) in months.iter().enumerate().filter(|(_, month)| month.hours_available <= most) {
        let (x, y) = (LEFT + STEP * no as f64, above(month.hours_available));
        points.push_str(&format!("{x},{y} {},{y} ", x + STEP));
    }
    let line = Polyline::new().set("points", points.trim_end()).set("fill", "none");
    Group::new().add(line.set("stroke", INK).set("stroke-width", 1.5).set("stroke-dasharray", "5 3"))
}

fn legend(document: Document, months: &[ForecastMonth], most: u64, words: &ChartWords) -> Document {
    let dot = |x: f64, fill| Circle::new().set("cx", x + 6.0).set("cy", 14.0).set("r", 5.5).set("fill", fill);
    let line = Line::new().set("x1", LEFT + 330.0).set("x2", LEFT + 356.0).set("y1", 14.0).set("y2", 14.0);
    let there = months.iter().map(|month| month.hours_available).max().unwrap_or(0);
    let beyond = if there > most { "↑ " } else { "" };
    document
        .add(dot(LEFT, FITS))
        .add(text(LEFT + 16.0, 18.0, words.needed.to_owned()))
        .add(dot(LEFT + 120.0, MISFIT))
        .add(text(LEFT + 136.0, 18.0, words.misfit.to_owned()))
        .add(line.set("stroke", INK).set("stroke-width", 1.5).set("stroke-dasharray", "5 3"))
        .add(text(LEFT + 362.0, 18.0, format!("{} {beyond}{there} {}", words.available, words.hours)))
        .add(text(LEFT - 6.0, TOP - 10.0, words.hours.to_owned()).set("text-anchor", "end"))
}

fn text(x: f64, y: f64, text: String) -> Text {
    Text::new(text).set("x", x).set("y", y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(no: u64, hours_needed: u64, hours_available: u64) -> ForecastMonth {
        let begin = vec!["v".to_owned(); usize::from(hours_needed > 0)];
        let hours_left_over = hours_needed.saturating_sub(hours_available);
        let begins_ms = 1_900_000_000_000 + no * 2_629_800_000;
        ForecastMonth {
            begins_ms,
            begin,
            bytes: 0,
            hours_needed,
            hours_available,
            hours_left_over,
            bytes_without_room: 0,
        }
    }

    #[test]
    fn a_bar_is_seen_beside_a_hundred_times_the_hours_and_one_that_does_not_fit_is_another_colour() {
        let small: Vec<_> = (0..36).map(|no| month(no, if no == 3 { 7 } else { 0 }, 730)).collect();
        assert_eq!(scale(&small), 10);
        let drawn = chart(&small, &ChartWords::default()).to_string();
        assert!(drawn.contains("↑ 730 hours") && !drawn.contains(&format!("height=\"{HEIGHT}\"")), "{drawn}");
        assert_eq!(drawn.matches(MISFIT).count(), 1, "the legend alone");
        let full = chart(&[month(0, 800, 730)], &ChartWords::default()).to_string();
        assert_eq!(full.matches(MISFIT).count(), 2);
        for refused in ["style=", "<script", "<style", "http://example"] {
            assert!(!drawn.contains(refused));
        }
        assert!(chart(&[], &ChartWords::default()).to_string().starts_with("<svg"));
    }
}
