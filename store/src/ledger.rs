//! The ledger of one hospital: its head, and proofs made from node rows.
//!
//! Invariants
//! - The head in memory is the newest whose group is durable and indexed; readers never see one before that.
//! - A proof is verified against the root before it is served. Where node rows are missing or wrong, their hashes are
//!   computed again from the entries on media; where that does not help either, the answer is an error, never a
//!   proof that does not hold.
//! - Only the committer of the hospital moves the head.
//! - A ledger whose entries are lost beyond repair is *broken*: it keeps its newest head and takes no more entries.

use crate::apply;
use crate::error::{Error, Result};
use crate::index::{Index, Pending};
use crate::rows::{self, HeadRow, LeafRow, Row, Rows};
use parking_lot::RwLock;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::PlacedEntry;
use shosoin_protocol::merkle::{self, Frontier, Node};
use shosoin_protocol::sign::{PublicKey, SigningKey};
use shosoin_protocol::{Digest, HospitalId, LogId, Suite, VaultId};
use shosoin_tiers::Tier;
use std::sync::Arc;

/// A signed head and the tree under it.
#[derive(Debug, Clone)]
pub struct Head {
    /// leaves
    pub size: u64,
    /// root over them
    pub root: Digest,
    /// the right edge of the tree
    pub frontier: Frontier,
    /// signed text
    pub checkpoint: String,
}

/// Whose ledger, kept by whom, signed with what.
pub struct LedgerKeys {
    /// vault
    pub vault: VaultId,
    /// hospital
    pub hospital: HospitalId,
    /// algorithms of the hospital
    pub suite: Suite,
    /// the vault's key of that suite
    pub key: Arc<SigningKey>,
}

/// The ledger of one hospital.
pub struct Ledger {
    keys: LedgerKeys,
    public: PublicKey,
    term: u64,
    broken: Option<String>,
    index: Arc<dyn Index>,
    tier: Arc<Tier>,
    head: RwLock<Arc<Head>>,
}

impl Ledger {
    /// The ledger as the index, which was caught up with media, has it. Begins a new term.
    pub fn open(keys: LedgerKeys, index: Arc<dyn Index>, tier: Arc<Tier>, now_ms: u64) -> Result<Self> {
        let row = index.row::<HeadRow>(&rows::head_key(keys.hospital))?.unwrap_or_default();
        let frontier = apply::frontier_of(index.as_ref(), keys.hospital, row.size)?;
        let newest = Checkpoint::parse(&row.checkpoint).ok().map(|(checkpoint, _)| checkpoint);
        let term = newest.as_ref().map_or(1, |checkpoint| checkpoint.term + 1);
        let (size, root) = (row.size, frontier.root());
        let (head, broken) = match newest {
            Some(newest) if newest.size == size && newest.root == root => {
                (Head { size, root, frontier, checkpoint: row.checkpoint }, None)
            }
            Some(newest) if newest.size >= size => {
                let why = format!("{size} of {} leaves lead to another root than its newest checkpoint", newest.size);
                (Head { size: newest.size, root: newest.root, frontier, checkpoint: row.checkpoint }, Some(why))
            }
            _ => (Head { size, root, checkpoint: sign(&keys, term, &frontier, now_ms), frontier }, None),
        };
        let (public, head) = (keys.key.public(), RwLock::new(Arc::new(head)));
        Ok(Ledger { keys, public, term, broken, index, tier, head })
    }

    /// Why the entries do not lead to the newest checkpoint, if they do not.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// Whose ledger this is.
    pub fn hospital(&self) -> HospitalId {
        self.keys.hospital
    }

    /// Which vault keeps it.
    pub fn vault(&self) -> VaultId {
        self.keys.vault
    }

    /// Which log this is.
    pub fn log(&self) -> LogId {
        LogId::of(self.keys.vault, self.keys.hospital)
    }

    /// Algorithms of the hospital.
    pub fn suite(&self) -> Suite {
        self.keys.suite
    }

    /// The vault's key that signs here.
    pub fn key(&self) -> &SigningKey {
        &self.keys.key
    }

    /// The public half of [`key`](Self::key).
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Term of this vault as the sequencer of the log.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// The newest head.
    pub fn head(&self) -> Arc<Head> {
        self.head.read().clone()
    }

    /// Signs the head over a tree that has grown. Nobody sees it before [`advance`](Self::advance).
    pub fn draft(&self, frontier: Frontier, now_ms: u64) -> Head {
        let checkpoint = sign(&self.keys, self.term, &frontier, now_ms);
        Head { size: frontier.size(), root: frontier.root(), frontier, checkpoint }
    }

    /// Signs a head that the log had before, for whoever takes only that much of it along.
    pub fn sign_at(&self, size: u64, root: Digest, time_ms: u64) -> String {
        let LedgerKeys { vault, hospital, key, .. } = &self.keys;
        Checkpoint { vault: *vault, hospital: *hospital, size, root, time_ms, term: self.term }.sign(key)
    }

    /// Writes the rows of a durable group with `index`, and makes its head the newest. Whoever reads a row and then the
    /// head sees a head that covers the row.
    pub fn advance(&self, head: Head, index: impl FnOnce() -> Result<()>) -> Result<Arc<Head>> {
        let mut newest = self.head.write();
        index()?;
        *newest = Arc::new(head);
        Ok(newest.clone())
    }

    /// Root of the tree as it was with `size` leaves; `None` if it never had that many.
    pub fn root_at(&self, size: u64) -> Result<Option<Digest>> {
        let head = self.head();
        if size == head.size {
            return Ok(Some(head.root));
        }
        if size > head.size {
            return Ok(None);
        }
        let proof_holds = |proof: &[Digest], root: &Digest| {
            merkle::verify_consistency((size, root), (head.size, &head.root), proof).is_ok()
        };
        self.with_fallback(|ledger| {
            let peaks = Frontier::nodes(size).into_iter().map(|node| ledger.node(node)).collect::<Result<Vec<_>>>()?;
            let frontier = Frontier::from_peaks(size, peaks).map_err(|_| Error::Bug("one peak for each one-bit"))?;
            let proof = merkle::consistency_proof(size, head.size, |node| ledger.node(node))?;
            let root = frontier.root();
            Ok(proof_holds(&proof, &root).then_some(root))
        })
        .map(Some)
    }

    /// Proof that `leaf` is at `index` under `head`.
    pub fn inclusion(&self, leaf: &Digest, index: u64, head: &Head) -> Result<Vec<Digest>> {
        self.with_fallback(|ledger| {
            let proof = merkle::inclusion_proof(index, head.size, |node| ledger.node(node))?;
            Ok(merkle::verify_inclusion(leaf, index, head.size, &proof, &head.root).is_ok().then_some(proof))
        })
    }

    /// Proof that the log of `from` leaves is a prefix of the log of `to` leaves.
    pub fn consistency(&self, from: u64, to: u64) -> Result<Vec<Digest>> {
        if from > to || to > self.head().size {
            return Err(Error::Invalid { what: "sizes of the consistency proof", why: "the log never had them" });
        }
        let root = |size| self.root_at(size)?.ok_or(Error::Bug("a size within the log has a root"));
        let (old_root, new_root) = (root(from)?, root(to)?);
        self.with_fallback(|ledger| {
            let proof = merkle::consistency_proof(from, to, |node| ledger.node(node))?;
            Ok(merkle::verify_consistency((from, &old_root), (to, &new_root), &proof).is_ok().then_some(proof))
        })
    }

    /// The entry at `index`, exactly as it is on media, and its leaf hash.
    pub fn entry(&self, index: u64) -> Result<PlacedEntry> {
        let mut row = self.leaf_row(index)?;
        let bytes = loop {
            match self.tier.read(self.keys.suite, &row.at, &row.address) {
                Ok(bytes) => break bytes,
                Err(error) => match self.leaf_row(index)? {
                    moved if moved.at != row.at => row = moved, // a compaction has moved it since its row was read
                    _ => return Err(error.into()),
                },
            }
        };
        let placed = PlacedEntry::decode(&bytes).map_err(|error| self.damaged(index, error.to_string()))?;
        let statement = placed.entry.statement();
        match placed.index == index && statement.hospital == self.keys.hospital {
            true => Ok(placed),
            false => Err(self.damaged(index, format!("its row leads to leaf {} of another place", placed.index))),
        }
    }

    /// The row of a leaf that the log has.
    fn leaf_row(&self, index: u64) -> Result<LeafRow> {
        let row = self.index.row::<LeafRow>(&rows::leaf_key(self.keys.hospital, index))?;
        row.ok_or_else(|| self.damaged(index, "its row is missing from the index".into()))
    }

    /// Hash of a node: its row, or where that is missing, computed from the nodes beneath it.
    fn node(&self, node: Node) -> Result<Digest> {
        if node.level == 0 {
            return self.leaf_row(node.index).map(|row| row.leaf);
        }
        if let Some(hash) = self.index.row::<Digest>(&rows::node_key(self.keys.hospital, node))? {
            return Ok(hash);
        }
        let child = |side| Node { level: node.level - 1, index: node.index * 2 + side };
        Ok(merkle::node_hash(&self.node(child(0))?, &self.node(child(1))?))
    }

    /// Makes a proof; if it does not hold, writes every row of the tree again from the entries on media, and makes it once
    /// more.
    fn with_fallback<T>(&self, make: impl Fn(&Self) -> Result<Option<T>>) -> Result<T> {
        if let Ok(Some(proof)) = make(self) {
            return Ok(proof);
        }
        if let Some(why) = &self.broken {
            return Err(self.damaged_whole(why.clone()));
        }
        tracing::warn!(hospital = %self.keys.hospital, "node rows of the ledger are wrong, computing them again");
        self.regrow()?;
        make(self)?.ok_or_else(|| self.damaged_whole("its entries do not lead to its root".into()))
    }

    /// Computes every node of the tree from the entries on media and writes their rows.
    fn regrow(&self) -> Result<()> {
        let mut rows = Pending::new(self.index.as_ref());
        let mut frontier = Frontier::default();
        for index in 0..self.head().size {
            let row = self.leaf_row(index)?;
            let leaf = self.entry(index)?.entry.leaf_hash();
            apply::place(&mut rows, self.keys.hospital, index, LeafRow { leaf, ..row });
            apply::leaf(&mut rows, self.keys.hospital, &mut frontier, leaf);
            rows.write_if_many()?;
        }
        rows.write()
    }

    fn damaged_whole(&self, why: String) -> Error {
        Error::Damaged { what: "ledger of hospital", id: self.keys.hospital.to_string(), why }
    }

    fn damaged(&self, index: u64, why: String) -> Error {
        Error::Damaged { what: "ledger entry", id: format!("{index} of hospital {}", self.keys.hospital), why }
    }
}

fn sign(keys: &LedgerKeys, term: u64, frontier: &Frontier, time_ms: u64) -> String {
    let (vault, hospital) = (keys.vault, keys.hospital);
    Checkpoint { vault, hospital, size: frontier.size(), root: frontier.root(), time_ms, term }.sign(&keys.key)
}

/// Records that the tree has `head`'s size and that its checkpoint is the newest.
pub fn put_head(rows: &mut Pending<'_>, hospital: HospitalId, head: &Head) {
    let row = HeadRow { size: head.size, checkpoint: head.checkpoint.clone() };
    rows.put(rows::head_key(hospital), row.encode());
}
