//! The coming months: which media end their life, what must move for that, and whether it fits, as a picture and as figures.

use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{Mood, badge, day, facts, field, note, size, table};
use crate::console::reply::Reply;
use crate::console::when::grouped;
use crate::volumes::{ChartWords, ForecastMonth, ForecastReport, ForecastRequest, chart};
use maud::{Markup, PreEscaped, html};

/// Months, unless another number is asked for.
const MONTHS: u32 = 36;
const MEBIBYTE: u64 = 1 << 20;
const GIBIBYTE: u64 = 1 << 30;

/// The page.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let asks = visit.asks(&["months", "rate", "hours", "drives", "growth"])?;
    let request = ForecastRequest {
        months: Some(asks.parsed("months")?.unwrap_or(MONTHS)),
        bytes_per_second: asks.parsed::<u64>("rate")?.map(|rate| rate.saturating_mul(MEBIBYTE).max(1)),
        hours_per_week: asks.parsed("hours")?,
        drives: asks.parsed::<u32>("drives")?.map(|drives| drives.max(1)),
        growth_bytes_per_month: asks.parsed::<u64>("growth")?.map(|growth| growth.saturating_mul(GIBIBYTE)),
    };
    let report = visit.at_vault(move |vault| vault.volumes().forecast(&request)).await?;
    let words = visit.words;
    let typed = |name: &'static str| asks.get(name).unwrap_or_default();
    let body = html! {
        @if !report.clock_trusted { (note(Mood::Bad, &html! { p { (words.clock_doubted) } })) }
        (verdict(&visit, &report))
        form.filter method="get" action="/forecast" {
            (field("months", words.months, "number", asks.get("months").unwrap_or("36"), None))
            (field("rate", words.mib_per_second, "number", typed("rate"), None))
            (field("hours", words.hours_per_week, "number", typed("hours"), None))
            (field("drives", words.drives, "number", typed("drives"), None))
            (field("growth", words.growth_gib, "number", typed("growth"), None))
            button { (words.reckon) }
        }
        div.chart { (PreEscaped(chart(&report.months, &chart_words(&visit)).to_string())) }
        (reckoned(&visit, &report))
        (expiring(&visit, &report))
        (months(&visit, &report.months))
    };
    Ok(page(&visit, words.forecast, &body))
}

fn chart_words(visit: &Visit) -> ChartWords {
    let words = visit.words;
    ChartWords {
        title: words.chart_title,
        needed: words.chart_needed,
        misfit: words.chart_misfit,
        available: words.chart_available,
        begin: words.chart_begin,
        hours: words.hours,
    }
}

fn verdict(visit: &Visit, report: &ForecastReport) -> Markup {
    let words = visit.words;
    match report.first_misfit {
        None => note(Mood::Good, &html! { p { (words.everything_fits) } }),
        Some(month) => {
            let begins = report.months.get(month as usize).map(|month| month.begins_ms);
            note(Mood::Bad, &html! { p { (words.does_not_fit) " " (day(visit, begins)) } })
        }
    }
}

fn reckoned(visit: &Visit, report: &ForecastReport) -> Markup {
    let words = visit.words;
    let guessed = report.growth_basis != "given";
    html! {
        section.panel aria-labelledby="reckoned" {
            h2 #reckoned { (words.reckoned_with) }
            (facts(&[
                (words.rate, html! { (size(report.bytes_per_second)) "/s" }),
                (words.hours_per_week, html! { (report.hours_per_week) }),
                (words.drives, html! { (report.drives) }),
                (words.growth, html! { (size(report.growth_bytes_per_month)) @if guessed { " · " (words.growth_guessed) } }),
                (words.margin, html! { (report.margin_ms / 86_400_000) " " (words.days) }),
            ]))
        }
    }
}

fn expiring(visit: &Visit, report: &ForecastReport) -> Markup {
    let words = visit.words;
    let row = |expiry: &crate::volumes::Expiring| {
        html! {
            tr {
                th.break scope="row" { a href=(format!("/volumes/{}", expiry.volume)) { (expiry.place) } }
                td { (day(visit, Some(expiry.ends_ms))) }
                td { (day(visit, Some(expiry.latest_start_ms))) }
                td.number { (size(expiry.bytes)) }
            }
        }
    };
    let rows: Vec<Markup> = report.expiring.iter().map(row).collect();
    table(words.volumes_expiring, &[words.volume, words.ends, words.move_by, words.to_move], &rows, words.none_expires)
}

fn months(visit: &Visit, months: &[ForecastMonth]) -> Markup {
    let words = visit.words;
    let number = |count: u64| html! { td.number { (grouped(count)) } };
    let row = |month: &ForecastMonth| {
        let misfit = month.hours_left_over > 0 || month.bytes_without_room > 0;
        html! {
            tr {
                th scope="row" { (visit.moments.day(month.begins_ms).chars().take(7).collect::<String>()) }
                (number(month.begin.len() as u64))
                td.number { (size(month.bytes)) }
                (number(month.hours_needed))
                (number(month.hours_available))
                td { (badge(if misfit { Mood::Bad } else { Mood::Good }, if misfit { words.misfit } else { words.fits })) }
            }
        }
    };
    let rows: Vec<Markup> = months.iter().map(row).collect();
    html! {
        details {
            summary { (words.figures_by_month) }
            (table(words.figures_by_month, &[words.month, words.chart_begin, words.to_move, words.hours_needed, words.hours_available, words.result], &rows, ""))
        }
    }
}
