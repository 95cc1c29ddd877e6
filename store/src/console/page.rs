//! What is around every page: the head, the way to the other pages, who is logged on, and what is said where there is no page.

use super::gate::{TOKEN, Visit};
use super::language::Lang;
use super::parts::sentence_of;
use super::reply::{html, with_status};
use super::words::Words;
use crate::accounts::FirstDo;
use crate::error::Error;
use axum::body::Body;
use http::{Response, StatusCode};
use maud::{DOCTYPE, Markup, html as markup};
use shosoin_protocol::ErrorKind;

/// Pages of the menu, in its order.
fn menu(words: &'static Words) -> [(&'static str, &'static str); 12] {
    [
        ("/", words.overview),
        ("/jobs", words.jobs),
        ("/volumes", words.volumes),
        ("/forecast", words.forecast),
        ("/ledger", words.ledger),
        ("/approvals", words.approvals),
        ("/quarantine", words.quarantine),
        ("/incidents", words.incidents),
        ("/reports", words.reports),
        ("/audit", words.audit),
        ("/people", words.people),
        ("/applicability", words.applicability),
    ]
}

/// A page for somebody who is logged on, or who is about to.
pub(super) fn page(visit: &Visit, title: &str, body: &Markup) -> Response<Body> {
    let words = visit.words;
    let vault = visit.front.vault.id().to_string();
    let inside = visit.who.as_ref().filter(|who| who.first_do == FirstDo::Nothing);
    html(
        markup! {
            (DOCTYPE)
            html lang=(visit.lang.code()) {
                (head(title, words))
                body {
                    a.skip href="#main" { (words.skip) }
                    header.top {
                        p.brand { a href="/" { "Shosoin" } span { (words.console) } }
                        div.who {
                            @let other = visit.lang.other();
                            a href=(visit.in_language(other)) hreflang=(other.code()) lang=(other.code()) { (other.words().own_name) }
                            @if let Some(who) = &visit.who {
                                a href="/account" aria-current=[(visit.path == "/account").then_some("page")] {
                                    (words.account) ": " (who.account.id.as_str())
                                }
                                form method="post" action="/log-off" {
                                    input type="hidden" name=(TOKEN) value=(who.session.form_token);
                                    button.plain { (words.log_off) }
                                }
                            }
                        }
                    }
                    @if inside.is_some() {
                        nav aria-label=(words.menu) {
                            ul {
                                @for (path, name) in menu(words).into_iter().filter(|(path, _)| visit.may(path)) {
                                    li { a href=(path) aria-current=[current(visit, path)] { (name) } }
                                }
                            }
                        }
                    }
                    main #main tabindex="-1" {
                        h1 { (title) }
                        (body)
                    }
                    footer {
                        p { (words.vault) " " code { (vault) } " · Shosoin " (env!("CARGO_PKG_VERSION")) " · " (visit.moments.zone()) }
                    }
                }
            }
        }
        .into_string(),
    )
}

fn current(visit: &Visit, path: &str) -> Option<&'static str> {
    let below = path != "/" && visit.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    match visit.path == path {
        true => Some("page"),
        false => below.then_some("true"),
    }
}

fn head(title: &str, words: &Words) -> Markup {
    markup! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light";
            title { (title) " · " (words.console) }
            link rel="icon" href="/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/console.css";
            script src="/console.js" defer {}
        }
    }
}

/// A page that says one thing to somebody of whom nothing is known.
pub(super) fn bare(lang: Lang, status: StatusCode, what: &str) -> Response<Body> {
    let words = lang.words();
    let page = markup! {
        (DOCTYPE)
        html lang=(lang.code()) {
            (head(words.not_done, words))
            body {
                header.top { p.brand { a href="/" { "Shosoin" } span { (words.console) } } }
                main #main tabindex="-1" {
                    h1 { (words.not_done) }
                    p { (what) }
                    p { a href="/" { (words.to_the_start) } }
                }
            }
        }
    };
    with_status(html(page.into_string()), status)
}

/// What is said where an invariant of ours is broken.
pub(super) fn bare_bug() -> Response<Body> {
    bare(Lang::En, StatusCode::INTERNAL_SERVER_ERROR, Lang::En.words().bug)
}

/// A page about a failure. What it says of the data is the library's sentence, which names no key, no name and no content.
pub(super) fn failed(visit: Option<&Visit>, lang: Lang, error: &Error) -> Response<Body> {
    let status = StatusCode::from_u16(error.kind().http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if matches!(error.kind(), ErrorKind::Damaged | ErrorKind::Bug) {
        tracing::error!(error = error as &dyn std::error::Error, "a page of the console failed");
    }
    let Some(visit) = visit else { return bare(lang, status, &sentence_of(lang, error).0) };
    let words = visit.words;
    let (sentence, detail) = sentence_of(lang, error);
    let body = markup! {
        div.note.bad role="alert" {
            p { (sentence) }
            @if let Some(detail) = detail { p.soft lang="en" { (detail) } }
        }
        p { (words.nothing_changed) }
        p { a href="/" { (words.to_the_start) } }
    };
    with_status(page(visit, words.not_done, &body), status)
}
