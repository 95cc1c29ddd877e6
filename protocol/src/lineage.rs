//! Lineage: the vaults that kept a hospital's ledger, one after the other. Each has a span of its leaves; the log has another
//! id in each span and is one tree over all of them (decision 33).
//!
//! Invariants
//! - Spans begin at leaf 0 and follow each other; each but the first begins with the act by which its vault took over.
//! - A head is believed from the vault whose span its last leaf is in, and from nobody else.

use crate::act::{ActKind, HandOverIn};
use crate::checkpoint::{Checkpoint, SignedHead};
use crate::entry::{Body, Entry};
use crate::sign::PublicKey;
use crate::{DeviceId, Digest, Error, HospitalId, LogId, Result, VaultId, merkle};

/// Vaults that may have kept one ledger: a hospital that moves every few years moves for centuries.
pub const SPANS_MAX: usize = 64;

/// One vault's part of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// its first leaf
    pub from: u64,
    /// root over the leaves before it
    pub root: Digest,
    /// id of the log
    pub log: LogId,
    /// the vault
    pub vault: VaultId,
    /// its key of the hospital's suite
    pub vault_key: PublicKey,
}

/// The vaults that kept a ledger. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    hospital: HospitalId,
    former: Vec<Span>,
    current: Span,
}

impl Lineage {
    /// A ledger that one vault has kept from its beginning.
    pub fn of(hospital: HospitalId, vault: VaultId, vault_key: PublicKey) -> Self {
        let (from, root, log) = (0, merkle::empty_root(), LogId::of(vault, hospital));
        Lineage { hospital, former: Vec::new(), current: Span { from, root, log, vault, vault_key } }
    }

    /// The same ledger, which another vault goes on with from `from` on.
    pub fn then(mut self, from: u64, root: Digest, vault: VaultId, vault_key: PublicKey) -> Result<Self> {
        let invalid = |why| Err(Error::Invalid { what: "lineage", why });
        if self.former.len() + 2 > SPANS_MAX {
            return invalid("more vaults than a ledger may have had");
        }
        if from <= self.current.from {
            return invalid("a vault takes over behind what the one before it wrote");
        }
        if self.spans().any(|span| span.vault == vault || span.vault_key == vault_key) {
            return invalid("a vault keeps a ledger once");
        }
        if vault_key.suite() != self.current.vault_key.suite() {
            return invalid("its key is of another suite");
        }
        let next = Span { from, root, log: LogId::of(vault, self.hospital), vault, vault_key };
        self.former.push(std::mem::replace(&mut self.current, next));
        Ok(self)
    }

    /// The ledger that a vault with this key shows: the acts by which vaults took it over, oldest first, lead back from it. Each
    /// is signed by the vault that took over, and names the one before.
    pub fn trace(
        hospital: HospitalId,
        vault: VaultId,
        vault_key: PublicKey,
        acts: &[(Entry, HandOverIn)],
    ) -> Result<Self> {
        let mut steps = Vec::new();
        let (mut keeper, mut keeper_key) = (vault, vault_key.clone());
        for (entry, document) in acts.iter().rev() {
            let is_in = matches!(entry.body(), Body::Act(act) if act.kind == ActKind::HandOverIn);
            if !is_in {
                return Err(Error::Invalid { what: "lineage", why: "an entry takes nothing over" });
            }
            entry.expect(LogId::of(keeper, hospital), hospital)?;
            entry.verify(&keeper_key)?;
            document.verify()?;
            steps.push((document.log_size, document.log_root, keeper, keeper_key));
            (keeper, keeper_key) = (document.former, document.former_key.clone());
        }
        let first = Lineage::of(hospital, keeper, keeper_key);
        steps
            .into_iter()
            .rev()
            .try_fold(first, |lineage, (from, root, vault, key)| lineage.then(from, root, vault, key))
    }

    /// Whose ledger.
    pub fn hospital(&self) -> HospitalId {
        self.hospital
    }

    /// Every span, in order.
    pub fn spans(&self) -> impl DoubleEndedIterator<Item = &Span> {
        self.former.iter().chain([&self.current])
    }

    /// Those of vaults that kept it before, in order.
    pub fn former(&self) -> &[Span] {
        &self.former
    }

    /// The span that grows.
    pub fn current(&self) -> &Span {
        &self.current
    }

    /// The span that a leaf is in.
    pub fn at(&self, index: u64) -> &Span {
        self.spans().rev().find(|span| span.from <= index).unwrap_or(&self.current)
    }

    /// The span of a vault, if it ever kept the ledger.
    pub fn of_vault(&self, vault: VaultId) -> Option<&Span> {
        self.spans().find(|span| span.vault == vault)
    }

    /// Whether a device id is that of a vault's key.
    pub fn is_vault(&self, device: DeviceId) -> bool {
        self.spans().any(|span| span.vault_key.device_id() == device)
    }

    /// Believes a signed head of the ledger from the vault whose span its last leaf is in.
    pub fn verify_head(&self, text: &str) -> Result<SignedHead> {
        let (claimed, _) = Checkpoint::parse(text)?;
        let foreign = || Error::Mismatch {
            what: "origin of the ledger head",
            expected: format!("{}/{}", self.current.vault, self.hospital),
            found: format!("{}/{}", claimed.vault, claimed.hospital),
        };
        let span = self.of_vault(claimed.vault).filter(|_| claimed.hospital == self.hospital).ok_or_else(foreign)?;
        let head = SignedHead::verify(text, &span.vault_key)?;
        let last = head.size().saturating_sub(1);
        match self.at(last) == span || head.size() == 0 {
            true => Ok(head),
            false => {
                Err(Error::Invalid { what: "ledger head", why: "another vault kept the ledger when it had this size" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::{Act, Document};
    use crate::entry::{Seen, Statement};
    use crate::sign::SigningKey;
    use crate::{Suite, VersionId};

    const HOSPITAL: HospitalId = HospitalId([7; 16]);

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(Suite::Default, &[seed; 32].into()).unwrap()
    }

    fn vault(seed: u8) -> VaultId {
        VaultId([seed; 16])
    }

    fn head(seed: u8, size: u64) -> String {
        let root = Digest([u8::try_from(size).unwrap(); 32]);
        Checkpoint { vault: vault(seed), hospital: HOSPITAL, size, root, time_ms: 1, term: 1 }.sign(&key(seed))
    }

    /// The act by which vault `to` took over from vault `from` behind `size` leaves.
    fn taken_over(from: u8, to: u8, size: u64) -> (Entry, HandOverIn) {
        let document = HandOverIn {
            order: VersionId([1; 16]),
            former: vault(from),
            former_key: key(from).public(),
            log_size: size,
            log_root: Digest([u8::try_from(size).unwrap(); 32]),
            package: Digest([3; 32]),
            head: head(from, size),
        };
        let address = Suite::Default.address(&Document::HandOverIn(Box::new(document.clone())).encode());
        let act = Act { id: VersionId([2; 16]), kind: ActKind::HandOverIn, subject: None, document: address };
        let statement = Statement {
            suite: Suite::Default,
            log: LogId::of(vault(to), HOSPITAL),
            hospital: HOSPITAL,
            device: key(to).public().device_id(),
            device_seq: 0,
            prev: Digest([0; 32]),
            seen: Seen::nothing(),
            claimed_ms: 1,
            body: Body::Act(act),
        };
        (Entry::sign(statement, &key(to)), document)
    }

    fn traced(acts: &[(Entry, HandOverIn)]) -> Result<Lineage> {
        Lineage::trace(HOSPITAL, vault(3), key(3).public(), acts)
    }

    #[test]
    fn a_ledger_is_traced_back_over_every_vault_that_kept_it() {
        let lineage = traced(&[taken_over(1, 2, 10), taken_over(2, 3, 25)]).unwrap();
        let spans: Vec<(u64, VaultId)> = lineage.spans().map(|span| (span.from, span.vault)).collect();
        assert_eq!(spans, [(0, vault(1)), (10, vault(2)), (25, vault(3))]);
        assert_eq!([0, 9, 10, 24, 25, 99].map(|leaf| lineage.at(leaf).vault.0[0]), [1, 1, 2, 2, 3, 3]);
        assert_eq!(lineage.current().log, LogId::of(vault(3), HOSPITAL));
        assert!(lineage.is_vault(key(2).public().device_id()) && !lineage.is_vault(key(9).public().device_id()));
        assert_eq!(traced(&[]).unwrap(), Lineage::of(HOSPITAL, vault(3), key(3).public()));
    }

    #[test]
    fn a_head_counts_only_from_the_vault_that_kept_the_ledger_when_it_had_that_size() {
        let lineage = traced(&[taken_over(1, 2, 10), taken_over(2, 3, 25)]).unwrap();
        for (seed, size) in [(1, 0), (1, 1), (1, 10), (2, 11), (2, 25), (3, 26), (3, 200)] {
            lineage.verify_head(&head(seed, size)).unwrap_or_else(|error| panic!("{seed} at {size}: {error}"));
        }
        for (seed, size) in [(1, 11), (2, 10), (2, 26), (3, 25), (4, 5)] {
            assert!(lineage.verify_head(&head(seed, size)).is_err(), "{seed} at {size}");
        }
        let forged =
            Checkpoint { vault: vault(1), hospital: HOSPITAL, size: 4, root: Digest([4; 32]), time_ms: 1, term: 1 };
        assert!(lineage.verify_head(&forged.sign(&key(3))).is_err(), "a later vault signs for an earlier one");
    }

    #[test]
    fn a_step_that_nobody_signed_or_that_leads_elsewhere_is_refused() {
        let (first, second) = (taken_over(1, 2, 10), taken_over(2, 3, 25));
        assert!(traced(&[second.clone(), first.clone()]).is_err(), "in another order");
        assert!(traced(std::slice::from_ref(&first)).is_err(), "it does not lead to the vault that shows it");
        let mut other_head = second.clone();
        other_head.1.head = head(2, 24);
        assert!(traced(&[first.clone(), other_head]).is_err(), "the former head is of other leaves");
        let mut unsigned = second.clone();
        unsigned.1.head = head(9, 25);
        assert!(traced(&[first.clone(), unsigned]).is_err(), "another vault signed the former head");
        assert!(traced(&[taken_over(1, 2, 30), second.clone()]).is_err(), "it goes back");
        assert!(traced(&[taken_over(3, 2, 10), second]).is_err(), "a vault twice");
    }
}
