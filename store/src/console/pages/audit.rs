//! The audit log: what was done, by whom and why, newest first; and whether the log is whole.

use crate::audit::{Action, AuditEvent, AuditQuery, AuditRecord, Detail, Outcome};
use crate::check::Severity;
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{Mood, badge, choice, facts, field, note, short, table, token};
use crate::console::reply::Reply;
use crate::console::terms::term;
use crate::console::when::{grouped, machine};
use crate::error::{Error, Result};
use maud::{Markup, html};
use std::collections::VecDeque;

/// Records of a page.
const RECORDS: usize = 100;
const FIELDS: [&str; 9] = ["since", "until", "action", "outcome", "actor", "volume", "number", "address", "before"];

/// A page of the log.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let typed = visit.asks(&FIELDS)?;
    let words = visit.words;
    let day =
        |what, at: Option<u64>| at.ok_or_else(|| Error::Argument { what, why: "it is a day, as in 2026-04-01".into() });
    let since_ms = typed.get("since").map(|text| day("since", visit.moments.begin_of(text))).transpose()?;
    let until_ms = typed.get("until").map(|text| day("until", visit.moments.end_of(text))).transpose()?;
    let action = typed.named("action", Action::parse)?;
    let outcome = typed.named("outcome", Outcome::parse)?;
    let before: Option<u64> = typed.parsed("before")?;
    let (number, source) = (typed.parsed("number")?, typed.parsed("address")?);
    let (from, reader) = (visit.from, visit.who()?.actor.clone());
    let (actor, volume) =
        (typed.get("actor").map(|text| text.trim().to_owned()), typed.get("volume").map(str::to_owned));
    let found = visit
        .at_vault(move |vault| {
            let volume = volume.map(|name| vault.media().find(&name).map(|medium| medium.label.id)).transpose()?;
            let actions = action.into_iter().collect();
            let query = AuditQuery {
                since_ms,
                until_ms,
                actions,
                volume,
                actor,
                number,
                source,
                outcome,
                ..AuditQuery::default()
            };
            let found = newest(vault.audit(), &query, before)?;
            let event = AuditEvent::new(vault.inner.clock.now_ms(), reader, Action::LogRead).seen_from(Some(from));
            vault.media().record(AuditEvent { units: found.0.len() as u64, ..event })?;
            Ok(found)
        })
        .await?;
    let (found, more) = found;
    let oldest = found.last().map(|record| record.seq).filter(|_| more);
    let body = html! {
        (filter(&visit, &typed))
        (records(&visit, words.records_newest_first, &found))
        @if let Some(seq) = oldest { p.pages { a rel="next" href=(older(&typed, seq)) { (words.older) } } }
        @if visit.may("/audit/verify") {
            form.inline method="post" action="/audit/verify" { (token(&visit)) button.second { (words.verify_log) } }
        }
    };
    Ok(page(&visit, words.audit, &body))
}

/// The newest records that are wanted below a number, newest first, and whether there are older ones.
fn newest(log: &crate::audit::AuditLog, query: &AuditQuery, before: Option<u64>) -> Result<(Vec<AuditRecord>, bool)> {
    let (mut kept, mut more) = (VecDeque::new(), false);
    log.for_each(query, &mut |record| {
        let below = before.is_none_or(|before| record.seq < before);
        if below {
            kept.push_front(record);
            if kept.len() > RECORDS {
                kept.pop_back();
                more = true;
            }
        }
    })?;
    Ok((kept.into(), more))
}

fn older(typed: &crate::console::fields::Fields, before: u64) -> String {
    let mut to = form_urlencoded::Serializer::new(String::from("/audit?"));
    for name in FIELDS.iter().filter(|name| **name != "before") {
        if let Some(value) = typed.get(name) {
            to.append_pair(name, value);
        }
    }
    to.append_pair("before", &before.to_string());
    to.finish()
}

fn filter(visit: &Visit, typed: &crate::console::fields::Fields) -> Markup {
    let words = visit.words;
    let get = |name: &str| typed.get(name).unwrap_or_default();
    let mut actions: Vec<(String, String)> = Action::ALL
        .iter()
        .map(|action| (action.name().to_owned(), term(visit.lang, "action", action.name()).to_owned()))
        .collect();
    actions.sort_by(|one, other| one.1.cmp(&other.1));
    let outcomes: Vec<(String, String)> = Outcome::ALL
        .iter()
        .map(|outcome| (outcome.name().to_owned(), term(visit.lang, "outcome", outcome.name()).to_owned()))
        .collect();
    html! {
        form.filter method="get" action="/audit" {
            (field("since", words.from_day, "date", get("since"), None))
            (field("until", words.until_day, "date", get("until"), None))
            (choice("action", words.what, Some(words.any), &actions, get("action")))
            (choice("outcome", words.result, Some(words.any), &outcomes, get("outcome")))
            (field("actor", words.who, "text", get("actor"), None))
            (field("volume", words.volume, "text", get("volume"), None))
            (field("number", words.ledger_number, "text", get("number"), None))
            (field("address", words.address, "text", get("address"), None))
            button { (words.search) }
        }
    }
}

/// Records in a table.
pub(in crate::console) fn records(visit: &Visit, caption: &str, records: &[AuditRecord]) -> Markup {
    let words = visit.words;
    let row = |record: &AuditRecord| {
        let event = &record.event;
        let mood = match event.outcome {
            Outcome::Done => Mood::Good,
            Outcome::Begun | Outcome::Stopped => Mood::Plain,
            Outcome::Refused | Outcome::Findings => Mood::Warn,
            Outcome::Failed => Mood::Bad,
        };
        html! {
            tr {
                td.number { (record.seq) }
                td { time datetime=(machine(event.at_ms)) { (visit.moments.second(event.at_ms)) } }
                td.break { (event.actor) }
                td { (term(visit.lang, "action", event.action.name())) }
                td { (badge(mood, term(visit.lang, "outcome", event.outcome.name()))) }
                td.wide {
                    @if !event.reason.is_empty() { div { (event.reason) } }
                    (about(visit, record))
                }
            }
        }
    };
    let rows: Vec<Markup> = records.iter().map(row).collect();
    table(
        caption,
        &[words.record, words.when, words.who, words.what, words.result, words.details],
        &rows,
        words.nothing_found,
    )
}

fn about(visit: &Visit, record: &AuditRecord) -> Markup {
    let (words, event) = (visit.words, &record.event);
    let account = match &event.detail {
        Detail::Account { account, request, .. } => Some((account, *request)),
        _ => None,
    };
    html! {
        @if let Some(id) = event.volume { span.soft { (words.volume) " " (short(&id.to_string())) " " } }
        @if let Some(id) = event.segment { span.soft { (words.segment) " " (short(&id.to_string())) " " } }
        @if let Some(id) = event.hospital { span.soft { (words.hospital) " " (short(&id.to_string())) " " } }
        @if let Some((id, request)) = account {
            @if !id.is_empty() { span.soft { (words.account) " " (id) " " } }
            @if request > 0 { span.soft { (words.request) " " (request) " " } }
        }
        @if let Detail::State { from, to } = &event.detail {
            span.soft { (from.map_or("—", |from| term(visit.lang, "media state", from.name()))) " → " (term(visit.lang, "media state", to.name())) " " }
        }
        @if let Detail::Place(place) = &event.detail { span.soft.break { (place) " " } }
        @if let Detail::Found { findings, .. } = &event.detail { span.soft { (words.findings) " " (grouped(*findings)) " " } }
        @if let Some(number) = event.number { span.soft { (words.ledger_number) " " (number) " " } }
        @if let Detail::Numbers(numbers) = &event.detail {
            span.soft { (words.ledger_number) " " (numbers.iter().take(8).map(u64::to_string).collect::<Vec<_>>().join(", ")) @if numbers.len() > 8 { ", …" } " " }
        }
        @if let Some(source) = event.source { span.soft { (words.address) " " (source) " " } }
        @if event.units > 0 { span.soft.number { "× " (grouped(event.units)) " " } }
        @if event.bytes > 0 { span.soft.number { (crate::console::when::bytes(event.bytes)) } }
    }
}

/// Follows the chain of the whole log and compares its copies.
pub(in crate::console) async fn verify(visit: Visit) -> Reply {
    visit.says(&[])?;
    let report = visit.at_vault(|vault| vault.inner.verify_log()).await?;
    let words = visit.words;
    let bad = report.findings.iter().any(|finding| finding.severity == Severity::Damaged);
    let body = html! {
        (note(if bad { Mood::Bad } else { Mood::Good }, &html! { p { (if bad { words.log_damaged } else { words.log_whole }) } }))
        (facts(&[
            (words.records, html! { (grouped(report.records)) }),
            (words.copies_compared, html! { (grouped(report.copies)) }),
            (words.newest_record, html! { (report.head_seq) }),
            (words.head_digest, html! { code.break { (report.head_digest.to_string()) } }),
        ]))
        p { (words.remember_head) }
        @if !report.findings.is_empty() { ul lang="en" { @for finding in &report.findings { li { (finding.message) } } } }
        p { a href="/audit" { (words.back) } }
    };
    Ok(page(&visit, words.verify_log, &body))
}
