//! Monthly reports: which there are, and each as the document that a hospital gets.

use crate::applicability::style_digest;
use crate::console::gate::Visit;
use crate::console::headers::policy_of_file;
use crate::console::language::Lang;
use crate::console::page::page;
use crate::console::parts::{short, table};
use crate::console::reply::{Reply, html as whole};
use crate::reports::{Month, ReportCommand};
use axum::extract::Path;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::CONTENT_SECURITY_POLICY;
use maud::{Markup, html};

/// The reports of every hospital, newest first.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    visit.asks(&[])?;
    let words = visit.words;
    let made = visit
        .at_vault(|vault| {
            let hospitals = vault.hospitals().into_iter().map(|info| info.hospital);
            hospitals.map(|hospital| Ok((hospital, vault.inner.reports_of(hospital)?))).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut rows: Vec<(Month, Markup)> = Vec::new();
    for (hospital, months) in &made {
        rows.extend(months.iter().map(|month| (*month, row(&visit, &hospital.to_string(), *month))));
    }
    rows.sort_by_key(|(month, _)| std::cmp::Reverse(*month));
    let rows: Vec<Markup> = rows.into_iter().map(|(_, row)| row).collect();
    let body = html! {
        p.soft { (words.reports_notice) }
        (table(words.reports, &[words.report_month, words.hospital, words.language], &rows, words.no_report))
    };
    Ok(page(&visit, words.reports, &body))
}

fn row(visit: &Visit, hospital: &str, month: Month) -> Markup {
    let to = |lang: Lang| format!("/reports/{hospital}/{month}?in={}", lang.code());
    html! {
        tr {
            th scope="row" { a href=(to(visit.lang)) { (month) } }
            td { (short(hospital)) }
            td {
                @for lang in [Lang::Ja, Lang::En] {
                    a href=(to(lang)) lang=(lang.code()) aria-label=(format!("{month} {}", lang.words().own_name)) { (lang.words().own_name) } " "
                }
            }
        }
    }
}

/// One of them.
pub(in crate::console) async fn one(visit: Visit, Path((hospital, month)): Path<(String, String)>) -> Reply {
    let lang = visit.asks(&["in"])?.named("in", Lang::parse)?.unwrap_or(visit.lang);
    let wrong = |why: String| crate::error::Error::Argument { what: "month", why };
    let month: Month = month.parse().map_err(|_| wrong("it is a month, as in 2026-04".to_owned()))?;
    let command = ReportCommand::Show { hospital: Some(hospital), month, lang };
    let report = visit.front.vault.report_command(command, visit.who()?.caller.clone()).await?;
    let mut answer = whole(report["html"].as_str().unwrap_or_default().to_owned());
    let policy = HeaderValue::from_str(&policy_of_file(&STANDARD.encode(style_digest())));
    let policy = policy.map_err(|_| crate::error::Error::Bug("a policy that is no header"))?;
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(answer)
}
