//! The ledger: format.md, "Ledger". Entries say which versions there are; their order decides which one a name has now.
//!
//! The root over all entries is compared with the newest signed head, so that one left out is noticed. Signatures are not
//! checked here: no one without the hospital's keys can make a wrap, summary or chunk that opens.

use crate::bytes::Fields;
use crate::crypto::{Address, Id, sha256};
use crate::error::{Error, Result};
use crate::records::Records;
use std::collections::{BTreeMap, BTreeSet};

/// What an entry states, as far as reading needs it.
pub enum Body {
    /// a version was stored
    Deposit {
        /// its manifest root
        manifest: Address,
        /// commitment to its data key
        dek_commit: [u8; 32],
    },
    /// a name was hidden, or something of a bucket, name or version changed; the sealed summary says what
    Other,
}

/// An entry about a name.
pub struct Change {
    /// id of the version or change
    pub version: Id,
    /// which name, without saying it
    pub token: [u8; 32],
    /// address of the sealed summary
    pub summary: Address,
    /// what happened
    pub body: Body,
}

/// The ledger in its order.
pub struct Ledger {
    /// entries about names
    pub changes: Vec<Change>,
    /// entries in all
    pub size: u64,
    /// whether the entries give the root of the newest head found, and nothing is lost that could have held a newer one
    pub proved: bool,
}

/// Puts the entries found in order.
pub fn read(records: &mut Records) -> Result<Ledger> {
    let mut placed: BTreeMap<u64, &[u8]> = BTreeMap::new();
    for bytes in &records.entries {
        let mut fields = Fields::of(bytes, "placed entry");
        let (index, _accepted) = (fields.u64()?, fields.u64()?);
        placed.insert(index, fields.rest());
    }
    let size = placed.len() as u64;
    let mut findings = Vec::new();
    if placed.last_key_value().is_some_and(|(last, _)| last + 1 != size) {
        let missing = (0..).find(|index| !placed.contains_key(index)).unwrap_or_default();
        findings.push(format!("the ledger has a gap: its entry {missing} is on none of the volumes"));
    }
    let leaves: Vec<[u8; 32]> = placed.values().map(|entry| sha256(&[&[0], entry])).collect();
    let is_whole = records.findings.is_empty();
    if !is_whole {
        findings.push("what is lost may have held later entries of the ledger and later heads".to_owned());
    }
    let proved = match newest_head(&records.checkpoints) {
        Some((head, root)) if head <= leaves.len() && tree(&leaves[..head]) == root => {
            is_whole && (head > 0 || leaves.is_empty())
        }
        Some((head, _)) => {
            findings.push(format!("the entries found do not give the signed head of {head} entries"));
            false
        }
        None => false,
    };
    let ended = ended(&placed, records)?;
    let lives = placed.iter().filter(|(leaf, _)| !ended.contains(leaf));
    let changes = lives.filter_map(|(_, entry)| change(entry).transpose()).collect::<Result<_>>()?;
    records.findings.extend(findings);
    Ok(Ledger { changes, size, proved })
}

/// An entry about a name; nothing for other kinds, those that are newer than this reader among them.
fn change(entry: &[u8]) -> Result<Option<Change>> {
    const WHAT: &str = "entry";
    let mut fields = Fields::of(entry, WHAT);
    if fields.array::<4>()? != *b"shse" || fields.u8()? != 1 {
        return Err(Error::form(WHAT, "it is none of version 1"));
    }
    let (_suite, kind, _) = (fields.u8()?, fields.u8()?, fields.u8()?);
    if !matches!(kind, 1..=3 | 6) {
        return Ok(None);
    }
    fields.take(136)?;
    let version = fields.array()?;
    fields.take(17)?;
    let token = fields.array()?;
    let body = match kind {
        1 | 6 => {
            let manifest = fields.array()?;
            fields.take(32 + 32 + 4 + 8)?;
            let dek_commit = fields.array()?;
            fields.take(32)?;
            Body::Deposit { manifest, dek_commit }
        }
        _ => Body::Other,
    };
    Ok(Some(Change { version, token, summary: fields.array()?, body }))
}

/// Leaves whose records are gone by order of the hospital: those that the orders name of which an act says that the end began.
fn ended<'a>(placed: &BTreeMap<u64, &'a [u8]>, records: &'a Records) -> Result<BTreeSet<u64>> {
    let act = |entry: &&'a [u8]| {
        let document = records.small("document", entry.get(184..216)?.try_into().ok()?).ok()?;
        Some((entry.get(144..160)?, document)).filter(|(_, document)| entry[6] == 5 && document.len() >= 24)
    };
    let acts: Vec<(&[u8], &[u8])> = placed.values().filter_map(act).collect();
    let mut ended = BTreeSet::new();
    for (_, begun) in acts.iter().filter(|(_, document)| document[6..9] == [8, 0, 1]) {
        let ordered = acts.iter().find(|(id, document)| begun.get(16..32) == Some(id) && document[6..8] == [6, 0]);
        let Some((_, order)) = ordered else { continue };
        let mut fields = Fields::of(&order[24..], "disposal order");
        if order[8] == 2 {
            ended.extend(0..fields.u64()?);
        }
        for _ in 0..if order[8] == 1 { fields.count()? } else { 0 } {
            ended.insert(fields.u64()?);
            fields.take(16 + 32)?;
        }
    }
    Ok(ended)
}

/// Size and root of the newest head among the checkpoints.
fn newest_head(checkpoints: &[Vec<u8>]) -> Option<(usize, [u8; 32])> {
    let head = |text: &Vec<u8>| {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.lines().skip(1);
        Some((lines.next()?.parse().ok()?, base64(lines.next()?)?))
    };
    checkpoints.iter().filter_map(head).max_by_key(|(size, _)| *size)
}

fn base64(text: &str) -> Option<[u8; 32]> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut held) = (Vec::new(), 0u32, 0);
    for letter in text.trim_end_matches('=').chars() {
        (bits, held) = (bits << 6 | u32::try_from(ALPHABET.find(letter)?).ok()?, held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held).to_le_bytes()[0]);
        }
    }
    out.try_into().ok()
}

/// Merkle root as in RFC 6962.
fn tree(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let left = 1 << (leaves.len() - 1).ilog2();
            sha256(&[&[1], &tree(&leaves[..left]), &tree(&leaves[left..])])
        }
    }
}
