//! Logging on and off. Whatever was wrong, the answer is the same (7.6.14-LOGON-S3).
//!
//! A form for somebody without a session has a token too, in a cookie of its own, so that no other site logs anybody on as
//! somebody else. The session that comes of it has a token drawn for it alone: none that a browser brought is ever taken over.

use crate::accounts::{Attempt, FirstDo};
use crate::audit::Action;
use crate::console::gate::{TOKEN, Visit, too_many};
use crate::console::limits::{Kind, address_key};
use crate::console::parts::{Mood, note, sentence_of};
use crate::console::reply::{Reply, see, with_cookie, with_status};
use crate::console::{cookies, page};
use crate::error::{Error, Result};
use axum::body::Body;
use http::{Response, StatusCode};
use maud::html;
use shosoin_tiers::{Random as _, SystemRandom};
use std::time::Instant;
use zeroize::Zeroizing;

/// Bytes of the token of a form.
const TOKEN_BYTES: usize = 32;

/// The form.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    Ok(form(&visit, None)?)
}

fn form(visit: &Visit, wrong: Option<&Error>) -> Result<Response<Body>> {
    let words = visit.words;
    let entry = match &visit.entry {
        Some(entry) => entry.clone(), // a form in another window stays good
        None => draw()?,
    };
    let body = html! {
        @if let Some(error) = wrong {
            div.note.bad role="alert" { p { (sentence_of(visit.lang, error).0) } }
        }
        form.tall method="post" action="/log-on" {
            input type="hidden" name=(TOKEN) value=(entry.as_str());
            div.field {
                label for="id" { (words.account_id) }
                input #id name="id" type="text" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="64"
                    required autofocus;
            }
            div.field {
                label for="password" { (words.password) }
                input #password name="password" type="password" autocomplete="current-password" maxlength="256" required;
            }
            div.field {
                label for="code" { (words.code) }
                input #code name="code" type="text" inputmode="numeric" autocomplete="one-time-code" maxlength="16"
                    aria-describedby="code-hint";
                p.hint #code-hint { (words.code_hint) }
            }
            button { (words.log_on) }
        }
        (note(Mood::Plain, &html! { p.soft { (words.log_on_notice) } }))
    };
    let answer = page::page(visit, words.log_on, &html! { div.narrow { (body) } });
    let status = if wrong.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
    Ok(with_status(with_cookie(answer, &cookies::keep_entry(&entry)), status))
}

fn draw() -> Result<Zeroizing<String>> {
    let mut drawn = Zeroizing::new([0; TOKEN_BYTES]);
    SystemRandom.fill(&mut drawn[..])?;
    Ok(Zeroizing::new(hex::encode(&drawn[..])))
}

/// Somebody typed an id, a password and perhaps a code.
pub(in crate::console) async fn enter(visit: Visit) -> Reply {
    let says = visit.says(&["id", "password", "code"])?;
    let typed = |name| Zeroizing::new(says.get(name).unwrap_or_default().to_owned());
    let (id, password, code) = (typed("id"), typed("password"), typed("code"));
    let (address, now) = (address_key(visit.from), Instant::now());
    let shortened: String = id.chars().take(64).collect();
    let room = visit.front.limits.take(Kind::LogOnFrom, &address, now);
    if let Err(wait) = room.and_then(|()| visit.front.limits.take(Kind::LogOnAs, &shortened, now)) {
        let (why, source) = (format!("too many tries; console, from {address}"), visit.from);
        visit
            .at_vault(move |vault| vault.accounts().note_turned_away("unknown", Action::LogOnRefused, &why, source))
            .await?;
        return Ok(too_many(visit.lang, wait));
    }
    let from = visit.from.to_string();
    let logged_on = visit
        .at_vault(move |vault| {
            vault.accounts().log_on(&Attempt { id: &id, password: &password, code: &code, from: &from })
        })
        .await;
    match logged_on {
        Ok(on) => {
            let to = if on.first_do == FirstDo::Nothing { "/" } else { "/account" };
            Ok(with_cookie(see(to), &cookies::keep_session(&on.token)))
        }
        Err(error @ (Error::LogOn | Error::LoggedOff { .. } | Error::Busy { .. })) => Ok(form(&visit, Some(&error))?),
        Err(error) => Err(error.into()),
    }
}

/// Somebody leaves.
pub(in crate::console) async fn leave(visit: Visit) -> Reply {
    let token = Zeroizing::new(visit.who()?.token().to_owned());
    visit.at_vault(move |vault| vault.accounts().log_off(&token)).await?;
    Ok(with_cookie(see("/log-on"), &cookies::forget_session()))
}
