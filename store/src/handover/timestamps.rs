//! Timestamped heads of a hospital: kept as the hospital gave them, and packed beside the ledger that they are about.
//!
//! ```text
//! timestamps/<hospital id>/<name>.txt
//! ```
//! Invariants
//! - What is kept and packed is evidence of a head of this very ledger, signed by the vault that kept it then, with a token at least.
//! - Evidence is never replaced by one with fewer tokens: a renewal comes on top.
//! - A package has none of a head beyond its own.
//!
//! Not here: what tokens are worth. Their form is others' (RFC 3161), and the side of the operator does not read it: whoever checks
//! a package does, with anchors of their own (decision 41).

use super::package;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::vault::Inner;
use shosoin_protocol::evidence::{Class, Evidence, Part};
use shosoin_protocol::limits::{EVIDENCE_BYTES_MAX, TIMESTAMPED_HEADS_MAX};
use shosoin_protocol::package::Package;
use shosoin_protocol::{Digest, HospitalId, Lineage};
use shosoin_tiers::durable;
use shosoin_tiers::media::Media;
use std::path::{Path, PathBuf};

/// Folder in the vault's folder and in a package.
pub const TIMESTAMPS: &str = "timestamps";
/// How the name of such a file begins, as the hospital's client gives it.
const BEGIN: &str = "head-";
/// And how it ends.
const END: &str = ".txt";
/// Bytes of such a name.
const NAME_BYTES_MAX: usize = 128;

/// Evidence of a head, with tokens that say when it existed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampedHead {
    /// its file: a name, or a path in a package
    pub name: String,
    /// leaves of the head
    pub size: u64,
    root: Digest,
    head: String,
    evidence: Evidence,
}

impl StampedHead {
    /// Reads one and holds it against the vaults that kept the ledger; that its root is the ledger's is for the caller to see.
    pub fn read(name: &str, bytes: &[u8], hospital: HospitalId, lineage: &Lineage) -> Result<Self, String> {
        if !is_name(last(name)) {
            return Err("its name is not that of a timestamped head".to_owned());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "it is no text".to_owned())?;
        let evidence = Evidence::parse(text).map_err(|error| error.to_string())?;
        if evidence.class != Class::Head || evidence.hospital != hospital {
            return Err("it is not evidence of a head of this ledger".to_owned());
        }
        if evidence.timestamps.is_empty() {
            return Err("it has no timestamp".to_owned());
        }
        let [Part::Head(head)] = evidence.parts.as_slice() else {
            return Err("it is not evidence of one head".to_owned());
        };
        let (head, signed) = (head.clone(), lineage.verify_head(head).map_err(|error| error.to_string())?);
        if signed.checkpoint().vault != evidence.vault {
            return Err("its head is of another vault than it says".to_owned());
        }
        Ok(StampedHead { name: name.to_owned(), size: signed.size(), root: signed.checkpoint().root, head, evidence })
    }

    /// The signed head.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// How many tokens it has.
    pub fn tokens(&self) -> usize {
        self.evidence.timestamps.len()
    }

    /// The same evidence with the same tokens, and perhaps more.
    fn goes_on_from(&self, older: &StampedHead) -> bool {
        let body = |one: &StampedHead| Evidence { timestamps: Vec::new(), ..one.evidence.clone() };
        body(self) == body(older) && self.evidence.timestamps.starts_with(&older.evidence.timestamps)
    }
}

/// The name of a file without its folder.
fn last(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Whether a name is one of such a file, in a folder or behind [`TIMESTAMPS`] in a package.
fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= NAME_BYTES_MAX && name.starts_with(BEGIN) && name.ends_with(END) && name.bytes().all(plain)
}

/// Their paths in a package.
pub fn paths(package: &Package) -> impl Iterator<Item = &str> {
    package
        .files
        .iter()
        .map(|file| file.path.as_str())
        .filter(|path| path.split_once('/').is_some_and(|(dir, _)| dir == TIMESTAMPS))
}

/// The evidence in a file of a package.
pub fn evidence_in(media: &dyn Media, path: &str) -> Result<Evidence> {
    let bytes = package::read(media, path, EVIDENCE_BYTES_MAX)?;
    let evidence = Evidence::parse(&String::from_utf8_lossy(&bytes));
    evidence.map_err(|source| Error::Malformed { what: "timestamped head", source })
}

/// Takes over what a hospital gave in a folder: every file whose name is that of a timestamped head. If one is not of this
/// ledger, none is taken.
pub(super) fn take(inner: &Inner, desk: &Desk, from: &Path) -> Result<()> {
    let offered: Vec<String> = names(from)?.into_iter().filter(|name| is_name(name)).collect();
    let known = kept_names(inner, desk)?;
    let fresh = offered.iter().filter(|name| known.binary_search(name).is_err()).count();
    if known.len() + fresh > TIMESTAMPED_HEADS_MAX {
        return Err(refused(from, format!("more than {TIMESTAMPED_HEADS_MAX} timestamped heads are not kept")));
    }
    for name in &offered {
        offer(inner, desk, from, name)?;
    }
    for name in &offered {
        if let Some(bytes) = offer(inner, desk, from, name)? {
            keep(inner, desk.info().hospital, name, &bytes)?;
        }
    }
    Ok(())
}

/// One that is offered, if it is more than what is kept.
fn offer(inner: &Inner, desk: &Desk, from: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = from.join(name);
    let bytes = read(&path)?;
    let head = StampedHead::read(name, &bytes, desk.info().hospital, desk.lineage()?);
    let head = head.map_err(|why| refused(&path, why))?;
    if desk.ledger().root_at(head.size)? != Some(head.root) {
        return Err(refused(&path, format!("this ledger never had {} entries with that root", head.size)));
    }
    match kept(inner, desk, name)? {
        Some((older, _)) if older.goes_on_from(&head) => Ok(None),
        Some((older, _)) if !head.goes_on_from(&older) => {
            let why = "another one of that name, with other timestamps, is kept: give this one another name";
            Err(refused(&path, why.to_owned()))
        }
        _ => Ok(Some(bytes)),
    }
}

fn refused(path: &Path, why: String) -> Error {
    Error::Argument { what: "--timestamps", why: format!("{}: {why}", path.display()) }
}

/// Keeps one that was verified.
fn keep(inner: &Inner, hospital: HospitalId, name: &str, bytes: &[u8]) -> Result<()> {
    let dir = format!("{TIMESTAMPS}/{hospital}");
    inner.folder.make_dir(&dir)?;
    Ok(durable::replace(&inner.folder, &format!("{dir}/{name}"), bytes)?)
}

fn folder_of(inner: &Inner, desk: &Desk) -> PathBuf {
    inner.dir.join(TIMESTAMPS).join(desk.info().hospital.to_string())
}

/// Names of what is kept of a hospital, sorted.
pub(super) fn kept_names(inner: &Inner, desk: &Desk) -> Result<Vec<String>> {
    let dir = folder_of(inner, desk);
    match dir.exists() {
        true => Ok(names(&dir)?.into_iter().filter(|name| is_name(name)).collect()),
        false => Ok(Vec::new()),
    }
}

/// One that is kept, if it is. A file that is none is damage: it was verified before it was kept.
pub(super) fn kept(inner: &Inner, desk: &Desk, name: &str) -> Result<Option<(StampedHead, Vec<u8>)>> {
    let path = folder_of(inner, desk).join(name);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = read(&path)?;
    let damaged = |why| Error::Damaged { what: "timestamped head", id: name.to_owned(), why };
    let head = StampedHead::read(name, &bytes, desk.info().hospital, desk.lineage()?).map_err(damaged)?;
    Ok(Some((head, bytes)))
}

/// Takes over what is in a package that was judged.
pub(super) fn bring_in(inner: &Inner, media: &dyn Media, package: &Package) -> Result<()> {
    for path in paths(package) {
        let bytes = package::read(media, path, EVIDENCE_BYTES_MAX)?;
        keep(inner, package.hospital, last(path), &bytes)?;
    }
    Ok(())
}

/// Names in a folder, sorted.
fn names(dir: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::Io { action: "read", path: dir.to_owned(), source };
    let listed = std::fs::read_dir(dir).map_err(failed)?;
    let names = listed.map(|entry| Ok(entry.map_err(failed)?.file_name().into_string().unwrap_or_default()));
    let mut names = names.collect::<Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

/// A file, as far as evidence may be long; what is longer does not parse.
fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(EVIDENCE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::checkpoint::Checkpoint;
    use shosoin_protocol::sign::SigningKey;
    use shosoin_protocol::{Suite, VaultId, merkle};
    use zeroize::Zeroizing;

    const HOSPITAL: HospitalId = HospitalId([2; 16]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(Suite::Default, &Zeroizing::new([seed; 32])).unwrap()
    }

    fn evidence(vault: u8, hospital: HospitalId, tokens: &[u8]) -> Evidence {
        let vault = VaultId([vault; 16]);
        let root = merkle::empty_root();
        let head = Checkpoint { vault, hospital, size: 7, root, time_ms: 5, term: 1 }.sign(&key(vault.0[0]));
        let mut made = Evidence::new(Class::Head, (vault, hospital), 9, vec![Part::Head(head)]);
        made.timestamps = tokens.iter().map(|token| vec![*token; 40]).collect();
        made
    }

    fn read(evidence: &Evidence) -> Result<StampedHead, String> {
        let lineage = Lineage::of(HOSPITAL, VaultId([1; 16]), key(1).public());
        StampedHead::read("head-7.txt", evidence.render().as_bytes(), HOSPITAL, &lineage)
    }

    #[test]
    fn only_a_timestamped_head_that_the_vault_of_the_ledger_signed_is_one() {
        let good = read(&evidence(1, HOSPITAL, &[1, 2])).unwrap();
        assert_eq!((good.size, good.tokens()), (7, 2));
        assert!(read(&evidence(1, HOSPITAL, &[])).unwrap_err().contains("no timestamp"));
        assert!(read(&evidence(3, HOSPITAL, &[1])).is_err(), "another vault's");
        assert!(read(&evidence(1, HospitalId([4; 16]), &[1])).is_err(), "another hospital's");
        let audit = Evidence { class: Class::Audit, ..evidence(1, HOSPITAL, &[1]) };
        assert!(read(&audit).is_err());
        let text = evidence(1, HOSPITAL, &[1]).render();
        let lineage = Lineage::of(HOSPITAL, VaultId([1; 16]), key(1).public());
        for cut in [0, 10, text.len() / 2, text.len() - 1] {
            assert!(StampedHead::read("head-7.txt", &text.as_bytes()[..cut], HOSPITAL, &lineage).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_renewal_goes_on_from_what_it_renews_and_from_nothing_else() {
        let of = |tokens: &[u8]| read(&evidence(1, HOSPITAL, tokens)).unwrap();
        assert!(of(&[1, 2]).goes_on_from(&of(&[1])) && of(&[1]).goes_on_from(&of(&[1])));
        assert!(!of(&[1]).goes_on_from(&of(&[1, 2])) && !of(&[2, 1]).goes_on_from(&of(&[1])));
    }

    #[test]
    fn names_stay_inside_the_folder() {
        assert!(is_name("head-000000000012-0123456789abcdef.txt") && is_name("head-2_b.txt"));
        for wrong in
            ["head-/../x.txt", "head-1.pem", "fork-1.txt", "head-é.txt", &format!("head-{}.txt", "x".repeat(200))]
        {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
