//! Agreements at the operator's side: which terms are in force for a hospital, and the operator's signature under new ones.
//!
//! Invariants
//! - What is in force follows from the hospital's log and the clock alone; nothing else can set it, so an index that was
//!   made anew gives the same.
//! - Where agreements are required and none is in force, or it cannot be read, nothing of a hospital's content is taken.
//! - The operator signs what is between these two parties and continues the newest terms, nothing else.
//!
//! Source: guideline `agreement`; DESIGN, section 6.

mod command;

pub use command::AgreementCommand;

use crate::acts::OperatorAct;
use crate::assets;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::hospitals::HospitalInfo;
use crate::index::Index;
use crate::ledger::Ledger;
use crate::records::Records;
use crate::rows::{self, ActRow, Row as _};
use parking_lot::Mutex;
use shosoin_protocol::VaultId;
use shosoin_protocol::act::agreement::{Agreement, Parties, Terms};
use shosoin_protocol::act::{ActKind, Document};
use shosoin_protocol::policy::DepositPolicy;
use std::sync::Arc;

/// An agreement in the log.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// leaf index of the act
    pub index: u64,
    /// the vault's clock when it was accepted
    pub accepted_ms: u64,
    /// what is agreed
    pub terms: Arc<Terms>,
    /// the document, both signatures included
    pub agreement: Arc<Agreement>,
}

impl Agreed {
    /// From when on it counts: when it says, or when the second signature came, if that was later.
    pub fn from_ms(&self) -> u64 {
        self.accepted_ms.max(self.terms.from_ms)
    }
}

/// Where the agreements of one hospital are looked up. What was looked up is kept until the log has another one.
pub struct Agreements {
    hospital: HospitalInfo,
    vault: VaultId,
    ledger: Arc<Ledger>,
    records: Arc<Records>,
    index: Arc<dyn Index>,
    /// whether content is refused where none is in force
    required: bool,
    kept: Mutex<Option<Arc<Vec<Agreed>>>>,
    used: Mutex<Option<u64>>,
}

impl Agreements {
    /// Of one hospital.
    pub fn new(
        hospital: HospitalInfo,
        vault: VaultId,
        ledger: Arc<Ledger>,
        records: Arc<Records>,
        index: Arc<dyn Index>,
        required: bool,
    ) -> Self {
        let (kept, used) = (Mutex::default(), Mutex::default());
        Agreements { hospital, vault, ledger, records, index, required, kept, used }
    }

    /// Whom they bind.
    pub fn parties(&self) -> Parties<'_> {
        let HospitalInfo { hospital, hospital_key, .. } = &self.hospital;
        Parties { hospital: *hospital, hospital_key, vault: self.vault, vault_key: self.ledger.public_key() }
    }

    /// Every agreement of the log, in its order.
    pub fn all(&self) -> Result<Arc<Vec<Agreed>>> {
        let mut kept = self.kept.lock();
        match &*kept {
            Some(all) => Ok(all.clone()),
            None => Ok(kept.insert(Arc::new(self.read()?)).clone()),
        }
    }

    fn read(&self) -> Result<Vec<Agreed>> {
        let (hospital, suite, size) = (self.hospital.hospital, self.hospital.suite, self.ledger.head().size);
        let mut found = Vec::new();
        self.index.scan(&rows::act_prefix(hospital), &mut |key, value| {
            let row = ActRow::decode(value)?;
            match rows::act_index(key) {
                Some(index) if index < size && row.act.kind == ActKind::Agreement => found.push((index, row)),
                _ => {}
            }
            Ok(true)
        })?;
        let agreed = |(index, row): (u64, ActRow)| {
            let bytes = self.records.read(hospital, suite, &row.act.document)?;
            let malformed = |source| Error::Malformed { what: "agreement", source };
            let Document::Agreement(agreement) = Document::decode(ActKind::Agreement, &bytes).map_err(malformed)?
            else {
                return Err(Error::Bug("the document of an agreement is one"));
            };
            let terms = Arc::new(agreement.terms.clone());
            Ok(Agreed { index, accepted_ms: row.accepted_ms, terms, agreement: Arc::new(*agreement) })
        };
        found.into_iter().map(agreed).collect()
    }

    /// The log has another one.
    pub fn forget(&self) {
        *self.kept.lock() = None;
    }

    /// The terms in force. What was agreed on with a vault that kept the ledger before binds that vault.
    pub fn in_force(&self, now_ms: u64) -> Result<Option<Arc<Terms>>> {
        let ours = |agreed: &&Agreed| agreed.terms.vault == self.vault && agreed.from_ms() <= now_ms;
        Ok(self.all()?.iter().rev().find(ours).map(|agreed| agreed.terms.clone()))
    }

    /// The terms with the highest number.
    pub fn newest(&self) -> Result<Option<Arc<Terms>>> {
        Ok(self.all()?.last().map(|agreed| agreed.terms.clone()))
    }

    /// The terms that content is judged by; `None` where none are needed and there are none. Refuses where they are needed.
    pub fn for_content(&self, now_ms: u64) -> Result<Option<Arc<Terms>>> {
        let terms = self.in_force(now_ms)?;
        match terms.is_none() && self.required {
            true => Err(Error::NoAgreement { hospital: self.hospital.hospital, later: self.newest()?.is_some() }),
            false => Ok(terms),
        }
    }

    /// Sealed bytes of the deposits that are held.
    pub fn used_bytes(&self) -> Result<u64> {
        let mut used = self.used.lock();
        if let Some(bytes) = *used {
            return Ok(bytes);
        }
        let mut bytes = 0u64;
        assets::scan(&*self.index, self.hospital.hospital, &mut |slot| {
            if slot.state == assets::AssetState::Held {
                bytes = bytes.saturating_add(slot.stored_bytes);
            }
            Ok(true)
        })?;
        Ok(*used.insert(bytes))
    }

    /// These bytes were deposited.
    pub fn add_used(&self, bytes: u64) {
        self.used.lock().iter_mut().for_each(|used| *used = used.saturating_add(bytes));
    }

    /// Something left; the next look counts anew.
    pub fn forget_used(&self) {
        *self.used.lock() = None;
    }

    /// Refuses what would take more than was agreed on, `waiting` bytes being accepted and not counted yet.
    pub fn within_quota(&self, waiting: u64, bytes: u64, now_ms: u64) -> Result<()> {
        let Some(terms) = self.in_force(now_ms)? else { return Ok(()) };
        let used = self.used_bytes()?.saturating_add(waiting);
        match used.saturating_add(bytes) > terms.quota_bytes {
            true => Err(Error::OverQuota { used, asked: bytes, quota: terms.quota_bytes }),
            false => Ok(()),
        }
    }

    /// Refuses an agreement that does not bind these two, or does not continue `newest`.
    pub fn admit(&self, agreement: &Agreement, newest: Option<&Terms>) -> Result<()> {
        let refused = |source| Error::Malformed { what: "agreement", source };
        agreement.verify(&self.parties()).map_err(refused)?;
        agreement.follows(newest).map_err(refused)
    }
}

/// Refuses a policy that was not agreed on.
pub fn allows(terms: &Terms, policy: &DepositPolicy) -> Result<()> {
    match terms.objects_to(policy) {
        None => Ok(()),
        Some(source) => Err(Error::NotAgreed { number: terms.number, source }),
    }
}

impl Desk {
    /// Signs an agreement for the operator. Where the hospital has signed, it goes into the log and is in force from when it
    /// says; else it waits for the hospital's signature. Gives the document, and its place if it has one. Blocks.
    pub fn sign_agreement(&self, document: &[u8], act: impl FnOnce(Document) -> Result<OperatorAct>) -> Result<Signed> {
        let refused = |source| Error::Malformed { what: "agreement", source };
        let Document::Agreement(agreement) = Document::decode(ActKind::Agreement, document).map_err(refused)? else {
            return Err(Error::Bug("the document of an agreement is one"));
        };
        let agreements = self.agreements();
        let parties = agreements.parties();
        agreement.is_between(&parties).map_err(refused)?;
        agreement.follows(agreements.newest()?.as_deref()).map_err(refused)?;
        let by_hospital = agreement.signed_by_hospital(parties.hospital_key).map_err(refused)?;
        let document = Document::Agreement(Box::new(agreement.sign_as_vault(self.ledger().key())));
        let bytes = document.encode();
        let index = match by_hospital {
            true => Some(self.state(act(document)?)?.index),
            false => None,
        };
        Ok(Signed { document: bytes, index })
    }
}

/// What the operator's signature made of an agreement.
#[derive(Debug, Clone)]
pub struct Signed {
    /// the document, signed by the operator
    pub document: Vec<u8>,
    /// leaf index of its act; `None`: the hospital must sign, and puts it into the log
    pub index: Option<u64>,
}
