//! One's own account: password, second factor, the log-on before, and asking for more rights in an emergency.
//!
//! Somebody with a first password sees the form for another one and nothing else; then the second factor, and nothing else; then
//! everything (7.6.14-PW-M6, LOGON-S5).

use super::overview::before;
use crate::accounts::{Change, FirstDo, Role, Roles, TotpHash};
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{Mood, done, facts, field, moment, note, sentence_of, token};
use crate::console::reply::{Reply, see, with_status};
use crate::console::terms::term;
use crate::error::{Error, Result};
use axum::body::Body;
use http::{Response, StatusCode};
use maud::{Markup, html};
use qrcodegen::{QrCode, QrCodeEcc};
use shosoin_tiers::life::DAY_MS;
use zeroize::Zeroizing;

/// Empty modules around a QR code (ISO/IEC 18004).
const QUIET: i32 = 4;

/// The page.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let asks = visit.asks(&["done"])?;
    let words = visit.words;
    let said = match asks.get("done") {
        Some("password") => done(words.password_changed),
        Some("factor") => done(words.factor_proved),
        Some("asked") => done(words.request_made),
        _ => html! {},
    };
    Ok(own(&visit, &said)?)
}

/// What this person must do or may do, with something said above it.
fn own(visit: &Visit, said: &Markup) -> Result<Response<Body>> {
    let words = visit.words;
    let body = match visit.who()?.first_do {
        FirstDo::ChangePassword => html! {
            (said)
            (note(Mood::Warn, &html! { p { (words.first_password_notice) } }))
            div.narrow { (password_form(visit)) }
        },
        FirstDo::ProveSecondFactor => html! {
            (said)
            (note(Mood::Warn, &html! { p { (words.first_factor_notice) } }))
            div.narrow { (factor_form(visit)?) }
        },
        FirstDo::Nothing => html! {
            (said)
            (before(visit)?)
            div.panels {
                section.panel aria-labelledby="me" { h2 #me { (words.account) } (about(visit)?) }
                section.panel aria-labelledby="password-title" { h2 #password-title { (words.change_password) } (password_form(visit)) }
                section.panel aria-labelledby="factor-title" { h2 #factor-title { (words.second_factor) } (factor_form(visit)?) }
                section.panel aria-labelledby="emergency" { h2 #emergency { (words.break_glass) } (emergency_form(visit)?) }
            }
        },
    };
    Ok(page(visit, words.account, &body))
}

fn about(visit: &Visit) -> Result<Markup> {
    let (words, who) = (visit.words, visit.who()?);
    let roles: Vec<&str> = who.account.roles.list().iter().map(|role| term(visit.lang, "role", role.name())).collect();
    let config = visit.front.vault.accounts().config();
    let expires_ms = who.account.secrets.set_ms.saturating_add(u64::from(config.password_days) * DAY_MS);
    let hours = if who.account.hours.are_all() { words.always.to_owned() } else { who.account.hours.to_string() };
    Ok(facts(&[
        (words.account_id, html! { (who.account.id) }),
        (words.name, html! { (who.account.name) }),
        (words.roles, html! { (roles.join(" · ")) }),
        (words.hours_allowed, html! { (hours) }),
        (
            words.password_expires,
            if config.password_days == 0 {
                html! { (words.never) }
            } else {
                moment(visit, expires_ms)
            },
        ),
        (words.session_since, html! { (moment(visit, who.session.opened_ms)) " · " (who.session.from) }),
        (words.session_ends, html! { (config.idle_minutes) " " (words.minutes_unused) }),
    ]))
}

fn password_form(visit: &Visit) -> Markup {
    let words = visit.words;
    let secret = |name: &str, label: &str, kind: &str| {
        html! {
            div.field {
                label for=(name) { (label) }
                input #(name) name=(name) type="password" autocomplete=(kind) maxlength="256" required
                    aria-describedby=[(name == "new").then_some("new-hint")];
            }
        }
    };
    html! {
        form.tall method="post" action="/account/password" {
            (token(visit))
            (secret("old", words.password_in_use, "current-password"))
            (secret("new", words.new_password, "new-password"))
            p.hint #new-hint { (words.password_rules) }
            (secret("again", words.new_password_again, "new-password"))
            p { button { (words.change_password) } }
        }
    }
}

/// Chooses a password.
pub(in crate::console) async fn password(visit: Visit) -> Reply {
    let says = visit.says(&["old", "new", "again"])?;
    let typed = |name: &'static str| Zeroizing::new(says.get(name).unwrap_or_default().to_owned());
    let (old, new, again) = (typed("old"), typed("new"), typed("again"));
    if *new != *again {
        return Ok(wrong(&visit, &html! { p { (visit.words.passwords_differ) } })?);
    }
    let caller = visit.who()?.caller.clone();
    let changed = visit.at_vault(move |vault| vault.accounts().change_password(&caller, &old, &new)).await;
    Ok(answered(&visit, changed, "/account?done=password")?)
}

fn factor_form(visit: &Visit) -> Result<Markup> {
    let words = visit.words;
    let proved = visit.who()?.account.second_factor.as_ref().is_some_and(|factor| factor.is_proved());
    Ok(html! {
        @if proved { p { (words.factor_in_use) } } @else { p { (words.factor_missing) } }
        form.tall method="post" action="/account/second-factor" {
            (token(visit))
            @if proved { (field("code", words.code_of_old_factor, "text", "", None)) }
            p { button.second[proved] { (if proved { words.factor_anew } else { words.factor_enrol }) } }
        }
    })
}

/// Draws a second factor and shows it, once.
pub(in crate::console) async fn second_factor(visit: Visit) -> Reply {
    let says = visit.says(&["code"])?;
    let code = says.get("code").unwrap_or_default().to_owned();
    let caller = visit.who()?.caller.clone();
    let drawn = visit
        .at_vault(move |vault| {
            let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
            vault.accounts().enrol_second_factor(&caller, TotpHash::Sha1, &code)
        })
        .await;
    match drawn {
        Ok(uri) => Ok(shown_once(&visit, &uri, &html! {})?),
        Err(error) => Ok(answered(&visit, Err(error), "/account")?),
    }
}

fn shown_once(visit: &Visit, uri: &str, said: &Markup) -> Result<Response<Body>> {
    let words = visit.words;
    let secret = uri.split(['?', '&']).find_map(|part| part.strip_prefix("secret=")).unwrap_or_default();
    let in_fours: Vec<String> =
        secret.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four).into_owned()).collect();
    let body = html! {
        (said)
        div.narrow {
            p { (words.factor_scan) }
            (qr(uri, words.factor_qr)?)
            p { (words.factor_type) br; code.break { (in_fours.join(" ")) } }
            form.tall method="post" action="/account/second-factor/prove" {
                (token(visit))
                div.field {
                    label for="code" { (words.code_of_new_factor) }
                    input #code name="code" type="text" inputmode="numeric" autocomplete="one-time-code" maxlength="16" required;
                }
                p { button { (words.factor_prove) } }
            }
        }
    };
    Ok(page(visit, words.second_factor, &body))
}

/// A QR code as a drawing, dark on light with the margin that scanners want.
fn qr(text: &str, label: &str) -> Result<Markup> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium)
        .map_err(|_| Error::Bug("a second factor too long for a QR code"))?;
    let size = code.size();
    let mut path = String::new();
    for y in 0..size {
        for x in (0..size).filter(|x| code.get_module(*x, y)) {
            path.push_str(&format!("M{},{}h1v1h-1z", x + QUIET, y + QUIET));
        }
    }
    let side = size + 2 * QUIET;
    Ok(html! {
        svg.qr viewBox=(format!("0 0 {side} {side}")) role="img" aria-label=(label) shape-rendering="crispEdges" {
            rect width="100%" height="100%" fill="#ffffff" {}
            path d=(path) fill="#000000" {}
        }
    })
}

/// Proves a second factor by its first code.
pub(in crate::console) async fn prove(visit: Visit) -> Reply {
    let says = visit.says(&["code"])?;
    let code = says.get("code").unwrap_or_default().to_owned();
    let caller = visit.who()?.caller.clone();
    let proved = visit.at_vault(move |vault| vault.accounts().prove_second_factor(&caller, &code)).await;
    Ok(answered(&visit, proved, "/account?done=factor")?)
}

fn emergency_form(visit: &Visit) -> Result<Markup> {
    let (words, who) = (visit.words, visit.who()?);
    let more = Role::ALL.iter().filter(|role| {
        Roles::of(&[**role]).and_then(|roles| who.account.roles.with(roles)).is_ok() && !who.account.roles.has(**role)
    });
    Ok(html! {
        p { (words.break_glass_notice) }
        form.tall method="post" action="/account/break-glass" {
            (token(visit))
            fieldset {
                legend { (words.more_roles) }
                @for role in more {
                    @let id = format!("role-{}", role.name());
                    div.tick { input #(id) name="role" type="checkbox" value=(role.name()); label for=(id) { (term(visit.lang, "role", role.name())) } }
                }
                p.hint { (words.more_roles_hint) }
            }
            (field("minutes", words.minutes, "number", "60", None))
            (field("reason", words.reason, "text", "", None))
            p { button.second { (words.ask) } }
        }
    })
}

/// Asks for more rights, or other hours, for a while.
pub(in crate::console) async fn break_glass(visit: Visit) -> Reply {
    let says = visit.says(&["role*", "minutes", "reason"])?;
    let role = |name: &str| Role::parse(name).ok_or(Error::Argument { what: "role", why: "there is no such".into() });
    let roles = says.all("role").map(role).collect::<Result<Vec<Role>>>()?;
    let minutes = says.parsed::<u32>("minutes")?.unwrap_or(0);
    let reason = says.must("reason")?.trim().to_owned();
    let who = visit.who()?;
    let (caller, id) = (who.caller.clone(), who.account.id.clone());
    let change = Change::BreakGlass { id, roles: Roles::of(&roles)?, minutes };
    visit.at_vault(move |vault| vault.accounts().propose(&caller, change, &reason)).await?;
    Ok(see("/account?done=asked"))
}

/// What was typed wrong is said on the same page; whatever else failed is a page of its own.
fn answered(visit: &Visit, done: Result<()>, to: &str) -> Result<Response<Body>> {
    match done {
        Ok(()) => Ok(see(to)),
        Err(error @ (Error::Argument { .. } | Error::AccountState { .. })) => {
            let (sentence, detail) = sentence_of(visit.lang, &error);
            wrong(visit, &html! { p { (sentence) } @if let Some(detail) = detail { p.soft lang="en" { (detail) } } })
        }
        Err(error) => Err(error),
    }
}

fn wrong(visit: &Visit, said: &Markup) -> Result<Response<Body>> {
    let answer = own(visit, &html! { div.note.bad role="alert" { (said) } })?;
    Ok(with_status(answer, StatusCode::UNPROCESSABLE_ENTITY))
}
