//! Escrow: the root of a hospital's keys, shared out so that any `needed` of `shares` people bring it back and fewer
//! learn nothing.
//!
//! What is shared is the root and the hospital's signing seed. Devices and TLS keys are not: a machine that comes after
//! a loss gets new ones. [`sheet`] writes a share for paper, [`drill`] keeps the proof that restoring was tried.
//!
//! ```text
//! share = "shes" | version | suite | needed | shares | index | 0 | made:u32 | hospital:16 | set:16 | commitment:32 |
//!         value:64 | first 8 bytes of SHA-256 of everything before
//! ```
//!
//! Invariants
//! - Coefficients are uniform, zero among them: every value of the root stays equally likely to whoever holds too few.
//! - A split is not given out before shares of it were put together again and compared.
//! - Shares bring back nothing that the commitment in each of them does not confirm: a wrong root is never used.
//! - Shares are wiped when dropped, and are never printed.
//!
//! Refuses: shares of two splits, of two hospitals, the same share twice, too few, and altered ones, which it names where
//! enough others are there to tell.
//!
//! Source: Shamir, "How to Share a Secret", 1979. Why this is our own code: decision 0022.

pub mod drill;
pub mod sheet;
pub mod words;

use crate::secret::{self, SecretKey};
use crate::{Error, Keyring, Result, derive, gf256};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{HospitalId, Suite};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const WHAT: &str = "escrow share";
const MAGIC: [u8; 4] = *b"shes";
const VERSION: u8 = 1;
/// Root and hospital seed.
const SECRET_LEN: usize = 64;
const CHECKSUM_LEN: usize = 8;
/// Length of every encoded share.
pub const SHARE_LEN: usize = 150;
/// Most shares of one split: as many people as can meet in one room.
pub const SHARES_MAX: u8 = 16;
/// Fewest shares that bring the root back: one would be a copy, not a share.
pub const NEEDED_MIN: u8 = 2;
/// Milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// How the root is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// shares that bring the root back
    pub needed: u8,
    /// shares in all
    pub shares: u8,
}

impl Default for Quorum {
    /// Three of five.
    fn default() -> Self {
        Quorum { needed: 3, shares: 5 }
    }
}

impl Quorum {
    fn check(self) -> Result<Self> {
        let Quorum { needed, shares } = self;
        match needed >= NEEDED_MIN && needed <= shares && shares <= SHARES_MAX {
            true => Ok(self),
            false => Err(Error::Quorum { needed, shares }),
        }
    }
}

/// What all shares of one split have in common; none of it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetFacts {
    /// algorithms of the hospital
    pub suite: Suite,
    /// how many there are, how many are needed
    pub quorum: Quorum,
    /// days since 1970 when the split was made
    pub made_day: u32,
    /// whose root
    pub hospital: HospitalId,
    /// names the split; random
    pub set: [u8; 16],
    /// what the right root must lead to
    commitment: [u8; 32],
}

/// 64 bytes in one place: moving them leaves no copy behind.
pub(crate) type Shared = Zeroizing<Vec<u8>>;

fn blank() -> Shared {
    Zeroizing::new(vec![0; SECRET_LEN])
}

/// One person's share. Wiped when dropped; no `Debug`, no `Clone`.
pub struct Share {
    facts: SetFacts,
    index: u8,
    value: Shared,
}

/// What shares brought back and the commitment confirmed.
pub struct Restored {
    facts: SetFacts,
    root: SecretKey,
    hospital_seed: SecretKey,
}

impl Share {
    /// What it has in common with the others of its split.
    pub fn facts(&self) -> &SetFacts {
        &self.facts
    }

    /// Which one it is, from 1.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Its bytes, for a sheet.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let facts = &self.facts;
        let mut out = Writer::with_capacity(SHARE_LEN);
        out.put(&MAGIC).u8(VERSION).u8(facts.suite.code()).u8(facts.quorum.needed).u8(facts.quorum.shares);
        out.u8(self.index).zeros(1).u32(facts.made_day).put(&facts.hospital.0).put(&facts.set);
        out.put(&facts.commitment).put(&self.value);
        let mut bytes = Zeroizing::new(out.finish());
        let checksum = sha256(&[&bytes]).0;
        bytes.extend_from_slice(&checksum[..CHECKSUM_LEN]);
        bytes
    }

    /// Reads the bytes of a share. One that was miscopied is refused by its checksum.
    pub fn decode(bytes: &[u8]) -> Result<Share> {
        let form = Error::form(WHAT);
        match bytes {
            [a, b, c, d, VERSION, ..] if [*a, *b, *c, *d] == MAGIC => {}
            [a, b, c, d, found, ..] if [*a, *b, *c, *d] == MAGIC => {
                let found = *found;
                return Err(form(shosoin_protocol::Error::Version { what: WHAT, found, known: VERSION }));
            }
            _ => return Err(form(shosoin_protocol::Error::Magic { what: WHAT })),
        }
        match bytes.split_last_chunk::<CHECKSUM_LEN>() {
            Some((content, checksum)) if sha256(&[content]).0[..CHECKSUM_LEN] == *checksum => Self::read(content),
            _ => Err(Error::DamagedShare),
        }
    }

    fn read(content: &[u8]) -> Result<Share> {
        let mut reader = Reader::new(content, WHAT);
        let share = Self::read_fields(&mut reader).and_then(|share| reader.finish().map(|()| share));
        let share = share.map_err(Error::form(WHAT))?;
        share.facts.quorum.check()?;
        match (1..=share.facts.quorum.shares).contains(&share.index) {
            true => Ok(share),
            false => Err(Error::misplaced(WHAT, "its number is not one of its split")),
        }
    }

    fn read_fields(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Share> {
        reader.take(MAGIC.len() + 1, "magic and version")?;
        let suite = Suite::try_from(reader.u8("suite")?)?;
        let quorum = Quorum { needed: reader.u8("shares needed")?, shares: reader.u8("shares")? };
        let index = reader.u8("number of the share")?;
        reader.zeros(1, "reserved byte")?;
        let made_day = reader.u32("day made")?;
        let (hospital, set) = (HospitalId::read(reader)?, reader.array("set")?);
        let commitment = reader.array("commitment")?;
        let mut value = blank();
        value.copy_from_slice(reader.take(SECRET_LEN, "value")?);
        Ok(Share { facts: SetFacts { suite, quorum, made_day, hospital, set, commitment }, index, value })
    }
}

impl SetFacts {
    fn commit(&self, root: &SecretKey, hospital_seed: &SecretKey) -> [u8; 32] {
        let Quorum { needed, shares } = self.quorum;
        let split = [self.suite.code(), needed, shares];
        derive::escrow_commitment(
            root,
            hospital_seed,
            &[&split, &self.made_day.to_le_bytes(), &self.hospital.0, &self.set],
        )
    }

    fn confirms(&self, root: &SecretKey, hospital_seed: &SecretKey) -> bool {
        self.commit(root, hospital_seed).ct_eq(&self.commitment).into()
    }
}

impl Keyring {
    /// Shares the root out. Every split is a set of its own; shares of an earlier one stay good until they are burnt.
    pub fn split(&self, quorum: Quorum, now_ms: u64) -> Result<Vec<Share>> {
        let mut higher = Vec::new();
        for _ in 1..quorum.check()?.needed {
            let mut coefficients = blank();
            secret::fill_random(&mut coefficients)?;
            higher.push(coefficients);
        }
        self.split_with(quorum, now_ms, secret::random()?, &higher)
    }

    pub(crate) fn split_with(
        &self,
        quorum: Quorum,
        now_ms: u64,
        set: [u8; 16],
        higher: &[Shared],
    ) -> Result<Vec<Share>> {
        let (root, seed) = (&self.secrets().root, &self.secrets().hospital_seed);
        let made_day = u32::try_from(now_ms / DAY_MS).unwrap_or(u32::MAX);
        let mut facts =
            SetFacts { suite: self.suite(), quorum, made_day, hospital: self.hospital(), set, commitment: [0; 32] };
        facts.commitment = facts.commit(root, seed);
        let mut shared = blank();
        shared[..32].copy_from_slice(root.as_bytes());
        shared[32..].copy_from_slice(seed.as_bytes());
        let higher: Vec<&[u8]> = higher.iter().map(|coefficients| coefficients.as_slice()).collect();
        let shares: Vec<Share> = (1..=quorum.shares)
            .map(|index| {
                let mut value = blank();
                gf256::evaluate(&shared, &higher, index, &mut value);
                Share { facts, index, value }
            })
            .collect();
        for some in shares.windows(quorum.needed.into()) {
            match interpolate(&facts, &some.iter().collect::<Vec<_>>()) {
                Some(_) => {}
                None => return Err(Error::SelfCheck),
            }
        }
        Ok(shares)
    }

    /// Whether a share is of this keyring's root. One share is enough to tell, and tells nobody else anything.
    pub fn is_shared_by(&self, facts: &SetFacts) -> bool {
        facts.hospital == self.hospital() && facts.confirms(&self.secrets().root, &self.secrets().hospital_seed)
    }
}

/// Brings the root back. More shares than needed may be given; all of them must be right.
pub fn combine(shares: &[Share]) -> Result<Restored> {
    let Some(first) = shares.first() else { return Err(Error::TooFewShares { found: 0, needed: NEEDED_MIN.into() }) };
    let facts = first.facts;
    for (at, share) in shares.iter().enumerate() {
        same_set(&facts, &share.facts)?;
        if shares[..at].iter().any(|earlier| earlier.index == share.index) {
            return Err(Error::RepeatedShare { index: share.index });
        }
    }
    let needed = usize::from(facts.quorum.needed);
    if shares.len() < needed {
        return Err(Error::TooFewShares { found: shares.len(), needed });
    }
    let all: Vec<&Share> = shares.iter().collect();
    if let Some(restored) = interpolate(&facts, &all[..needed])
        && strangers(&all[..needed], &all).is_empty()
    {
        return Ok(restored);
    }
    Err(Error::AlteredShares { which: accused(&facts, &all, needed) })
}

/// The numbers of the altered shares: those that the largest number of others, confirmed by the commitment, is against.
/// Nobody, where two such groups are equally large, or where there is none.
fn accused(facts: &SetFacts, all: &[&Share], needed: usize) -> Vec<u8> {
    let quorums = Quorums { of: all.len(), next: Some((0..needed).collect()) };
    let chosen = quorums.map(|which| which.into_iter().map(|at| all[at]).collect::<Vec<_>>());
    let confirmed = chosen.filter(|some| interpolate(facts, some).is_some());
    let mut accused: Vec<Vec<u8>> = confirmed.map(|some| strangers(&some, all)).collect();
    accused.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    accused.dedup();
    let is_clear = match accused.as_slice() {
        [] => false,
        [_] => true,
        [first, second, ..] => first.len() < second.len(),
    };
    if is_clear { accused.swap_remove(0) } else { Vec::new() }
}

/// The numbers of those of `all` that are not on the polynomials through `some`.
fn strangers(some: &[&Share], all: &[&Share]) -> Vec<u8> {
    let mut expected = blank();
    let is_stranger = |share: &&&Share| {
        gf256::interpolate(&points(some), share.index, &mut expected);
        !bool::from(expected.ct_eq(&share.value))
    };
    all.iter().filter(is_stranger).map(|share| share.index).collect()
}

/// Every way to take as many of `of` things as `next` has, in order. At most 12,870: the most that sixteen shares give.
struct Quorums {
    of: usize,
    next: Option<Vec<usize>>,
}

impl Iterator for Quorums {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let current = self.next.take()?;
        let taken = current.len();
        if let Some(movable) = (0..taken).rev().find(|at| current[*at] < self.of - (taken - at)) {
            let mut next = current.clone();
            let first = current[movable] + 1;
            (movable..taken).for_each(|at| next[at] = first + at - movable);
            self.next = Some(next);
        }
        Some(current)
    }
}

fn same_set(facts: &SetFacts, other: &SetFacts) -> Result<()> {
    let what = match () {
        () if facts.hospital != other.hospital => "hospital",
        () if facts.set != other.set => "split",
        () if facts != other => "description of the split",
        () => return Ok(()),
    };
    Err(Error::MixedShares { what })
}

fn points<'a>(shares: &[&'a Share]) -> Vec<(u8, &'a [u8])> {
    shares.iter().map(|share| (share.index, share.value.as_slice())).collect()
}

fn interpolate(facts: &SetFacts, shares: &[&Share]) -> Option<Restored> {
    let mut shared = blank();
    gf256::interpolate(&points(shares), 0, &mut shared);
    let half = |half: &[u8]| SecretKey::fill_with(|out| out.copy_from_slice(half));
    let (root, hospital_seed) = (half(&shared[..32]), half(&shared[32..]));
    facts.confirms(&root, &hospital_seed).then_some(Restored { facts: *facts, root, hospital_seed })
}

impl Restored {
    /// The split that it came from.
    pub fn facts(&self) -> &SetFacts {
        &self.facts
    }

    /// A keyring for a new machine: the hospital's root, and keys of its own for the device and for TLS.
    pub fn keyring(&self) -> Result<Keyring> {
        let again = |key: &SecretKey| SecretKey::fill_with(|out| out.copy_from_slice(key.as_bytes()));
        let SetFacts { suite, hospital, .. } = self.facts;
        Keyring::with_root(suite, hospital, again(&self.root), again(&self.hospital_seed))
    }
}
