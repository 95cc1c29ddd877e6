//! From a contradiction to evidence: what must be gathered so that the vault's own signatures show it.
//!
//! A proof that fails shows nothing to others, because nobody signed it. What is signed is the head. So the leaves that lead
//! to it are read, as far as the vault gives them, and the paths from them to the head are computed here.
//!
//! Not here: noticing contradictions (`ledger`, `audit`), judging and keeping evidence (`evidence`).

use crate::ledger::{Head, Identity};
use crate::retry::repeat;
use crate::{Result, Transport};
use shosoin_protocol::entry::Entry;
use shosoin_protocol::evidence::{Class, Part, Place};
use shosoin_protocol::limits::LOG_PAGE_ENTRIES_MAX;
use shosoin_protocol::merkle::{self, Frontier, Node};
use shosoin_protocol::{Address, Digest, LogId};
use std::collections::HashMap;
use std::sync::Arc;

/// Leaves of the largest ledger that is read whole for evidence: 64 bytes of memory and a kilobyte of transfer each.
const LEAVES_MAX: u64 = 1 << 18;

/// What is wrong with an entry of the ledger, as far as others can be shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accusation {
    /// of what
    pub class: Class,
    /// leaf index of the entry
    pub index: u64,
}

/// A ledger whose leaves were read from the vault, and lead to a head that it signed.
pub struct Tree {
    nodes: HashMap<Node, Digest>,
    head: Head,
}

impl Tree {
    /// Reads the leaves under `head`, and shows each entry to `look`. None where the vault does not give them, where they do
    /// not lead to the head, or where they are too many.
    pub async fn read(transport: &Arc<dyn Transport>, head: &Head, mut look: impl FnMut(u64, &Entry)) -> Option<Tree> {
        if head.size() > LEAVES_MAX {
            return None;
        }
        let (mut nodes, mut frontier) = (HashMap::new(), Frontier::default());
        while frontier.size() < head.size() {
            let (from, left) = (frontier.size(), head.size() - frontier.size());
            let count = u32::try_from(left.min(LOG_PAGE_ENTRIES_MAX as u64)).ok()?;
            let page = repeat(|| transport.log_entries(from, count)).await.ok()?;
            if page.items.is_empty() || page.items.len() as u64 > left {
                return None;
            }
            for (index, item) in (from..).zip(&page.items) {
                look(index, &item.placed.entry);
                frontier.push(item.placed.entry.leaf_hash(), |node, hash| {
                    nodes.insert(node, hash);
                });
            }
        }
        (frontier.root() == head.checkpoint().root).then(|| Tree { nodes, head: head.clone() })
    }

    fn node(&self, node: Node) -> Result<Digest, ()> {
        self.nodes.get(&node).copied().ok_or(())
    }

    /// Where a leaf is.
    pub fn place(&self, index: u64) -> Option<Place> {
        let proof = merkle::inclusion_proof(index, self.head.size(), |node| self.node(node)).ok()?;
        Some(Place { index, proof })
    }

    /// How the first `from` leaves lead to the head, the first complete subtree always included.
    fn consistency(&self, from: u64) -> Option<Part> {
        let to = self.head.size();
        let mut proof = merkle::consistency_proof(from, to, |node| self.node(node)).ok()?;
        if from.is_power_of_two() {
            let level = u8::try_from(from.trailing_zeros()).ok()?;
            proof.insert(0, self.node(Node { level, index: 0 }).ok()?);
        }
        Some(Part::Consistency { from, to, proof })
    }
}

/// What shows that neither of two heads continues the other. `given` is the proof of the vault that failed.
pub async fn fork(transport: &Arc<dyn Transport>, remembered: &Head, offered: &Head, given: &[Digest]) -> Vec<Part> {
    let heads = vec![Part::Remembered(remembered.text().to_owned()), Part::Head(offered.text().to_owned())];
    let (old, new) = if offered.size() < remembered.size() { (offered, remembered) } else { (remembered, offered) };
    if old.size() == new.size() || old.size() == 0 {
        return heads;
    }
    let whole = whole_proof(old, given);
    let (first, rest) = whole.split_first().unwrap_or((&Digest([0; 32]), &[]));
    let roots = merkle::consistency_roots((old.size(), new.size()), first, rest);
    let is_shown = roots.is_ok_and(|(first, second)| second == new.checkpoint().root && first != old.checkpoint().root);
    let computed = match is_shown {
        true => None,
        false => Tree::read(transport, new, |_, _| {}).await.and_then(|tree| tree.consistency(old.size())),
    };
    let given = Part::Consistency { from: old.size(), to: new.size(), proof: whole };
    [heads, vec![computed.unwrap_or(given)]].concat()
}

/// What shows that a ledger became shorter. A head does not say when it was shown, so the vault is asked to sign how long
/// its ledger is now: the answer to a question with a nonce cannot be an old one.
pub async fn rollback(
    identity: &Identity,
    transport: &Arc<dyn Transport>,
    remembered: &Head,
    offered: &Head,
) -> Vec<Part> {
    let heads = |shorter| vec![Part::Remembered(remembered.text().to_owned()), shorter];
    let (nobody, mut nonce) = (Address([0; 32]), [0; 32]);
    if getrandom::fill(&mut nonce).is_ok()
        && let Ok(reply) = transport.audit_record(nobody, nonce).await
        && reply.answer.said.nonce == nonce
        && reply.answer.verify(&identity.vault_key).is_ok_and(|now| now.size < remembered.size())
    {
        return heads(Part::Answer(reply.answer.encode()));
    }
    heads(Part::Head(offered.text().to_owned()))
}

/// A proof as the vault gives it, with the first complete subtree where it leaves that out.
fn whole_proof(old: &Head, given: &[Digest]) -> Vec<Digest> {
    let left_out = old.size().is_power_of_two().then_some(old.checkpoint().root);
    let whole: Vec<Digest> = left_out.into_iter().chain(given.iter().copied()).collect();
    if whole.is_empty() { vec![Digest([0; 32])] } else { whole }
}

/// What shows that the entry at a place of the signed ledger may not be there.
/// An entry for another ledger is shown with one before it that is for this one, `log`: else it may be a former vault's.
pub async fn entry(
    transport: &Arc<dyn Transport>,
    offered: &Head,
    log: LogId,
    accusation: Accusation,
) -> Option<Vec<Part>> {
    let page = repeat(|| transport.log_entries(accusation.index, 1)).await.ok()?;
    let accused = page.items.into_iter().next()?.placed.entry;
    let mut twin = None;
    let is_twin = |index: u64, other: &Entry| {
        let (one, two) = (accused.statement(), other.statement());
        match one.log == log {
            true => index != accusation.index && (one.device, one.device_seq) == (two.device, two.device_seq),
            false => index < accusation.index && two.log == log,
        }
    };
    let tree = Tree::read(transport, offered, |index, other| {
        if twin.is_none() && is_twin(index, other) {
            twin = Some((index, other.clone()));
        }
    });
    let tree = tree.await?;
    let mut parts = vec![
        Part::Head(offered.text().to_owned()),
        Part::Entry(accused.bytes().to_vec()),
        Part::EntryPlace(tree.place(accusation.index)?),
    ];
    if let Some((index, other)) = twin.filter(|_| accusation.class == Class::Replay) {
        parts.push(Part::OtherPlace(tree.place(index)?));
        if other.leaf_hash() != accused.leaf_hash() {
            parts.push(Part::OtherEntry(other.bytes().to_vec()));
        }
    }
    Some(parts)
}
