//! The ledger tree: RFC 6962 hashing, proofs made from stored nodes, and their verification.
//!
//! A node is named by level and index: it covers the leaves `index << level` up to `(index + 1) << level`, and
//! exists once all of them do. So nodes never change, and a store of nodes is an append-only cache.

use crate::suite::sha256;
use crate::{Digest, Error, Result};

/// A complete subtree: its place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// 0 for a leaf
    pub level: u8,
    /// position among the nodes of its level
    pub index: u64,
}

/// Root of the empty tree: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    sha256(&[])
}

/// Hash of one leaf.
pub fn leaf_hash(leaf: &[u8]) -> Digest {
    sha256(&[&[0], leaf])
}

/// Hash of two subtrees.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    sha256(&[&[1], &left.0, &right.0])
}

/// Root of a list held in memory (address lists, batches).
pub fn root_of<'a>(leaves: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push(leaf_hash(leaf), |_, _| {});
    }
    frontier.root()
}

/// The right edge of a growing tree: the complete subtrees whose sizes are the one-bits of the size, largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// From a size and the hashes of its complete subtrees, largest first, as [`Frontier::nodes`] names them.
    pub fn from_peaks(size: u64, peaks: Vec<Digest>) -> Result<Self> {
        if peaks.len() != size.count_ones() as usize {
            return Err(Error::Invalid { what: "frontier", why: "it needs one hash for every one-bit of the size" });
        }
        Ok(Frontier { size, peaks })
    }

    /// The nodes whose hashes make up the frontier of a tree of `size` leaves, largest first.
    pub fn nodes(size: u64) -> Vec<Node> {
        let mut covered = 0;
        let levels = (0..64u8).rev().filter(|level| size & (1 << level) != 0);
        levels
            .map(|level| {
                let node = Node { level, index: covered >> level };
                covered += 1 << level;
                node
            })
            .collect()
    }

    /// Hashes of the complete subtrees, largest first: what [`Frontier::from_peaks`] takes.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf and reports every node this completes, the leaf itself first.
    pub fn push(&mut self, leaf: Digest, mut completed: impl FnMut(Node, Digest)) {
        let mut node = Node { level: 0, index: self.size };
        let mut hash = leaf;
        completed(node, hash);
        while node.index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            node = Node { level: node.level + 1, index: node.index >> 1 };
            completed(node, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Root of the tree.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => empty_root(),
            Some(last) => peaks.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// Proof that leaf `index` is in the tree of `size` leaves. `get` answers complete nodes.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    mut get: impl FnMut(Node) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    let mut proof = Vec::new();
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        let (near, far) =
            if index < middle { ((begin, middle), (middle, end)) } else { ((middle, end), (begin, middle)) };
        proof.push(range_hash(far.0, far.1, &mut get)?);
        (begin, end) = near;
    }
    proof.reverse();
    Ok(proof)
}

/// Proof that the tree of `old` leaves is a prefix of the tree of `new` leaves; empty where that is trivial.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    mut get: impl FnMut(Node) -> Result<Digest, E>,
) -> Result<Vec<Digest>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut begin, mut end) = (0, new);
    while end != old {
        let middle = begin + split(end - begin);
        if old <= middle {
            proof.push(range_hash(middle, end, &mut get)?);
            end = middle;
        } else {
            proof.push(range_hash(begin, middle, &mut get)?);
            begin = middle;
        }
    }
    if begin != 0 {
        proof.push(range_hash(begin, end, &mut get)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Refuses a proof that does not place `leaf` at `index` of the tree with this size and root (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Digest, index: u64, size: u64, proof: &[Digest], root: &Digest) -> Result<()> {
    let bad = Error::Proof { what: "inclusion" };
    if index >= size {
        return Err(bad);
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(bad);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(bad) }
}

/// Refuses a proof that does not show the old tree to be a prefix of the new one (RFC 9162, 2.1.4.2).
pub fn verify_consistency(old: (u64, &Digest), new: (u64, &Digest), proof: &[Digest]) -> Result<()> {
    let bad = Error::Proof { what: "consistency" };
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return Err(bad);
    }
    if old_size == new_size || old_size == 0 {
        let old_is_true = old_size != 0 || *old_root == empty_root();
        let new_is_true = old_size != new_size || old_root == new_root;
        return if old_is_true && new_is_true && proof.is_empty() { Ok(()) } else { Err(bad) };
    }
    let (first, rest) = match old_size.is_power_of_two() {
        true => (old_root, proof),
        false => proof.split_first().ok_or(bad.clone())?,
    };
    match consistency_roots((old_size, new_size), first, rest)? == (*old_root, *new_root) {
        true => Ok(()),
        false => Err(bad),
    }
}

/// The roots of both trees, of `0 < old < new` leaves, that a consistency proof leads to. `first` is the largest complete
/// subtree that ends where the smaller tree does: the first hash of the proof, or, where the smaller tree is complete, its
/// root, which proofs leave out. Where the second root is right and the first is not, nothing leads to both: then the
/// smaller tree is proved to be no prefix of the larger.
pub fn consistency_roots((old, new): (u64, u64), first: &Digest, rest: &[Digest]) -> Result<(Digest, Digest)> {
    let bad = Error::Proof { what: "consistency" };
    if old == 0 || old >= new {
        return Err(bad);
    }
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(bad);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok((old_hash, new_hash)) } else { Err(bad) }
}

/// Largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (63 - (count - 1).leading_zeros())
}

fn range_hash<E>(begin: u64, end: u64, get: &mut impl FnMut(Node) -> Result<Digest, E>) -> Result<Digest, E> {
    let count = end - begin;
    if count.is_power_of_two() {
        #[expect(clippy::cast_possible_truncation, reason = "a u64 has at most 63 trailing zeros here")]
        let level = count.trailing_zeros() as u8;
        return get(Node { level, index: begin >> level });
    }
    let middle = begin + split(count);
    let left = range_hash(begin, middle, get)?;
    Ok(node_hash(&left, &range_hash(middle, end, get)?))
}

#[cfg(test)]
mod tests;
