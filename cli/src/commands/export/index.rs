//! What an export says of itself: `index.tsv` for programs, `SHA256SUMS` for `sha256sum -c`, and pages of HTML for people, in
//! Japanese and English, that need nothing from elsewhere and run no script.
//!
//! Invariants
//! - Every record of this run has one row, with the reason where it is not there. Rows of earlier runs in the same folder
//!   stay: what is in the folder is in the index.
//! - Rows are in the order of bucket and name. All files are written anew and then take the place of those before.
//! - Names are escaped wherever they are shown; a path that is read back is believed only where an export could have made it.

use super::folder::Folder;
use super::name::TOP;
use crate::error::{Error, Result};
use crate::text;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use shosoin_client::durable;
use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Lines, Write as _};
use std::path::{Component, Path, PathBuf};

/// Rows of one page.
const PAGE_ROWS: usize = 1000;
/// Failures that the first page lists; all of them are in the list.
const FAILURES_SHOWN: usize = 1000;
const TITLES: &str = "bucket\tname\tversion\tstate\tbytes\tmodified\trecord type\tlabel\tsha256\tpath\twhy not\n";
const LIST: &str = "index.tsv";

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// it was written
    Written,
    /// it was there already
    Present,
    /// another file has its place: it stands under a name of its own
    Beside,
    /// it is not there
    Failed,
    /// an earlier run wrote it, and it is not in view any more or has another version
    Earlier,
}

const STATES: [(State, &str, &str); 5] = [
    (State::Written, "written", "書出し"),
    (State::Present, "present", "既存"),
    (State::Beside, "beside", "別名"),
    (State::Failed, "failed", "失敗"),
    (State::Earlier, "earlier", "以前"),
];

impl State {
    /// For programs.
    pub fn name(self) -> &'static str {
        STATES.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub bucket: String,
    pub name: String,
    pub version: String,
    pub state: State,
    pub size_bytes: u64,
    pub modified_ms: u64,
    /// as in `T4-01`; empty where it is not known
    pub record_type: String,
    pub label: String,
    pub sha256: String,
    /// below the folder; empty where it is not there
    pub path: String,
    /// why it is not there
    pub why: String,
}

impl Row {
    fn line(&self) -> String {
        let (size, modified) = (self.size_bytes.to_string(), text::exact_time(self.modified_ms));
        let fields: [&str; 11] = [
            &self.bucket,
            &self.name,
            &self.version,
            self.state.name(),
            &size,
            &modified,
            &self.record_type,
            &self.label,
            &self.sha256,
            &self.path,
            &self.why,
        ];
        fields.map(field).join("\t") + "\n"
    }

    fn parse(line: &str) -> Option<Row> {
        let fields: Vec<String> = line.split('\t').map(value).collect::<Option<_>>()?;
        let [bucket, name, version, state, size, modified, record_type, label, sha256, path, why] =
            <[String; 11]>::try_from(fields).ok()?;
        let state = STATES.iter().find(|row| row.1 == state)?.0;
        let (size_bytes, modified_ms) = (size.parse().ok()?, text::parse_time(&modified)?);
        let ours = path.is_empty() || is_ours(&path);
        ours.then_some(Row {
            bucket,
            name,
            version,
            state,
            size_bytes,
            modified_ms,
            record_type,
            label,
            sha256,
            path,
            why,
        })
    }

    fn order(&self, other: &Row) -> Ordering {
        (&self.bucket, &self.name).cmp(&(&other.bucket, &other.name))
    }
}

/// Whether an export could have made this path.
fn is_ours(path: &str) -> bool {
    let normal = |component: Component<'_>| matches!(component, Component::Normal(_));
    path.starts_with(&format!("{TOP}/"))
        && Path::new(path).components().all(normal)
        && !path.chars().any(char::is_control)
}

/// A field without tabs and ends of lines: they, and `%`, are `%` and two hex digits a byte.
fn field(text: &str) -> String {
    let kept = |c: char| match c {
        '%' => "%25".to_owned(),
        c if c.is_control() => {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
        }
        c => c.to_string(),
    };
    text.chars().map(kept).collect()
}

/// The field that was written so.
fn value(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, others)) = rest.split_first() {
        (rest, _) = match first {
            b'%' => {
                let digits = std::str::from_utf8(others.get(..2)?).ok()?;
                (&others[2..], bytes.push(u8::from_str_radix(digits, 16).ok()?))
            }
            byte => (others, bytes.push(*byte)),
        };
    }
    String::from_utf8(bytes).ok()
}

/// What stands at the top of the first page.
#[derive(Debug, Clone)]
pub struct Heading {
    pub hospital: String,
    pub made_ms: u64,
    pub as_of_ms: Option<u64>,
    pub ledger_entries: u64,
    pub run: String,
}

/// The index of a run: rows in their order, then [`Index::finish`].
pub struct Index<'a> {
    folder: &'a Folder,
    path: PathBuf,
    file: BufWriter<File>,
    before: Option<Lines<BufReader<File>>>,
    ahead: Option<Row>,
    failures: Vec<Row>,
    failed: u64,
    rows: u64,
}

impl<'a> Index<'a> {
    /// A new index; the one that is there stays until this one is whole.
    pub fn begin(folder: &'a Folder) -> Result<Index<'a>> {
        let path = folder.scratch(LIST);
        let mut file = BufWriter::new(File::create(&path).map_err(Error::file("create", &path))?);
        file.write_all(TITLES.as_bytes()).map_err(Error::file("write", &path))?;
        let earlier = folder.path(LIST);
        let is_file = std::fs::symlink_metadata(&earlier).is_ok_and(|found| found.is_file());
        let before = match is_file {
            true => Some(BufReader::new(File::open(&earlier).map_err(Error::file("open", &earlier))?).lines()),
            false => None,
        };
        let mut index = Index { folder, path, file, before, ahead: None, failures: Vec::new(), failed: 0, rows: 0 };
        index.step()?;
        Ok(index)
    }

    /// Takes the next earlier row that can be read.
    fn step(&mut self) -> Result<()> {
        self.ahead = None;
        while let Some(line) = self.before.as_mut().and_then(Iterator::next) {
            self.ahead = Row::parse(&line.map_err(Error::file("read", self.folder.path(LIST)))?);
            if self.ahead.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Adds the row of a record; rows come in their order.
    pub fn add(&mut self, row: &Row, scope: &dyn Fn(&Row) -> bool) -> Result<()> {
        while let Some(earlier) = self.ahead.take_if(|earlier| earlier.order(row) == Ordering::Less) {
            self.keep(earlier, scope)?;
        }
        while let Some(earlier) = self.ahead.take_if(|earlier| earlier.order(row) == Ordering::Equal) {
            match earlier.path.is_empty() || earlier.path == row.path {
                true => self.step()?,
                false => self.keep(earlier, scope)?,
            }
        }
        self.write(row)
    }

    /// Keeps what an earlier run wrote; what it failed at counts no more where this run was to write it.
    fn keep(&mut self, earlier: Row, scope: &dyn Fn(&Row) -> bool) -> Result<()> {
        let state = if scope(&earlier) { State::Earlier } else { earlier.state };
        let there = std::fs::symlink_metadata(self.folder.path(&earlier.path)).is_ok_and(|found| found.is_file());
        match (state, earlier.path.is_empty() || !there) {
            (State::Failed, _) => self.write(&earlier)?,
            (_, true) => {}
            (state, false) => self.write(&Row { state, ..earlier })?,
        }
        self.step()
    }

    fn write(&mut self, row: &Row) -> Result<()> {
        self.rows += 1;
        if row.state == State::Failed {
            self.failed += 1;
            if self.failures.len() < FAILURES_SHOWN {
                self.failures.push(row.clone());
            }
        }
        self.file.write_all(row.line().as_bytes()).map_err(Error::file("write", &self.path))
    }

    /// Writes what is left of earlier runs, and puts list, sums and pages in their places.
    pub fn finish(mut self, heading: &Heading, scope: &dyn Fn(&Row) -> bool) -> Result<()> {
        while let Some(earlier) = self.ahead.take() {
            self.keep(earlier, scope)?;
        }
        let done = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        done.map_err(Error::file("write", &self.path))?;
        let sums = self.sums()?;
        let pages = self.pages(heading)?;
        self.put(&self.path, LIST)?;
        self.put(&sums, "SHA256SUMS")?;
        for (scratch, name) in &pages {
            self.put(scratch, name)?;
        }
        let stale = (pages.len() + 1..).map(|number| self.folder.path(&page_name(number)));
        stale.map(std::fs::remove_file).take_while(Result::is_ok).for_each(drop);
        let root = self.folder.path("");
        durable::sync_folder(&root).map_err(Error::file("sync folder", root))
    }

    fn put(&self, scratch: &Path, name: &str) -> Result<()> {
        let target = self.folder.path(name);
        std::fs::rename(scratch, &target).map_err(Error::file("create", target))
    }

    fn listed(&self) -> Result<impl Iterator<Item = Row>> {
        let file = File::open(&self.path).map_err(Error::file("open", &self.path))?;
        Ok(BufReader::new(file).lines().map_while(Result::ok).filter_map(|line| Row::parse(&line)))
    }

    fn sums(&self) -> Result<PathBuf> {
        let path = self.folder.scratch("SHA256SUMS");
        let mut file = BufWriter::new(File::create(&path).map_err(Error::file("create", &path))?);
        for row in self.listed()?.filter(|row| !row.path.is_empty()) {
            writeln!(file, "{}  {}", row.sha256, row.path).map_err(Error::file("write", &path))?;
        }
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(Error::file("write", &path)).map(|()| path)
    }

    /// The pages, and the names that they are to have.
    fn pages(&self, heading: &Heading) -> Result<Vec<(PathBuf, String)>> {
        let (mut rows, mut pages) = (self.listed()?.filter(|row| !row.path.is_empty()).peekable(), Vec::new());
        let there = self.rows - self.failed;
        let of = usize::try_from(there).unwrap_or(usize::MAX).div_ceil(PAGE_ROWS).max(1);
        for number in 1..=of {
            let shown: Vec<Row> = rows.by_ref().take(PAGE_ROWS).collect();
            let top = (number == 1).then(|| self.top(heading, there));
            let page = page(number, of, top.as_ref(), &shown).into_string();
            let (scratch, name) = (self.folder.scratch(&page_name(number)), page_name(number));
            durable::replace(&scratch, page.as_bytes()).map_err(Error::file("write", &scratch))?;
            pages.push((scratch, name));
        }
        Ok(pages)
    }

    fn top(&self, heading: &Heading, there: u64) -> Markup {
        let fact = |ja: &str, en: &str, value: Markup| html! { tr { th { (ja) " " small { (en) } } td { (value) } } };
        html! {
            table.facts {
                (fact("医療機関", "Hospital", html! { code { (heading.hospital) } }))
                (fact("作成", "Made", html! { (text::time(heading.made_ms)) }))
                @if let Some(at) = heading.as_of_ms { (fact("時点", "As of", html! { (text::time(at)) })) }
                (fact("台帳の項目数", "Entries of the ledger", html! { (heading.ledger_entries) }))
                (fact("台帳上の書出し番号", "Export in the ledger", html! { code { (heading.run) } }))
                (fact("ここにある記録", "Records here", html! { (there) }))
                (fact("ここにない記録", "Records not here", html! { (self.failed) }))
            }
            p { "ファイルの検証: " code { "sha256sum -c SHA256SUMS" } "。全項目は " a href=(LIST) { (LIST) } " にあります。 "
                small { "The files are checked with the command above; every row is in the list." } }
            @if self.failed > 0 {
                h2.failed { "書き出せなかった記録 " small { "Records that could not be written" } }
                table { thead { tr { th { "記録 " small { "record" } } th { "理由 " small { "reason" } } } }
                    @for row in &self.failures {
                        tr.failed { td { (shown_name(row)) br; code { (row.version) } } td { (row.why) } }
                    } }
                @if self.failed > self.failures.len() as u64 {
                    p { "ほか " (self.failed - self.failures.len() as u64) " 件は一覧にあります。 " small { "The rest is in the list." } }
                }
            }
        }
    }
}

fn page_name(number: usize) -> String {
    if number == 1 { "index.html".to_owned() } else { format!("index-{number}.html") }
}

const STYLE: &str = "body{font:15px/1.6 \"Hiragino Kaku Gothic ProN\",\"Noto Sans CJK JP\",\"Yu Gothic\",Meiryo,sans-serif;\
max-width:84em;margin:2em auto;padding:0 1em;color:#111}small{color:#555}table{border-collapse:collapse;margin:.6em 0 1.6em}\
th,td{border:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top}thead th{background:#f3f3f3}\
code{font-size:.8em;word-break:break-all;color:#555}.number{text-align:right;white-space:nowrap}.when{white-space:nowrap}\
.failed{color:#a61b1b}tr.failed td{background:#fdecec;color:#111}nav a{margin-right:.8em}td.name{word-break:break-word}";

fn page(number: usize, of: usize, top: Option<&Markup>, rows: &[Row]) -> Markup {
    let links = html! { @if of > 1 { nav {
        @for other in 1..=of { @if other == number { b { (other) } " " } @else { a href=(page_name(other)) { (other) } } }
    } } };
    html! {
        (DOCTYPE)
        html lang="ja" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "書き出した記録 Exported records" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "書き出した記録 " small { "Exported records" } }
                @if let Some(top) = top { (top) }
                h2 { "記録 " small { "Records" } }
                (links)
                table {
                    thead { tr {
                        th { "記録 " small { "record" } } th { "種別・区分 " small { "type, label" } }
                        th { "保存日時 " small { "stored" } } th { "バイト " small { "bytes" } }
                        th { "SHA-256・版 " small { "version" } } th { "状態 " small { "state" } }
                    } }
                    @for row in rows { (line(row)) }
                }
                (links)
            }
        }
    }
}

/// Bucket and name as people read them; what is not seen, or turns text around, is written out.
fn shown_name(row: &Row) -> String {
    let shown = |c: char| match c {
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
            c.escape_unicode().to_string()
        }
        c if c.is_control() => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    [&row.bucket, "/", &row.name].concat().chars().map(shown).collect()
}

fn line(row: &Row) -> Markup {
    let (ja, en) = STATES.iter().find(|known| known.0 == row.state).map_or(("", ""), |known| (known.2, known.1));
    html! { tr {
        td.name { a href=(linked(&row.path)) { (shown_name(row)) } }
        td { (row.record_type) " " (row.label) }
        td.when { (text::time(row.modified_ms)) }
        td.number { (row.size_bytes) }
        td { code { (row.sha256) " " (row.version) } }
        td { (ja) " " small { (en) } }
    } }
}

/// A path as a link: every byte that is not plain is `%` and hex.
fn linked(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Row {
        Row {
            bucket: "w".to_owned(),
            name: name.to_owned(),
            version: "ab".repeat(16),
            state: State::Written,
            size_bytes: 7,
            modified_ms: 1_767_225_600_123,
            record_type: "T4-01".to_owned(),
            label: "ordinary".to_owned(),
            sha256: "cd".repeat(32),
            path: "files/w/a%2Eb".to_owned(),
            why: String::new(),
        }
    }

    #[test]
    fn a_row_is_read_back_as_it_was_whatever_its_name() {
        for name in ["a", "a\tb\nc", "100%", "%09", "診療録\u{202e}", "\u{0}"] {
            let line = row(name).line();
            assert_eq!(line.matches('\t').count(), 10);
            assert_eq!(Row::parse(line.trim_end_matches('\n')), Some(row(name)), "{name:?}");
        }
    }

    #[test]
    fn a_path_that_no_export_makes_is_not_believed() {
        for path in ["../x", "files/../../x", "/etc/passwd", "index.html", "files/a\tb"] {
            let line = Row { path: path.to_owned(), ..row("a") }.line();
            assert_eq!(Row::parse(line.trim_end_matches('\n')), None, "{path}");
        }
    }

    #[test]
    fn a_name_is_text_on_the_page_and_its_link_leads_to_the_file() {
        let page = page(1, 1, None, &[row("<script>alert(1)</script>\"\u{202e}")]).into_string();
        assert!(page.contains("w/&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"));
        assert!(page.contains("href=\"files/w/a%252Eb\"") && page.contains("\\u{202e}"));
    }
}
