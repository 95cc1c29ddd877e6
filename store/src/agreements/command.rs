//! The operator's commands about agreements, as values: a running vault takes them through its administration socket and a
//! stopped one in the process that asks.

use super::Agreed;
use crate::accounts::Caller;
use crate::acts::OperatorAct;
use crate::audit::{Action, AuditEvent, Outcome};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::journal::VAULT;
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shosoin_protocol::HospitalId;
use shosoin_protocol::act::{ActKind, Document};
use std::sync::Arc;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AgreementCommand {
    /// every agreement with a hospital, and what is in force
    Show {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
    },
    /// sign one for the operator
    Sign {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// the document in hex: terms alone, or with the hospital's signature
        document: String,
    },
}

impl AgreementCommand {
    /// What it is called in the table of permissions. A draft is made from what is shown.
    pub fn work(&self) -> &'static str {
        match self {
            AgreementCommand::Show { .. } => "agreement show",
            AgreementCommand::Sign { .. } => "agreement sign",
        }
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn agreement_command(&self, command: AgreementCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        blocking(move || match command {
            AgreementCommand::Show { hospital } => inner.agreements(&*inner.desk_of(hospital.as_deref())?),
            AgreementCommand::Sign { hospital, document } => {
                inner.sign_agreement(&inner.desk_of(hospital.as_deref())?, &document, &actor)
            }
        })
        .await
    }

    /// Signs what a demonstration agrees on with itself. Nobody need be asked: it binds nobody, and says so.
    pub async fn sign_demonstration(&self, hospital: HospitalId, document: Vec<u8>) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || {
            let desk = inner.desk_of(Some(&hospital.to_string()))?;
            let decoded = Document::decode(ActKind::Agreement, &document);
            let is_demo = matches!(&decoded, Ok(Document::Agreement(agreement)) if agreement.terms.demo);
            match is_demo && inner.tier.is_demo() {
                true => inner.sign_agreement(&desk, &hex::encode(document), VAULT).map(drop),
                false => Err(Error::Invalid { what: "agreement", why: "only a demonstration agrees with itself" }),
            }
        })
        .await
    }
}

impl Inner {
    fn agreements(&self, desk: &Desk) -> Result<Value> {
        let (agreements, now_ms) = (desk.agreements(), self.clock.now_ms());
        let all = agreements.all()?;
        let one = |agreed: &Agreed| {
            let document = Document::Agreement(Box::new((*agreed.agreement).clone())).encode();
            json!({
                "number": agreed.terms.number,
                "from_ms": agreed.from_ms(),
                "leaf_index": agreed.index,
                "demo": agreed.terms.demo,
                "document": hex::encode(document),
            })
        };
        Ok(json!({
            "hospital": desk.info().hospital.to_string(),
            "suite": desk.info().suite.code(),
            "vault": self.identity.vault().to_string(),
            "time_ms": now_ms,
            "required": self.config.intake.agreement_required,
            "in_force": agreements.in_force(now_ms)?.map(|terms| terms.number),
            "used_bytes": agreements.used_bytes()?,
            "agreements": all.iter().map(one).collect::<Vec<_>>(),
        }))
    }

    /// Signs for the operator. Who did, or tried, is in the audit log.
    fn sign_agreement(&self, desk: &Arc<Desk>, document: &str, actor: &str) -> Result<Value> {
        let bytes = hex::decode(document);
        let bytes = bytes.map_err(|error| Error::Argument { what: "document", why: error.to_string() })?;
        let act = |document| Ok(OperatorAct { id: self.fresh_id()?, subject: None, document });
        let signed = desk.sign_agreement(&bytes, act);
        let mut event = AuditEvent::new(self.clock.now_ms(), actor, Action::AgreementSigned);
        event.hospital = Some(desk.info().hospital);
        if let Err(error) = &signed {
            event = event.ended(Outcome::Refused).because(error.code());
        }
        self.media.record(event)?;
        let signed = signed?;
        Ok(json!({ "document": hex::encode(signed.document), "leaf_index": signed.index }))
    }
}
