//! In which language somebody is spoken to: what they chose, else what their browser asks for, else Japanese.

use super::words::{EN, JA, Words};
use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

pub(super) use crate::applicability::Lang;

/// Languages of a header that are looked at.
const RANGES_MAX: usize = 16;

impl Lang {
    /// Its code in pages and cookies.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Lang::Ja => "ja",
            Lang::En => "en",
        }
    }

    /// The language of a code.
    pub(super) fn parse(code: &str) -> Option<Self> {
        [Lang::Ja, Lang::En].into_iter().find(|lang| lang.code() == code)
    }

    /// The other one.
    pub(super) const fn other(self) -> Self {
        match self {
            Lang::Ja => Lang::En,
            Lang::En => Lang::Ja,
        }
    }

    /// Its words.
    pub(super) const fn words(self) -> &'static Words {
        match self {
            Lang::Ja => &JA,
            Lang::En => &EN,
        }
    }

    /// What a browser asks for (RFC 9110, 12.5.4).
    pub(super) fn asked_for(headers: &HeaderMap) -> Self {
        let text = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let range = |(at, part): (usize, &str)| {
            let (tag, rest) = part.split_once(';').unwrap_or((part, ""));
            let weight = rest.trim().strip_prefix("q=").map_or(Some(1.0), |text| text.parse::<f32>().ok())?;
            let primary = tag.trim().split('-').next()?.to_ascii_lowercase();
            let lang = if primary == "*" { Lang::Ja } else { Lang::parse(&primary)? };
            (weight > 0.0).then_some((weight, at, lang))
        };
        let ranges = text.split(',').take(RANGES_MAX).enumerate().filter_map(range);
        let best = ranges.reduce(|best, other| if other.0 > best.0 { other } else { best });
        best.map_or(Lang::Ja, |(_, _, lang)| lang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_language_is_the_one_that_weighs_most_and_japanese_where_none_is_known() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_str(text).unwrap());
            Lang::asked_for(&headers)
        };
        for (text, expected) in [
            ("ja", Lang::Ja),
            ("en-GB,en;q=0.9,ja;q=0.8", Lang::En),
            ("de,en;q=0.3,ja;q=0.7", Lang::Ja),
            ("fr", Lang::Ja),
            ("en;q=0", Lang::Ja),
            ("en;q=x,,;;", Lang::Ja),
            ("*;q=0.5,en", Lang::En),
        ] {
            assert_eq!(asked(text), expected, "{text}");
        }
        assert_eq!(Lang::asked_for(&HeaderMap::new()), Lang::Ja);
    }
}
