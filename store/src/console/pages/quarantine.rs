//! Quarantine: what hospitals sent and intake found suspicious, why, until when people must have decided, and what became of it.
//!
//! It shows the same as `shosoin quarantine list --all`, and lets nothing out: that names a file of the vault's own machine, and is a
//! command. The second person agrees under approvals.

use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{Mood, badge, maybe_moment, moment, nothing, short, size, table};
use crate::console::reply::Reply;
use crate::console::terms::term;
use crate::quarantine::{InQuarantine, QuarantineAnswer};
use maud::{Markup, html};

/// Things that are shown.
const SHOWN_MAX: usize = 500;

/// The page.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    visit.asks(&[])?;
    let hospitals = visit.at_vault(|vault| vault.in_quarantine()).await?;
    let words = visit.words;
    let mut all: Vec<(&InQuarantine, &QuarantineAnswer)> =
        hospitals.iter().flat_map(|one| one.items.iter().map(move |item| (one, item))).collect();
    all.sort_by_key(|(_, item)| (item.state != "held", std::cmp::Reverse(item.taken_ms)));
    let rows: Vec<Markup> = all.into_iter().take(SHOWN_MAX).map(|(one, item)| row(&visit, one, item)).collect();
    let headings =
        [words.hospital, words.number, words.why, words.what, words.size, words.came, words.decide_until, words.state];
    let body = html! {
        p.soft { (words.quarantine_notice) }
        (table(words.quarantine, &headings, &rows, words.nothing_in_quarantine))
    };
    Ok(page(&visit, words.quarantine, &body))
}

fn row(visit: &Visit, one: &InQuarantine, item: &QuarantineAnswer) -> Markup {
    let words = visit.words;
    let mood = match (item.state, item.overdue) {
        ("held", true) => Mood::Bad,
        ("held", false) => Mood::Warn,
        _ => Mood::Plain,
    };
    html! {
        tr {
            th scope="row" { (short(&one.hospital)) }
            td { code.break { (item.id) } div.soft { (words.leaf) " " (item.leaf_index) } }
            td { (term(visit.lang, "quarantine reason", item.reason)) }
            td { (term(visit.lang, "quarantine thing", item.thing)) }
            td.number { (size(item.bytes)) @if item.left_out > 0 { div.soft { (words.left_out) " " (item.left_out) } } }
            td { (moment(visit, item.taken_ms)) }
            td { @if item.state == "held" { (moment(visit, item.until_ms)) } @else { (nothing(visit)) } }
            td {
                (badge(mood, term(visit.lang, "quarantine state", item.state)))
                @if item.left_ms.is_some() { div.soft { (maybe_moment(visit, item.left_ms)) } }
            }
        }
    }
}
