//! Snapshots of the view: making one for other gateways, and beginning from one instead of from the first leaf.
//!
//! Invariants
//! - Nothing of a snapshot is believed before all of this holds: its act is in a head that the vault signed and that agrees
//!   with the one that is followed; the act is signed by a device that the hospital certified; the leaves it stands behind are
//!   a prefix of that head; every piece opens under the hospital's own key at its own place.
//! - It is a help. Whatever does not fit is said in the log, what was taken of it is removed, and the ledger is read from its
//!   first leaf.
//! - What comes behind a snapshot is read and checked like every entry.
//!
//! Not here: when a gateway makes one by itself (`due`), what a row is (`view`), the form of pieces (`keyring`).

mod due;

use crate::clock::{fresh_version, now_ms};
use crate::ledger::{Head, Identity};
use crate::retry::repeat;
use crate::task::blocking;
use crate::view::row::{FORMAT, PositionRow};
use crate::view::{Filling, View};
use crate::{Client, Error, Result, Transport};
use bytes::Bytes;
pub use due::{SNAPSHOT_ENTRIES_DEFAULT, SnapshotRule, SnapshotsSeen};
use shosoin_keyring::{Scratch, SealedChunk, SnapshotPlace};
use shosoin_protocol::act::{ActKind, Document, Snapshot, SnapshotPiece};
use shosoin_protocol::api::VersionReply;
use shosoin_protocol::codec::Reader;
use shosoin_protocol::entry::{Body, DeviceChange, Entry};
use shosoin_protocol::limits::{CHUNK_PLAIN_BYTES_MAX, SNAPSHOT_PIECES_MAX};
use shosoin_protocol::merkle;
use shosoin_protocol::{Address, Digest, VersionId};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Bytes of rows in one piece, unless a single row is longer.
const PIECE_BYTES: usize = 4 * 1024 * 1024;
/// Pieces fetched ahead of the one that is being taken.
const FETCHED_AHEAD: usize = 4;
/// What is asked of the vault here.
const OPERATION: &str = "a snapshot of the view";

/// A snapshot that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMade {
    /// id of its act
    pub id: VersionId,
    /// leaves that it stands behind
    pub log_size: u64,
    /// rows in it
    pub rows: u64,
    /// pieces
    pub pieces: u64,
    /// bytes of rows
    pub plain_bytes: u64,
    /// bytes at the vault
    pub sealed_bytes: u64,
}

impl Client {
    /// Seals the view as it is now, stores it at the vault, and names it in the ledger; `progress` is told rows so far.
    ///
    /// Memory: a few pieces of 4 MiB, however many records there are. Reads and writes of others go on meanwhile. Whoever goes away in
    /// the middle leaves pieces that nobody names.
    pub async fn make_snapshot(&self, progress: impl Fn(u64) + Send + Sync + 'static) -> Result<SnapshotMade> {
        self.refresh().await?;
        self.inner.ledger.own_standing().await?; // a copy could not name what it would send
        let salt = fresh_salt()?;
        let (view, keyring) = (self.inner.view.clone(), self.inner.keyring.clone());
        let (out, mut sealed) = mpsc::channel::<SealedChunk>(FETCHED_AHEAD);
        let cutting = tokio::task::spawn_blocking(move || {
            let (mut number, mut scratch) = (0u32, Scratch::default());
            view.dump(PIECE_BYTES, |position, piece, rows| {
                let place = place_of(position, salt);
                let chunk = keyring.seal_snapshot_piece(&place, number, &piece, &mut scratch);
                let chunk = chunk.map_err(|source| Error::Keyring { what: "piece of a snapshot", source })?;
                number += 1;
                progress(rows);
                out.blocking_send(chunk).map_err(|_| Error::Closing)
            })
        });
        let (mut pieces, mut plain_bytes, mut sealed_bytes) = (Vec::new(), 0, 0);
        while let Some(SealedChunk { chunk, bytes }) = sealed.recv().await {
            let (address, bytes) = (chunk.address, Bytes::from(bytes));
            plain_bytes += u64::from(chunk.plain_len);
            sealed_bytes += bytes.len() as u64;
            repeat(|| self.inner.transport.put_chunk(address, bytes.clone())).await?;
            pieces.push(SnapshotPiece { plain_len: chunk.plain_len, address });
            if pieces.len() > SNAPSHOT_PIECES_MAX {
                let (found, limit) = (pieces.len() as u64, SNAPSHOT_PIECES_MAX as u64);
                return Err(Error::OverLimit { what: "pieces of the snapshot", found, limit });
            }
        }
        let (position, rows) = cutting.await.unwrap_or(Err(Error::Lost { task: "sealing a snapshot" }))?;
        let (log_size, count) = (position.frontier.size(), pieces.len() as u64);
        let document = self.snapshot_document(&place_of(&position, salt), rows, pieces)?;
        let id = fresh_version(now_ms())?;
        self.state_as(id, None, document, Vec::new()).await?;
        Ok(SnapshotMade { id, log_size, rows, pieces: count, plain_bytes, sealed_bytes })
    }

    /// What the view says of snapshots and disposals now; of `seen`, which is what an earlier call gave, nothing is read again.
    pub async fn look_for_snapshots(&self, mut seen: SnapshotsSeen) -> Result<SnapshotsSeen> {
        let view = self.inner.view.clone();
        blocking("looking for snapshots", move || {
            let leaves = view.position()?.map_or(0, |position| position.frontier.size());
            view.acts_from(seen.leaves(), |act| seen.take(&act))?;
            seen.reached(leaves);
            Ok(seen)
        })
        .await
    }

    fn snapshot_document(&self, place: &SnapshotPlace, rows: u64, pieces: Vec<SnapshotPiece>) -> Result<Document> {
        let (keyring, log) = (&self.inner.keyring, self.inner.ledger.identity().log);
        let change = DeviceChange::certify(log, true, keyring.device_key().public(), keyring.hospital_key());
        let SnapshotPlace { form, log_size, root, salt } = *place;
        let (device, certificate) = (change.key, change.certificate);
        let snapshot = Snapshot { form, log_size, root, rows, salt, device, certificate, pieces };
        snapshot.check().map_err(|source| Error::Answer { operation: OPERATION, source })?;
        Ok(Document::Snapshot(Box::new(snapshot)))
    }
}

fn place_of(position: &PositionRow, salt: [u8; 32]) -> SnapshotPlace {
    SnapshotPlace { form: FORMAT, log_size: position.frontier.size(), root: position.frontier.root(), salt }
}

fn fresh_salt() -> Result<[u8; 32]> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| Error::Randomness { why: error.to_string() })?;
    Ok(salt)
}

/// Fills an empty view from the newest snapshot that the vault has, if it is one of this ledger up to `head`; gives where the
/// view stands then, and nothing where there is no snapshot. After an error the view is to be begun anew.
pub async fn take(
    identity: &Identity,
    transport: &Arc<dyn Transport>,
    view: &Arc<View>,
    head: &Head,
) -> Result<Option<PositionRow>> {
    let reply = match repeat(|| transport.snapshot()).await {
        Ok(reply) => reply,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let document = check_act(identity, transport, &reply, head).await?;
    let bytes = repeat(|| transport.record(document)).await?;
    let snapshot = check_document(identity, &reply, &document, &bytes)?;
    prefix(transport, (snapshot.log_size, snapshot.root), head).await?;
    fill(identity, transport, view, snapshot).await.map(Some)
}

/// The act is in a ledger that agrees with the head; gives the address of its document.
async fn check_act(
    identity: &Identity,
    transport: &Arc<dyn Transport>,
    reply: &VersionReply,
    head: &Head,
) -> Result<Address> {
    let answer = |source| Error::Answer { operation: OPERATION, source };
    let entry = Entry::decode(&reply.entry).map_err(answer)?;
    let index = reply.inclusion.index;
    entry.expect(identity.lineage.at(index).log, identity.keyring.hospital()).map_err(answer)?;
    let shown = identity.lineage.verify_head(&reply.inclusion.checkpoint).map_err(answer)?;
    let (size, root) = (shown.size(), &shown.checkpoint().root);
    merkle::verify_inclusion(&entry.leaf_hash(), index, size, &reply.inclusion.proof, root).map_err(answer)?;
    agree(transport, &shown, head).await?;
    match entry.body() {
        Body::Act(act) if act.kind == ActKind::Snapshot => Ok(act.document),
        _ => Err(wrong("the entry says something else")),
    }
}

/// The document is the one that the act names, and a device that the hospital certified has signed the act.
fn check_document(identity: &Identity, reply: &VersionReply, address: &Address, bytes: &[u8]) -> Result<Snapshot> {
    let answer = |source| Error::Answer { operation: OPERATION, source };
    identity.keyring.suite().verify(address, bytes).map_err(answer)?;
    let Document::Snapshot(snapshot) = Document::decode(ActKind::Snapshot, bytes).map_err(answer)? else {
        return Err(wrong("its document is of another kind"));
    };
    let (entry, index) = (Entry::decode(&reply.entry).map_err(answer)?, reply.inclusion.index);
    let change = DeviceChange { enrol: true, key: snapshot.device.clone(), certificate: snapshot.certificate };
    change.verify(identity.lineage.at(index).log, &identity.keyring.hospital_key().public()).map_err(answer)?;
    if snapshot.device.device_id() != entry.statement().device {
        return Err(wrong("another device has signed it"));
    }
    entry.verify(&snapshot.device).map_err(answer)?;
    match () {
        () if snapshot.form != FORMAT => Err(wrong("its rows are of another form than this release has")),
        () if snapshot.log_size > index => Err(wrong("it stands behind more than there was before it")),
        () => Ok(*snapshot),
    }
}

/// Two signed heads of one ledger: the smaller is a prefix of the larger.
async fn agree(transport: &Arc<dyn Transport>, shown: &Head, head: &Head) -> Result<()> {
    match shown.size() <= head.size() {
        true => prefix(transport, (shown.size(), shown.checkpoint().root), head).await,
        false => prefix(transport, (head.size(), head.checkpoint().root), shown).await,
    }
}

/// So many leaves with this root are a prefix of the head.
async fn prefix(transport: &Arc<dyn Transport>, (size, root): (u64, Digest), head: &Head) -> Result<()> {
    if size > head.size() {
        return Err(wrong("it is ahead of the ledger"));
    }
    let proof = match size == head.size() {
        true => Vec::new(),
        false => repeat(|| transport.consistency(size, head.size())).await?,
    };
    let proved = merkle::verify_consistency((size, &root), (head.size(), &head.checkpoint().root), &proof);
    proved.map_err(|_| wrong("it stands on another ledger"))
}

/// Fetches the pieces, a few ahead, opens each and puts its rows into the view.
async fn fill(
    identity: &Identity,
    transport: &Arc<dyn Transport>,
    view: &Arc<View>,
    snapshot: Snapshot,
) -> Result<PositionRow> {
    use futures::{StreamExt as _, TryStreamExt as _};
    let place =
        SnapshotPlace { form: snapshot.form, log_size: snapshot.log_size, root: snapshot.root, salt: snapshot.salt };
    let pieces = snapshot.pieces.clone();
    let fetch = |(number, piece): (u32, SnapshotPiece)| {
        let (keyring, transport) = (identity.keyring.clone(), transport.clone());
        async move {
            let stored = repeat(|| transport.record(piece.address)).await?;
            blocking("opening a piece of a snapshot", move || {
                let opened = keyring.open_snapshot_piece(&place, number, &piece, &stored);
                opened.map_err(|source| Error::Keyring { what: "piece of a snapshot", source })
            })
            .await
        }
    };
    let mut opened = futures::stream::iter((0..).zip(pieces)).map(fetch).buffered(FETCHED_AHEAD);
    let mut filling = Some(view.clone().filling()?);
    while let Some(piece) = opened.try_next().await? {
        let mut taken = filling.take().ok_or(Error::Lost { task: "taking a snapshot" })?;
        filling = Some(blocking("taking a snapshot", move || take_rows(&mut taken, &piece).map(|()| taken)).await?);
    }
    let filling = filling.ok_or(Error::Lost { task: "taking a snapshot" })?;
    let (rows, position) = filling.position();
    let fits = position.as_ref().filter(|position| {
        rows == snapshot.rows
            && position.frontier.size() == snapshot.log_size
            && position.frontier.root() == snapshot.root
    });
    let mut position = fits.cloned().ok_or_else(|| wrong("its rows are not those that its act says"))?;
    // it was made at a vault that has handed over since, or under a head that others signed: the next head says
    position.log = identity.log;
    position.checkpoint = String::new();
    let (view, at) = (view.clone(), position.clone());
    blocking("taking a snapshot", move || view.filled(filling, &at)).await?;
    Ok(position)
}

fn take_rows(filling: &mut Filling, piece: &[u8]) -> Result<()> {
    let answer = |source| Error::Answer { operation: OPERATION, source };
    let mut reader = Reader::new(piece, "piece of a snapshot");
    while reader.left() > 0 {
        let key = reader.var(CHUNK_PLAIN_BYTES_MAX as usize, "key of a row").map_err(answer)?;
        let value = reader.var(CHUNK_PLAIN_BYTES_MAX as usize, "row").map_err(answer)?;
        filling.put(key, value)?;
    }
    Ok(())
}

fn wrong(why: &str) -> Error {
    Error::Contradiction { operation: OPERATION, why: why.to_owned() }
}
