//! A share as text that people can copy by hand: twelve lines of twenty letters and digits and two to check them.
//!
//! ```text
//! 01 EDJ6C W9G40 C8000 ...A BCDEF 5Z
//! ```
//!
//! Letters and digits are those of Crockford's base 32, which has no I, L, O and U; the first two are read as 1 and 0.
//! The check of a line covers its number too, and finds every one or two wrong characters and every two exchanged, so
//! a person is sent to the line that is wrong. What is around the lines does not matter: a whole printed page may be
//! given. The text of the QR code is `SHOSOIN1:` and the lines without numbers and spaces.
//!
//! Source: D. Crockford, "Base 32"; the check is a Reed-Solomon code over the field of 32 elements, of distance 3.

use super::{SHARE_LEN, Share};
use crate::{Error, Result};
use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Lines of a share.
pub const LINES: usize = 12;
/// Characters of a line that carry bits; five bits each.
const CARRIED: usize = 20;
/// Characters of a line, its check among them.
const LINE: usize = CARRIED + 2;
/// What the text of a QR code begins with.
const PREFIX: &str = "SHOSOIN1:";
/// Longest text that is searched for lines: a printed page with its picture stays far below.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;

const _: () = assert!(LINES * CARRIED * 5 == SHARE_LEN * 8);

/// The lines of a share, each with its number, in groups of five.
pub fn lines(share: &Share) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(LINES * 32));
    for (number, line) in symbols(share).chunks(LINE).enumerate() {
        out.push_str(&format!("{:02}", number + 1));
        for group in line.chunks(5) {
            out.push(' ');
            group.iter().for_each(|symbol| out.push(character(*symbol)));
        }
        out.push('\n');
    }
    out
}

/// The text of the QR code of a share: letters, digits and a colon, as the alphanumeric mode has them.
pub fn code(share: &Share) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(PREFIX.len() + LINES * LINE));
    out.push_str(PREFIX);
    symbols(share).iter().for_each(|symbol| out.push(character(*symbol)));
    out
}

/// Finds the share in `text`: twelve lines somewhere in it, the text of a QR code, or words as [`super::words`] has them.
pub fn read(text: &str) -> Result<Share> {
    let has_code = text.trim().starts_with(PREFIX) || text.lines().any(|line| numbered(line).is_some());
    if !has_code && super::words::are_in(text) {
        return super::words::read(text);
    }
    let lines = match text.trim().strip_prefix(PREFIX) {
        Some(code) => code_lines(code)?,
        None => numbered_lines(text)?,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(SHARE_LEN + 1));
    let (mut bits, mut held) = (0u32, 0);
    for symbol in lines.iter().flat_map(|line| &line[..CARRIED]) {
        (bits, held) = (bits << 5 | u32::from(*symbol), held + 5);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held).to_le_bytes()[0]);
        }
    }
    Share::decode(&bytes)
}

type Lines = Zeroizing<[[u8; LINE]; LINES]>;

fn code_lines(code: &str) -> Result<Lines> {
    let mut lines = Zeroizing::new([[0; LINE]; LINES]);
    if code.len() != LINES * LINE {
        return Err(Error::SheetLine { line: 0, why: "the text of the QR code does not have the length of one" });
    }
    for (at, line) in lines.iter_mut().enumerate() {
        let text = &code.as_bytes()[at * LINE..][..LINE];
        *line = checked(at + 1, text)?;
    }
    Ok(lines)
}

fn numbered_lines(text: &str) -> Result<Lines> {
    let mut lines = Zeroizing::new([[0; LINE]; LINES]);
    let mut seen = [false; LINES];
    for written in text.lines() {
        let Some((number, characters)) = numbered(written) else { continue };
        if seen[number - 1] {
            return Err(Error::SheetLine { line: number, why: "it is there twice: give one sheet at a time" });
        }
        lines[number - 1] = checked(number, &characters)?;
        seen[number - 1] = true;
    }
    match seen.iter().position(|seen| !seen) {
        None => Ok(lines),
        Some(at) => {
            Err(Error::SheetLine { line: at + 1, why: "it is missing, or does not have 22 letters and digits" })
        }
    }
}

/// Number and characters of a line that has the form of one.
fn numbered(written: &str) -> Option<(usize, Zeroizing<Vec<u8>>)> {
    let (number, rest) = written.trim().split_once(' ')?;
    let digits = number.bytes().map(|character| char::from(alike(character))).collect::<String>();
    let number: usize = digits.parse().ok().filter(|number| (1..=LINES).contains(number))?;
    let kept = rest.bytes().filter(|byte| !matches!(byte, b' ' | b'-' | b'\t'));
    let characters = Zeroizing::new(kept.collect::<Vec<u8>>());
    (characters.len() == LINE && characters.iter().all(u8::is_ascii_alphanumeric)).then_some((number, characters))
}

/// What a character was meant as: letters that look like digits are never printed.
fn alike(character: u8) -> u8 {
    match character.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    }
}

fn checked(number: usize, characters: &[u8]) -> Result<[u8; LINE]> {
    let mut line = [0; LINE];
    for (symbol, character) in line.iter_mut().zip(characters) {
        let why = "it has a character that sheets do not use";
        *symbol = value(*character).ok_or(Error::SheetLine { line: number, why })?;
    }
    match line[CARRIED..] == check(number, &line[..CARRIED]) {
        true => Ok(line),
        false => {
            Err(Error::SheetLine { line: number, why: "its check characters do not match: compare it with the sheet" })
        }
    }
}

/// The symbols of all lines with their checks.
fn symbols(share: &Share) -> Zeroizing<Vec<u8>> {
    let bytes = share.encode();
    let mut out = Zeroizing::new(Vec::with_capacity(LINES * LINE));
    let (mut bits, mut held) = (0u32, 0);
    for byte in bytes.iter() {
        (bits, held) = (bits << 8 | u32::from(*byte), held + 8);
        while held >= 5 {
            held -= 5;
            out.push((bits >> held).to_le_bytes()[0] & 31);
            if out.len() % LINE == CARRIED {
                let line = out.len() / LINE;
                let check = check(line + 1, &out[line * LINE..]);
                out.extend_from_slice(&check);
            }
        }
    }
    out
}

/// Sum of the symbols, and sum of the symbols times rising powers of a generator of the field of 32 elements.
fn check(number: usize, carried: &[u8]) -> [u8; 2] {
    let (mut sum, mut weighted) = (0, 0);
    let number = u8::try_from(number).unwrap_or_default();
    for symbol in carried.iter().rev().chain([&number]) {
        sum ^= symbol;
        weighted = (weighted << 1) ^ ((weighted >> 4) * 0b10_0101) ^ symbol;
    }
    [sum, weighted]
}

/// Where a symbol stands in the alphabet, without looking a secret up in memory.
fn character(symbol: u8) -> char {
    let mut found = 0;
    for (at, character) in (0u8..).zip(ALPHABET) {
        found |= character & equal(at, symbol);
    }
    char::from(found)
}

fn value(character: u8) -> Option<u8> {
    let character = alike(character);
    let (mut found, mut any) = (0, 0);
    for (at, candidate) in (0u8..).zip(ALPHABET) {
        let same = equal(*candidate, character);
        found |= at & same;
        any |= same;
    }
    (any != 0).then_some(found)
}

/// All ones where the two are equal, else zero.
fn equal(a: u8, b: u8) -> u8 {
    let differs = u16::from(a ^ b);
    (differs.wrapping_sub(1) >> 8).to_le_bytes()[0]
}
