//! Media: every one there ever was with its life as a bar, and one with what its label says, its tests and its history.

use crate::audit::{AuditRecord, MediaState};
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::pages::audit::records;
use crate::console::parts::{Mood, badge, bar, day, facts, maybe_moment, maybe_size, moment, nothing, size, table};
use crate::console::reply::Reply;
use crate::console::terms::term;
use crate::console::when::grouped;
use crate::volumes::{VolumeDetail, VolumeView};
use axum::extract::Path;
use maud::{Markup, html};
use shosoin_tiers::life::DAY_MS;

/// Records of its history that are shown.
const HISTORY_MAX: usize = 100;
/// When the end of a life comes into sight.
const SOON_MS: u64 = 365 * DAY_MS;

/// Every medium.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let (volumes, now_ms) = visit.at_vault(|vault| Ok((vault.volumes().list(), vault.inner.clock.now_ms()))).await?;
    let words = visit.words;
    let (gone, here): (Vec<&VolumeView>, Vec<&VolumeView>) = volumes.iter().partition(|volume| is_gone(volume.state));
    let rows = |volumes: &[&VolumeView]| volumes.iter().map(|volume| row(&visit, volume, now_ms)).collect::<Vec<_>>();
    let headings = [words.volume, words.state, words.life, words.move_by, words.test_due, words.used, words.free];
    let body = html! {
        @if visit.may("/forecast") { p { a href="/forecast" { (words.forecast) } } }
        (table(words.volumes_in_use, &headings, &rows(&here), words.no_volume))
        @if !gone.is_empty() { (table(words.volumes_gone, &headings, &rows(&gone), "")) }
    };
    Ok(page(&visit, words.volumes, &body))
}

fn is_gone(state: MediaState) -> bool {
    matches!(state, MediaState::Retired | MediaState::Sanitised | MediaState::Destroyed | MediaState::Lost)
}

fn state_of(visit: &Visit, volume: &VolumeView) -> Markup {
    let mood = match volume.state {
        MediaState::New | MediaState::Active if volume.mounted => Mood::Good,
        MediaState::New | MediaState::Active | MediaState::Suspect | MediaState::Lost => Mood::Bad,
        MediaState::Draining => Mood::Warn,
        _ => Mood::Plain,
    };
    let words = visit.words;
    html! {
        (badge(mood, term(visit.lang, "media state", volume.state.name())))
        @if !volume.mounted && matches!(volume.state, MediaState::New | MediaState::Active) { " " (badge(Mood::Bad, words.not_there)) }
        @if volume.stale { " " (badge(Mood::Bad, words.old_image)) }
    }
}

/// The part of its life that is over, with when it ends. A life that does not end has no bar.
fn life(visit: &Visit, volume: &VolumeView, now_ms: u64) -> Markup {
    let words = visit.words;
    let Some(ends_ms) = volume.ends_ms else { return html! { span.soft { (words.no_end) } } };
    let first = volume.label.first_use_ms.min(ends_ms);
    let part = |at_ms: u64| at_ms.saturating_sub(first) as f64 / (ends_ms - first).max(1) as f64;
    let mood = match volume.latest_start_ms {
        Some(start) if start <= now_ms => Mood::Bad,
        Some(start) if start < now_ms.saturating_add(SOON_MS) => Mood::Warn,
        _ => Mood::Good,
    };
    let percent = (part(now_ms) * 100.0).clamp(0.0, 999.0);
    let told = format!("{percent:.0} % {}", words.of_life_over);
    html! {
        (bar(&told, part(now_ms), mood, volume.latest_start_ms.map(part)))
        span.number { (told) } " · " (words.ends) " " (day(visit, Some(ends_ms)))
    }
}

fn row(visit: &Visit, volume: &VolumeView, now_ms: u64) -> Markup {
    let label = &volume.label;
    html! {
        tr {
            th.break scope="row" {
                a href=(format!("/volumes/{}", label.id)) { (name(volume)) }
                div.soft { (term(visit.lang, "media class", &label.class)) " · " (term(visit.lang, "tier", &label.tier)) }
            }
            td { (state_of(visit, volume)) }
            td.wide { (life(visit, volume, now_ms)) }
            td { (day(visit, volume.latest_start_ms)) }
            td { (day(visit, volume.test_due_ms)) }
            td.number { (size(volume.used_bytes)) }
            td.number { (maybe_size(visit, volume.free_bytes)) }
        }
    }
}

/// Where it is, else the shelf it is on, else its id: whatever a person would look for.
fn name(volume: &VolumeView) -> String {
    let named = [&volume.place, &volume.shelf].into_iter().find(|name| !name.is_empty());
    named.unwrap_or(&volume.label.id).clone()
}

/// One medium.
pub(in crate::console) async fn one(visit: Visit, Path(id): Path<String>) -> Reply {
    let (detail, now_ms) =
        visit.at_vault(move |vault| Ok((vault.volumes().show(&id)?, vault.inner.clock.now_ms()))).await?;
    let VolumeDetail { volume, history, .. } = &detail;
    let words = visit.words;
    let newest: Vec<AuditRecord> = history.iter().rev().take(HISTORY_MAX).cloned().collect();
    let body = html! {
        p { code { (volume.label.id) } }
        div.panels {
            section.panel aria-labelledby="now" { h2 #now { (words.now) } (now_facts(&visit, volume, now_ms)) }
            section.panel aria-labelledby="label" { h2 #label { (words.label_says) } (label_facts(&visit, volume)) }
        }
        (tests(&visit, &detail))
        (records(&visit, words.history, &newest))
        p { a href="/volumes" { (words.back) } }
    };
    Ok(page(&visit, &name(volume), &body))
}

fn now_facts(visit: &Visit, volume: &VolumeView, now_ms: u64) -> Markup {
    let words = visit.words;
    let toured = volume.last_tour.as_ref().map(|tour| tour.at_ms);
    facts(&[
        (words.state, html! { (state_of(visit, volume)) " " (words.since) " " (moment(visit, volume.since_ms)) }),
        (words.by, html! { (volume.actor) @if !volume.reason.is_empty() { " · " (volume.reason) } }),
        (words.life, life(visit, volume, now_ms)),
        (words.move_by, day(visit, volume.latest_start_ms)),
        (words.test_due, day(visit, volume.test_due_ms)),
        (words.shards, html! { (grouped(volume.shards.into())) " · " (size(volume.used_bytes)) }),
        (words.free, maybe_size(visit, volume.free_bytes)),
        (words.shelf, text(visit, &volume.shelf)),
        (
            words.power_on_hours,
            volume.power_on_hours.map_or_else(|| nothing(visit), |hours| html! { (grouped(hours)) }),
        ),
        (words.passes, volume.passes.map_or_else(|| nothing(visit), |passes| html! { (grouped(passes)) })),
        (words.last_tour, maybe_moment(visit, toured)),
    ])
}

fn label_facts(visit: &Visit, volume: &VolumeView) -> Markup {
    let (words, label) = (visit.words, &volume.label);
    facts(&[
        (
            words.media_class,
            html! { (term(visit.lang, "media class", &label.class)) " · " (term(visit.lang, "tier", &label.tier)) },
        ),
        (words.maker, text(visit, &format!("{} {}", label.vendor, label.model))),
        (words.serial, text(visit, &label.serial)),
        (words.lot, text(visit, &label.lot)),
        (words.firmware, text(visit, &label.firmware)),
        (words.first_use, day(visit, Some(label.first_use_ms))),
        (words.rated_life, text(visit, &label.rated_life)),
        (words.security_label, text(visit, &label.security_label)),
        (words.site, text(visit, &label.site)),
        (words.rack, text(visit, &label.rack)),
        (words.power, text(visit, &label.power)),
        (words.host, text(visit, &label.host)),
    ])
}

fn text(visit: &Visit, text: &str) -> Markup {
    match text.trim() {
        "" => nothing(visit),
        text => html! { (text) },
    }
}

fn tests(visit: &Visit, detail: &VolumeDetail) -> Markup {
    let words = visit.words;
    let row = |test: &crate::media_ledger::TestResult| {
        let (mood, word) = if test.passed { (Mood::Good, words.passed) } else { (Mood::Bad, words.failed) };
        html! {
            tr {
                td { (moment(visit, test.at_ms)) }
                td { (term(visit.lang, "test", test.test.name())) }
                td.number { (grouped(test.value)) }
                td { (badge(mood, word)) }
            }
        }
    };
    let rows: Vec<Markup> = detail.tests.iter().rev().map(row).collect();
    match rows.is_empty() {
        true => html! {},
        false => table(words.tests, &[words.when, words.test, words.value, words.result], &rows, ""),
    }
}
