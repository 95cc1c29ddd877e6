//! What this device signed last, as its own state knows it: how a copy of the device is recognised.
//!
//! A device's entries are a chain, each naming the one before. So if the newest entry of this device in the ledger is one
//! that was signed *here*, all before it were. If it is not, another process signs with this device's key: this state was
//! restored from a backup, or a copy of it runs elsewhere. Then nothing is signed any more until a person has compared
//! the ledger's head with what is known elsewhere ([`Signed::adopt`]).
//!
//! Invariants
//! - What is about to be sent is in the file before it is sent, so a kill never makes this state look older than it is. It is
//!   synced while the vault answers, and before anybody is told: only a power cut in those milliseconds can, and that errs
//!   on the safe side.
//! - The file has two slots that are written in turn, so a torn write leaves the one before.
//! - What was packed onto media may be on its way for weeks, and be any number of entries: it is in a file of its own
//!   (`packed`), in the order of the chain, of which one row is read when it is asked for.
//!
//! Format: [docs/format.md](../../docs/format.md), "Signed entries", "Packed entries".

mod packed;

use crate::task::blocking;
use crate::view::row::Chain;
use crate::{Error, Result, durable};
use packed::Packed;
use parking_lot::Mutex;
use shosoin_protocol::Digest;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::suite::sha256;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// First bytes of a slot.
const MAGIC: [u8; 4] = *b"shsd";
/// Version of a slot.
const VERSION: u8 = 1;
/// Entries that may be on their way without the ledger having told of any: several times what is tried before a deposit is
/// given up. Older ones are forgotten.
const ON_THEIR_WAY_MAX: usize = 4096;
/// Room of a slot, in bytes.
const SLOT_BYTES: usize = 192 * 1024;

const _: () = assert!(ON_THEIR_WAY_MAX * Digest::LEN + 256 < SLOT_BYTES);

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    /// counts writes; the slot with the greater one is right
    generation: u64,
    /// where the ledger's chain of this device stood when it was last found to be ours
    base: Chain,
    /// leaf hashes of what was signed to follow it
    on_their_way: Vec<Digest>,
}

impl Known {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(128 + self.on_their_way.len() * Digest::LEN);
        out.put(&MAGIC).u8(VERSION).u64(self.generation).u64(self.base.next_seq).put(&self.base.prev.0);
        out.count(self.on_their_way.len());
        for leaf in &self.on_their_way {
            out.put(&leaf.0);
        }
        let mut bytes = out.finish();
        let digest = sha256(&[&bytes]);
        bytes.extend_from_slice(&digest.0);
        bytes
    }

    /// What a slot begins with; bytes behind it are of older writes.
    fn decode(slot: &[u8]) -> shosoin_protocol::Result<Self> {
        const WHAT: &str = "signed entries";
        let mut head = Reader::new(slot, WHAT);
        head.form(MAGIC, VERSION, WHAT)?;
        let generation = head.u64("generation")?;
        let base = Chain { next_seq: head.u64("next sequence")?, prev: Digest::read(&mut head)? };
        let count = head.count(ON_THEIR_WAY_MAX, "entries on their way")?;
        let on_their_way = (0..count).map(|_| Digest::read(&mut head)).collect::<shosoin_protocol::Result<_>>()?;
        let found = Digest::read(&mut head)?;
        let known = Known { generation, base, on_their_way };
        let whole = known.encode();
        match slot.get(..whole.len()) == Some(&whole[..]) {
            true => Ok(known),
            false => {
                let expected = Digest::read(&mut Reader::new(&whole[whole.len() - Digest::LEN..], WHAT))?.to_string();
                Err(shosoin_protocol::Error::Mismatch {
                    what: "digest of signed entries",
                    expected,
                    found: found.to_string(),
                })
            }
        }
    }

    fn is_own(&self, chain: &Chain) -> bool {
        *chain == self.base || (chain.next_seq > self.base.next_seq && self.on_their_way.contains(&chain.prev))
    }

    /// What is on its way still, now that the ledger's chain stands at `chain`: what was signed behind that.
    fn behind(&self, chain: &Chain) -> Vec<Digest> {
        let arrived = self.on_their_way.iter().position(|leaf| *leaf == chain.prev);
        match arrived {
            _ if *chain == self.base => self.on_their_way.clone(),
            Some(arrived) => self.on_their_way[arrived + 1..].to_vec(),
            None => Vec::new(),
        }
    }
}

/// The file, and what it says.
#[derive(Debug)]
pub struct Signed {
    path: PathBuf,
    known: Mutex<Known>,
    file: Mutex<Option<Arc<File>>>,
    packed: Packed,
}

impl Signed {
    /// Reads `state_dir/signed`; where there is none, this device has signed what `remembered` says. Without one slot that
    /// can be read nothing is known, and an entry of this device in the ledger is of somebody else.
    pub fn load(state_dir: &Path, remembered: Chain) -> Result<Signed> {
        let path = state_dir.join("signed");
        let known = match std::fs::read(&path) {
            Ok(bytes) => newest(&bytes).unwrap_or_else(|| {
                tracing::warn!("what this device signed last cannot be read");
                Known { generation: 0, base: Chain::START, on_their_way: Vec::new() }
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Known { generation: 0, base: remembered, on_their_way: Vec::new() }
            }
            Err(source) => return Err(Error::State { path, source }),
        };
        Ok(Signed { path, known: Mutex::new(known), file: Mutex::new(None), packed: Packed::open(state_dir)? })
    }

    /// Entries of this device that this state knows to be its own.
    pub fn known_entries(&self) -> u64 {
        self.known.lock().base.next_seq
    }

    /// Whether the chain, as the ledger has it, ends in an entry that was signed here.
    pub fn is_own(&self, chain: &Chain) -> bool {
        self.vouches(&self.known.lock(), chain)
    }

    fn vouches(&self, known: &Known, chain: &Chain) -> bool {
        known.is_own(chain) || (chain.next_seq > known.base.next_seq && self.packed.has(chain))
    }

    /// Whether somebody else signed the newest entry of this device that `chain` has. A chain that ends before what is known here
    /// says nothing: it is of a view that is being read anew.
    pub fn is_anothers(&self, chain: &Chain) -> bool {
        let known = self.known.lock();
        chain.next_seq >= known.base.next_seq && !self.vouches(&known, chain)
    }

    /// Notes what is about to be sent, to follow `chain`, which is ours. On return it outlives this process; with the file
    /// that is given, and synced, a power cut as well.
    pub async fn note(self: &Arc<Self>, chain: Chain, leaves: Vec<Digest>) -> Result<Arc<File>> {
        let signed = self.clone();
        blocking("noting what is signed", move || {
            let mut known = signed.known.lock();
            let mut on_their_way = known.behind(&chain);
            on_their_way.extend(leaves);
            let surplus = on_their_way.len().saturating_sub(ON_THEIR_WAY_MAX);
            on_their_way.drain(..surplus);
            signed.write(&mut known, Known { generation: 0, base: chain, on_their_way })
        })
        .await
    }

    /// The same for what goes onto a medium, the first of it at `first_seq` of the chain, while the ledger has the chain at `told`.
    pub async fn note_packed(self: &Arc<Self>, told: Chain, first_seq: u64, leaves: Vec<Digest>) -> Result<Arc<File>> {
        let (signed, rows) = (self.clone(), leaves.clone());
        blocking("noting what is packed", move || signed.packed.append(told.next_seq, first_seq, &rows)).await?;
        self.note(told, leaves).await
    }

    /// From now on this device goes on behind `chain`, whoever signed it; durable on return.
    pub fn adopt(&self, chain: Chain) -> Result<()> {
        let mut known = self.known.lock();
        let file = self.write(&mut known, Known { generation: 0, base: chain, on_their_way: Vec::new() })?;
        file.sync_data().map_err(|source| Error::State { path: self.path.clone(), source })
    }

    fn write(&self, known: &mut Known, mut next: Known) -> Result<Arc<File>> {
        next.generation = known.generation + 1;
        let state = |source| Error::State { path: self.path.clone(), source };
        let file = self.file().map_err(state)?;
        let slot = (next.generation % 2) * SLOT_BYTES as u64;
        file.write_all_at(&next.encode(), slot).map_err(state)?;
        *known = next;
        Ok(file)
    }

    fn file(&self) -> std::io::Result<Arc<File>> {
        let mut place = self.file.lock();
        if let Some(file) = &*place {
            return Ok(file.clone());
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        // room for both slots, so that a sync later is one of data alone
        file.set_len(2 * SLOT_BYTES as u64)?;
        file.sync_all()?;
        durable::sync_folder(self.path.parent().unwrap_or(Path::new(".")))?;
        Ok(place.insert(Arc::new(file)).clone())
    }
}

fn newest(bytes: &[u8]) -> Option<Known> {
    let slots = [bytes.get(..SLOT_BYTES).unwrap_or(bytes), bytes.get(SLOT_BYTES..).unwrap_or_default()];
    slots.into_iter().filter_map(|slot| Known::decode(slot).ok()).max_by_key(|known| known.generation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chain(next_seq: u64) -> Chain {
        Chain { next_seq, prev: Digest([u8::try_from(next_seq).unwrap(); 32]) }
    }

    fn load(dir: &Path) -> Arc<Signed> {
        Arc::new(Signed::load(dir, Chain::START).unwrap())
    }

    #[tokio::test]
    async fn what_was_signed_here_is_known_after_a_restart_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let signed = load(dir.path());
        assert!(signed.is_own(&Chain::START) && !signed.is_own(&chain(1)));
        signed.note(Chain::START, vec![chain(1).prev, chain(2).prev]).await.unwrap();
        signed.note(Chain::START, vec![Digest([9; 32])]).await.unwrap();
        let again = load(dir.path());
        for own in [Chain::START, chain(1), chain(2), Chain { next_seq: 1, prev: Digest([9; 32]) }] {
            assert!(again.is_own(&own), "{own:?}");
        }
        assert!(!again.is_own(&chain(3)));
        again.note(chain(2), vec![chain(3).prev]).await.unwrap();
        let again = load(dir.path());
        assert!(again.is_own(&chain(2)) && again.is_own(&chain(3)));
        assert!(!again.is_own(&chain(1)), "the ledger was longer already");
    }

    #[tokio::test]
    async fn a_view_that_is_read_anew_raises_no_alarm_until_it_has_caught_up() {
        let dir = tempfile::tempdir().unwrap();
        let signed = load(dir.path());
        signed.note(chain(5), vec![chain(6).prev]).await.unwrap();
        let behind = (1..5).map(chain).chain([Chain::START]);
        assert!(behind.into_iter().all(|chain| !signed.is_own(&chain) && !signed.is_anothers(&chain)));
        assert!(!signed.is_anothers(&chain(5)) && !signed.is_anothers(&chain(6)));
        let foreign = [5, 6, 7].map(|next_seq| Chain { next_seq, prev: Digest([99; 32]) });
        assert!(foreign.iter().all(|chain| signed.is_anothers(chain)));
    }

    #[tokio::test]
    async fn a_torn_write_leaves_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let signed = load(dir.path());
        signed.note(chain(1), vec![chain(2).prev]).await.unwrap();
        signed.note(chain(2), vec![chain(3).prev]).await.unwrap();
        let file = OpenOptions::new().write(true).open(dir.path().join("signed")).unwrap();
        file.write_all_at(&[0xAA; 30], 20).unwrap(); // the slot of the second
        let again = load(dir.path());
        assert!(again.is_own(&chain(1)) && again.is_own(&chain(2)) && !again.is_own(&chain(3)));
        file.write_all_at(&[0xAA; 30], SLOT_BYTES as u64 + 20).unwrap();
        assert!(!load(dir.path()).is_own(&chain(2)), "nothing that can be read vouches for nothing");
    }

    fn leaf(n: u64) -> Digest {
        sha256(&[&n.to_le_bytes()])
    }

    /// The chain behind the entry at `seq`.
    fn behind(seq: u64) -> Chain {
        Chain { next_seq: seq + 1, prev: leaf(seq) }
    }

    #[tokio::test]
    async fn a_first_medium_that_arrives_behind_thousands_of_later_packed_entries_is_no_copys() {
        let dir = tempfile::tempdir().unwrap();
        let (signed, told) = (load(dir.path()), behind(9));
        signed.adopt(told).unwrap();
        let entries = 10..10 + 3 * ON_THEIR_WAY_MAX as u64;
        for batch in entries.clone().collect::<Vec<_>>().chunks(1000) {
            signed.note_packed(told, batch[0], batch.iter().map(|seq| leaf(*seq)).collect()).await.unwrap();
        }
        let again = load(dir.path());
        for signed in [&signed, &again] {
            assert!(entries.clone().all(|seq| signed.is_own(&behind(seq)) && !signed.is_anothers(&behind(seq))));
            let foreign = [10, 4000, entries.end - 1].map(|seq| Chain { next_seq: seq + 1, prev: leaf(seq + 1) });
            assert!(foreign.iter().all(|chain| signed.is_anothers(chain)), "of another, or at another place");
            assert!(signed.is_anothers(&behind(entries.end)), "it was never packed here");
        }
    }

    #[tokio::test]
    async fn what_is_packed_while_earlier_media_travel_takes_nothing_from_them() {
        let dir = tempfile::tempdir().unwrap();
        let signed = load(dir.path());
        signed.note_packed(Chain::START, 0, (0..5).map(leaf).collect()).await.unwrap();
        signed.note_packed(Chain::START, 5, (5..10).map(leaf).collect()).await.unwrap();
        assert!(signed.is_own(&behind(4)), "the first medium was taken in");
        signed.note_packed(behind(4), 10, (10..15).map(leaf).collect()).await.unwrap();
        let again = load(dir.path());
        assert!([9, 14].iter().all(|seq| again.is_own(&behind(*seq))), "the second and the third");
        assert!(again.is_anothers(&Chain { next_seq: 10, prev: leaf(99) }));
        // with all of them taken in the next medium begins anew
        again.note_packed(behind(14), 15, vec![leaf(15)]).await.unwrap();
        assert!(again.is_own(&behind(15)) && !again.is_own(&behind(9)));
    }

    #[tokio::test]
    async fn what_a_batch_had_behind_the_entry_that_arrived_is_on_its_way_still() {
        let dir = tempfile::tempdir().unwrap();
        let signed = load(dir.path());
        signed.note(Chain::START, (0..4).map(leaf).collect()).await.unwrap();
        signed.note(behind(1), vec![leaf(70)]).await.unwrap();
        for own in [behind(3), Chain { next_seq: 3, prev: leaf(70) }] {
            assert!(load(dir.path()).is_own(&own), "{own:?}");
        }
        signed.note(Chain { next_seq: 3, prev: leaf(70) }, vec![leaf(71)]).await.unwrap();
        assert!(!signed.is_own(&behind(3)), "nothing before what arrived can still come");
    }

    #[test]
    fn a_person_may_let_it_go_on_behind_what_others_signed() {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path()).adopt(chain(7)).unwrap();
        assert!(load(dir.path()).is_own(&chain(7)));
    }

    proptest! {
        #[test]
        fn a_slot_with_any_byte_changed_is_refused(at in 0usize..217, flip in 1u8..) {
            let known = Known { generation: 3, base: chain(5), on_their_way: (6..10).map(|n| chain(n).prev).collect() };
            let mut bytes = known.encode();
            prop_assert_eq!(bytes.len(), 217);
            prop_assert_eq!(&Known::decode(&bytes).unwrap(), &known);
            bytes[at] ^= flip;
            prop_assert!(Known::decode(&bytes).is_err());
        }
    }
}
