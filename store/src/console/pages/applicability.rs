//! The statement of applicability: measured when somebody asks for it, and given as the page that is handed to auditors.

use crate::applicability::{Scope, StatementRequest, page as statement_page, style_digest};
use crate::console::gate::Visit;
use crate::console::headers::policy_of_file;
use crate::console::language::Lang;
use crate::console::page::page;
use crate::console::parts::choice;
use crate::console::reply::{Reply, html as whole};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::CONTENT_SECURITY_POLICY;
use maud::html;

/// What it is, and what to measure.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    visit.asks(&[])?;
    let words = visit.words;
    let hospitals: Vec<(String, String)> = visit
        .front
        .vault
        .hospitals()
        .iter()
        .map(|info| {
            let id = info.hospital.to_string();
            (id.clone(), id.chars().take(12).collect())
        })
        .collect();
    let languages: Vec<(String, String)> =
        [Lang::Ja, Lang::En].map(|lang| (lang.code().to_owned(), lang.words().own_name.to_owned())).into();
    let body = html! {
        p { (words.applicability_notice) }
        form.filter method="get" action="/applicability/statement" {
            (choice("in", words.language, None, &languages, visit.lang.code()))
            (choice("hospital", words.hospital, Some(words.every_hospital), &hospitals, ""))
            button { (words.measure) }
        }
        p.soft { (words.applicability_takes) }
    };
    Ok(page(&visit, words.applicability, &body))
}

/// The statement as of now.
pub(in crate::console) async fn statement(visit: Visit) -> Reply {
    let asks = visit.asks(&["in", "hospital"])?;
    let lang = asks.named("in", Lang::parse)?.unwrap_or(visit.lang);
    let hospital = asks.get("hospital").map(str::to_owned);
    let request = StatementRequest { hospital, lang };
    let caller = visit.who()?.caller.clone();
    let scope = Scope { vault: visit.front.vault.id().to_string(), hospital: request.hospital.clone() };
    let statement = visit.front.vault.applicability(request, caller).await?;
    let mut answer = whole(statement_page(&statement, &scope, lang)?);
    let policy = HeaderValue::from_str(&policy_of_file(&STANDARD.encode(style_digest())));
    let policy = policy.map_err(|_| crate::error::Error::Bug("a policy that is no header"))?;
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(answer)
}
