//! Opening a version: entry, place in the ledger, data key and manifest, each verified before the next is used.

use crate::client::Inner;
use crate::retry::repeat;
use crate::scan_report::marked;
use crate::task::blocking;
use crate::{Error, Result, RowContent, ViewRow};
use shosoin_keyring::DataKey;
use shosoin_protocol::api::{VersionReply, code};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, Deposit, Entry};
use shosoin_protocol::envelope::{Context, Envelope};
use shosoin_protocol::manifest::{ChunkRef, ManifestRoot, ObjectFacts, decode_page};
use shosoin_protocol::{Address, Digest, VersionId, merkle};
use std::sync::Arc;

/// What is asked of the vault here.
const OPERATION: &str = "a version";

/// A version that was verified and opened.
pub struct Opened {
    /// its entry
    pub entry: Entry,
    /// what the entry says
    pub deposit: Deposit,
    /// the ledger head its place was proved under
    pub checkpoint: Checkpoint,
    /// what the object is, with the tags it had when it was stored
    pub facts: ObjectFacts,
    /// its chunks, in order
    pub chunks: Vec<ChunkRef>,
    /// where each chunk begins in the plain text
    pub begins: Vec<u64>,
    /// further pages of its manifest
    pub pages: Vec<Address>,
    /// sealed bytes of its chunks, each address once
    pub chunk_stored_bytes: u64,
    /// mark of its content under its data key, where a malware report is to be held against it
    pub mark: Option<Digest>,
}

impl Opened {
    /// Which version it is.
    pub fn version(&self) -> VersionId {
        self.deposit.version
    }

    /// The chunks that hold any byte of `range`, which is not empty and lies within the object.
    pub fn touched(&self, range: &std::ops::Range<u64>) -> std::ops::Range<usize> {
        let first = self.begins.partition_point(|begin| *begin <= range.start).saturating_sub(1);
        let end = self.begins.partition_point(|begin| *begin < range.end);
        first..end
    }
}

impl Inner {
    /// Asks the vault for the version of a row, and opens it.
    pub async fn open(self: &Arc<Self>, row: &ViewRow) -> Result<Arc<Opened>> {
        if let Some(opened) = self.manifests.lock().get(&row.version) {
            return Ok(opened.clone());
        }
        let opened = Arc::new(self.open_anew(row).await?);
        if opened.chunks.len() <= CACHED_CHUNKS_MAX && opened.facts.parts.len() <= CACHED_PARTS_MAX {
            self.manifests.lock().put(row.version, opened.clone());
        }
        Ok(opened)
    }

    /// [`Inner::open`] that trusts nothing it opened before.
    pub async fn open_anew(self: &Arc<Self>, row: &ViewRow) -> Result<Opened> {
        let at_least = self.ledger.size().max(row.leaf_index + 1);
        let reply = repeat(|| self.transport.version(row.version)).await;
        let reply = match reply {
            Err(error) if error.is_problem(code::DISPOSED) => return Err(self.ended(row).await?),
            reply => reply.map_err(|error| lacking(row.version, OPERATION, error))?,
        };
        let checkpoint = self.ledger.confirm(&reply.inclusion.checkpoint, at_least).await?;
        let (inner, row) = (self.clone(), row.clone());
        let (opening, root) = blocking("opening a manifest", move || inner.open_reply(&row, reply, checkpoint)).await?;
        self.open_pages(opening, root).await
    }

    /// What it means that the vault calls a version disposed of: that it was, if the ledger says so too.
    async fn ended(self: &Arc<Self>, row: &ViewRow) -> Result<Error> {
        self.ledger.refresh().await?;
        match self.view.disposed_of(row.version, row.leaf_index)? {
            Some(_) => Ok(Error::WasDisposed { version: row.version }),
            None => {
                let why = format!("it calls version {} disposed of, and its ledger does not", row.version);
                Ok(Error::Contradiction { operation: OPERATION, why })
            }
        }
    }

    /// Everything that one answer of the vault shows. CPU work.
    fn open_reply(
        &self,
        row: &ViewRow,
        reply: VersionReply,
        checkpoint: Checkpoint,
    ) -> Result<(Opening, ManifestRoot)> {
        let version = row.version;
        let (entry, deposit) = self.check_entry(row, &reply, &checkpoint)?;
        let answer = |source| Error::Answer { operation: OPERATION, source };
        let sealed = |what| move |source| Error::Keyring { what, source };
        self.keyring.suite().verify(&deposit.manifest, &reply.manifest).map_err(answer)?;
        let data_key = self.keyring.unwrap(version, &reply.wrap, &deposit.dek_commit).map_err(sealed("data key"))?;
        let pages = match Envelope::parse(&reply.manifest).map_err(answer)?.context {
            Context::Manifest { pages, .. } => pages,
            _ => 1,
        };
        let opened = self.keyring.open_manifest_page(&data_key, version, 0, pages, &reply.manifest);
        let root = ManifestRoot::decode(&opened.map_err(sealed("manifest"))?).map_err(answer)?;
        if root.pages.len() + 1 != pages as usize || !same_but_tags(&root.facts, row) {
            return Err(Error::Damaged { version, why: "its manifest and its summary differ".into() });
        }
        let root_bytes = reply.manifest.len() as u64;
        Ok((Opening { entry, deposit, checkpoint, data_key, pages, manifest_bytes: root_bytes }, root))
    }

    /// Refuses an answer whose entry is not the one the view was made from, or is not where it says.
    fn check_entry(&self, row: &ViewRow, reply: &VersionReply, checkpoint: &Checkpoint) -> Result<(Entry, Deposit)> {
        let answer = |source| Error::Answer { operation: OPERATION, source };
        let entry = Entry::decode(&reply.entry).map_err(answer)?;
        let index = reply.inclusion.index;
        if entry.leaf_hash() != row.leaf || index != row.leaf_index {
            let why = format!("it shows another entry than the ledger has at {}", row.leaf_index);
            return Err(Error::Contradiction { operation: OPERATION, why });
        }
        merkle::verify_inclusion(&row.leaf, index, checkpoint.size, &reply.inclusion.proof, &checkpoint.root)
            .map_err(answer)?;
        let identity = self.ledger.identity();
        entry.expect(identity.lineage.at(index).log, self.keyring.hospital()).map_err(answer)?;
        let device = entry.statement().device;
        let key = self.view.device(device)?.ok_or_else(|| Error::Contradiction {
            operation: OPERATION,
            why: format!("device {device} was never enrolled"),
        })?;
        entry.verify(&key.key).map_err(answer)?;
        match entry.body() {
            Body::Deposit(deposit) if deposit.version == row.version => {
                let deposit = deposit.as_ref().clone();
                Ok((entry, deposit))
            }
            _ => Err(Error::Contradiction { operation: OPERATION, why: "its entry is no deposit of it".into() }),
        }
    }

    async fn open_pages(self: &Arc<Self>, mut opening: Opening, root: ManifestRoot) -> Result<Opened> {
        let (version, mut chunks) = (opening.deposit.version, root.inline);
        for (number, address) in (1..).zip(&root.pages) {
            let stored = self.record(version, "a page of the manifest", *address).await?;
            opening.manifest_bytes += stored.len() as u64;
            let inner = self.clone();
            let (page, same) = blocking("opening a manifest page", move || {
                let page = inner.open_page(&opening, number, &stored)?;
                Ok((page, opening))
            })
            .await?;
            opening = same;
            chunks.extend(page);
        }
        let begins: Vec<u64> = chunks
            .iter()
            .scan(0, |at, chunk| {
                let begin = *at;
                *at += u64::from(chunk.plain_len);
                Some(begin)
            })
            .collect();
        let size = begins.last().map_or(0, |begin| begin + u64::from(chunks[chunks.len() - 1].plain_len));
        if chunks.len() != root.chunk_count as usize || size != root.facts.size_bytes {
            return Err(Error::Damaged { version, why: "its chunks do not add up to its size".into() });
        }
        let report = opening.deposit.report;
        Ok(Opened {
            mark: report.map(|_| opening.data_key.content_mark(version, &marked(&root.facts))),
            chunk_stored_bytes: opening.deposit.stored_bytes.saturating_sub(opening.manifest_bytes),
            entry: opening.entry,
            deposit: opening.deposit,
            checkpoint: opening.checkpoint,
            facts: root.facts,
            chunks,
            begins,
            pages: root.pages,
        })
    }

    fn open_page(&self, opening: &Opening, number: u32, stored: &[u8]) -> Result<Vec<ChunkRef>> {
        let (version, pages) = (opening.deposit.version, opening.pages);
        let opened = self.keyring.open_manifest_page(&opening.data_key, version, number, pages, stored);
        let plain = opened.map_err(|source| Error::Keyring { what: "manifest page", source })?;
        decode_page(&plain).map_err(|source| Error::Answer { operation: "a page of the manifest", source })
    }

    /// The bytes at an address that `version` depends on, verified.
    pub async fn record(&self, version: VersionId, operation: &'static str, address: Address) -> Result<bytes::Bytes> {
        let record = repeat(|| self.transport.record(address)).await;
        let record = record.map_err(|error| lacking(version, operation, error))?;
        let verified = self.keyring.suite().verify(&address, &record);
        verified.map_err(|source| Error::Answer { operation, source }).map(|()| record)
    }
}

/// Opened manifests that are kept: range reads of one object come in dozens.
pub const CACHED_MANIFESTS: usize = 16;
/// Chunks of the largest manifest that is kept.
const CACHED_CHUNKS_MAX: usize = 8192;
/// Parts of the largest manifest that is kept.
const CACHED_PARTS_MAX: usize = 1024;

/// A version on the way to being [`Opened`].
struct Opening {
    entry: Entry,
    deposit: Deposit,
    checkpoint: Checkpoint,
    data_key: DataKey,
    pages: u32,
    manifest_bytes: u64,
}

/// That the vault lacks what its own ledger names is damage, not an object that never was.
pub fn lacking(version: VersionId, what: &str, error: Error) -> Error {
    match error.is_not_found() {
        true => Error::Damaged { version, why: format!("the vault does not hold {what} that its ledger names") },
        false => error,
    }
}

fn same_but_tags(facts: &ObjectFacts, row: &ViewRow) -> bool {
    match &row.content {
        RowContent::Object { facts: known, .. } => {
            let ObjectFacts { bucket, name, size_bytes, modified_ms, null_version, multipart, .. } = facts;
            (bucket, name, size_bytes, modified_ms)
                == (&known.bucket, &known.name, &known.size_bytes, &known.modified_ms)
                && (null_version, multipart) == (&known.null_version, &known.multipart)
                && (&facts.headers, &facts.metadata) == (&known.headers, &known.metadata)
                && (&facts.checksum, &facts.parts, &facts.signature)
                    == (&known.checksum, &known.parts, &known.signature)
        }
        RowContent::Marker { .. } => false,
    }
}
