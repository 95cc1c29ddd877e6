//! What every request passes before a page sees it, in this order: how much its address asked for, its form and where it came
//! from, its session, what comes first for its person, the token of its form, and what its person may do.
//!
//! A page cannot forget any of it: it is given a [`Visit`], and only this file makes one.

use super::cookies::{self, Cookies};
use super::fields::{FORM_BYTES_MAX, Fields, TARGET_BYTES_MAX};
use super::language::Lang;
use super::limits::{Kind, address_key};
use super::reply::{Refused, see, with_cookie, with_status};
use super::routes::{self, Door};
use super::when::Moments;
use super::words::Words;
use super::{Front, Peer, page};
use crate::accounts::{Account, Caller, FirstDo, Session};
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::jobs::JobKind;
use crate::vault::blocking;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, State};
use axum::middleware::Next;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// For the bytes of a form.
const FORM_TAKES: Duration = Duration::from_secs(10);
/// Name of the field with the token of a form.
pub(super) const TOKEN: &str = "token";
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What is known of a request before anybody asks who it is from.
#[derive(Clone)]
pub(super) struct Arrived {
    from: IpAddr,
    lang: Lang,
    /// chosen just now
    chosen: Option<Lang>,
    cookies: Arc<Cookies>,
    path: String,
    query: String,
}

impl Arrived {
    /// In which language to answer.
    pub(super) fn lang(&self) -> Lang {
        self.lang
    }
}

/// A request that is let in, for a page.
#[derive(Clone)]
pub(super) struct Visit(Arc<Inside>);

/// What a page is told.
pub(super) struct Inside {
    pub(super) front: Arc<Front>,
    pub(super) lang: Lang,
    pub(super) words: &'static Words,
    pub(super) moments: Moments,
    pub(super) from: IpAddr,
    /// where it is, without what it asks
    pub(super) path: String,
    query: String,
    form: Bytes,
    /// what a log-on form must say again
    pub(super) entry: Option<Zeroizing<String>>,
    pub(super) who: Option<Who>,
}

/// A person who is logged on.
pub(super) struct Who {
    pub(super) caller: Caller,
    /// their name in the audit log
    pub(super) actor: String,
    pub(super) account: Account,
    pub(super) session: Session,
    pub(super) first_do: FirstDo,
    /// pages and actions that they may have now
    pub(super) allowed: Vec<&'static str>,
    /// jobs that they may start now
    pub(super) may_run: Vec<JobKind>,
    token: Zeroizing<String>,
}

impl std::ops::Deref for Visit {
    type Target = Inside;

    fn deref(&self) -> &Inside {
        &self.0
    }
}

impl Inside {
    /// The person, on a page that has one.
    pub(super) fn who(&self) -> Result<&Who> {
        self.who.as_ref().ok_or(Error::LoggedOff { why: "log on first" })
    }

    /// Whether the person may have this page or action now.
    pub(super) fn may(&self, work: &str) -> bool {
        self.who.as_ref().is_some_and(|who| who.allowed.contains(&work))
    }

    /// What the address asks.
    pub(super) fn asks(&self, known: &[&'static str]) -> Result<Fields> {
        Fields::read(self.query.as_bytes(), known)
    }

    /// What a form says. Its token was looked at already.
    pub(super) fn says(&self, known: &[&'static str]) -> Result<Fields> {
        Fields::read(&self.form, &[known, &[TOKEN]].concat())
    }

    /// The same page in another language.
    pub(super) fn in_language(&self, lang: Lang) -> String {
        let rest: String = if self.query.is_empty() { String::new() } else { format!("&{}", self.query) };
        format!("{}?lang={}{rest}", self.path, lang.code())
    }

    /// Does something that blocks with the vault.
    pub(super) async fn at_vault<T: Send + 'static>(
        &self,
        work: impl FnOnce(&crate::vault::Vault) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let vault = self.front.vault.clone();
        blocking(move || work(&vault)).await
    }
}

impl Who {
    /// The session's token, to end it.
    pub(super) fn token(&self) -> &str {
        &self.token
    }
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refused> {
        let visit = parts.extensions.get::<Visit>().cloned();
        visit.ok_or_else(|| Error::Bug("a page of the console without a gate").into())
    }
}

/// The first look at a request: nothing of it is believed yet, and nobody is asked who they are.
pub(super) async fn enter(
    front: &Front,
    Peer(from): Peer,
    request: Request<Body>,
) -> Result<Request<Body>, Box<Response<Body>>> {
    let (mut parts, body) = request.into_parts();
    let cookies = Cookies::read(&parts.headers);
    let lang = cookies.language.unwrap_or_else(|| Lang::asked_for(&parts.headers));
    let words = lang.words();
    let refuse = |status, what| Err(Box::new(page::bare(lang, status, what)));
    if let Err(wait) = front.limits.take(Kind::Requests, &address_key(from), Instant::now()) {
        return Err(Box::new(too_many(lang, wait)));
    }
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES_MAX || !parts.uri.path().starts_with('/') {
        return refuse(StatusCode::URI_TOO_LONG, words.not_understood);
    }
    if ![Method::GET, Method::HEAD, Method::POST].contains(&parts.method) {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, words.not_understood);
    }
    if let Err(why) = comes_from_here(&parts.method, &parts.headers) {
        tracing::warn!(%from, why, "refused a request to the console");
        let (accounts, told) = (front.vault.accounts().clone(), format!("{why}; console, from {from}"));
        let noted = blocking(move || accounts.note_turned_away("unknown", Action::CommandRefused, &told, from)).await;
        if let Err(error) = noted {
            tracing::error!(error = &error as &dyn std::error::Error, "a refusal could not be recorded");
        }
        return refuse(StatusCode::FORBIDDEN, words.from_elsewhere);
    }
    let (chosen, query) = without_language(parts.uri.query().unwrap_or_default());
    let chosen = chosen.filter(|_| parts.method != Method::POST);
    let path = parts.uri.path().to_owned();
    let arrived =
        Arrived { from, lang: chosen.unwrap_or(lang), chosen, cookies: Arc::new(cookies), path: path.clone(), query };
    parts.uri = Uri::try_from(path).unwrap_or_default();
    parts.extensions.insert(arrived);
    Ok(Request::from_parts(parts, body))
}

/// A request that changes something must come from a page of this very address, and nothing of ours is part of a page of
/// anybody else. Browsers say where they come from; who says nothing is no browser, and has no business with a form.
fn comes_from_here(method: &Method, headers: &HeaderMap) -> Result<(), &'static str> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let site = text(FETCH_SITE);
    if *method != Method::POST {
        let is_walk = text(FETCH_MODE) == Some("navigate") && text(FETCH_DEST) == Some("document");
        return match site {
            None | Some("same-origin" | "none") => Ok(()),
            Some(_) if is_walk => Ok(()), // a link from elsewhere: it has no session with it
            Some(_) => Err("a page from elsewhere fetched a part of it"),
        };
    }
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_here = |origin: &str| origin.strip_prefix("https://").is_some_and(|rest| rest.eq_ignore_ascii_case(host));
    match (site, text(ORIGIN)) {
        (None, None) => Err("a form without a word of where it comes from"),
        (Some(site), _) if site != "same-origin" => Err("a form from elsewhere"),
        (_, Some(origin)) if !is_here(origin) => Err("a form from elsewhere"),
        _ => Ok(()),
    }
}

/// Takes the choice of a language out of a query.
fn without_language(query: &str) -> (Option<Lang>, String) {
    let is_choice = |part: &&str| part.starts_with("lang=");
    let chosen = query.split('&').find(is_choice).and_then(|part| Lang::parse(part.trim_start_matches("lang=")));
    let rest: Vec<&str> = query.split('&').filter(|part| !part.is_empty() && !is_choice(part)).collect();
    (chosen, rest.join("&"))
}

/// Turns a flood away.
pub(super) fn too_many(lang: Lang, wait: Duration) -> Response<Body> {
    let mut answer = page::bare(lang, StatusCode::TOO_MANY_REQUESTS, lang.words().too_many);
    let seconds = HeaderValue::from(wait.as_secs().saturating_add(1));
    answer.headers_mut().insert(RETRY_AFTER, seconds);
    answer
}

/// Stands in front of every page.
pub(super) async fn gate(
    State(front): State<Arc<Front>>,
    matched: MatchedPath,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    let Some(arrived) = request.extensions().get::<Arrived>().cloned() else { return page::bare_bug() };
    let Some(door) = routes::door(matched.as_str()) else { return page::bare_bug() };
    let is_form = request.method() == Method::POST;
    let mut answer = match let_in(&front, &arrived, (matched.as_str(), door), request).await {
        Err(Outside::Answer(answer)) => *answer,
        Err(Outside::Error(error)) => page::failed(None, arrived.lang, &error),
        Ok((visit, mut request)) => {
            request.extensions_mut().insert(visit.clone());
            let answer = next.run(request).await;
            match answer.extensions().get::<Refused>().cloned() {
                Some(Refused(error)) if matches!(*error, Error::LoggedOff { .. }) => away(&arrived, door, is_form),
                Some(Refused(error)) => page::failed(Some(&visit), arrived.lang, &error),
                None => answer,
            }
        }
    };
    if let Some(lang) = arrived.chosen {
        answer = with_cookie(answer, &cookies::keep_language(lang));
    }
    answer
}

/// Why a request does not reach its page.
enum Outside {
    Answer(Box<Response<Body>>),
    Error(Error),
}

impl From<Error> for Outside {
    fn from(error: Error) -> Self {
        Outside::Error(error)
    }
}

impl From<Response<Body>> for Outside {
    fn from(answer: Response<Body>) -> Self {
        Outside::Answer(Box::new(answer))
    }
}

async fn let_in(
    front: &Arc<Front>,
    arrived: &Arrived,
    (work, door): (&str, Door),
    request: Request<Body>,
) -> Result<(Visit, Request<Body>), Outside> {
    let is_form = request.method() == Method::POST;
    let who = match door {
        Door::Open => None,
        _ => match person(front, arrived, (request.method(), work), door).await {
            Err(Error::LoggedOff { .. }) => return Err(away(arrived, door, is_form).into()),
            other => Some(other?),
        },
    };
    if let (Some(who), Door::Inside) = (&who, door)
        && who.first_do != FirstDo::Nothing
    {
        return Err(see("/account").into());
    }
    let (parts, body) = request.into_parts();
    let form = match is_form {
        false => Bytes::new(),
        true => {
            let expected = match (&who, door) {
                (Some(who), _) => Some(who.session.form_token.as_str()),
                (None, _) => arrived.cookies.entry.as_ref().map(|token| token.as_str()),
            };
            read_form(front, arrived, &parts.headers, body, (who.as_ref(), expected)).await?
        }
    };
    if let Some(who) = &who
        && is_form
        && let Err(wait) = front.limits.take(Kind::Work, who.account.id.as_str(), Instant::now())
    {
        return Err(too_many(arrived.lang, wait).into());
    }
    let inside = Inside {
        front: front.clone(),
        lang: arrived.lang,
        words: arrived.lang.words(),
        moments: Moments::at(front.vault.accounts().config().utc_offset),
        from: arrived.from,
        path: arrived.path.clone(),
        query: arrived.query.clone(),
        form,
        entry: arrived.cookies.entry.clone(),
        who,
    };
    Ok((Visit(Arc::new(inside)), Request::from_parts(parts, Body::empty())))
}

/// The person of a session, admitted to the page they ask for. Looks that a page takes by itself are no use of the session.
async fn person(front: &Arc<Front>, arrived: &Arrived, (method, work): (&Method, &str), door: Door) -> Result<Who> {
    let token = arrived.cookies.session.clone().ok_or(Error::LoggedOff { why: "log on first" })?;
    let (accounts, work) = (front.vault.accounts().clone(), work.to_owned());
    let (asked, from) = (format!("{method} {work}"), arrived.from);
    blocking(move || {
        let (session, account, first_do) = match door {
            Door::Look => accounts.session_unused(&token)?,
            _ => accounts.session(&token)?,
        };
        let caller = match (door, first_do) {
            (Door::Look, _) => accounts.caller_unused(&token)?,
            (_, FirstDo::Nothing) => accounts.caller(&token)?,
            _ => accounts.own_caller(&token)?,
        };
        let inside = matches!(first_do, FirstDo::Nothing) || door == Door::FirstSteps;
        let actor = match door {
            Door::Leaving => account.id.to_string(),
            _ if inside => accounts.admit(&caller, &work)?.actor,
            _ => account.id.to_string(),
        };
        if !matches!(door, Door::Look) {
            accounts.note_page(&actor, &asked, from)?;
        }
        let allowed = accounts.may_have(&caller, routes::PATHS)?;
        let jobs = accounts.may_have(&caller, &JobKind::ALL.map(JobKind::name))?;
        let may_run = jobs.into_iter().filter_map(JobKind::parse).collect();
        Ok(Who { caller, actor, account, session, first_do, allowed, may_run, token })
    })
    .await
}

/// Where somebody without a session is sent.
fn away(arrived: &Arrived, door: Door, is_form: bool) -> Response<Body> {
    match (door, is_form) {
        (Door::Look, _) | (_, true) => {
            page::bare(arrived.lang, StatusCode::UNAUTHORIZED, arrived.lang.words().logged_off)
        }
        _ => with_cookie(see("/log-on"), &cookies::forget_session()),
    }
}

/// Reads a form, and believes it only if it has the token that was put into forms of this session.
async fn read_form(
    front: &Arc<Front>,
    arrived: &Arrived,
    headers: &HeaderMap,
    body: Body,
    (who, expected): (Option<&Who>, Option<&str>),
) -> Result<Bytes, Outside> {
    let words = arrived.lang.words();
    let refuse = |status, what| Outside::from(page::bare(arrived.lang, status, what));
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/x-www-form-urlencoded") {
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, words.not_understood));
    }
    let read = tokio::time::timeout(FORM_TAKES, axum::body::to_bytes(body, FORM_BYTES_MAX)).await;
    let form = match read {
        Err(_) => return Err(refuse(StatusCode::REQUEST_TIMEOUT, words.not_understood)),
        Ok(Err(_)) => return Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, words.not_understood)),
        Ok(Ok(form)) => form,
    };
    let mut found = form_urlencoded::parse(&form).filter(|(name, _)| name == TOKEN).map(|(_, value)| value);
    let is_ours = match (found.next(), found.next(), expected) {
        (Some(found), None, Some(expected)) => bool::from(found.as_bytes().ct_eq(expected.as_bytes())),
        _ => false,
    };
    if is_ours {
        return Ok(form);
    }
    let (accounts, from) = (front.vault.accounts().clone(), arrived.from);
    let actor = who.map_or_else(|| "unknown".to_owned(), |who| who.account.id.to_string());
    let why = format!("{}: a form without its token; console, from {from}", arrived.path);
    blocking(move || accounts.note_turned_away(&actor, Action::CommandRefused, &why, from)).await?;
    Err(with_status(page::bare(arrived.lang, StatusCode::FORBIDDEN, words.form_is_old), StatusCode::FORBIDDEN).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("127.0.0.1:7444"));
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_form_comes_from_a_page_of_this_very_address_or_is_refused() {
        let here = "https://127.0.0.1:7444";
        let good: [&[(&str, &str)]; 3] = [
            &[("origin", here), ("sec-fetch-site", "same-origin")],
            &[("origin", here)],
            &[("sec-fetch-site", "same-origin")],
        ];
        for pairs in good {
            assert_eq!(comes_from_here(&Method::POST, &headers(pairs)), Ok(()), "{pairs:?}");
        }
        let bad: [&[(&str, &str)]; 8] = [
            &[],
            &[("origin", "null")],
            &[("origin", "http://127.0.0.1:7444")],
            &[("origin", "https://127.0.0.1:7445")],
            &[("origin", "https://127.0.0.1:7444.evil.example")],
            &[("origin", here), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "same-site")],
        ];
        for pairs in bad {
            assert!(comes_from_here(&Method::POST, &headers(pairs)).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn nothing_of_the_console_is_part_of_anybody_elses_page_and_a_link_to_it_is_walked() {
        let from = |site: &str, mode: &str, dest: &str| {
            let pairs = [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            comes_from_here(&Method::GET, &headers(&pairs)).is_ok()
        };
        assert!(from("none", "navigate", "document") && from("same-origin", "cors", "empty"));
        assert!(from("cross-site", "navigate", "document"));
        assert!(!from("cross-site", "navigate", "iframe") && !from("cross-site", "no-cors", "image"));
        assert!(!from("same-site", "cors", "empty") && !from("?", "", ""));
    }

    #[test]
    fn a_language_is_taken_out_of_a_query_and_nothing_else() {
        assert_eq!(without_language("lang=en&after=7"), (Some(Lang::En), "after=7".into()));
        assert_eq!(without_language("a=1&lang=xx&b=2"), (None, "a=1&b=2".into()));
        assert_eq!(without_language(""), (None, String::new()));
    }
}
