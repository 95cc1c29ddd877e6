//! Who may run this vault: accounts with their duties, when they were here last, who is logged on; and stopping somebody at once
//! (7.6.14-ID-M5). Giving rights is done with `shosoin account` and a second person.

use crate::accounts::{Account, Grant, Moment, Session, Standing};
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{Mood, badge, done, maybe_moment, moment, table, token};
use crate::console::reply::{Reply, see};
use crate::console::terms::term;
use crate::error::{Error, Result};
use maud::{Markup, html};

/// The page.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let asks = visit.asks(&["done"])?;
    let (people, sessions, grants, now) = visit
        .at_vault(|vault| {
            let accounts = vault.accounts();
            Ok((accounts.list(), accounts.sessions(), accounts.grants(), accounts.now()?))
        })
        .await?;
    let words = visit.words;
    let rows: Vec<Markup> = people.iter().map(|account| row(&visit, account, &grants, &now)).collect();
    let headings = [
        words.account_id,
        words.name,
        words.roles,
        words.state,
        words.last_log_on,
        words.last_failure,
        words.second_factor,
        words.actions,
    ];
    let here: Vec<Markup> = sessions.iter().map(|session| here(&visit, session)).collect();
    let body = html! {
        @if asks.get("done") == Some("suspended") { (done(words.suspended)) }
        (table(words.people, &headings, &rows, words.none))
        (table(words.logged_on_now, &[words.account_id, words.from_where, words.since, words.used_last], &here, words.none))
        p.soft { (words.people_notice) }
    };
    Ok(page(&visit, words.people, &body))
}

fn row(visit: &Visit, account: &Account, grants: &[Grant], now: &Moment) -> Markup {
    let words = visit.words;
    let roles: Vec<&str> = account.roles.list().iter().map(|role| term(visit.lang, "role", role.name())).collect();
    let mood = match account.standing {
        Standing::Active => Mood::Good,
        Standing::Invited | Standing::Closed => Mood::Plain,
        Standing::Suspended => Mood::Warn,
    };
    let proved = account.second_factor.as_ref().is_some_and(|factor| factor.is_proved());
    let granted = grants.iter().filter(|grant| grant.account == account.id && grant.is_in_force(now));
    html! {
        tr {
            th scope="row" { (account.id) }
            td.break { (account.name) }
            td {
                (roles.join(" · "))
                @for grant in granted { div { (badge(Mood::Warn, words.break_glass)) " " (words.until) " " (moment(visit, grant.until_ms)) } }
            }
            td {
                (badge(mood, term(visit.lang, "standing", account.standing.name())))
                @if account.is_locked(now) { " " (badge(Mood::Bad, words.locked)) }
            }
            td { (maybe_moment(visit, Some(account.last_success_ms))) }
            td { (maybe_moment(visit, Some(account.last_failure_ms))) }
            td { (if proved { words.yes } else { words.no }) }
            td { (suspend_form(visit, account)) }
        }
    }
}

fn suspend_form(visit: &Visit, account: &Account) -> Markup {
    let words = visit.words;
    let own = visit.who.as_ref().is_some_and(|who| who.account.id == account.id);
    html! {
        @if visit.may("/people/suspend") && account.is_usable() && !own {
            @let field = format!("reason-{}", account.id);
            form.inline method="post" action="/people/suspend" {
                (token(visit))
                input type="hidden" name="id" value=(account.id);
                label.unseen for=(field) { (words.reason) " " (account.id) }
                input #(field) name="reason" type="text" maxlength="200" placeholder=(words.reason) autocomplete="off" required;
                button.danger aria-label=(format!("{} {}", words.suspend, account.id)) { (words.suspend) }
            }
        }
    }
}

fn here(visit: &Visit, session: &Session) -> Markup {
    html! {
        tr {
            th scope="row" { (session.account) }
            td { (session.from) }
            td { (moment(visit, session.opened_ms)) }
            td { (moment(visit, session.used_ms)) }
        }
    }
}

/// Stops somebody at once; their sessions end with it.
pub(in crate::console) async fn suspend(visit: Visit) -> Reply {
    let says = visit.says(&["id", "reason"])?;
    let id = says.must("id")?.parse()?;
    let reason = says.must("reason")?.trim().to_owned();
    if reason.is_empty() {
        return Err(Error::Argument { what: "reason", why: "it is missing".to_owned() }.into());
    }
    let caller = visit.who()?.caller.clone();
    let stopped: Result<()> = visit.at_vault(move |vault| vault.accounts().suspend(&caller, &id, &reason)).await;
    stopped?;
    Ok(see("/people?done=suspended"))
}
