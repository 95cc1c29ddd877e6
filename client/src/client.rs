//! The front type: opening, the ledger head, and everything that is asked of the local view.
//! Writing is in `bucket` and `change`, reading in `fetch`, proving in `verify`.

use crate::agreement::AgreedCache;
use crate::budget::Budget;
use crate::clock::{fresh_version, now_ms};
use crate::follow;
use crate::fresh::Fresh;
use crate::head::{HeadKeeper, Remembered};
use crate::lane::{Intent, Lane};
use crate::ledger::{Identity, Ledger};
use crate::open::{CACHED_MANIFESTS, Opened};
use crate::scan::Scanner;
use crate::sealer::{Recipe, Sealer};
use crate::task::blocking;
use crate::upload::Intake;
use crate::uploader::Uploader;
use crate::view::View;
use crate::view::row::Chain;
use crate::witness::{Gate, Witnesses};
use crate::{
    ClientOptions, Error, ListPage, ListQuery, ObjectWriter, OpenObject, Result, Transport, VersionsPage,
    VersionsQuery, ViewRow,
};
use lru::LruCache;
use parking_lot::Mutex;
use shosoin_keyring::Keyring;
use shosoin_keyring::escrow::drill::Drill;
use shosoin_protocol::api::Hello;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, DeviceChange};
use shosoin_protocol::manifest::BucketFacts;
use shosoin_protocol::policy::Label;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{LogId, VaultId, VersionId};
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::{RwLock, Semaphore};

/// The key-holding client of one hospital at one vault. Clones share it.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

/// What clones share.
pub(crate) struct Inner {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) view: Arc<View>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) lane: Lane,
    pub(crate) fresh: Fresh,
    pub(crate) intake: Arc<Intake>,
    pub(crate) read_ahead: Arc<Semaphore>,
    pub(crate) manifests: Mutex<LruCache<VersionId, Arc<Opened>>>,
    pub(crate) agreed: AgreedCache,
    pub(crate) document_anchors: shosoin_trust::Anchors,
    pub(crate) accepted_signers: Vec<shosoin_protocol::manifest::SignerStanding>,
    pub(crate) scanner: Option<Arc<Scanner>>,
    /// held shared by changes inside buckets, alone by changes of buckets: so a bucket that ends is empty
    pub(crate) buckets: RwLock<()>,
}

impl Client {
    /// Verifies the vault and the remembered head, catches the view of names up, and enrols this device in the ledger
    /// if it is new. With an empty state folder this takes a snapshot and reads what came later, or reads the whole ledger.
    ///
    /// A state that does not know the newest entry of its own device opens for reading alone; see [`Client::device_standing`].
    pub async fn open(options: ClientOptions, keyring: Keyring, transport: Arc<dyn Transport>) -> Result<Client> {
        let keyring = Arc::new(keyring);
        std::fs::create_dir_all(&options.state_dir)
            .map_err(|source| Error::State { path: options.state_dir.clone(), source })?;
        let hello = transport.hello().await?;
        let head_path = options.state_dir.join("head");
        let remembered = pin(&hello, &options, &keyring, Remembered::load(&head_path)?)?;
        let lineage = follow::lineage(&hello, &remembered, keyring.hospital())?;
        let identity = Identity {
            log: lineage.current().log,
            vault: remembered.vault,
            vault_key: remembered.vault_key.clone(),
            lineage,
            keyring: keyring.clone(),
            threads: options.threads,
        };
        let (view_dir, log) = (options.state_dir.join("view"), identity.log);
        let (view, position) = blocking("opening the view", move || View::open(&view_dir, log)).await?;
        let view = Arc::new(view);
        let chain = remembered.chain;
        let keeper = HeadKeeper::new(head_path, remembered);
        let gate = match options.witnesses.clone() {
            _ if options.unwitnessed => Gate::Open,
            Some(policy) => Gate::Witnesses(Witnesses::new(policy, &options.state_dir)?),
            None => Gate::None,
        };
        let ledger = Ledger::new(identity, transport.clone(), view.clone(), position, keeper, gate)?;
        let ledger = Arc::new(ledger);
        ledger.begin_from_snapshot().await?;
        ledger.refresh().await?;
        ledger.demand_rule().await?;
        let client = Client::assemble(&options, keyring, transport, view, ledger, false);
        if client.check_chain(chain)? {
            may_enrol(&hello, options.drill.as_ref())?;
            client.enrol_device().await?;
        }
        client.inner.ledger.save().await?;
        Ok(client)
    }

    fn assemble(
        options: &ClientOptions,
        keyring: Arc<Keyring>,
        transport: Arc<dyn Transport>,
        view: Arc<View>,
        ledger: Arc<Ledger>,
        packs: bool,
    ) -> Client {
        let budget = Arc::new(Budget::new(options.upload_memory_bytes));
        let intake = Intake {
            sealer: Sealer::new(keyring.clone(), budget.clone(), options.threads),
            uploader: Uploader::new(transport.clone()),
            suite: keyring.suite(),
            budget,
        };
        let lane = Lane::new(ledger.clone(), transport.clone(), packs);
        let manifests = LruCache::new(NonZeroUsize::new(CACHED_MANIFESTS).unwrap_or(NonZeroUsize::MIN));
        Client {
            inner: Arc::new(Inner {
                keyring,
                transport,
                view,
                ledger,
                lane,
                fresh: Fresh::default(),
                intake: Arc::new(intake),
                read_ahead: Arc::new(Semaphore::new(options.read_ahead_bytes)),
                manifests: Mutex::new(manifests),
                agreed: AgreedCache::default(),
                scanner: options.scanner.clone(),
                document_anchors: options.document_anchors.clone(),
                accepted_signers: options.accepted_signers.clone(),
                buckets: RwLock::new(()),
            }),
        }
    }

    /// Refuses a ledger that lost entries of this device; whether it has none yet.
    fn check_chain(&self, remembered: Chain) -> Result<bool> {
        let chain = self.inner.ledger.told_chain()?;
        let known = remembered.next_seq.max(self.inner.ledger.signed().known_entries());
        if chain.next_seq < known {
            let why = format!("it has {} entries of this device, not {known}", chain.next_seq);
            return Err(Error::Contradiction { operation: "the chain of this device", why });
        }
        self.inner.ledger.watch_for_copies()?;
        Ok(chain.next_seq == 0)
    }

    /// Makes the first entry of this device.
    async fn enrol_device(&self) -> Result<()> {
        let keyring = &self.inner.keyring;
        let (log, key) = (self.inner.ledger.identity().log, keyring.device_key().public());
        let body = Body::Device(DeviceChange::certify(log, true, key, keyring.hospital_key()));
        self.inner.lane.submit(Intent { body, summary: None, document: None, records: Vec::new() }).await.map(|_| ())
    }

    /// A client over another transport that shares this one's state.
    pub(crate) fn over(&self, options: &ClientOptions, transport: Arc<dyn Transport>, packs: bool) -> Client {
        let Inner { keyring, view, ledger, .. } = &*self.inner;
        Client::assemble(options, keyring.clone(), transport, view.clone(), ledger.clone(), packs)
    }

    /// The log that this hospital has at its vault.
    pub fn log(&self) -> LogId {
        self.inner.ledger.identity().log
    }

    /// What scans contents, if anything does.
    pub fn scanner(&self) -> Option<Arc<Scanner>> {
        self.inner.scanner.clone()
    }

    /// An id that nothing else has.
    pub fn fresh_id(&self) -> Result<VersionId> {
        fresh_version(now_ms())
    }

    /// Forgets entries that were packed and never arrived; what was packed is then packed anew.
    pub fn forget_packed(&self) -> Result<()> {
        self.inner.ledger.forget_packed()
    }

    /// The hospital's secrets.
    pub fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    /// How the vault is reached.
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.inner.transport
    }

    /// Catches the view up with the vault's newest head: what other devices did shows from now on.
    pub async fn refresh(&self) -> Result<()> {
        self.inner.ledger.refresh().await
    }

    /// Catches the view up so far that it has everything that was in the ledger when this was called. Many who call at
    /// the same time share one question to the vault. Without a vault that answers nobody knows what others did, and
    /// this fails.
    pub async fn up_to_date(&self) -> Result<()> {
        let ledger = &self.inner.ledger;
        self.inner.fresh.after(|| ledger.refresh()).await
    }

    /// Entries of the ledger that the view has.
    pub fn entries(&self) -> u64 {
        self.inner.ledger.applied()
    }

    /// Waits until the view has so many entries of the ledger; it asks the vault for none.
    pub async fn reached(&self, leaves: u64) {
        self.inner.ledger.reached(leaves).await;
    }

    /// The newest ledger head that was verified.
    pub fn head(&self) -> Option<Checkpoint> {
        self.inner.ledger.head().map(|head| head.checkpoint().clone())
    }

    /// The newest ledger head that was verified, as the vault signed it.
    pub fn head_text(&self) -> Option<String> {
        self.inner.ledger.head().map(|head| head.text().to_owned())
    }

    /// Bytes of uploads under way that count against the memory budget.
    pub fn upload_bytes_in_use(&self) -> usize {
        self.inner.intake.budget.in_use()
    }

    /// Takes no more deposits, waits for those under way, and saves the head.
    pub async fn close(&self) -> Result<()> {
        self.inner.lane.close().await;
        self.inner.ledger.close().await
    }

    /// A bucket, unless there is none.
    pub fn bucket(&self, bucket: &str) -> Result<Option<BucketFacts>> {
        let row = self.inner.view.bucket(bucket)?;
        Ok(row.map(|row| row.facts).filter(|facts| !facts.deleted))
    }

    /// Every bucket, by name.
    pub fn buckets(&self) -> Result<Vec<BucketFacts>> {
        self.inner.view.buckets()
    }

    /// One version as the local view has it, a delete marker included; `None` for the version means the newest.
    pub fn lookup(&self, bucket: &str, name: &str, version: Option<VersionId>) -> Result<Option<ViewRow>> {
        self.inner.view.lookup(bucket, name, version)
    }

    /// The version of a name that S3 calls `null`.
    pub fn lookup_null(&self, bucket: &str, name: &str) -> Result<Option<ViewRow>> {
        self.inner.view.lookup_null(bucket, name)
    }

    /// A page of current objects. Reads the view's files: call it where that may take milliseconds.
    pub fn list(&self, query: &ListQuery) -> Result<ListPage> {
        self.inner.view.list(query)
    }

    /// A page of versions and delete markers. Reads the view's files: call it where that may take milliseconds.
    pub fn list_versions(&self, query: &VersionsQuery) -> Result<VersionsPage> {
        self.inner.view.list_versions(query)
    }

    /// A writer of content for an object or part in `bucket` under `label`.
    pub fn writer(&self, bucket: &BucketFacts, label: Label) -> Result<ObjectWriter> {
        let recipe = Recipe::new(bucket, label)?;
        let plan = self.scan_plan()?;
        Ok(ObjectWriter::new(self.inner.intake.clone(), recipe, bucket.chunk_plain_bytes, plan))
    }

    /// Opens a version for reading; `None` means the newest.
    pub async fn open_object(&self, bucket: &str, name: &str, version: Option<VersionId>) -> Result<OpenObject> {
        let row = self.object_row(bucket, name, version)?;
        Ok(OpenObject { opened: self.inner.open(&row).await?, inner: self.inner.clone() })
    }

    /// The row of a version that has content.
    pub(crate) fn object_row(&self, bucket: &str, name: &str, version: Option<VersionId>) -> Result<ViewRow> {
        self.existing(bucket)?;
        match (self.lookup(bucket, name, version)?, version) {
            (Some(row), _) if row.object().is_some() => Ok(row),
            (Some(row), Some(_)) => Err(Error::IsMarker { version: row.version }),
            (None, Some(version)) => Err(Error::NoSuchVersion { bucket: bucket.to_owned(), version }),
            (_, None) => Err(Error::NoSuchName { bucket: bucket.to_owned() }),
        }
    }

    /// A bucket that must be there.
    pub(crate) fn existing(&self, bucket: &str) -> Result<BucketFacts> {
        self.bucket(bucket)?.ok_or_else(|| Error::NoSuchBucket { bucket: bucket.to_owned() })
    }
}

/// Refuses to entrust records to a vault while nobody has shown within a year that their root can be brought back.
fn may_enrol(hello: &Hello, drill: Option<&Drill>) -> Result<()> {
    match hello.demo || drill.is_some_and(|drill| drill.counts(now_ms())) {
        true => Ok(()),
        false => Err(Error::NoDrill { held_ms: drill.map(|drill| drill.held_ms) }),
    }
}

/// Refuses a peer that is not the vault that was pinned, or that knows the caller as another hospital.
fn pin(
    hello: &Hello,
    options: &ClientOptions,
    keyring: &Keyring,
    remembered: Option<Remembered>,
) -> Result<Remembered> {
    let wrong = |what, expected: String, found: &str| match expected == found {
        true => Ok(()),
        false => Err(Error::WrongVault { what, expected, found: found.to_owned() }),
    };
    wrong("hospital", keyring.hospital().to_string(), &hello.hospital)?;
    let answer = |source| Error::Answer { operation: "hello", source };
    let key: PublicKey = hello.vault_key.parse().map_err(answer)?;
    let vault: VaultId = hello.vault.parse().map_err(answer)?;
    if let Some(pinned) = &options.vault_key {
        wrong("key", pinned.fingerprint(), &key.fingerprint())?;
    }
    match remembered {
        Some(remembered) => {
            wrong("key", remembered.vault_key.fingerprint(), &key.fingerprint())?;
            wrong("id", remembered.vault.to_string(), &hello.vault)?;
            Ok(remembered)
        }
        None => {
            let (checkpoint, chain, former) = (String::new(), Chain::START, Vec::new());
            Ok(Remembered { vault, vault_key: key, checkpoint, chain, former })
        }
    }
}
