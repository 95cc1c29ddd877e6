//! Machines that only deposit: letting one in, what it may bring, and the client of such a machine, which seals, sends and
//! verifies its receipts, and can open nothing.
//!
//! ```text
//! hospital   state its role and scope ── certify its key ── key file, enrolment for the operator
//! machine    seal (keyring::deposits) ── chunks ── entry in its own chain ── receipt under a head that continues the last
//! hospital   open wrap and summary ── in scope: a version more under its name ── `keyring rewrap`: under the epoch's key
//! ```
//!
//! Invariants
//! - Nothing is told to be stored before its receipt verified under a head that continues the one remembered.
//! - An entry is noted before it is sent, so a machine whose answer was lost finds out whether it was taken, and signs another
//!   one for the same place only where the vault says that it is free.
//! - What such a machine brings outside of its scope, or what does not open, has no name at the hospital and stops nobody.

use crate::assemble::{self, Plan};
use crate::budget::Budget;
use crate::clock::{fresh_version, now_ms};
use crate::head::Remembered;
use crate::lane::Intent;
use crate::object::check_object;
use crate::retry::repeat;
use crate::scan::{Demand, ScanPlan};
use crate::scan_report::{marked, signed_report};
use crate::sealer::{Recipe, Sealer};
use crate::task::blocking;
use crate::upload::Intake;
use crate::uploader::Uploader;
use crate::view::row::Chain;
use crate::{Client, ClientOptions, Error, NewObject, ObjectWriter, Part, PartContent, Result, Transport};
use shosoin_keyring::{DataKey, DepositTerms, Keyring};
use shosoin_protocol::act::{DeviceRole, Document, Role};
use shosoin_protocol::api::{DepositBatch, DepositRequest};
use shosoin_protocol::checkpoint::SignedHead;
use shosoin_protocol::entry::{Body, DeviceChange, Entry, Seen, Statement};
use shosoin_protocol::envelope::EnvelopeType;
use shosoin_protocol::manifest::{BucketFacts, ObjectFacts, Summary};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::receipt::Receipt;
use shosoin_protocol::{Digest, LogId, NameToken, VersionId, merkle};
use std::path::PathBuf;
use std::sync::Arc;

/// Label under which the scope of a machine is sealed.
const SCOPE_LABEL: &str = "scope of a device v1";
/// What is asked of the vault here.
const OPERATION: &str = "a deposit";

/// Where a machine that only deposits may deposit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DepositScope {
    /// bucket, and how names begin; none where the hospital's own note does not open, and then nothing is allowed
    within: Option<(String, String)>,
}

impl DepositScope {
    /// The scope in a role.
    pub(crate) fn open(keyring: &Keyring, role: &DeviceRole) -> Self {
        let opened = keyring.open_local(SCOPE_LABEL, &role.scope).ok().and_then(|text| String::from_utf8(text).ok());
        let within = opened.and_then(|text| text.split_once('\0').map(|(b, p)| (b.to_owned(), p.to_owned())));
        DepositScope { within }
    }

    /// Whether this is a summary that the machine may bring, sealed as it must be.
    pub(crate) fn allows(&self, summary: &Summary, sealed: &[u8]) -> bool {
        match (summary, &self.within) {
            (Summary::Object(facts), Some((bucket, prefix))) => {
                EnvelopeType::HospitalSummary.is_of(sealed)
                    && facts.bucket == *bucket
                    && facts.name.starts_with(prefix.as_str())
            }
            _ => false,
        }
    }
}

/// A machine that was let in.
pub struct Enrolled {
    /// its keys, for its key file
    pub keyring: Keyring,
    /// what it may deposit
    pub terms: DepositTerms,
    /// what the operator needs to let it in
    pub enrolment: Vec<u8>,
}

impl Client {
    /// Lets a machine in that may only deposit in `bucket`, under names that begin with `prefix`: its role is in the ledger
    /// before it is enrolled. Nothing of it exists anywhere else before this returns.
    pub async fn enrol_depositor(&self, bucket: &str, prefix: &str, policy: Option<DepositPolicy>) -> Result<Enrolled> {
        let facts = self.existing(bucket)?;
        let policy = policy.unwrap_or(facts.policy);
        self.check_agreed(&policy)?;
        let own = &self.inner.keyring;
        let failed = |what| move |source| Error::Keyring { what, source };
        let keyring = own.new_depositor().map_err(failed("keys of the machine"))?;
        let scope = own.seal_local(SCOPE_LABEL, format!("{bucket}\0{prefix}").as_bytes());
        let scope = scope.map_err(failed("scope of the machine"))?;
        let role = DeviceRole { device: keyring.device_id(), role: Role::DepositOnly, scope };
        self.state(None, Document::DeviceRole(role)).await?;
        let identity = self.inner.ledger.identity();
        let body =
            Body::Device(DeviceChange::certify(identity.log, true, keyring.device_key().public(), own.hospital_key()));
        self.inner.lane.submit(Intent { body, summary: None, document: None, records: Vec::new() }).await?;
        let terms = DepositTerms {
            vault: identity.vault,
            vault_key: identity.vault_key.clone(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            policy,
            chunk_plain_bytes: facts.chunk_plain_bytes,
            codec: facts.codec,
        };
        Ok(Enrolled { enrolment: own.enrolment_of(&keyring), keyring, terms })
    }
}

/// What was deposited.
#[derive(Debug)]
pub struct Deposited {
    /// the version
    pub version: VersionId,
    /// bytes of plain text
    pub size_bytes: u64,
    /// its place in the ledger
    pub leaf_index: u64,
    /// the vault's word
    pub receipt: Receipt,
}

/// The client of a machine that only deposits.
pub struct Depositor {
    keyring: Arc<Keyring>,
    terms: DepositTerms,
    transport: Arc<dyn Transport>,
    intake: Arc<Intake>,
    /// what scans contents before they are sealed, if anything does; whether that is enough the vault judges, by the agreement
    scan: Option<ScanPlan>,
    file: PathBuf,
    remembered: Remembered,
    head: Option<SignedHead>,
}

impl Depositor {
    /// Verifies the vault, and that its ledger continues what this machine has seen of it.
    pub async fn open(
        options: ClientOptions,
        keyring: Keyring,
        terms: DepositTerms,
        transport: Arc<dyn Transport>,
    ) -> Result<Depositor> {
        let keyring = Arc::new(keyring);
        std::fs::create_dir_all(&options.state_dir)
            .map_err(|source| Error::State { path: options.state_dir.clone(), source })?;
        let hello = transport.hello().await?;
        let wrong = |what, expected: String, found: &str| match expected == found {
            true => Ok(()),
            false => Err(Error::WrongVault { what, expected, found: found.to_owned() }),
        };
        wrong("hospital", keyring.hospital().to_string(), &hello.hospital)?;
        wrong("id", terms.vault.to_string(), &hello.vault)?;
        wrong("key", terms.vault_key.to_string(), &hello.vault_key)?;
        let file = options.state_dir.join("head");
        let start = || Remembered {
            vault: terms.vault,
            vault_key: terms.vault_key.clone(),
            checkpoint: String::new(),
            chain: Chain::START,
            former: Vec::new(),
        };
        let remembered = Remembered::load(&file)?.unwrap_or_else(start);
        let budget = Arc::new(Budget::new(options.upload_memory_bytes));
        let intake = Arc::new(Intake {
            sealer: Sealer::new(keyring.clone(), budget.clone(), options.threads),
            uploader: Uploader::new(transport.clone()),
            suite: keyring.suite(),
            budget,
        });
        let demand = Demand { definitions_hours_max: u32::MAX, in_pieces: true };
        let scan = options.scanner.map(|scanner| ScanPlan { scanner, demand });
        let mut depositor = Depositor { keyring, terms, transport, intake, scan, file, remembered, head: None };
        let known = depositor.remembered.checkpoint.clone();
        if !known.is_empty() {
            depositor.head = Some(depositor.verified(&known)?);
        }
        depositor.follow(&repeat(|| depositor.transport.checkpoint()).await?).await?;
        depositor.settle().await?;
        Ok(depositor)
    }

    /// What this machine may deposit.
    pub fn terms(&self) -> &DepositTerms {
        &self.terms
    }

    /// A writer of content.
    pub fn writer(&self) -> Result<ObjectWriter> {
        let terms = &self.terms;
        let bucket =
            BucketFacts { codec: terms.codec, policy: terms.policy, ..BucketFacts::new(terms.bucket.clone(), 0) };
        Ok(ObjectWriter::new(self.intake.clone(), Recipe::apart(&bucket)?, terms.chunk_plain_bytes, self.scan.clone()))
    }

    /// Deposits a content under a name of this machine's scope; durable and in the ledger on return.
    pub async fn deposit(&mut self, name: &str, content: PartContent) -> Result<Deposited> {
        if !name.starts_with(&self.terms.prefix) {
            return Err(Error::Invalid { what: "name", why: "this machine deposits under other names" });
        }
        let (parts, policy) = (Part::single(content), self.terms.policy);
        let object = NewObject { bucket: self.terms.bucket.clone(), name: name.to_owned(), ..NewObject::default() };
        let object = check_object(object, &parts, policy.label)?;
        let (version, modified_ms) = (fresh_version(now_ms())?, now_ms());
        let plan = Plan { version, modified_ms, null_version: false, policy, epoch: 0 };
        let facts = assemble::facts(object, &parts, &plan);
        let (keyring, size_bytes) = (self.keyring.clone(), facts.size_bytes);
        let assembled = blocking("sealing a manifest", move || {
            let scanned = parts.iter().find_map(|part| part.content.scanned);
            let report = |key: &DataKey, facts: &ObjectFacts| {
                let mark = key.content_mark(version, &marked(facts));
                scanned.map(|scanned| signed_report(&keyring, version, &scanned, mark).into())
            };
            assemble::assemble(&keyring, facts, parts, &plan, report)
        })
        .await?;
        for (address, bytes) in &assembled.ahead {
            repeat(|| self.transport.put_chunk(*address, bytes.clone())).await?;
        }
        let mut deposit = assembled.deposit;
        // what would be the token of the name takes a secret of the hospital: equal names do not meet
        deposit.name_token = NameToken(random()?);
        let entry = self.sign(Body::Deposit(Box::new(deposit)))?;
        let leaf = entry.leaf_hash();
        let next = Chain { next_seq: entry.statement().device_seq + 1, prev: leaf };
        self.remembered.chain = next;
        self.remembered.save(&self.file)?;
        let request =
            DepositRequest { entry: bytes::Bytes::copy_from_slice(entry.bytes()), records: assembled.records };
        let sent = self.transport.deposit(&DepositBatch { deposits: vec![request] }).await;
        let receipt = match sent.map(|answer| answer.replies) {
            Ok(mut replies) if replies.len() == 1 => replies.remove(0).map_err(Error::Vault),
            Ok(replies) => {
                let why = format!("{} replies to one deposit", replies.len());
                Err(Error::Contradiction { operation: OPERATION, why })
            }
            Err(error) => Err(error),
        };
        let receipt = match receipt {
            Ok(receipt) => receipt,
            Err(error) => {
                // where it was not taken, the place in the chain is free again; where nobody answers, the next start finds out
                self.settle().await.ok();
                return Err(error);
            }
        };
        let answer = |source| Error::Answer { operation: OPERATION, source };
        receipt.verify(&leaf, &self.terms.vault_key).map_err(answer)?;
        self.follow(&receipt.inclusion.checkpoint).await?;
        Ok(Deposited { version, size_bytes, leaf_index: receipt.inclusion.index, receipt })
    }

    fn sign(&self, body: Body) -> Result<Entry> {
        let head = self.head.as_ref().ok_or(Error::Lost { task: "the remembered head" })?.checkpoint();
        let chain = self.remembered.chain;
        let statement = Statement {
            suite: self.keyring.suite(),
            log: LogId::of(self.terms.vault, self.keyring.hospital()),
            hospital: self.keyring.hospital(),
            device: self.keyring.device_id(),
            device_seq: chain.next_seq,
            prev: chain.prev,
            seen: Seen { size: head.size, root: head.root },
            claimed_ms: now_ms(),
            body,
        };
        Ok(Entry::sign(statement, self.keyring.device_key()))
    }

    fn verified(&self, text: &str) -> Result<SignedHead> {
        let answer = |source| Error::Answer { operation: "the ledger head", source };
        let head = SignedHead::verify(text, &self.terms.vault_key).map_err(answer)?;
        let checkpoint = head.checkpoint();
        match (checkpoint.vault, checkpoint.hospital) == (self.terms.vault, self.keyring.hospital()) {
            true => Ok(head),
            false => {
                let why = "it is of another vault or hospital".to_owned();
                Err(Error::Contradiction { operation: "the ledger head", why })
            }
        }
    }

    /// Goes to a newer head, which must continue the one remembered.
    async fn follow(&mut self, text: &str) -> Result<()> {
        let offered = self.verified(text)?;
        if let Some(known) = &self.head {
            let (old, new) = (known.checkpoint(), offered.checkpoint());
            if (old.size, old.root) == (new.size, new.root) {
                return Ok(());
            }
            let refused = |why| Error::Head {
                why,
                remembered: known.text().to_owned(),
                offered: text.to_owned(),
                evidence: None,
            };
            if new.size <= old.size {
                return Err(refused(crate::ledger::WENT_BACK));
            }
            let proof = repeat(|| self.transport.consistency(old.size, new.size)).await?;
            merkle::verify_consistency((old.size, &old.root), (new.size, &new.root), &proof)
                .map_err(|_| refused("forked"))?;
        }
        self.remembered.checkpoint = text.to_owned();
        self.remembered.save(&self.file)?;
        self.head = Some(offered);
        Ok(())
    }

    /// Holds the vault's word about this machine's chain against what was noted: it is there, or one entry before it, which
    /// is the one whose answer was lost.
    async fn settle(&mut self) -> Result<()> {
        let said = self.transport.device(self.keyring.device_id()).await?;
        let known = self.remembered.chain;
        let said = Chain { next_seq: said.next_seq, prev: said.prev };
        let back = known.next_seq.checked_sub(1) == Some(said.next_seq);
        if said != known && !back && known != Chain::START {
            let why = format!("it says entry {} is next, and {} is", said.next_seq, known.next_seq);
            return Err(Error::Contradiction { operation: "the chain of this device", why });
        }
        self.remembered.chain = said;
        self.remembered.save(&self.file)
    }
}

fn random() -> Result<[u8; Digest::LEN]> {
    let mut bytes = [0; Digest::LEN];
    getrandom::fill(&mut bytes).map_err(|error| Error::Randomness { why: error.to_string() })?;
    Ok(bytes)
}
