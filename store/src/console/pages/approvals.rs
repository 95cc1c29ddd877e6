//! Requests that need a second person: what waits, what became of the rest, and agreeing or refusing.
//!
//! A person sees the requests they made, those that they could agree to, and, who reads the log of everything anyway, all.

use crate::accounts::{ApprovalRequest, Change, Moment, RequestState};
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{Mood, badge, done, moment, table, token};
use crate::console::reply::{Reply, see};
use crate::console::terms::term;
use crate::error::Result;
use maud::{Markup, html};
use shosoin_protocol::Digest;

/// Requests that are over and still shown.
const OVER_MAX: usize = 50;

/// The page.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let asks = visit.asks(&["done"])?;
    let (requests, now) = visit.at_vault(|vault| Ok((vault.accounts().requests(), vault.accounts().now()?))).await?;
    let words = visit.words;
    let mine: Vec<&ApprovalRequest> = requests.iter().rev().filter(|request| sees(&visit, request)).collect();
    let (waiting, over): (Vec<&ApprovalRequest>, Vec<&ApprovalRequest>) =
        mine.into_iter().partition(|request| request.is_waiting(&now));
    let rows = |requests: &[&ApprovalRequest]| -> Vec<Markup> {
        requests
            .iter()
            .take(OVER_MAX.max(requests.len().min(OVER_MAX)))
            .map(|request| row(&visit, request, &now))
            .collect()
    };
    let headings = [words.number, words.what, words.asked_by, words.state, words.agreed, words.expires, words.actions];
    let body = html! {
        @match asks.get("done") {
            Some("agreed") => (done(words.you_agreed)),
            Some("refused") => (done(words.you_refused)),
            _ => {}
        }
        p.soft { (words.approvals_notice) }
        (table(words.requests_waiting, &headings, &rows(&waiting), words.nothing_waits))
        @if !over.is_empty() { (table(words.requests_over, &headings, &rows(&over), "")) }
    };
    Ok(page(&visit, words.approvals, &body))
}

fn sees(visit: &Visit, request: &ApprovalRequest) -> bool {
    visit.who.as_ref().is_some_and(|who| {
        let agrees = who.account.may(request.kind.rule().agrees).is_ok();
        let took_part = request.requested_by == who.account.id || request.about.as_ref() == Some(&who.account.id);
        agrees || took_part || visit.may("/audit")
    })
}

fn row(visit: &Visit, request: &ApprovalRequest, now: &Moment) -> Markup {
    let words = visit.words;
    let rule = request.kind.rule();
    let mood = match request.state {
        RequestState::Open => Mood::Warn,
        RequestState::Approved | RequestState::Used => Mood::Good,
        RequestState::TurnedDown | RequestState::Expired => Mood::Plain,
    };
    let state = match request.is_waiting(now) || request.state != RequestState::Open {
        true => request.state,
        false => RequestState::Expired,
    };
    html! {
        tr {
            th.number scope="row" { (request.number) }
            td.wide {
                strong { (term(visit.lang, "request", request.kind.name())) }
                div { (asked_for(visit, request)) }
                @if request.what != Digest([0; 32]) { div.soft { (words.digest) " " code.break { (request.what.to_string()) } } }
            }
            td { (request.requested_by) div.soft { (moment(visit, request.requested_ms)) } }
            td { (badge(mood, term(visit.lang, "request state", state.name()))) }
            td {
                (request.approvals.len()) " / " (rule.approvals)
                @for approval in &request.approvals { div.soft { (approval.by) " " (moment(visit, approval.at_ms)) } }
            }
            td { (moment(visit, request.expires_ms)) }
            td { (buttons(visit, request, now)) }
        }
    }
}

fn asked_for(visit: &Visit, request: &ApprovalRequest) -> Markup {
    match &request.change {
        None => html! { code.break { (request.subject) } },
        Some(change) => html! {
            (term(visit.lang, "change", change.work())) " " code { (change.about()) }
            @if let Change::Add { name, .. } = change { @if !name.is_empty() { " (" (name) ")" } }
            @let gives = change.gives();
            @if !gives.is_empty() { ": " (gives) }
        },
    }
}

fn buttons(visit: &Visit, request: &ApprovalRequest, now: &Moment) -> Markup {
    let words = visit.words;
    let Some(who) = &visit.who else { return html! {} };
    let agrees = who.account.may(request.kind.rule().agrees).is_ok();
    let can_agree = agrees && request.can_be_approved_by(&who.account.id, now).is_ok();
    let own = request.requested_by == who.account.id;
    let number = request.number;
    html! {
        @if can_agree {
            form.inline method="post" action="/approvals/agree" {
                (token(visit))
                input type="hidden" name="number" value=(number);
                button aria-label=(format!("{} {number}", words.agree)) { (words.agree) }
            }
        }
        @if request.is_waiting(now) && (agrees || own) {
            form.inline method="post" action="/approvals/refuse" {
                (token(visit))
                input type="hidden" name="number" value=(number);
                label.unseen for=(format!("reason-{number}")) { (words.reason) " " (number) }
                input #(format!("reason-{number}")) name="reason" type="text" maxlength="200" placeholder=(words.reason) autocomplete="off";
                @let word = if own { words.take_back } else { words.refuse };
                button.danger aria-label=(format!("{word} {number}")) { (word) }
            }
        }
    }
}

/// Somebody agrees.
pub(in crate::console) async fn agree(visit: Visit) -> Reply {
    let number = number(&visit, &["number"])?.0;
    let caller = visit.who()?.caller.clone();
    visit.at_vault(move |vault| vault.accounts().approve(&caller, number)).await?;
    Ok(see("/approvals?done=agreed"))
}

/// Somebody refuses, or takes their own request back.
pub(in crate::console) async fn refuse(visit: Visit) -> Reply {
    let (number, reason) = number(&visit, &["number", "reason"])?;
    let caller = visit.who()?.caller.clone();
    visit.at_vault(move |vault| vault.accounts().turn_down(&caller, number, &reason)).await?;
    Ok(see("/approvals?done=refused"))
}

fn number(visit: &Visit, known: &[&'static str]) -> Result<(u64, String)> {
    let says = visit.says(known)?;
    let number: Option<u64> = says.parsed("number")?;
    let missing = || crate::error::Error::Argument { what: "number", why: "it is missing".to_owned() };
    Ok((number.ok_or_else(missing)?, says.get("reason").unwrap_or_default().trim().to_owned()))
}
