//! Sharing by consent: granting versions to another hospital, accepting what others grant, opening it, and ending it.
//!
//! Invariants
//! - A grant is sealed to the key on a card whose fingerprint people compared; it names every version, and nothing but the data
//!   keys of these leaves the hospital.
//! - What another hospital granted is believed only where a device of that hospital signed it, whose enrolment the hospital key on
//!   the card signed. The vault's word counts for nothing here.
//! - A grant is accepted only after it was opened: one that was altered, or sealed to another key, is refused before that.
//!
//! What an end cannot undo: who was given a data key may have kept it, and what was opened may have been copied.

use crate::client::Inner;
use crate::retry::repeat;
use crate::task::blocking;
use crate::{Client, Error, Result, Stated, now_ms};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::TryStreamExt as _;
use shosoin_keyring::{DataKey, Owner};
use shosoin_protocol::act::share::{ShareTerms, key_digest};
use shosoin_protocol::act::{
    ActKind, Document, ShareAccepted, ShareGrant, SharePurpose, Unshare, UnshareReason, Versions,
};
use shosoin_protocol::entry::Deposit;
use shosoin_protocol::envelope::{Context, Envelope};
use shosoin_protocol::manifest::{ChunkRef, ManifestRoot, ObjectFacts, decode_page};
use shosoin_protocol::share::{Offer, Offers, ShareAsk, ShareCard, SharedVersion};
use shosoin_protocol::{Address, HospitalId, VersionId};
use std::sync::Arc;

const OPERATION: &str = "what another hospital shares";
/// Versions whose keys are fetched at the same time.
const AT_ONCE: usize = 8;

/// What is granted to whom.
#[derive(Debug, Clone)]
pub struct Granting {
    /// card of the hospital, whose fingerprint was compared
    pub card: ShareCard,
    /// what for
    pub purpose: SharePurpose,
    /// the reference of the patient's consent
    pub consent: [u8; 16],
    /// until when, in milliseconds since 1970
    pub expires_ms: u64,
}

/// A grant of this hospital, or one that it accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// id of the grant
    pub grant: VersionId,
    /// who grants
    pub owner: HospitalId,
    /// who may read
    pub recipient: Option<HospitalId>,
    /// what was granted, where this hospital is the owner
    pub terms: Option<ShareTerms>,
    /// whether this hospital ended it
    pub ended: bool,
}

impl Client {
    /// Grants versions to the hospital on a card; durable in the ledger on return.
    pub async fn grant_share(&self, granting: Granting, versions: Vec<VersionId>) -> Result<Stated> {
        let Granting { card, purpose, consent, expires_ms } = granting;
        if card.hospital == self.inner.keyring.hospital() {
            return Err(Error::Invalid { what: "card", why: "it is this hospital's own" });
        }
        if expires_ms <= now_ms() {
            return Err(Error::Invalid { what: "end of the grant", why: "it must lie ahead" });
        }
        let answer = |source| Error::Answer { operation: "a grant", source };
        let versions = Versions::new(versions).map_err(answer)?;
        let recipient_key = key_digest(card.kem, &card.share_key);
        let terms = ShareTerms {
            kem: card.kem,
            purpose,
            recipient: card.hospital,
            recipient_key,
            consent,
            expires_ms,
            versions: versions.clone(),
        };
        terms.check().map_err(answer)?;
        let keys: Vec<DataKey> = futures::stream::iter(versions.as_slice().to_vec())
            .map(|version| async move { self.inner.data_key(version).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let grant = self.inner.keyring.seal_grant(terms, &card, &keys);
        let grant = grant.map_err(|source| Error::Keyring { what: "grant", source })?;
        self.state(None, Document::ShareGrant(Box::new(grant))).await
    }

    /// What other hospitals grant this one, as the vault tells it: to be verified against a card before it is believed.
    pub async fn share_offers(&self) -> Result<Offers> {
        let body = repeat(|| self.inner.transport.share(ShareAsk::Offers)).await?;
        Offers::decode(&body).map_err(|source| Error::Answer { operation: OPERATION, source })
    }

    /// Accepts a grant of the hospital on the card, once it has opened; durable in the ledger on return.
    pub async fn accept_share(&self, card: &ShareCard, offer: &Offer) -> Result<Stated> {
        let Opening { grant, terms, document, .. } = self.inner.open_offer(card, offer)?;
        if terms.expires_ms <= now_ms() {
            return Err(Error::Invalid { what: "grant", why: "the moment until which it was granted has passed" });
        }
        let accepted = ShareAccepted { owner: card.hospital, grant: document };
        self.state(Some(grant), Document::ShareAccepted(accepted)).await
    }

    /// Ends a grant of this hospital, or its acceptance of another's.
    pub async fn end_share(&self, grant: VersionId, reason: UnshareReason) -> Result<Stated> {
        self.state(Some(grant), Document::Unshare(Unshare { reason })).await
    }

    /// Every grant of this hospital, and every one that it accepted, oldest first.
    pub fn shares(&self) -> Result<Vec<Share>> {
        let own = self.inner.keyring.hospital();
        let mut shares: Vec<Share> = Vec::new();
        for act in self.acts(&[ActKind::ShareGrant, ActKind::Unshare, ActKind::ShareAccepted])? {
            match (act.document, act.subject) {
                (Document::ShareGrant(grant), _) => {
                    let recipient = Some(grant.terms.recipient);
                    shares.push(Share { grant: act.id, owner: own, recipient, terms: Some(grant.terms), ended: false });
                }
                (Document::ShareAccepted(accepted), Some(grant)) => {
                    let (owner, recipient) = (accepted.owner, Some(own));
                    shares.push(Share { grant, owner, recipient, terms: None, ended: false });
                }
                (Document::Unshare(_), Some(grant)) => {
                    shares.iter_mut().filter(|share| share.grant == grant).for_each(|share| share.ended = true);
                }
                _ => {}
            }
        }
        Ok(shares)
    }

    /// Opens a version that the hospital on the card granted.
    pub async fn open_shared(&self, card: &ShareCard, offer: &Offer, version: VersionId) -> Result<SharedObject> {
        let opening = self.inner.open_offer(card, offer)?;
        let at = opening.terms.versions.as_slice().binary_search(&version);
        let at = at.map_err(|_| Error::Invalid { what: "version", why: "the grant does not name it" })?;
        let key = opening.keys.into_iter().nth(at).ok_or(Error::Lost { task: "a data key" })?;
        let shared = Shared { owner: card.clone(), grant: opening.grant, version };
        shared.open(&self.inner, key).await
    }
}

/// A grant that was verified and opened.
struct Opening {
    grant: VersionId,
    document: Address,
    terms: ShareTerms,
    keys: Vec<DataKey>,
}

impl Inner {
    /// The data key of a version of this hospital.
    async fn data_key(self: &Arc<Self>, version: VersionId) -> Result<DataKey> {
        let reply = repeat(|| self.transport.version(version)).await?;
        let inner = self.clone();
        blocking("unwrapping a data key", move || {
            let answer = |source| Error::Answer { operation: "a version", source };
            let entry = shosoin_protocol::entry::Entry::decode(&reply.entry).map_err(answer)?;
            let placed = inner.view.placed(version)?;
            let deposit = match entry.body() {
                shosoin_protocol::entry::Body::Deposit(deposit) if deposit.version == version => deposit,
                _ => return Err(Error::Invalid { what: "version", why: "it has no content" }),
            };
            if placed != Some(reply.inclusion.index) {
                let why = "it shows another entry than the ledger has".to_owned();
                return Err(Error::Contradiction { operation: "a version", why });
            }
            let device = entry.statement().device;
            let key = inner.view.device(device)?.ok_or_else(|| Error::Contradiction {
                operation: "a version",
                why: format!("device {device} was never enrolled"),
            })?;
            entry.verify(&key.key).map_err(answer)?;
            let opened = inner.keyring.unwrap(version, &reply.wrap, &deposit.dek_commit);
            opened.map_err(|source| Error::Keyring { what: "data key", source })
        })
        .await
    }

    fn open_offer(&self, card: &ShareCard, offer: &Offer) -> Result<Opening> {
        let verified = offer.verify(card, self.keyring.hospital());
        let (act, ShareGrant { terms, encapsulated, sealed }) =
            verified.map_err(|source| Error::Answer { operation: OPERATION, source })?;
        let grant = ShareGrant { terms: terms.clone(), encapsulated, sealed };
        let keys = self.keyring.open_grant(card.hospital, card.suite(), &grant);
        let keys = keys.map_err(|source| Error::Keyring { what: "grant", source })?;
        Ok(Opening { grant: act.id, document: act.document, terms, keys })
    }
}

/// Which version of whom is asked for.
#[derive(Clone)]
struct Shared {
    owner: ShareCard,
    grant: VersionId,
    version: VersionId,
}

impl Shared {
    async fn open(self, inner: &Arc<Inner>, key: DataKey) -> Result<SharedObject> {
        let answer = |source| Error::Answer { operation: OPERATION, source };
        let sealed = |what| move |source| Error::Keyring { what, source };
        let Shared { grant, version, .. } = self;
        let (suite, hospital) = (self.owner.suite(), self.owner.hospital);
        let ask = ShareAsk::Version { owner: hospital, grant, version };
        let body = repeat(|| inner.transport.share(ask)).await?;
        let shared = SharedVersion::decode(&body).map_err(answer)?;
        let deposit = shared.verify(&self.owner, version).map_err(answer)?;
        if key.commit() != deposit.dek_commit {
            return Err(Error::Damaged { version, why: "the grant has another key than its owner's entry".into() });
        }
        let pages = match Envelope::parse(&shared.manifest).map_err(answer)?.context {
            Context::Manifest { pages, .. } => pages,
            _ => 1,
        };
        let owner = Owner::new(suite, hospital);
        let root = owner.open_manifest_page(&key, version, 0, pages, &shared.manifest).map_err(sealed("manifest"))?;
        let root = ManifestRoot::decode(&root).map_err(answer)?;
        if root.pages.len() + 1 != pages as usize {
            return Err(Error::Damaged { version, why: "its manifest has another number of pages".into() });
        }
        let mut chunks = root.inline;
        for (number, address) in (1..).zip(&root.pages) {
            let stored = self.record(inner, *address).await?;
            let page =
                owner.open_manifest_page(&key, version, number, pages, &stored).map_err(sealed("manifest page"))?;
            chunks.extend(decode_page(&page).map_err(answer)?);
        }
        let size: u64 = chunks.iter().map(|chunk| u64::from(chunk.plain_len)).sum();
        if chunks.len() != root.chunk_count as usize || size != root.facts.size_bytes {
            return Err(Error::Damaged { version, why: "its chunks do not add up to its size".into() });
        }
        Ok(SharedObject { inner: inner.clone(), shared: self, deposit, facts: root.facts, chunks })
    }

    async fn record(&self, inner: &Arc<Inner>, address: Address) -> Result<Bytes> {
        let Shared { ref owner, grant, version } = *self;
        let ask = ShareAsk::Record { owner: owner.hospital, grant, version, address };
        let record = repeat(|| inner.transport.share(ask)).await?;
        let verified = owner.suite().verify(&address, &record);
        verified.map_err(|source| Error::Answer { operation: OPERATION, source }).map(|()| record)
    }
}

/// A version of another hospital, verified and opened.
pub struct SharedObject {
    inner: Arc<Inner>,
    shared: Shared,
    deposit: Deposit,
    facts: ObjectFacts,
    chunks: Vec<ChunkRef>,
}

impl SharedObject {
    /// What it is: its name and headers too, for they are in the manifest.
    pub fn facts(&self) -> &ObjectFacts {
        &self.facts
    }

    /// What its owner's entry says of it.
    pub fn deposit(&self) -> &Deposit {
        &self.deposit
    }

    /// Its chunks in order, each verified and opened before any byte of it comes.
    pub fn read(&self) -> impl futures::Stream<Item = Result<Bytes>> + '_ {
        futures::stream::iter(&self.chunks).then(|chunk| self.chunk(*chunk))
    }

    async fn chunk(&self, chunk: ChunkRef) -> Result<Bytes> {
        let stored = self.shared.record(&self.inner, chunk.address).await?;
        let owner = Owner::new(self.shared.owner.suite(), self.shared.owner.hospital);
        let open = move || owner.open_chunk(&chunk, &stored).map_err(|source| Error::Keyring { what: "chunk", source });
        blocking("opening a chunk", open).await
    }
}
