//! Where a record goes below the folder of an export: bucket and name as a path that every file system takes.
//!
//! Invariants
//! - A path is relative and stays below `files/`: no part of it is `..`, absolute, empty or hidden in another spelling.
//! - Two records never have one path, also where capitals do not count and where one name is a folder of the other: then each
//!   has the id of its version in it. What decides is everything that is exported together, not the order.
//! - What was replaced can be told apart from what was not: `%` and two hex digits stand for one byte, and `%-` never comes
//!   from a name.
//!
//! The alphabet is that of the standalone reader (`reader/src/files.rs`), and what Windows or a person would misread besides.

use shosoin_protocol::VersionId;
use shosoin_protocol::suite::sha256;
use std::collections::HashMap;

/// Folder of the records.
pub const TOP: &str = "files";
/// Longest part of a path, in bytes: file systems take 255, and a kept file has a suffix.
const PART_BYTES_MAX: usize = 200;
/// Longest path below the folder, in bytes.
const PATH_BYTES_MAX: usize = 1200;
/// Longest end of a name that is kept as what it says of the content.
const EXTENSION_BYTES_MAX: usize = 16;
/// What Windows takes for a device, with any extension.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// How often a path is wanted, and whether it is a folder; by a digest of it in small letters.
#[derive(Debug, Clone, Copy, Default)]
struct Wanted {
    files: u8,
    is_folder: bool,
}

/// The paths of everything that is exported together.
#[derive(Debug, Default)]
pub struct Paths {
    wanted: HashMap<[u8; 16], Wanted>,
}

impl Paths {
    /// Takes a record into account.
    pub fn add(&mut self, bucket: &str, name: &str) {
        let path = plain(bucket, name);
        for (at, _) in path.match_indices('/') {
            self.wanted.entry(folded(&path[..at])).or_default().is_folder = true;
        }
        let own = self.wanted.entry(folded(&path)).or_default();
        own.files = own.files.saturating_add(1);
    }

    /// The path of a record that was taken into account.
    pub fn of(&self, bucket: &str, name: &str, version: VersionId) -> String {
        let path = plain(bucket, name);
        let own = self.wanted.get(&folded(&path)).copied().unwrap_or_default();
        match own.files > 1 || own.is_folder || path.len() > PATH_BYTES_MAX {
            true => with_version(bucket, name, version),
            false => path,
        }
    }
}

/// The path of a record that no other has, whatever is exported besides.
pub fn with_version(bucket: &str, name: &str, version: VersionId) -> String {
    let path = plain(bucket, name);
    let (folder, last) = path.rsplit_once('/').unwrap_or((TOP, &path));
    let (stem, extension) = split(last);
    let room = PART_BYTES_MAX - EXTENSION_BYTES_MAX - 36;
    let folder = if path.len() > PATH_BYTES_MAX { format!("{TOP}/{}", part(bucket)) } else { folder.to_owned() };
    format!("{folder}/{}%-{version}{extension}", cut(stem, room))
}

fn plain(bucket: &str, name: &str) -> String {
    let parts = std::iter::once(bucket).chain(name.split('/')).map(part);
    parts.fold(TOP.to_owned(), |path, part| path + "/" + &part)
}

fn folded(path: &str) -> [u8; 16] {
    let digest = sha256(&[path.to_lowercase().as_bytes()]);
    let mut half = [0; 16];
    half.copy_from_slice(&digest.0[..16]);
    half
}

/// A part of a path that stays in its folder.
fn part(part: &str) -> String {
    let last = part.chars().count().saturating_sub(1);
    let stem = part.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    let is_device = DEVICES.contains(&stem.as_str());
    let all_dots = matches!(part, "." | "..");
    let kept = |(at, c): (usize, char)| match c {
        '.' | ' ' if all_dots || at == last => escaped(c),
        _ if at == 0 && is_device => escaped(c),
        c if is_plain(c) => c.to_string(),
        c => escaped(c),
    };
    let whole: String = part.chars().enumerate().map(kept).collect();
    match whole.len() {
        0 => "%-".to_owned(),
        1..=PART_BYTES_MAX => whole,
        _ => {
            let (stem, extension) = split(&whole);
            let digest = hex::encode(&sha256(&[part.as_bytes()]).0[..16]);
            format!("{}%-{digest}{extension}", cut(stem, PART_BYTES_MAX - EXTENSION_BYTES_MAX - 36))
        }
    }
}

fn is_plain(c: char) -> bool {
    match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric() || " -_.,()+=@~!#$&';[]{}".contains(c),
        // what is not seen, or turns the text around, could make one name look like another
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => false,
        c => !c.is_control(),
    }
}

fn escaped(c: char) -> String {
    let mut bytes = [0; 4];
    c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A last part and its end, as in `.dcm`, where it has one.
fn split(part: &str) -> (&str, &str) {
    let is_end = |end: &str| {
        (1..EXTENSION_BYTES_MAX).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match part.rfind('.').filter(|at| *at > 0 && is_end(&part[at + 1..])) {
        Some(at) => part.split_at(at),
        None => (part, ""),
    }
}

/// The first bytes of escaped text, up to `room`, without half a letter or half an escape.
fn cut(text: &str, room: usize) -> &str {
    let mut end = 0;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let step = if c == '%' { 3.min(rest.len()) } else { c.len_utf8() };
        if end + step > room {
            break;
        }
        end += step;
        rest = &text[end..];
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::path::{Component, Path};

    const VERSION: VersionId = VersionId([0xab; 16]);

    fn alone(name: &str) -> String {
        let mut paths = Paths::default();
        paths.add("w", name);
        paths.of("w", name, VERSION)
    }

    #[test]
    fn no_name_leads_out_of_the_folder_or_is_more_than_a_file() {
        for (name, expected) in [
            ("a/b.dcm", "files/w/a/b.dcm"),
            ("../../etc/passwd", "files/w/%2E%2E/%2E%2E/etc/passwd"),
            (".", "files/w/%2E"),
            ("..", "files/w/%2E%2E"),
            ("/root", "files/w/%-/root"),
            ("a//b", "files/w/a/%-/b"),
            ("a/", "files/w/a/%-"),
            ("C:\\x\n\0%", "files/w/C%3A%5Cx%0A%00%25"),
            ("NUL.txt", "files/w/%4EUL.txt"),
            ("com1", "files/w/%63om1"),
            ("console", "files/w/console"),
            ("end. ", "files/w/end.%20"),
            ("end.", "files/w/end%2E"),
            ("gnp\u{202e}fdp.exe", "files/w/gnp%E2%80%AEfdp.exe"),
            ("診療録/山田.pdf", "files/w/診療録/山田.pdf"),
            ("-rf", "files/w/-rf"),
        ] {
            assert_eq!(alone(name), expected, "{name:?}");
        }
    }

    #[test]
    fn names_that_are_too_long_are_cut_where_a_letter_ends_and_stay_apart() {
        for (one, other) in
            [("x".repeat(600) + ".pdf", "x".repeat(601) + ".pdf"), ("録".repeat(300), "録".repeat(299) + "禄")]
        {
            let (one, other) = (alone(&one), alone(&other));
            assert_ne!(one, other);
            assert!(one.split('/').all(|part| part.len() <= PART_BYTES_MAX), "{one}");
        }
        assert!(alone(&("x".repeat(600) + ".pdf")).ends_with(".pdf"));
        let deep = "日/".repeat(255) + "x";
        let path = alone(&deep.replace('/', &"本".repeat(60)).chars().take(340).collect::<String>());
        assert!(path.len() <= PATH_BYTES_MAX, "{path}");
        let long = ["\u{1}".repeat(60), "\u{1}".repeat(60)].join("/").repeat(8);
        let path = alone(&long);
        assert!(path.starts_with("files/w/%01") && path.ends_with(&format!("%-{VERSION}")), "{path}");
    }

    #[test]
    fn names_that_meet_in_capitals_or_as_a_folder_each_have_their_version_in_the_path() {
        let mut paths = Paths::default();
        let names = ["report.pdf", "REPORT.PDF", "ward", "ward/1", "Ward/1", "other"];
        names.iter().for_each(|name| paths.add("w", name));
        let found = names.map(|name| paths.of("w", name, VERSION));
        let v = VERSION.to_string();
        assert_eq!(found[0], format!("files/w/report%-{v}.pdf"));
        assert_eq!(found[1], format!("files/w/REPORT%-{v}.PDF"));
        assert_eq!(found[2], format!("files/w/ward%-{v}"));
        assert_eq!(found[3], format!("files/w/ward/1%-{v}"));
        assert_eq!(found[5], "files/w/other");
    }

    proptest! {
        #[test]
        fn whatever_the_names_paths_stay_below_the_folder_and_apart(
            names in proptest::collection::btree_set("(\\PC|[./%\\\\A-Ca-c\u{0}-\u{20}\u{202e}]){1,24}", 1..12),
        ) {
            let names: BTreeSet<String> = names;
            let mut paths = Paths::default();
            names.iter().for_each(|name| paths.add("w", name));
            let mut seen: BTreeSet<String> = BTreeSet::new();
            for (no, name) in (1u8..).zip(&names) {
                let path = paths.of("w", name, VersionId([no; 16]));
                let normal = |component: Component<'_>| matches!(component, Component::Normal(_));
                prop_assert!(path.starts_with("files/w/") && Path::new(&path).components().all(normal), "{path:?}");
                prop_assert!(!path.contains("//") && !path.chars().any(char::is_control));
                prop_assert!(seen.insert(path.to_lowercase()), "{path:?} twice");
            }
            for path in &seen {
                prop_assert!(!seen.iter().any(|other| other.starts_with(&(path.clone() + "/"))), "{path:?} is a folder too");
            }
        }
    }
}
