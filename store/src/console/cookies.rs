//! The three cookies: the session, the proof that a log-on form is ours, and the language.
//!
//! Invariants
//! - `__Host-`: for this host alone, only over TLS, for the whole of it; no other site and no subdomain can set one.
//! - What is read has exactly the form that was given out. A cookie that is there twice is none.

use super::language::Lang;
use http::HeaderMap;
use http::header::COOKIE;
use zeroize::Zeroizing;

const SESSION: &str = "__Host-shosoin";
const ENTRY: &str = "__Host-shosoin-entry";
const LANGUAGE: &str = "__Host-shosoin-language";
/// Hex digits of a token.
const TOKEN_DIGITS: usize = 64;

/// What a browser sent.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    /// token of a session
    pub(super) session: Option<Zeroizing<String>>,
    /// what the log-on form must say again
    pub(super) entry: Option<Zeroizing<String>>,
    /// what somebody chose
    pub(super) language: Option<Lang>,
}

impl Cookies {
    /// Reads them.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let token = |name| {
            let is_token = |text: &&str| {
                text.len() == TOKEN_DIGITS
                    && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
            };
            one(headers, name).filter(is_token).map(|text| Zeroizing::new(text.to_owned()))
        };
        Cookies { session: token(SESSION), entry: token(ENTRY), language: one(headers, LANGUAGE).and_then(Lang::parse) }
    }
}

fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = found.by_ref().filter(|(other, _)| *other == name).map(|(_, value)| value);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// A `Set-Cookie` that keeps a session until the browser is closed.
pub(super) fn keep_session(token: &str) -> Zeroizing<String> {
    Zeroizing::new(format!("{SESSION}={token}; Path=/; Secure; HttpOnly; SameSite=Strict"))
}

/// A `Set-Cookie` that forgets it.
pub(super) fn forget_session() -> String {
    format!("{SESSION}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0")
}

/// A `Set-Cookie` for the log-on form.
pub(super) fn keep_entry(token: &str) -> String {
    format!("{ENTRY}={token}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

/// A `Set-Cookie` that remembers a language for a year.
pub(super) fn keep_language(lang: Lang) -> String {
    format!("{LANGUAGE}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=31536000", lang.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_cookie_of_another_form_or_one_that_is_there_twice_is_none() {
        let read = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_str(line).unwrap());
            Cookies::read(&headers)
        };
        let token = "0123456789abcdef".repeat(4);
        let both = read(&format!("other=1; {SESSION}={token}; {LANGUAGE}=en"));
        assert_eq!(both.session.unwrap().as_str(), token);
        assert_eq!(both.language, Some(Lang::En));
        for line in [
            format!("{SESSION}={token}; {SESSION}={token}"),
            format!("{SESSION}={}", &token[1..]),
            format!("{SESSION}={}", token.to_uppercase()),
            format!("shosoin={token}"),
            SESSION.to_owned(),
        ] {
            assert!(read(&line).session.is_none(), "{line}");
        }
        assert_eq!(read(&format!("{LANGUAGE}=../../etc")).language, None);
    }

    #[test]
    fn every_cookie_is_of_this_host_alone_over_tls_and_out_of_reach_of_scripts() {
        let token = "ab".repeat(32);
        for cookie in [keep_session(&token).to_string(), forget_session(), keep_entry(&token), keep_language(Lang::Ja)]
        {
            assert!(cookie.starts_with("__Host-"), "{cookie}");
            for rule in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
                assert!(cookie.contains(rule), "{cookie}");
            }
            assert!(!cookie.contains("Domain"), "a __Host- cookie has none");
        }
    }
}
