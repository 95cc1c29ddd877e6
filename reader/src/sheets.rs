//! The root from sheets of paper: format.md, "Escrow share".

use crate::bytes::Fields;
use crate::crypto::{Id, derive, sha256};
use crate::error::{Error, Result};
use crate::keys::Root;
use zeroize::Zeroizing;

const ALPHABET: &str = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// One share.
pub struct Share {
    /// suite, needed, shares, day, hospital, set; then the commitment
    common: [u8; 71],
    needed: u8,
    suite: u8,
    index: u8,
    hospital: Id,
    value: Zeroizing<[u8; 64]>,
}

/// Reads the share out of the text of a sheet: twelve numbered lines, or the text of a QR code.
pub fn read(text: &str) -> Result<Share> {
    let mut lines: [Option<Zeroizing<Vec<u8>>>; 12] = Default::default();
    if let Some(code) = text.trim().strip_prefix("SHOSOIN1:") {
        for (line, text) in lines.iter_mut().zip(code.as_bytes().chunks(22)) {
            *line = symbols(text);
        }
    }
    for written in text.lines() {
        let Some((number, rest)) = written.trim().split_once(' ') else { continue };
        let Some(number) = number.parse().ok().filter(|number| (1..=12usize).contains(number)) else { continue };
        let kept: Zeroizing<Vec<u8>> = Zeroizing::new(rest.bytes().filter(|byte| *byte != b' ').collect());
        if kept.len() == 22 {
            lines[number - 1] = symbols(&kept);
        }
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(151));
    let (mut bits, mut held) = (0u32, 0);
    for (line, number) in lines.iter().zip(1u8..) {
        let Some(line) = line.as_ref().filter(|line| check(number, line)) else {
            return Err(Error::Keys(format!("line {number} of a sheet is missing or not right")));
        };
        for symbol in &line[..20] {
            (bits, held) = (bits << 5 | u32::from(*symbol), held + 5);
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held).to_le_bytes()[0]);
            }
        }
    }
    decode(&bytes)
}

/// The value of each character; nothing if one is not of the alphabet.
fn symbols(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let value = |byte: &u8| {
        let letter = match byte.to_ascii_uppercase() {
            b'O' => '0',
            b'I' | b'L' => '1',
            other => char::from(other),
        };
        ALPHABET.find(letter).and_then(|at| u8::try_from(at).ok())
    };
    let symbols: Option<Vec<u8>> = text.iter().map(value).collect();
    symbols.filter(|symbols| symbols.len() == 22).map(Zeroizing::new)
}

fn check(number: u8, line: &[u8]) -> bool {
    let (mut sum, mut weighted) = (0, 0);
    for symbol in line[..20].iter().rev().chain([&number]) {
        sum ^= symbol;
        weighted = (weighted << 1) ^ ((weighted >> 4) * 0b10_0101) ^ symbol;
    }
    line[20..] == [sum, weighted]
}

fn decode(bytes: &[u8]) -> Result<Share> {
    const WHAT: &str = "share";
    if bytes.len() != 150 || bytes[..5] != *b"shes\x01" || sha256(&[&bytes[..142]])[..8] != bytes[142..] {
        return Err(Error::form(WHAT, "its checksum or version is not right"));
    }
    let mut common = [0; 71];
    common[..3].copy_from_slice(&bytes[5..8]);
    common[3..].copy_from_slice(&bytes[10..78]);
    let mut fields = Fields::of(&bytes[5..], WHAT);
    let (suite, needed, _shares, index) = (fields.u8()?, fields.u8()?, fields.u8()?, fields.u8()?);
    let (_, _made, hospital) = (fields.u8()?, fields.u32()?, fields.array()?);
    let (_set, _commitment): (Id, [u8; 32]) = (fields.array()?, fields.array()?);
    Ok(Share { common, needed, suite, index, hospital, value: Zeroizing::new(fields.array()?) })
}

/// The root from shares of one split.
pub fn combine(shares: &[Share]) -> Result<Root> {
    let Some(first) = shares.first() else { return Err(Error::Usage("no sheet was given".to_owned())) };
    if shares.iter().any(|share| share.common != first.common) {
        return Err(Error::Keys("the sheets are not of one split".to_owned()));
    }
    let repeated = (1..shares.len()).any(|at| shares[..at].iter().any(|share| share.index == shares[at].index));
    if repeated || shares.len() < first.needed.into() {
        return Err(Error::Keys(format!("{} different sheets of this split are needed", first.needed)));
    }
    let mut secret = Zeroizing::new([0; 64]);
    for share in shares {
        let others = shares.iter().map(|other| other.index).filter(|other| *other != share.index);
        let weight = others.fold(1, |weight, other| mul(weight, mul(other, inverse(other ^ share.index))));
        secret.iter_mut().zip(share.value.iter()).for_each(|(sum, value)| *sum ^= mul(weight, *value));
    }
    match *derive(None, &secret[..], "shosoin v1 escrow", &[&first.common[..39]]) == first.common[39..] {
        true => {
            let mut root = crate::crypto::Key::default();
            root.copy_from_slice(&secret[..32]);
            Ok(Root { suite: first.suite, hospital: first.hospital, secret: root })
        }
        false => Err(Error::Keys("the sheets do not give the root they were made from: one was altered".to_owned())),
    }
}

/// Product in GF(256) of AES, without branches or tables.
fn mul(a: u8, b: u8) -> u8 {
    let (mut product, mut a) = (0, a);
    for bit in 0..8 {
        product ^= a & ((b >> bit) & 1).wrapping_neg();
        a = (a << 1) ^ (0x1b & (a >> 7).wrapping_neg());
    }
    product
}

fn inverse(a: u8) -> u8 {
    (0..254).fold(1, |power, _| mul(power, a))
}
