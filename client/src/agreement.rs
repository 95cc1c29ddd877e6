//! Agreements at the hospital's side: the hospital's signature under terms, and which of them are in force.
//!
//! - What is in force comes from the verified ledger alone. An agreement without a good signature of this hospital's key is
//!   refused with the page of the ledger that has it: an operator cannot agree with itself.
//! - What the agreement in force does not have is refused before it is sealed; the vault judges it again.

use crate::clock::now_ms;
use crate::followed::Followed;
use crate::{Client, Error, Result, Stated};
use parking_lot::Mutex;
use shosoin_protocol::act::agreement::{Agreement, Terms};
use shosoin_protocol::act::{ActKind, Document};
use std::sync::Arc;

/// An agreement in the ledger.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// its place
    pub leaf_index: u64,
    /// from when on it counts, in milliseconds since 1970
    pub from_ms: u64,
    /// terms and signatures
    pub agreement: Agreement,
}

/// What the hospital's signature made of an agreement.
#[derive(Debug)]
pub struct SignedAgreement {
    /// the document, signed by the hospital
    pub document: Vec<u8>,
    /// its act; `None`: the operator must sign, and puts it into the ledger
    pub stated: Option<Stated>,
}

/// The agreements of the view.
pub(crate) type AgreedCache = Mutex<Followed<Arc<Vec<Agreed>>>>;

impl Client {
    /// Every agreement in the ledger, in its order.
    pub fn agreements(&self) -> Result<Arc<Vec<Agreed>>> {
        let mut followed = self.inner.agreed.lock();
        let all = followed.follow(&self.inner.view, |all, act| {
            if let Document::Agreement(agreement) = act.document {
                let from_ms = act.accepted_ms.max(agreement.terms.from_ms);
                Arc::make_mut(all).push(Agreed { leaf_index: act.leaf_index, from_ms, agreement: *agreement });
            }
        })?;
        Ok(all.clone())
    }

    /// The terms in force with the vault of today, by this machine's clock.
    pub fn terms(&self) -> Result<Option<Terms>> {
        let (all, now_ms) = (self.agreements()?, now_ms());
        let from = self.inner.ledger.identity().lineage.current().from;
        let mut of_this_vault = all.iter().rev().filter(|agreed| agreed.leaf_index >= from);
        Ok(of_this_vault.find(|agreed| agreed.from_ms <= now_ms).map(|agreed| agreed.agreement.terms.clone()))
    }

    /// Signs an agreement for the hospital. Where the operator has signed, it goes into the ledger and is in force from when
    /// it says; else it waits for the operator's signature.
    pub async fn sign_agreement(&self, document: &[u8]) -> Result<SignedAgreement> {
        let refused = |source| Error::Agreement { source };
        let Document::Agreement(agreement) = Document::decode(ActKind::Agreement, document).map_err(refused)? else {
            return Err(Error::Invalid { what: "agreement", why: "it is another document" });
        };
        self.refresh().await?;
        let (identity, all) = (self.inner.ledger.identity(), self.agreements()?);
        let key = self.inner.keyring.hospital_key();
        let public = key.public();
        let parties = identity.parties(&public);
        let before = all.last().filter(|agreed| agreed.leaf_index >= identity.lineage.current().from);
        agreement.is_between(&parties).map_err(refused)?;
        agreement.follows(before.map(|agreed| &agreed.agreement.terms)).map_err(refused)?;
        let by_vault = agreement.signed_by_vault(parties.vault_key).map_err(refused)?;
        let document = Document::Agreement(Box::new(agreement.sign_as_hospital(key)));
        let bytes = document.encode();
        let stated = match by_vault {
            true => Some(self.state(None, document).await?),
            false => None,
        };
        Ok(SignedAgreement { document: bytes, stated })
    }
}
