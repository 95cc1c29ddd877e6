//! The statement as a page to print and hand over: one file, no script, nothing fetched from anywhere.

use super::catalogue::{Catalogue, Control, Duty, Tension};
use super::{Lang, Line, State, Statement};
use crate::error::Result;
use std::fmt::Write as _;

/// Style of the page: readable on a screen and on A4.
const STYLE: &str = "\
:root{--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--met:#1a7f37;--bad:#b42318;--none:#6e7781;--org:#0550ae}\
*{box-sizing:border-box}body{margin:0 auto;max-width:72rem;padding:2rem 1.5rem;color:var(--ink);background:#fff;\
font:15px/1.65 'Hiragino Sans','Noto Sans JP','Noto Sans CJK JP','Yu Gothic',Meiryo,system-ui,sans-serif}\
h1{font-size:1.7rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2.2rem 0 .5rem;border-bottom:2px solid var(--ink);\
padding-bottom:.2rem}p.soft,dd,small{color:var(--soft)}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;\
margin:1rem 0}dt{font-weight:600}dd{margin:0}table{border-collapse:collapse;width:100%}th,td{border:1px solid var(--line);\
padding:.4rem .6rem;text-align:left;vertical-align:top}th{background:#f6f8fa;font-weight:600}table.sum{width:auto}\
table.sum td{text-align:right;font-variant-numeric:tabular-nums}td.id{white-space:nowrap;font-weight:600}\
td.when{white-space:nowrap;color:var(--soft);font-size:.85em}td.ev{overflow-wrap:anywhere;font-size:.92em}\
.s{display:inline-block;padding:0 .5em;border-radius:.3em;border:1px solid;font-weight:600;white-space:nowrap;font-size:.88em}\
.met{color:var(--met)}.not-met{color:var(--bad)}.not-shown{color:var(--none)}.organisation{color:var(--org)}\
.ev div+div{margin-top:.25rem}@media print{body{padding:0;font-size:9.5pt;max-width:none}h2{break-after:avoid}\
tr{break-inside:avoid}thead{display:table-header-group}@page{size:A4 landscape;margin:14mm}}";

/// Words of the page.
struct Words {
    lang: &'static str,
    title: &'static str,
    guideline: &'static str,
    edition: &'static str,
    release: &'static str,
    made: &'static str,
    scope: &'static str,
    meaning: &'static str,
    medical: &'static str,
    headings: [&'static str; 6],
    total: &'static str,
    states: [&'static str; 4],
    duties: [&'static str; 3],
    must: &'static str,
    should: &'static str,
    never: &'static str,
}

const JA: Words = Words {
    lang: "ja",
    title: "適用宣言書",
    guideline: "対象の指針",
    edition: "版",
    release: "製品",
    made: "測定日時",
    scope: "対象",
    meaning: "「適合」は、この宣言書の作成時に実行した検査がすべて成り立った項目に限る。検査の名称と測定値を根拠欄に記す。測定したものがない\
              項目は「未提示」とし、機能があるというだけで適合とはしない。要約は技術上の言い換えであり、正文は公表された指針のみである。",
    medical: "◎ は医療情報の特性を特に考慮した管理策（7.1.1-S3）。小さな字の T 番号は、本文の要求どうしが引き合う箇所の解き方。",
    headings: ["番号", "区分", "状態", "求められること", "根拠", "測定日時"],
    total: "計",
    states: ["適合", "不適合", "未提示", "組織の責務"],
    duties: ["製品", "記録", "組織"],
    must: "必須",
    should: "推奨",
    never: "—",
};

const EN: Words = Words {
    lang: "en",
    title: "Statement of applicability",
    guideline: "Guideline",
    edition: "Edition",
    release: "Release",
    made: "Measured",
    scope: "Scope",
    meaning: "A control is met only where every check that ran while this statement was made holds; the evidence names the checks \
              and their figures. Where nothing was measured a control is not shown, and none is met because a function exists. \
              Summaries are paraphrase; the published Japanese text alone is authoritative.",
    medical: "◎ marks controls that take special account of medical information (7.1.1-S3). Small print with a T number says how two demands \
              that pull apart are reconciled.",
    headings: ["Control", "Duty", "State", "What is asked", "Evidence", "Measured"],
    total: "total",
    states: ["met", "not met", "not shown", "organisation"],
    duties: ["product", "evidence", "organisation"],
    must: "must",
    should: "should",
    never: "—",
};

const STATES: [State; 4] = [State::Met, State::NotMet, State::NotShown, State::Organisation];
const DUTIES: [Duty; 3] = [Duty::Product, Duty::Evidence, Duty::Organisation];

/// The page of a statement. `scope` says what it is about: the vault, or one hospital in it.
pub fn page(statement: &Statement, scope: &str, lang: Lang) -> Result<String> {
    let (catalogue, words) = (Catalogue::edition_2()?, if lang == Lang::Ja { &JA } else { &EN });
    let mut out = String::with_capacity(512 * 1024);
    head(&mut out, &catalogue, statement, scope, words);
    summary(&mut out, statement, words);
    let mut section = "";
    for (control, line) in catalogue.controls.iter().zip(&statement.controls) {
        if control.section != section {
            if !section.is_empty() {
                out += "</tbody></table></section>\n";
            }
            section = &control.section;
            let title = if lang == Lang::Ja { &control.title_ja } else { &control.title };
            let _ = write!(out, "<section><h2>{section} {}</h2><table><thead><tr>", escaped(title));
            out.extend(words.headings.map(|heading| format!("<th scope=\"col\">{heading}</th>")));
            out += "</tr></thead><tbody>\n";
        }
        row(&mut out, &catalogue, (control, line), lang);
    }
    out += "</tbody></table></section>\n</main></body></html>\n";
    Ok(out)
}

fn head(out: &mut String, catalogue: &Catalogue, statement: &Statement, scope: &str, words: &Words) {
    let measured = statement.controls.iter().filter_map(|line| line.measured_at.as_deref());
    let newest = measured.filter(|at| at.contains('T')).max().unwrap_or(words.never);
    let meta = &catalogue.meta;
    let guideline = if words.lang == "ja" { &meta.guideline_ja } else { &meta.guideline };
    let Words { lang, title, meaning, medical, .. } = words;
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>{STYLE}</style></head><body><main>\n\
         <h1>{title}</h1>\n<dl><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{} ({})</dd><dt>{}</dt><dd>Shosoin {}</dd><dt>{}</dt><dd>{}</dd><dt>{}</dt><dd>{}</dd></dl>\n\
         <p>{meaning}</p><p class=\"soft\">{medical}</p>\n",
        words.guideline,
        escaped(guideline),
        words.edition,
        escaped(&statement.edition),
        escaped(&meta.edition_date),
        words.release,
        env!("CARGO_PKG_VERSION"),
        words.scope,
        escaped(scope),
        words.made,
        escaped(newest),
    );
}

fn summary(out: &mut String, statement: &Statement, words: &Words) {
    let count = |duty: Option<Duty>, state: Option<State>| {
        let lines = statement.controls.iter();
        lines.filter(|line| duty.is_none_or(|d| line.duty == d) && state.is_none_or(|s| line.state == s)).count()
    };
    *out += "<table class=\"sum\"><thead><tr><th></th>";
    for (state, word) in STATES.iter().zip(words.states) {
        let _ = write!(out, "<th scope=\"col\"><span class=\"s {}\">{word}</span></th>", class(*state));
    }
    let _ = write!(out, "<th scope=\"col\">{}</th></tr></thead><tbody>", words.total);
    let rows = DUTIES.iter().map(|duty| Some(*duty)).zip(words.duties).chain([(None, words.total)]);
    for (duty, word) in rows {
        let _ = write!(out, "<tr><th scope=\"row\">{word}</th>");
        out.extend(STATES.map(|state| format!("<td>{}</td>", count(duty, Some(state)))));
        let _ = write!(out, "<td>{}</td></tr>", count(duty, None));
    }
    *out += "</tbody></table>\n";
}

fn row(out: &mut String, catalogue: &Catalogue, (control, line): (&Control, &Line), lang: Lang) {
    let words = if lang == Lang::Ja { &JA } else { &EN };
    let asked = if lang == Lang::Ja { &control.summary_ja } else { &control.summary };
    let mark = if control.is_medical() { " ◎" } else { "" };
    let weight = if control.kind == "must" { words.must } else { words.should };
    let word_of = |state| STATES.iter().position(|known| *known == state).map_or("", |at| words.states[at]);
    let duty = DUTIES.iter().position(|known| *known == line.duty).map_or("", |at| words.duties[at]);
    let opener = if lang == Lang::Ja { "［" } else { "[" };
    let split = line.evidence.replace(&format!(" {opener}"), &format!("\u{0}{opener}"));
    let evidence: String = split.split('\u{0}').map(|part| format!("<div>{}</div>", escaped(part))).collect();
    let tensions = catalogue.tensions.iter().filter(|tension| control.tension.contains(&tension.id));
    let resolved: String = tensions
        .map(|Tension { id, en, ja }| {
            format!("<div><small>{id}: {}</small></div>", escaped(if lang == Lang::Ja { ja } else { en }))
        })
        .collect();
    let when = line.measured_at.as_deref().unwrap_or(words.never);
    let _ = writeln!(
        out,
        "<tr id=\"c-{id}\"><td class=\"id\">{id}{mark}</td><td>{duty}<br><small>{weight}</small></td>\
         <td><span class=\"s {}\">{}</span></td><td>{}{resolved}</td><td class=\"ev\">{evidence}</td><td class=\"when\">{}</td></tr>",
        class(line.state),
        word_of(line.state),
        escaped(asked),
        escaped(when),
        id = escaped(&line.id),
    );
}

fn class(state: State) -> &'static str {
    match state {
        State::Met => "met",
        State::NotMet => "not-met",
        State::NotShown => "not-shown",
        State::Organisation => "organisation",
    }
}

/// Text that can neither open nor close anything in the page.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_every_control_fetches_nothing_and_lets_no_text_become_markup() {
        let catalogue = Catalogue::edition_2().unwrap();
        let line = |control: &Control| Line {
            id: control.id.clone(),
            duty: control.duty,
            state: State::NotMet,
            measured_at: None,
            evidence: "<script>alert(1)</script>".into(),
        };
        let controls = catalogue.controls.iter().map(line).collect();
        let statement = Statement { edition: "2".into(), controls };
        for lang in [Lang::Ja, Lang::En] {
            let page = page(&statement, "<b>vault</b>", lang).unwrap();
            assert_eq!(page.matches("<tr id=\"c-").count(), 392);
            for fetched in ["<script", "http://", "https://", "url(", "<b>vault", "<link", "@import", "src="] {
                assert!(!page.contains(fetched), "{fetched}");
            }
            assert_eq!(page.matches("<section>").count(), page.matches("</section>").count());
        }
    }
}
