//! The statement as a document to print and hand over: one file, no script, nothing fetched from anywhere. A title page says what
//! it is about and how to read it; then come the counts, the sections, and every control.

use super::catalogue::{Catalogue, Control, Duty, Tension};
use super::{Lang, Line, State, Statement};
use crate::error::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use shosoin_protocol::suite::sha256;

/// Style of the document: readable on a screen and on A4.
const STYLE: &str = include_str!("statement.css");

/// Words of the document.
struct Words {
    lang: &'static str,
    title: &'static str,
    edition: &'static str,
    published: &'static str,
    release: &'static str,
    made: &'static str,
    vault: &'static str,
    hospital: &'static str,
    every_hospital: &'static str,
    issued: &'static str,
    checked: &'static str,
    name_and_date: &'static str,
    how_to_read: &'static str,
    meaning: &'static str,
    paraphrase: &'static str,
    states_mean: [&'static str; 4],
    duties_mean: [&'static str; 3],
    marks: [(&'static str, &'static str); 3],
    summary: &'static str,
    contents: &'static str,
    section: &'static str,
    controls: &'static str,
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
    edition: "指針の版",
    published: "公表",
    release: "製品",
    made: "測定日時",
    vault: "保管庫",
    hospital: "医療機関",
    every_hospital: "すべて",
    issued: "作成責任者",
    checked: "確認者",
    name_and_date: "氏名・日付",
    how_to_read: "読み方",
    meaning: "「適合」は、この宣言書の作成時に実行した検査がすべて成り立った項目に限る。検査の名称と測定値を根拠欄に記す。測定したものがない\
              項目は「未提示」とし、機能があるというだけで適合とはしない。",
    paraphrase: "求められることの欄は技術上の言い換えであり、正文は公表された指針のみである。",
    states_mean: [
        "作成時に実行した検査がすべて成り立った。",
        "作成時に実行した検査のうち、成り立たないものがある。",
        "測定したものがない。適合とも不適合とも述べない。",
        "人、建物、契約によって満たす。届出のある責任者と文書、または数値を示す。",
    ],
    duties_mean: [
        "ソフトウェアが満たすべき項目。",
        "人が行い、ソフトウェアが記録や数値を示す項目。",
        "人、建物、契約によって満たす項目。",
    ],
    marks: [
        ("◎", "医療情報の特性を特に考慮した管理策（7.1.1-S3）。"),
        ("［ ］", "根拠欄の検査の名称。"),
        ("T番号", "本文の要求どうしが引き合う箇所と、その解き方。"),
    ],
    summary: "集計",
    contents: "目次",
    section: "節",
    controls: "項目数",
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
    edition: "Edition",
    published: "published",
    release: "Release",
    made: "Measured",
    vault: "Vault",
    hospital: "Hospital",
    every_hospital: "all",
    issued: "Issued by",
    checked: "Checked by",
    name_and_date: "name and date",
    how_to_read: "How to read it",
    meaning: "A control is met only where every check that ran while this statement was made holds; the evidence names the checks \
              and their figures. Where nothing was measured a control is not shown, and none is met because a function exists.",
    paraphrase: "What is asked is given in other words; the published Japanese text alone is authoritative.",
    states_mean: [
        "Every check that ran while this was made holds.",
        "Some check that ran while this was made does not hold.",
        "Nothing was measured: it is neither claimed nor denied.",
        "People, buildings and contracts meet it. Registered owner and document, or figures, are given.",
    ],
    duties_mean: [
        "The software must meet it.",
        "People do it, and the software gives records or figures.",
        "People, buildings and contracts meet it.",
    ],
    marks: [
        ("◎", "A control that takes special account of medical information (7.1.1-S3)."),
        ("[ ]", "Name of a check, before its evidence."),
        ("T no.", "Two demands that pull apart, and how they are reconciled."),
    ],
    summary: "Counts",
    contents: "Contents",
    section: "Section",
    controls: "Controls",
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

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// the vault, in hex
    pub vault: String,
    /// one hospital in it, in hex; all of them otherwise
    pub hospital: Option<String>,
}

/// SHA-256 of the document's style, for a policy that lets a browser take it and nothing else.
pub fn style_digest() -> [u8; 32] {
    sha256(&[STYLE.as_bytes()]).0
}

/// The document of a statement.
pub fn page(statement: &Statement, scope: &Scope, lang: Lang) -> Result<String> {
    let catalogue = Catalogue::edition_2()?;
    let words = if lang == Lang::Ja { &JA } else { &EN };
    let document = Document { catalogue: &catalogue, statement, words, lang };
    let sections = document.sections();
    let page = html! {
        (DOCTYPE)
        html lang=(words.lang) {
            head {
                meta charset="utf-8";
                title { (words.title) }
                meta name="viewport" content="width=device-width,initial-scale=1";
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (document.title_page(scope))
                    (document.counts())
                    (document.contents(&sections))
                    @for section in &sections { (document.section(section)) }
                }
            }
        }
    };
    Ok(page.into_string())
}

struct Document<'a> {
    catalogue: &'a Catalogue,
    statement: &'a Statement,
    words: &'static Words,
    lang: Lang,
}

/// One section of the guideline with its controls.
struct Section<'a> {
    number: &'a str,
    title: &'a str,
    controls: Vec<(&'a Control, &'a Line)>,
}

impl<'a> Document<'a> {
    fn sections(&self) -> Vec<Section<'a>> {
        let mut sections: Vec<Section<'a>> = Vec::new();
        for (control, line) in self.catalogue.controls.iter().zip(&self.statement.controls) {
            let title = if self.lang == Lang::Ja { &control.title_ja } else { &control.title };
            match sections.last_mut().filter(|section| section.number == control.section) {
                Some(section) => section.controls.push((control, line)),
                None => sections.push(Section { number: &control.section, title, controls: vec![(control, line)] }),
            }
        }
        sections
    }

    fn title_page(&self, scope: &Scope) -> Markup {
        let (words, meta) = (self.words, &self.catalogue.meta);
        let guideline = if self.lang == Lang::Ja { &meta.guideline_ja } else { &meta.guideline };
        let measured = self.statement.controls.iter().filter_map(|line| line.measured_at.as_deref());
        let newest = measured.filter(|at| at.contains('T')).max().unwrap_or(words.never);
        html! {
            header.front {
                p.guideline { (guideline) }
                h1 { (words.title) }
                dl {
                    div { dt { (words.edition) } dd { (self.statement.edition) " (" (words.published) " " (meta.edition_date) ")" } }
                    div { dt { (words.vault) } dd { code { (scope.vault) } } }
                    div { dt { (words.hospital) } dd { @match &scope.hospital { Some(id) => code { (id) }, None => (words.every_hospital) } } }
                    div { dt { (words.made) } dd { (newest) } }
                    div { dt { (words.release) } dd { "Shosoin " (env!("CARGO_PKG_VERSION")) } }
                }
                div.hands {
                    @for who in [words.issued, words.checked] { div { span { (who) } span.line { (words.name_and_date) } } }
                }
                (self.legend())
            }
        }
    }

    fn legend(&self) -> Markup {
        let words = self.words;
        let named = STATES.iter().zip(words.states).zip(words.states_mean);
        html! {
            section.legend aria-labelledby="legend" {
                h2 #legend { (words.how_to_read) }
                p { (words.meaning) " " (words.paraphrase) }
                dl {
                    @for ((state, word), meaning) in named { div { dt { (badge(*state, word)) } dd { (meaning) } } }
                    @for (word, meaning) in words.duties.iter().zip(words.duties_mean) { div { dt { (word) } dd { (meaning) } } }
                    @for (mark, meaning) in words.marks { div { dt { (mark) } dd { (meaning) } } }
                }
            }
        }
    }

    fn counts(&self) -> Markup {
        let words = self.words;
        let lines = &self.statement.controls;
        let count = |duty: Option<Duty>, state: Option<State>| {
            lines
                .iter()
                .filter(|line| duty.is_none_or(|d| line.duty == d) && state.is_none_or(|s| line.state == s))
                .count()
        };
        let rows = DUTIES.iter().map(|duty| Some(*duty)).zip(words.duties).chain([(None, words.total)]);
        html! {
            section.counts aria-labelledby="counts" {
                h2 #counts { (words.summary) }
                table.figures {
                    thead {
                        tr {
                            th scope="col" { (words.headings[1]) }
                            @for (state, word) in STATES.iter().zip(words.states) { th scope="col" { (badge(*state, word)) } }
                            th scope="col" { (words.total) }
                        }
                    }
                    tbody {
                        @for (duty, word) in rows {
                            tr {
                                th scope="row" { (word) }
                                @for state in STATES { td { (count(duty, Some(state))) } }
                                td { (count(duty, None)) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn contents(&self, sections: &[Section<'_>]) -> Markup {
        let words = self.words;
        let count =
            |section: &Section<'_>, state| section.controls.iter().filter(|(_, line)| line.state == state).count();
        html! {
            section.contents aria-labelledby="contents" {
                h2 #contents { (words.contents) }
                table.figures {
                    thead {
                        tr {
                            th scope="col" { (words.section) }
                            @for (state, word) in STATES.iter().zip(words.states) { th scope="col" { (badge(*state, word)) } }
                            th scope="col" { (words.controls) }
                        }
                    }
                    tbody {
                        @for section in sections {
                            tr {
                                th scope="row" { a href=(format!("#s-{}", section.number)) { (section.number) " " (section.title) } }
                                @for state in STATES { td { @match count(section, state) { 0 => "", count => (count) } } }
                                td { (section.controls.len()) }
                            }
                        }
                    }
                }
            }
        }
    }

    fn section(&self, section: &Section<'_>) -> Markup {
        html! {
            section.controls aria-labelledby=(format!("s-{}", section.number)) {
                h2 #(format!("s-{}", section.number)) { (section.number) " " (section.title) }
                table {
                    colgroup { col.id; col.duty; col.state; col.asked; col.ev; col.when; }
                    thead { tr { @for heading in self.words.headings { th scope="col" { (heading) } } } }
                    tbody { @for (control, line) in &section.controls { (self.row(control, line)) } }
                }
            }
        }
    }

    fn row(&self, control: &Control, line: &Line) -> Markup {
        let words = self.words;
        let asked = if self.lang == Lang::Ja { &control.summary_ja } else { &control.summary };
        let weight = if control.kind == "must" { words.must } else { words.should };
        let word_of = |state| STATES.iter().position(|known| *known == state).map_or("", |at| words.states[at]);
        let duty = DUTIES.iter().position(|known| *known == line.duty).map_or("", |at| words.duties[at]);
        let opener = if self.lang == Lang::Ja { " ［" } else { " [" };
        let evidence = pieces(&line.evidence, opener);
        let tensions = self.catalogue.tensions.iter().filter(|tension| control.tension.contains(&tension.id));
        html! {
            tr id=(format!("c-{}", line.id)) {
                th.id scope="row" { (line.id) @if control.is_medical() { " ◎" } }
                td { (duty) br; small { (weight) } }
                td { (badge(line.state, word_of(line.state))) }
                td {
                    (asked)
                    @for Tension { id, en, ja } in tensions { div { small { (id) ": " (if self.lang == Lang::Ja { ja } else { en }) } } }
                }
                td.ev { @for piece in evidence { div { (piece) } } }
                td.when { @match line.measured_at.as_deref() { Some(at) => (PreEscaped(breakable(at))), None => (words.never) } }
            }
        }
    }
}

/// The sentences of the checks, each with the name it begins with.
fn pieces<'t>(evidence: &'t str, opener: &str) -> Vec<&'t str> {
    let mut cuts: Vec<usize> = evidence.match_indices(opener).map(|(at, _)| at).collect();
    cuts.insert(0, 0);
    cuts.push(evidence.len());
    cuts.windows(2).map(|pair| evidence[pair[0]..pair[1]].trim()).filter(|piece| !piece.is_empty()).collect()
}

/// A moment that may break between day and time.
fn breakable(at: &str) -> String {
    html! { (at) }.into_string().replacen('T', "<wbr>T", 1)
}

fn badge(state: State, word: &str) -> Markup {
    let class = match state {
        State::Met => "met",
        State::NotMet => "not-met",
        State::NotShown => "not-shown",
        State::Organisation => "organisation",
    };
    html! { span.s.(class) { (word) } }
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
            measured_at: Some("<i>T</i>".into()),
            evidence: "<script>alert(1)</script> [check] <b>".into(),
        };
        let controls = catalogue.controls.iter().map(line).collect();
        let statement = Statement { edition: "2".into(), controls };
        let scope = Scope { vault: "<b>vault</b>".into(), hospital: Some("<b>hospital</b>".into()) };
        for lang in [Lang::Ja, Lang::En] {
            let page = page(&statement, &scope, lang).unwrap();
            assert_eq!(page.matches("<tr id=\"c-").count(), 392);
            for fetched in
                ["<script", "http://", "https://", "url(", "<b>", "<i>", "<link", "@import", "src=", "style=\""]
            {
                assert!(!page.contains(fetched), "{fetched}");
            }
            assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
        }
    }

    #[test]
    fn evidence_is_cut_where_a_check_begins() {
        assert_eq!(pieces("[a] one [b] two", " ["), ["[a] one", "[b] two"]);
        assert_eq!(pieces("測定なし。", " ［"), ["測定なし。"]);
    }
}
