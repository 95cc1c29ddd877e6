//! A share as words, for people who would rather write and read words than letters: 111 of them in nineteen numbered lines.
//!
//! ```text
//! w01 abandon ability able about above absent
//! ```
//!
//! The words are those of BIP-39, English or Japanese. They carry the bytes of the share behind its magic and two zero bytes, in
//! five groups: four of 32 bytes, which are 24 words each, and one of 20, which are 15. Each group has the checksum that BIP-39
//! puts into its last word, the share its own checksum besides. A word that is in no list is named by its place, a group
//! that does not check by its first and last word.
//!
//! A line may be given without its number if all of them are: then the words count in their order.
//!
//! Source: BIP-39; the lists are those of the crate `bip39`.

use super::{MAGIC, SHARE_LEN, Share};
use crate::{Error, Result};
use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

/// Bytes of each group.
const GROUPS: [usize; 5] = [32, 32, 32, 32, 20];
/// Bytes that a word of a group stands for, times 3 over 4: BIP-39 has three words for four bytes.
const fn words_of(bytes: usize) -> usize {
    bytes * 3 / 4
}
/// Words of a share.
pub const WORDS: usize = words_of(GROUPS[0]) * 4 + words_of(GROUPS[4]);
/// Words of a line.
const LINE: usize = 6;
/// Lines of a share.
const LINES: usize = WORDS.div_ceil(LINE);
/// Bytes in all groups: the share without its magic, and two zero bytes.
const CARRIED: usize = 148;

const _: () = assert!(GROUPS[0] * 4 + GROUPS[4] == CARRIED && SHARE_LEN - MAGIC.len() + 2 == CARRIED);

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordList {
    /// English
    English,
    /// Japanese, in hiragana
    Japanese,
}

impl WordList {
    /// Both.
    pub const ALL: [WordList; 2] = [WordList::English, WordList::Japanese];

    fn language(self) -> Language {
        match self {
            WordList::English => Language::English,
            WordList::Japanese => Language::Japanese,
        }
    }
}

/// The lines of a share, each with its number.
pub fn lines(share: &Share, list: WordList) -> Result<Zeroizing<String>> {
    let mut carried = Zeroizing::new(share.encode()[MAGIC.len()..].to_vec());
    carried.resize(CARRIED, 0);
    let mut words: Vec<&'static str> = Vec::with_capacity(WORDS);
    let mut rest = &carried[..];
    for len in GROUPS {
        let (group, others) = rest.split_at(len);
        let mnemonic = Mnemonic::from_entropy_in(list.language(), group);
        words.extend(mnemonic.map_err(|_| Error::Bug { what: "words of a sheet" })?.words());
        rest = others;
    }
    let mut out = Zeroizing::new(String::with_capacity(WORDS * 32));
    for (number, line) in (1..).zip(words.chunks(LINE)) {
        out.push_str(&format!("w{number:02}"));
        for word in line {
            out.push(' ');
            out.push_str(word);
        }
        out.push('\n');
    }
    Ok(out)
}

/// Whether the text is words of a sheet: numbered lines, or words of which most are in one of the lists.
pub(super) fn are_in(text: &str) -> bool {
    let known = |word: &str| {
        let word = plain(word);
        let mut word = std::borrow::Cow::Borrowed(word.as_str());
        Mnemonic::normalize_utf8_cow(&mut word);
        WordList::ALL.iter().any(|list| list.language().find_word(&word).is_some())
    };
    let (all, known) = (text.split_whitespace().count(), text.split_whitespace().filter(|word| known(word)).count());
    text.lines().any(|line| numbered(line).is_some()) || (all >= words_of(GROUPS[4]) && known * 2 > all)
}

/// Finds the share in text that [`are_in`] says has one.
pub(super) fn read(text: &str) -> Result<Share> {
    let words = collect(text)?;
    let list = list_of(&words);
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + CARRIED));
    bytes.extend_from_slice(&MAGIC);
    let mut first = 0;
    for len in GROUPS {
        let group = &words[first..first + words_of(len)];
        let phrase = Zeroizing::new(group.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
        let mnemonic = Mnemonic::parse_in(list.language(), phrase.as_str()).map_err(|error| match error {
            bip39::Error::UnknownWord(at) => {
                Error::SheetWords { from: first + at + 1, to: first + at + 1, why: "it is in no list of words" }
            }
            _ => {
                let why = "they do not check: compare them, and their order, with the sheet";
                Error::SheetWords { from: first + 1, to: first + group.len(), why }
            }
        })?;
        bytes.extend_from_slice(&Zeroizing::new(mnemonic.to_entropy()));
        first += group.len();
    }
    match bytes.split_off(SHARE_LEN) {
        zeros if zeros.iter().all(|byte| *byte == 0) => Share::decode(&bytes),
        _ => Err(Error::DamagedShare),
    }
}

type Words = Vec<Zeroizing<String>>;

fn collect(text: &str) -> Result<Words> {
    let mut lines: Vec<Option<Words>> = (0..LINES).map(|_| None).collect();
    for (number, words) in text.lines().filter_map(numbered) {
        let from = (number - 1) * LINE + 1;
        let expected = LINE.min(WORDS + 1 - from);
        let wrong = |why| Err(Error::SheetWords { from, to: from + expected - 1, why });
        match (&lines[number - 1], words.len() == expected) {
            (Some(_), _) => return wrong("their line is there twice: give one sheet at a time"),
            (None, false) => return wrong("their line has more or fewer words"),
            (None, true) => lines[number - 1] = Some(words),
        }
    }
    if lines.iter().all(Option::is_none) {
        let words: Words = text.split_whitespace().map(plain).collect();
        let why = "a sheet has 111 words, and here are more or fewer";
        return if words.len() == WORDS { Ok(words) } else { Err(Error::SheetWords { from: 1, to: WORDS, why }) };
    }
    match lines.iter().position(Option::is_none) {
        None => Ok(lines.into_iter().flatten().flatten().collect()),
        Some(at) => {
            let from = at * LINE + 1;
            Err(Error::SheetWords { from, to: (from + LINE - 1).min(WORDS), why: "their line is missing" })
        }
    }
}

/// Number and words of a line that has the form of one.
fn numbered(line: &str) -> Option<(usize, Words)> {
    let mut parts = line.split_whitespace();
    let number = parts.next()?.strip_prefix(['w', 'W'])?.parse().ok()?;
    (1..=LINES).contains(&number).then(|| (number, parts.map(plain).collect()))
}

fn plain(word: &str) -> Zeroizing<String> {
    Zeroizing::new(word.trim_matches([',', '.', '、', '。']).to_lowercase())
}

/// The list that more of the words are from.
fn list_of(words: &[Zeroizing<String>]) -> WordList {
    match words.iter().filter(|word| word.is_ascii()).count() * 2 > words.len() {
        true => WordList::English,
        false => WordList::Japanese,
    }
}
