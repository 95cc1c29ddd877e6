//! What several pages have: times, sizes, states, bars, tables, forms, and failures in words.

use super::gate::{TOKEN, Visit};
use super::language::Lang;
use super::terms::{phrase, term};
use super::when::{bytes, grouped, machine};
use crate::accounts::Refusal;
use crate::error::Error;
use maud::{Markup, html};

/// How a state is to be taken. Colour never says it alone: each has its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// as it should be
    Good,
    /// neither
    Plain,
    /// to be looked at
    Warn,
    /// wrong
    Bad,
}

impl Mood {
    const fn class(self) -> &'static str {
        match self {
            Mood::Good => "good",
            Mood::Plain => "plain",
            Mood::Warn => "warn",
            Mood::Bad => "bad",
        }
    }
}

/// A state in a word.
pub(super) fn badge(mood: Mood, word: &str) -> Markup {
    html! { span.badge.(mood.class()) { (word) } }
}

/// Something to be read first.
pub(super) fn note(mood: Mood, words: &Markup) -> Markup {
    html! { div.note.(mood.class()) { (words) } }
}

/// What an action did, said on the page that comes after it.
pub(super) fn done(words: &str) -> Markup {
    html! { div.note.good role="status" { p { (words) } } }
}

/// A moment, to the minute.
pub(super) fn moment(visit: &Visit, at_ms: u64) -> Markup {
    html! { time datetime=(machine(at_ms)) { (visit.moments.minute(at_ms)) } }
}

/// A moment that may not be known.
pub(super) fn maybe_moment(visit: &Visit, at_ms: Option<u64>) -> Markup {
    match at_ms.filter(|at_ms| *at_ms > 0) {
        Some(at_ms) => moment(visit, at_ms),
        None => nothing(visit),
    }
}

/// A day.
pub(super) fn day(visit: &Visit, at_ms: Option<u64>) -> Markup {
    match at_ms {
        Some(at_ms) => html! { time datetime=(machine(at_ms)) { (visit.moments.day(at_ms)) } },
        None => nothing(visit),
    }
}

/// Where a value would be.
pub(super) fn nothing(visit: &Visit) -> Markup {
    html! { span.soft { span aria-hidden="true" { "—" } span.unseen { (visit.words.none) } } }
}

/// A size.
pub(super) fn size(count: u64) -> Markup {
    html! { span.number title=(format!("{} B", grouped(count))) { (bytes(count)) } }
}

/// A size that may not be known.
pub(super) fn maybe_size(visit: &Visit, count: Option<u64>) -> Markup {
    count.map_or_else(|| nothing(visit), size)
}

/// An id: the whole of it for programs and copying, its beginning for people.
pub(super) fn short(id: &str) -> Markup {
    let head: String = id.chars().take(8).collect();
    html! { code title=(id) { (head) @if head.len() < id.len() { "…" } } }
}

/// A share of a whole as a bar, with its words beside it. `mark` is a place on it.
pub(super) fn bar(label: &str, share: f64, mood: Mood, mark: Option<f64>) -> Markup {
    let whole = 100.0;
    let share = if share.is_finite() { (share * whole).clamp(0.0, whole) } else { 0.0 };
    html! {
        svg.bar.(mood.class()) viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            rect.whole x="0" y="0" width="100" height="8" {}
            rect.part x="0" y="0" width=(format!("{share:.1}")) height="8" {}
            @if let Some(mark) = mark.filter(|mark| mark.is_finite()) {
                rect.mark x=(format!("{:.1}", (mark * whole).clamp(0.0, 99.0))) y="0" width="1" height="8" {}
            }
        }
    }
}

/// A table that may be wider than the screen.
pub(super) fn table(caption: &str, headings: &[&str], rows: &[Markup], empty: &str) -> Markup {
    html! {
        @if rows.is_empty() {
            h2 { (caption) }
            p.soft { (empty) }
        } @else {
            div.scroll role="region" aria-label=(caption) tabindex="0" {
                table {
                    caption { (caption) }
                    thead { tr { @for heading in headings { th scope="col" { (heading) } } } }
                    tbody { @for row in rows { (row) } }
                }
            }
        }
    }
}

/// Facts by name.
pub(super) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! { dl { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } } }
}

/// The token of a form, without which it is not believed.
pub(super) fn token(visit: &Visit) -> Markup {
    let token = visit.who.as_ref().map_or("", |who| who.session.form_token.as_str());
    html! { input type="hidden" name=(TOKEN) value=(token); }
}

/// One field of a form with its name.
pub(super) fn field(name: &str, label: &str, kind: &str, value: &str, hint: Option<&str>) -> Markup {
    let hint_id = hint.map(|_| format!("{name}-hint"));
    html! {
        div.field {
            label for=(name) { (label) }
            input #(name) name=(name) type=(kind) value=(value) aria-describedby=[hint_id.as_deref()] autocomplete="off";
            @if let (Some(hint), Some(id)) = (hint, hint_id.as_deref()) { p.hint #(id) { (hint) } }
        }
    }
}

/// A choice of one among several; the first may be nothing.
pub(super) fn choice(name: &str, label: &str, any: Option<&str>, options: &[(String, String)], chosen: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            select #(name) name=(name) {
                @if let Some(any) = any { option value="" selected[chosen.is_empty()] { (any) } }
                @for (value, words) in options {
                    option value=(value) selected[chosen == value] { (words) }
                }
            }
        }
    }
}

/// A failure in the language of who reads it, and in the library's own words where those say more.
pub(super) fn sentence_of(lang: Lang, error: &Error) -> (String, Option<String>) {
    let message = error.problem().message;
    let words = lang.words();
    if lang == Lang::En {
        return (capital(&message), None);
    }
    let sentence = match error {
        Error::NotPermitted { why, .. } => refusal(lang, why),
        Error::LogOn => words.log_on_failed.to_owned(),
        Error::LoggedOff { .. } => words.logged_off.to_owned(),
        Error::Busy { .. } => words.too_many.to_owned(),
        Error::Argument { why, .. } | Error::AccountState { why, .. } => match phrase(why) {
            Some(known) => return (known.to_owned(), None),
            None => term(lang, "error", error.code()).to_owned(),
        },
        other => term(lang, "error", other.code()).to_owned(),
    };
    let is_whole =
        matches!(error, Error::NotPermitted { .. } | Error::LogOn | Error::LoggedOff { .. } | Error::Busy { .. });
    (sentence, (!is_whole).then_some(message))
}

fn refusal(lang: Lang, why: &Refusal) -> String {
    let words = lang.words();
    match why {
        Refusal::NoRole(permission) => {
            let roles: Vec<&str> = permission.roles().iter().map(|role| term(lang, "role", role.name())).collect();
            format!("{}（{}）", words.not_your_role, roles.join("、"))
        }
        Refusal::OutsideHours => words.outside_hours.to_owned(),
        Refusal::NoAccount { .. } | Refusal::Standing(_) | Refusal::NobodyMay | Refusal::FirstIsAdmin => {
            words.not_permitted.to_owned()
        }
        Refusal::Doubted => words.accounts_doubted.to_owned(),
    }
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if sentence.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}
