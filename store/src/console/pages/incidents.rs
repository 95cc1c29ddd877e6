//! Incidents: what hospitals were told at once, as it stands in their ledgers (4.3-R1, R5).

use crate::acts::StatedAct;
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{Mood, badge, maybe_moment, moment, nothing, short, table};
use crate::console::reply::Reply;
use crate::console::terms::term;
use maud::{Markup, html};
use shosoin_protocol::HospitalId;
use shosoin_protocol::act::{ActKind, Document, Incident, Severity};

/// Incidents that are shown.
const SHOWN_MAX: usize = 500;

/// The page.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    visit.asks(&[])?;
    let mut all: Vec<(HospitalId, StatedAct)> = Vec::new();
    for hospital in visit.front.vault.hospitals() {
        let acts = visit.front.vault.acts(hospital.hospital, &[ActKind::Incident]).await?;
        all.extend(acts.into_iter().map(|act| (hospital.hospital, act)));
    }
    all.sort_by_key(|(_, act)| std::cmp::Reverse(act.accepted_ms));
    let words = visit.words;
    let rows: Vec<Markup> = all
        .iter()
        .take(SHOWN_MAX)
        .filter_map(|(hospital, act)| match &act.document {
            Document::Incident(incident) => Some(row(&visit, hospital, act, incident)),
            _ => None,
        })
        .collect();
    let headings = [words.hospital, words.what, words.severity, words.began, words.noticed, words.told, words.scene];
    let body = html! {
        p.soft { (words.incidents_notice) }
        (table(words.incidents, &headings, &rows, words.no_incident))
    };
    Ok(page(&visit, words.incidents, &body))
}

fn row(visit: &Visit, hospital: &HospitalId, act: &StatedAct, incident: &Incident) -> Markup {
    let mood = match incident.severity {
        Severity::Notice => Mood::Plain,
        Severity::Serious => Mood::Warn,
        Severity::Grave => Mood::Bad,
    };
    html! {
        tr {
            th scope="row" { (short(&hospital.to_string())) }
            td { (term(visit.lang, "incident", incident.class.name())) }
            td { (badge(mood, term(visit.lang, "incident severity", incident.severity.name()))) }
            td { (maybe_moment(visit, incident.began_ms)) }
            td { (moment(visit, incident.noticed_ms)) }
            td { (moment(visit, act.accepted_ms)) " · " (visit.words.leaf) " " (act.index) }
            td { @match incident.scene { Some(digest) => (short(&digest.to_string())), None => (nothing(visit)) } }
        }
    }
}
