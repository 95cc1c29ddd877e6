//! The asset ledger: find deposits by what may be known of them, and see one with where it is and what was done with it. Names and
//! content are sealed; there is nothing of either to show (7.5.3-M4).

use crate::assets::{Asset, AssetPage, AssetQuery, AssetState, Order, RetentionFilter};
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{
    Mood, badge, choice, day, facts, field, maybe_moment, moment, nothing, short, size, table,
};
use crate::console::reply::Reply;
use crate::console::terms::{self, term};
use crate::console::when::grouped;
use crate::error::{Error, Result};
use axum::extract::Path;
use maud::{Markup, html};

/// Entries of a page.
const ENTRIES: usize = 50;
const FIELDS: [&str; 12] = [
    "hospital",
    "type",
    "label",
    "state",
    "device",
    "since",
    "until",
    "retention",
    "from",
    "order",
    "descending",
    "after",
];
const STATES: [AssetState; 3] = [AssetState::Held, AssetState::GivenOut, AssetState::Disposed];
const LABELS: [&str; 3] = ["ordinary", "sensitive", "restricted"];

/// What was typed, as it is shown again.
type Typed = crate::console::fields::Fields;

/// A page of the ledger.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let typed = visit.asks(&FIELDS)?;
    let words = visit.words;
    let hospitals: Vec<String> = visit.front.vault.hospitals().iter().map(|info| info.hospital.to_string()).collect();
    let hospital = typed.get("hospital").map(str::to_owned).or_else(|| hospitals.first().cloned());
    let found = match hospital {
        None => None,
        Some(hospital) => {
            let query = query(&visit, &typed, hospital)?;
            let actor = visit.who()?.actor.clone();
            Some(visit.at_vault(move |vault| vault.inner.assets(&query, &actor)).await?)
        }
    };
    let body = html! {
        p.soft { (words.ledger_notice) }
        (filter(&visit, &typed, &hospitals))
        @match &found {
            None => p { (words.no_hospital) },
            Some(page) => (listed(&visit, &typed, page)),
        }
    };
    Ok(page(&visit, words.ledger, &body))
}

fn query(visit: &Visit, typed: &Typed, hospital: String) -> Result<AssetQuery> {
    let wrong = |what| Error::Argument { what, why: "it is a day, as in 2026-04-01".to_owned() };
    let begin =
        |name: &'static str| typed.get(name).map(|text| visit.moments.begin_of(text).ok_or(wrong(name))).transpose();
    let end =
        |name: &'static str| typed.get(name).map(|text| visit.moments.end_of(text).ok_or(wrong(name))).transpose();
    let now_ms = visit.front.vault.inner.clock.now_ms();
    let retention = typed.named("retention", |name| match name {
        "none" => Some(RetentionFilter::None),
        "start-unknown" => Some(RetentionFilter::StartUnknown),
        "over" => Some(RetentionFilter::EndsBefore(now_ms)),
        "running" => Some(RetentionFilter::EndsFrom(now_ms)),
        _ => None,
    })?;
    let state = typed.named("state", |name| STATES.into_iter().find(|state| state.name() == name))?;
    let order =
        typed.named("order", |name| Order::ALL.iter().find(|(other, _)| *other == name).map(|(_, order)| *order))?;
    let list = |name: &str| typed.get(name).map(str::to_owned).into_iter().collect();
    Ok(AssetQuery {
        hospital: Some(hospital),
        types: list("type"),
        labels: list("label"),
        states: state.into_iter().collect(),
        device: typed.get("device").map(|text| text.trim().to_owned()),
        since_ms: begin("since")?,
        until_ms: end("until")?,
        retention,
        from_number: typed.parsed("from")?,
        order: order.unwrap_or_default(),
        descending: typed.is_set("descending"),
        limit: Some(ENTRIES),
        after: typed.get("after").map(str::to_owned),
        ..AssetQuery::default()
    })
}

fn filter(visit: &Visit, typed: &Typed, hospitals: &[String]) -> Markup {
    let words = visit.words;
    let get = |name: &str| typed.get(name).unwrap_or_default();
    let named = |vocabulary: &'static str, names: &[&str]| -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), term(visit.lang, vocabulary, name).to_owned())).collect()
    };
    let hospitals: Vec<(String, String)> =
        hospitals.iter().map(|id| (id.clone(), id.chars().take(12).collect())).collect();
    let types: Vec<(String, String)> = terms::RECORD_TYPES
        .iter()
        .map(|code| ((*code).to_owned(), format!("{code} {}", term(visit.lang, "record type", code))))
        .collect();
    let orders: Vec<&str> = Order::ALL.iter().map(|(name, _)| *name).collect();
    html! {
        form.filter method="get" action="/ledger" {
            @if hospitals.len() > 1 { (choice("hospital", words.hospital, None, &hospitals, get("hospital"))) }
            (choice("type", words.record_type, Some(words.any), &types, get("type")))
            (choice("label", words.label, Some(words.any), &named("label", &LABELS), get("label")))
            (choice("state", words.state, Some(words.any), &named("asset state", &STATES.map(AssetState::name)), get("state")))
            (choice("retention", words.retention, Some(words.any), &named("retention", &["none", "start-unknown", "running", "over"]), get("retention")))
            (field("since", words.accepted_from, "date", get("since"), None))
            (field("until", words.accepted_until, "date", get("until"), None))
            (field("device", words.device, "text", get("device"), None))
            (field("from", words.from_number, "number", get("from"), None))
            (choice("order", words.order, None, &named("order", &orders), get("order")))
            div.tick.field {
                input #descending name="descending" type="checkbox" value="yes" checked[typed.is_set("descending")];
                label for="descending" { (words.descending) }
            }
            button { (words.search) }
        }
    }
}

fn listed(visit: &Visit, typed: &Typed, found: &AssetPage) -> Markup {
    let words = visit.words;
    let row = |asset: &Asset| {
        html! {
            tr {
                th.number scope="row" { a href=(format!("/ledger/{}/{}", found.hospital, asset.number)) { (asset.number) } }
                td { (moment(visit, asset.arisen.accepted_ms)) }
                td { (asset.kind) " " span.soft { (term(visit.lang, "record type", asset.kind)) } }
                td { (term(visit.lang, "label", asset.label)) }
                td.number { (size(asset.stored_bytes)) }
                td { (state(visit, asset.state)) }
                td { (planned(visit, asset)) }
                td { (short(&asset.rights.hospital_device)) }
            }
        }
    };
    let rows: Vec<Markup> = found.assets.iter().map(row).collect();
    let headings = [
        words.number,
        words.accepted,
        words.record_type,
        words.label,
        words.sealed_bytes,
        words.state,
        words.retention_ends,
        words.device,
    ];
    html! {
        @if let Some(matched) = found.matched { p role="status" { (words.matched) " " (grouped(matched)) } }
        (table(words.deposits, &headings, &rows, words.nothing_found))
        @if let Some(next) = &found.next {
            p.pages { a rel="next" href=(next_page(typed, next)) { (words.next_page) } }
        }
    }
}

/// The same search, from where this page ended.
fn next_page(typed: &Typed, next: &str) -> String {
    let mut to = form_urlencoded::Serializer::new(String::from("/ledger?"));
    for name in FIELDS.iter().filter(|name| **name != "after") {
        if let Some(value) = typed.get(name) {
            to.append_pair(name, value);
        }
    }
    to.append_pair("after", next);
    to.finish()
}

fn state(visit: &Visit, state: AssetState) -> Markup {
    let mood = if state == AssetState::Held { Mood::Good } else { Mood::Plain };
    badge(mood, term(visit.lang, "asset state", state.name()))
}

fn planned(visit: &Visit, asset: &Asset) -> Markup {
    let words = visit.words;
    match (asset.arisen.term_days, asset.arisen.planned_disposal_ms) {
        (_, Some(ends)) => day(visit, Some(ends)),
        (Some(_), None) => html! { span.soft { (words.start_unknown) } },
        (None, None) => nothing(visit),
    }
}

/// One deposit.
pub(in crate::console) async fn one(visit: Visit, Path((hospital, number)): Path<(String, u64)>) -> Reply {
    let actor = visit.who()?.actor.clone();
    let asset = visit.at_vault(move |vault| vault.inner.asset(Some(&hospital), number, &actor)).await?;
    let words = visit.words;
    let body = html! {
        p.soft { (words.ledger_notice) }
        div.panels {
            section.panel aria-labelledby="what" { h2 #what { (words.deposit) } (what(&visit, &asset)) }
            section.panel aria-labelledby="kept" { h2 #kept { (words.keeping) } (kept(&visit, &asset)) }
        }
        (media(&visit, &asset))
        (history(&visit, &asset))
        p { a href="/ledger" { (words.back) } }
    };
    Ok(page(&visit, &format!("{} {}", words.deposit, asset.number), &body))
}

fn what(visit: &Visit, asset: &Asset) -> Markup {
    let words = visit.words;
    facts(&[
        (words.number, html! { (asset.number) }),
        (words.version, html! { code { (asset.version) } }),
        (words.name_token, html! { code { (asset.name_token) } }),
        (words.record_type, html! { (asset.kind) " " (term(visit.lang, "record type", asset.kind)) }),
        (words.label, html! { (term(visit.lang, "label", asset.label)) }),
        (words.sealed_bytes, size(asset.stored_bytes)),
        (words.records, html! { (grouped(asset.format.records.into())) }),
        (words.suite, html! { (asset.format.suite) }),
        (words.content_rights, html! { (words.nobody_here_reads) }),
        (words.device, html! { code { (asset.rights.hospital_device) } }),
    ])
}

fn kept(visit: &Visit, asset: &Asset) -> Markup {
    let words = visit.words;
    let arisen = &asset.arisen;
    facts(&[
        (words.state, state(visit, asset.state)),
        (words.claimed, moment(visit, arisen.claimed_ms)),
        (words.accepted, moment(visit, arisen.accepted_ms)),
        (
            words.term,
            arisen.term_days.map_or_else(|| nothing(visit), |days| html! { (grouped(days.into())) " " (words.days) }),
        ),
        (words.term_starts, maybe_moment(visit, arisen.start_ms)),
        (words.retention_ends, planned(visit, asset)),
        (
            words.manager,
            if asset.manager.is_empty() {
                nothing(visit)
            } else {
                html! { (asset.manager) }
            },
        ),
        (
            words.sites,
            if asset.location.sites.is_empty() {
                nothing(visit)
            } else {
                html! { (asset.location.sites.join(", ")) }
            },
        ),
        (words.segments, html! { @for segment in &asset.location.segments { (short(segment)) " " } }),
    ])
}

fn media(visit: &Visit, asset: &Asset) -> Markup {
    let words = visit.words;
    let row = |held: &crate::assets::Held| {
        let id = html! { code { (held.volume) } };
        html! {
            tr {
                th.break scope="row" { @if visit.may("/volumes/{volume}") { a href=(format!("/volumes/{}", held.volume)) { (id) } } @else { (id) } }
                td { (held.serial) }
                td { (held.host) }
            }
        }
    };
    let rows: Vec<Markup> = asset.media.iter().map(row).collect();
    table(words.media_that_hold, &[words.volume, words.serial, words.host], &rows, words.none)
}

fn history(visit: &Visit, asset: &Asset) -> Markup {
    let words = visit.words;
    let row = |handling: &crate::assets::Handling| {
        html! {
            tr {
                td { (moment(visit, handling.at_ms)) }
                td { (term(visit.lang, "action", handling.what)) }
                td.break { (handling.actor) }
                td.number { @if let Some(number) = handling.audit { (number) } }
            }
        }
    };
    let rows: Vec<Markup> = asset.history.iter().rev().map(row).collect();
    table(words.history, &[words.when, words.what, words.who, words.record], &rows, words.none)
}
