//! The hospital's part of moving to another vault: it orders the move, looks at what arrived, and confirms in both ledgers.
//!
//! Invariants
//! - A confirmation names the vault that the order names, under the key that the order names, and is stated only after every
//!   version that was looked at was fetched there, opened, and held against its digests.
//! - It says how many were looked at, of how many. Where that was a sample, it says what the sample shows.
//!
//! Not here: following the ledger (`follow`), proving one version (`verify`).

use crate::view::row::ActRow;
use crate::{Client, Error, Result, Stated, VersionsQuery, Wanted};
use futures::StreamExt as _;
use shosoin_protocol::act::handover::key_digest;
use shosoin_protocol::act::{ActKind, Document, HandOverWord, Looked, WordStage};
use shosoin_protocol::{Digest, VaultId, VersionId};

/// Versions that are looked at at the same time.
const AT_ONCE: usize = 8;
/// Versions listed at a time.
const PAGE: usize = 1000;
/// What a share is counted in.
const MILLION: f64 = 1e6;

/// The hospital's newest order to hand everything over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandoverOrder {
    /// id of the act
    pub id: VersionId,
    /// its place in the ledger
    pub leaf_index: u64,
    /// the vault that is to receive
    pub receiver: VaultId,
    /// digest of its key, as its fingerprint shows it
    pub receiver_key: Digest,
}

/// A version that did not hold.
#[derive(Debug)]
pub struct Unsound {
    /// its bucket
    pub bucket: String,
    /// its name
    pub name: String,
    /// which
    pub version: VersionId,
    /// what is wrong
    pub error: Error,
}

/// What looking at everything, or at a sample, came to.
#[derive(Debug)]
pub struct Look {
    /// what a confirmation says of it
    pub looked: Looked,
    /// what did not hold
    pub unsound: Vec<Unsound>,
}

impl Client {
    /// Orders that everything is handed over to a vault with a key of this digest.
    pub async fn order_handover(&self, receiver: VaultId, receiver_key: Digest) -> Result<Stated> {
        if receiver == self.inner.ledger.identity().vault {
            return Err(Error::Invalid { what: "receiving vault", why: "it is the one that keeps the ledger now" });
        }
        let order = HandOverWord::order(receiver, receiver_key);
        self.state(None, Document::HandOverWord(Box::new(order))).await
    }

    /// The newest order in the ledger.
    pub fn handover_order(&self) -> Result<Option<HandoverOrder>> {
        let order = self.words()?.rev().find(|(_, word)| word.stage == WordStage::Ordered);
        Ok(order.map(|(row, HandOverWord { receiver, receiver_key, .. })| HandoverOrder {
            id: row.id,
            leaf_index: row.leaf_index,
            receiver,
            receiver_key,
        }))
    }

    /// The word in this ledger that confirms an order, if it is there.
    pub fn handover_confirmed(&self, order: &HandoverOrder) -> Result<Option<(VersionId, HandOverWord)>> {
        let counts = |row: &ActRow, word: &HandOverWord| {
            word.stage == WordStage::Confirmed
                && row.leaf_index > order.leaf_index
                && (word.receiver, word.receiver_key) == (order.receiver, order.receiver_key)
        };
        Ok(self.words()?.find(|(row, word)| counts(row, word)).map(|(row, word)| (row.id, word)))
    }

    fn words(&self) -> Result<impl DoubleEndedIterator<Item = (ActRow, HandOverWord)> + use<>> {
        let word = |row: ActRow| match &row.document {
            Document::HandOverWord(word) => Some((HandOverWord::clone(word), row)),
            _ => None,
        };
        let words: Vec<_> = self.acts(&[ActKind::HandOverWord])?.into_iter().filter_map(word).collect();
        Ok(words.into_iter().map(|(word, row)| (row, word)))
    }

    /// Fetches and opens every version that has content, or with `wanted` a sample of them, and holds it against its digests.
    /// Nothing that was opened before is trusted. `show` is told how many were looked at, of how many.
    pub async fn look(&self, wanted: Option<Wanted>, show: impl Fn(u64, u64)) -> Result<Look> {
        let of = self.count_versions()?;
        let sample = match wanted {
            Some(wanted) => wanted.check()?.sample_size(of)? as u64,
            None => of,
        };
        let (mut draw, mut unsound, mut done) = (Lots::new(of, sample), Vec::new(), 0);
        for bucket in self.buckets()? {
            let mut next = Some((None, None));
            while let Some(from) = next {
                let page = self.list_versions(&page_of(&bucket.bucket, from))?;
                let mut drawn = Vec::new();
                for row in page.versions.into_iter().filter(|row| !row.is_marker) {
                    if draw.takes_next()? {
                        drawn.push((row.object.name, row.version));
                    }
                }
                let bucket = &bucket.bucket;
                let mut proofs = futures::stream::iter(drawn)
                    .map(|(name, version)| async move {
                        let options = crate::VerifyOptions { content: true };
                        let proof = self.verify(bucket, &name, Some(version), options).await;
                        proof.err().map(|error| Unsound { bucket: bucket.clone(), name, version, error })
                    })
                    .buffer_unordered(AT_ONCE);
                while let Some(failed) = proofs.next().await {
                    unsound.extend(failed);
                    done += 1;
                    show(done, sample);
                }
                next = page.next.map(|(name, version)| (Some(name), version));
            }
        }
        let (confidence_ppm, bad_ppm) = match wanted {
            Some(Wanted { confidence, damage }) if sample < of => (per_million(confidence), per_million(damage)),
            _ => (0, 0),
        };
        Ok(Look { looked: Looked { versions: done, of, confidence_ppm, bad_ppm }, unsound })
    }

    fn count_versions(&self) -> Result<u64> {
        let mut count = 0;
        for bucket in self.buckets()? {
            let mut next = Some((None, None));
            while let Some(from) = next {
                let page = self.list_versions(&page_of(&bucket.bucket, from))?;
                count += page.versions.iter().filter(|row| !row.is_marker).count() as u64;
                next = page.next.map(|(name, version)| (Some(name), version));
            }
        }
        Ok(count)
    }

    /// What confirms that this vault has everything, after [`look`](Self::look) found nothing amiss.
    pub fn handover_word(&self, looked: Looked) -> Result<HandOverWord> {
        let identity = self.inner.ledger.identity();
        let head = self.head_text().ok_or(Error::Lost { task: "the head of the ledger" })?;
        let (receiver, receiver_key) = (identity.vault, key_digest(&identity.vault_key));
        Ok(HandOverWord { stage: WordStage::Confirmed, receiver, receiver_key, looked, head })
    }
}

fn page_of(bucket: &str, (key_marker, version_marker): (Option<String>, Option<VersionId>)) -> VersionsQuery {
    VersionsQuery { bucket: bucket.to_owned(), key_marker, version_marker, max: PAGE, ..VersionsQuery::default() }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction below 1 of a million")]
fn per_million(fraction: f64) -> u32 {
    (fraction * MILLION).round() as u32
}

/// Draws a fixed number of those that come by, each equally likely (Knuth, The Art of Computer Programming 2, 3.4.2, S).
struct Lots {
    left: u64,
    wanted: u64,
}

impl Lots {
    fn new(of: u64, wanted: u64) -> Self {
        Lots { left: of, wanted }
    }

    /// Whether the next one is drawn. What comes by beyond the number that was expected is.
    fn takes_next(&mut self) -> Result<bool> {
        let takes = self.left <= self.wanted || {
            let mut random = [0; 16];
            getrandom::fill(&mut random).map_err(|error| Error::Randomness { why: error.to_string() })?;
            u128::from_le_bytes(random) % u128::from(self.left) < u128::from(self.wanted)
        };
        self.left = self.left.saturating_sub(1);
        self.wanted -= u64::from(takes && self.wanted > 0);
        Ok(takes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_drawn_as_were_wanted_and_every_one_may_be() {
        let mut drawn = [0; 20];
        for _ in 0..200 {
            let mut lots = Lots::new(20, 5);
            let taken: Vec<usize> = (0..20).filter(|_| lots.takes_next().unwrap()).collect();
            assert_eq!(taken.len(), 5);
            taken.into_iter().for_each(|at| drawn[at] += 1);
        }
        assert!(drawn.iter().all(|count| *count > 0), "{drawn:?}");
        let mut all = Lots::new(7, 7);
        assert!((0..7).all(|_| all.takes_next().unwrap()));
    }
}
