//! A report as a document to print and to sign: one file, no script, nothing fetched from anywhere.

use super::{Amount, Report};
use crate::applicability::Lang;
use crate::console::translate;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::collections::BTreeMap;

/// Style of the document.
const STYLE: &str = include_str!("../applicability/statement.css");

/// The document. `digest` is of the figures as they are kept.
pub(super) fn page(report: &Report, digest: &str, lang: Lang) -> String {
    let say = |en: &'static str, ja: &'static str| if lang == Lang::Ja { ja } else { en };
    let moment = |at_ms: u64| {
        let at = time::OffsetDateTime::from_unix_timestamp(i64::try_from(at_ms / 1000).unwrap_or(0)).ok();
        at.and_then(|at| at.format(&time::format_description::well_known::Rfc3339).ok()).unwrap_or_default()
    };
    let title = format!("{} {}", say("Monthly report", "月次報告書"), report.month);
    let amounts = [
        (say("Received this month", "当月の受入"), report.received),
        (say("Held when this was made", "作成時の保管"), report.held),
        (say("Given out until then", "それまでの引渡し"), report.given_out),
        (say("Disposed of until then", "それまでの廃棄"), report.disposed),
        (say("Sealed records read this month", "当月の封印済み記録の読出し"), report.read),
    ];
    let scrub = [
        (say("Every byte is verified within, days", "全バイトの検証周期（日）"), report.scrub.period_days.to_string()),
        (say("Bytes to be verified", "検証対象（バイト）"), report.scrub.total_bytes.to_string()),
        (say("Bytes not verified in time", "期限内に未検証（バイト）"), report.scrub.debt_bytes.to_string()),
        (say("Longest unverified, days", "最長の未検証期間（日）"), report.scrub.oldest_days.to_string()),
        (say("Tours of volumes this month", "当月の媒体巡回"), report.scrub.tours.to_string()),
        (say("Bytes they read", "巡回で読んだバイト"), report.scrub.read_bytes.to_string()),
        (say("Findings", "検出"), report.scrub.findings.to_string()),
    ];
    let forward = [
        (say("Volumes in use", "使用中の媒体"), report.copy_forward.volumes.to_string()),
        (
            say("Must be emptied within a year", "一年以内に移行を始める媒体"),
            report.copy_forward.due_within_year.to_string(),
        ),
        (say("Late", "期限を過ぎた媒体"), report.copy_forward.late.to_string()),
        (
            say("Bytes moved and verified this month", "当月に移行し検証したバイト"),
            report.copy_forward.moved_bytes.to_string(),
        ),
    ];
    let none = say("None.", "ありません。");
    html! {
        (DOCTYPE)
        html lang=(lang.code()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { (title) }
                    (facts(&[
                        (say("Vault", "保管庫"), report.vault.clone()),
                        (say("Hospital", "医療機関"), report.hospital.clone()),
                        (say("From", "期間の始め"), moment(report.from_ms)),
                        (say("Until", "期間の終わり"), moment(report.until_ms)),
                        (say("Made", "作成"), moment(report.made_ms)),
                        (say("Entries of the ledger", "台帳の項目数"), report.log_size.to_string()),
                        (say("Root over them", "台帳の根のダイジェスト"), report.log_root.clone()),
                        (say("SHA-256 of the figures", "数値のSHA-256"), digest.to_owned()),
                    ]))
                    h2 { (say("Deposits", "受託記録")) }
                    (amounts_table(&amounts, [say("Deposits or records", "件数"), say("Sealed bytes", "封印済みバイト")]))
                    h2 { (say("What was done for the hospital this month", "当月の作業")) }
                    (counted(&report.events, none, |name| in_words(lang, name)))
                    h2 { (say("Alarms of the house", "保管庫全体の警報")) }
                    (counted(&report.alarms, none, |name| translate(lang, "alarm", name).to_owned()))
                    h2 { (say("Incidents told to the hospital", "医療機関へ通知した事故")) }
                    (counted(&report.incidents, none, |name| translate(lang, "incident", name).to_owned()))
                    h2 { (say("Verification", "検証")) }
                    (facts(&scrub))
                    h2 { (say("Move to new media", "媒体の移行")) }
                    (facts(&forward))
                    h2 { (say("Remarks of the hospital", "医療機関の所見")) }
                    p { (say("Name, date, signature:", "氏名・日付・署名：")) }
                }
            }
        }
    }
    .into_string()
}

/// A kind and how it ended, in words.
fn in_words(lang: Lang, name: &str) -> String {
    let (action, outcome) = name.split_once(' ').unwrap_or((name, ""));
    format!("{} · {}", translate(lang, "action", action), translate(lang, "outcome", outcome))
}

fn facts(facts: &[(&str, String)]) -> Markup {
    html! { table { tbody { @for (name, value) in facts { tr { th scope="row" { (name) } td { (value) } } } } } }
}

fn amounts_table(amounts: &[(&str, Amount)], headings: [&str; 2]) -> Markup {
    html! {
        table {
            thead { tr { th {} @for heading in headings { th scope="col" { (heading) } } } }
            tbody { @for (name, amount) in amounts { tr { th scope="row" { (name) } td { (amount.count) } td { (amount.bytes) } } } }
        }
    }
}

fn counted(counts: &BTreeMap<String, u64>, none: &str, word: impl Fn(&str) -> String) -> Markup {
    html! {
        @if counts.is_empty() { p { (none) } }
        @else { table { tbody { @for (name, count) in counts { tr { th scope="row" { (word(name)) } td { (count) } } } } } }
    }
}
