//! One hospital at a lying vault: what it does, and what comes of it.

use crate::attack::Op;
use crate::common::*;
use crate::vault::Byzantine;
use shosoin_client::{
    AuditOptions, Client, ClientOptions, Condition, Depositor, Enrolled, Error, Keyring, Part, Result, VerifyOptions,
    Wanted,
};
use shosoin_keyring::{Argon2Params, keyfile};
use shosoin_protocol::Suite;
use shosoin_protocol::evidence::{Evidence, Keys, Verdict};
use shosoin_protocol::manifest::Versioning;
use std::path::PathBuf;
use std::sync::Arc;

/// Each thing a hospital may do.
pub const EVERY_OP: [Op; 9] =
    [Op::Refresh, Op::Get, Op::Verify, Op::Put, Op::Open, Op::Reopen, Op::Audit, Op::Reconcile, Op::PutThenAudit];

/// What came of something the hospital did.
#[derive(Debug, Default)]
pub struct Outcome {
    pub error: Option<Error>,
    /// a report says that something is wrong, or is not vouched for
    pub found: bool,
    pub wrong_bytes: bool,
    pub evidence: bool,
}

impl Outcome {
    pub fn noticed(&self) -> bool {
        self.error.is_some() || self.found || self.evidence
    }
}

pub struct Scene {
    site: Site,
    pub byzantine: Arc<Byzantine>,
    client: Option<Client>,
    /// key file of the machine that the vault lies to
    keyfile: Vec<u8>,
    /// another machine of the hospital that the vault is honest to
    other: Client,
    /// what was stored, by seed
    stored: Vec<(String, u64)>,
    state: PathBuf,
    /// a person has confirmed the head for this state
    confirmed: bool,
    numbers: u64,
}

const CHEAP: Argon2Params = Argon2Params { memory_kib: 8, passes: 1, lanes: 1 };

/// Bytes of a record of three chunks.
const LARGE: usize = 600_000;

impl Scene {
    pub async fn new(suite: Suite) -> Scene {
        let (site, wire, other) = ward(suite, Versioning::Enabled).await;
        for (name, seed, len) in [("scan", 1, LARGE), ("note", 2, 500), ("list", 3, 20_000)] {
            put(&other, name, &noise(seed, len)).await;
        }
        let machine = stolen_machine(&site, &wire, &other).await;
        let byzantine = Byzantine::new(wire.clone(), &site.dir.path().join("vault"), suite, machine);
        let reconcile = shosoin_store::assets::AssetCommand::Reconcile { hospital: None };
        wire.vault.asset_command(reconcile, shosoin_store::accounts::Caller::this_process()).await.unwrap();
        let state = site.dir.path().join("machine-0");
        let (keyfile, stored) = (site.further_machine(), vec![("note".into(), 2)]);
        let mut scene =
            Scene { site, byzantine, client: None, keyfile, other, stored, state, confirmed: false, numbers: 100 };
        scene.client = Some(scene.open().await.unwrap());
        scene.put().await.unwrap();
        read(scene.client(), "scan", 0..LARGE as u64).await.unwrap();
        scene
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    async fn open(&mut self) -> Result<Client> {
        let options = ClientOptions::new(self.state.clone());
        let keyring = keyfile::open(&self.keyfile, b"test").unwrap();
        let client = Client::open(options, keyring, self.byzantine.clone()).await?;
        // its device may have stored under a state before this one; a person confirms
        if let Some(head) = client.head().filter(|_| !self.confirmed) {
            client.confirm_head(head.size, head.root).await?;
        }
        self.confirmed = true;
        Ok(client)
    }

    /// The ledger grows behind the back of this machine.
    pub async fn grow(&mut self) {
        self.numbers += 1;
        let name = format!("grown-{}", self.numbers % 7);
        put(&self.other, &name, &noise(self.numbers, 100)).await;
    }

    pub async fn perform(&mut self, op: Op) -> Outcome {
        let mut outcome = Outcome::default();
        let done = match op {
            Op::Refresh => self.client().refresh().await,
            Op::Get => self.get(&mut outcome).await,
            Op::Verify => self.verify().await,
            Op::Put | Op::PutThenAudit => self.put().await,
            Op::Open => self.open_anew(true).await,
            Op::Reopen => self.open_anew(false).await,
            Op::Audit => self.audit(&mut outcome).await,
            Op::Reconcile => self.client().reconcile().await.map(|account| outcome.found = !account.agrees),
        };
        outcome.error = done.err();
        outcome.evidence = !self.kept().is_empty();
        outcome
    }

    /// What an attack is caught by only later, when the vault behaves again.
    pub async fn aftermath(&mut self, op: Op, mut outcome: Outcome) -> Outcome {
        if op == Op::PutThenAudit {
            let later = self.perform(Op::Audit).await;
            outcome.error = outcome.error.or(later.error);
            outcome.found |= later.found;
            outcome.evidence |= later.evidence;
        }
        outcome
    }

    async fn get(&self, outcome: &mut Outcome) -> Result<()> {
        let bytes = read(self.client(), "scan", 0..LARGE as u64).await?;
        outcome.wrong_bytes = bytes != noise(1, LARGE);
        Ok(())
    }

    async fn verify(&self) -> Result<()> {
        for name in ["note", "scan"] {
            self.client().verify(BUCKET, name, None, VerifyOptions { content: true }).await?;
        }
        Ok(())
    }

    async fn put(&mut self) -> Result<()> {
        self.numbers += 1;
        let (name, seed) = (format!("put-{}", self.numbers % 5), self.numbers);
        let facts = self.client().bucket(BUCKET)?.unwrap();
        let mut writer = self.client().writer(&facts, shosoin_protocol::policy::Label::Ordinary)?;
        for piece in noise(seed, 1_300_000).chunks(100_000) {
            writer.push(bytes::Bytes::copy_from_slice(piece)).await?;
        }
        let content = writer.finish().await?;
        let stored = self.client().put_object(object(&name), Part::single(content), Condition::Any).await;
        if stored.is_ok() {
            self.stored.retain(|(known, _)| *known != name);
            self.stored.push((name, seed));
        }
        stored.map(drop)
    }

    /// Opens anew; as it was where that fails and the vault is honest again.
    async fn open_anew(&mut self, forget: bool) -> Result<()> {
        let client = self.client.take().unwrap();
        client.close().await.ok();
        drop(client);
        if forget {
            self.begin_anew();
        }
        self.client = Some(self.open().await?);
        Ok(())
    }

    fn begin_anew(&mut self) {
        self.numbers += 1;
        self.confirmed = false;
        self.state = self.site.dir.path().join(format!("machine-{}", self.numbers));
    }

    async fn audit(&self, outcome: &mut Outcome) -> Result<()> {
        let wanted = Wanted { confidence: 0.95, damage: 0.05 };
        let options = AuditOptions { wanted, receipts: Vec::new() };
        let audit = self.client().audit_vault(options, |_, _| {}).await?;
        outcome.found = !audit.holds;
        assert!(audit.given + audit.unanswered + audit.failed == audit.sample, "{audit:?}");
        let report = Evidence::parse(&audit.report).unwrap();
        assert!(report.judge(&self.keys()).unwrap().attested_by.is_some());
        Ok(())
    }

    fn keys(&self) -> Keys {
        let hospital_key = Some(self.site.keyring().hospital_key().public());
        Keys { vault_key: self.byzantine.key().public(), hospital_key, least_suite: None }
    }

    fn kept(&self) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(self.state.join("evidence")).into_iter().flatten();
        listed.map(|entry| entry.unwrap().path()).collect()
    }

    /// Verdicts over what was kept, which is then taken away. Every file that is kept proves something, to anyone.
    pub fn new_evidence(&mut self) -> Vec<Verdict> {
        let kept = self.kept();
        let judged = |path: &PathBuf| {
            let evidence = Evidence::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
            evidence.judge(&self.keys()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let verdicts = kept.iter().map(judged).collect();
        kept.iter().for_each(|path| std::fs::remove_file(path).unwrap()); // as people take it away
        verdicts
    }

    /// With the vault honest again, everything that was stored reads exactly. A machine that believed a signed lie keeps
    /// refusing the truth, as it must, and another takes its place.
    pub async fn recover(&mut self) {
        let standing = match &self.client {
            Some(client) => client.refresh().await,
            None => self.open_anew_after_failure().await,
        };
        if standing.is_err() {
            let poisoned = self.client.take();
            if let Some(client) = poisoned {
                client.close().await.ok();
            }
            self.begin_anew();
            self.client = Some(self.open().await.unwrap());
        }
        self.new_evidence();
        read(self.client(), "scan", 0..1).await.unwrap();
        for (name, seed) in &self.stored {
            let Some(row) = self.client().lookup(BUCKET, name, None).unwrap() else { continue };
            let len = row.object().unwrap().0.size_bytes;
            let bytes = read(self.client(), name, 0..len).await.unwrap();
            let expected = noise(*seed, usize::try_from(len).unwrap());
            assert!(bytes == expected || name.starts_with("put-"), "{name}");
        }
    }

    /// What nothing noticed has changed nothing: the ledger and the records are the true ones, or the next look says so.
    pub async fn must_be_harmless(&mut self, seed: u64, name: &str, op: Op) {
        if self.client.is_none() || self.perform(Op::Refresh).await.noticed() {
            return;
        }
        self.other.refresh().await.unwrap();
        let ledger = |client: &Client| client.head().map(|head| (head.size, head.root));
        assert_eq!(ledger(self.client()), ledger(&self.other), "seed {seed}: {name} during {op:?}");
        let outcome = self.perform(Op::Verify).await;
        assert!(!outcome.noticed(), "seed {seed}: {name} during {op:?}: {outcome:?}");
    }

    async fn open_anew_after_failure(&mut self) -> Result<()> {
        self.client = Some(self.open().await?);
        Ok(())
    }
}

/// A machine that only deposits, which has stored something; its keys are in the wrong hands from now on.
pub async fn stolen_machine(site: &Site, wire: &Arc<Wire>, hospital: &Client) -> Keyring {
    let Enrolled { keyring, terms, enrolment } = hospital.enrol_depositor(BUCKET, "machine/", None).await.unwrap();
    wire.vault.enrol(&enrolment).unwrap();
    let sealed = keyfile::deposit::seal(&keyring, &terms, b"test", CHEAP).unwrap();
    let (own, terms) = keyfile::deposit::open(&sealed, b"test").unwrap();
    let options = ClientOptions::new(site.dir.path().join("stolen"));
    let mut machine = Depositor::open(options, own, terms, wire.clone()).await.unwrap();
    let mut writer = machine.writer().unwrap();
    writer.push(bytes::Bytes::from_static(b"of a machine")).await.unwrap();
    let content = writer.finish().await.unwrap();
    machine.deposit("machine/1", content).await.unwrap();
    hospital.refresh().await.unwrap();
    keyring
}
