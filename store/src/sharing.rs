//! Sharing by consent at the vault: what one hospital of it granted another is given to that one, and to nobody else.
//!
//! Invariants
//! - Nothing is given unless the owner's ledger has the grant, the recipient's ledger has its acceptance, neither ledger has its
//!   end, the moment it ends has not come, and the owner's ledger has not ended here. All of that is looked up for every answer, so
//!   an end holds from the next request on.
//! - A grant opens a version that it names, and records that this version depends on; no other record of the owner.
//! - Whoever asks for a grant that is not theirs learns as much as of one that does not exist.
//! - Each version that is given is in the audit log first.
//!
//! The vault cannot open what it gives, and cannot make a grant: that takes a device of the owner. It could go on giving sealed
//! records to a recipient after the end; that a key that was given is known cannot be undone by anybody.
//!
//! Source: guideline 8.1-R5, 8.1-R6, T21.

use crate::audit::{Action, AuditEvent, Outcome};
use crate::clients::Operation;
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::hospitals;
use crate::rows::{self, LeafIndex, Rows, ShareRow};
use crate::vault::{Inner, Vault, blocking};
use bytes::Bytes;
use shosoin_protocol::act::{ActKind, Document, ShareGrant};
use shosoin_protocol::api::Enrolment;
use shosoin_protocol::entry::{Body, Deposit, Entry};
use shosoin_protocol::limits::{ENTRY_BYTES_MAX, LOG_PAGE_BYTES_MAX, SHARE_OFFERS_MAX};
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::share::{Offer, Offers, ShareAsk, SharedVersion, SignedEntry};
use shosoin_protocol::{Address, HospitalId, VersionId};
use std::sync::Arc;

/// Address lists and grants that are kept: records of one version are asked for in dozens.
const KEPT_MAX: usize = 16;

/// What was read for an earlier answer. Neither grants nor address lists ever change under their address.
#[derive(Default)]
pub struct Kept {
    grants: Vec<(Address, Arc<ShareGrant>)>,
    lists: Vec<(Address, Arc<AddressList>)>,
}

impl Vault {
    /// Answers a hospital that asks for what others granted it.
    pub async fn share(&self, caller: HospitalId, ask: ShareAsk) -> Result<Bytes> {
        let _request = self.inner.clients.begin(match ask {
            ShareAsk::Record { .. } => Operation::Record,
            _ => Operation::Version,
        });
        self.desk(caller)?;
        let inner = self.inner.clone();
        blocking(move || match ask {
            ShareAsk::Offers => Ok(inner.offers(caller)?.encode().into()),
            ShareAsk::Version { owner, grant, version } => {
                let desk = inner.shared(caller, owner, grant, version)?;
                inner.shared_version(caller, &desk, version)
            }
            ShareAsk::Record { owner, grant, version, address } => {
                let desk = inner.shared(caller, owner, grant, version)?;
                inner.shared_record(&desk, version, address)
            }
        })
        .await
    }
}

impl Inner {
    /// What other hospitals granted `caller`, newest first.
    fn offers(&self, caller: HospitalId) -> Result<Offers> {
        let mut found = Vec::new();
        for desk in self.desks().into_iter().filter(|desk| desk.info().hospital != caller) {
            for act in desk.acts(&*self.index, &[ActKind::ShareGrant])? {
                match act.document {
                    Document::ShareGrant(grant) if grant.terms.recipient == caller => {
                        found.push((act.accepted_ms, desk.clone(), act.index, act.id, grant));
                    }
                    _ => {}
                }
            }
        }
        found.sort_by_key(|(accepted_ms, ..)| std::cmp::Reverse(*accepted_ms));
        let (all, mut bytes, mut offers) = (found.len(), 0, Vec::new());
        for (_, desk, index, id, grant) in found.into_iter().take(SHARE_OFFERS_MAX) {
            let owner = desk.info().hospital;
            let row = self.index.row::<ShareRow>(&rows::share_key(owner, id))?;
            let entry = desk.ledger().entry(index)?.entry;
            let ended = row.is_none_or(|row| row.ended) || desk.ended()?.is_some();
            let document: Bytes = Document::ShareGrant(grant).encode().into();
            bytes += document.len() + ENTRY_BYTES_MAX;
            if bytes > LOG_PAGE_BYTES_MAX {
                break;
            }
            offers.push(Offer { owner, grant: self.signed(&desk, &entry)?, document, ended });
        }
        let left_out = u32::try_from(all - offers.len()).unwrap_or(u32::MAX);
        Ok(Offers { offers, left_out })
    }

    /// The owner's desk, if both sides consent to this version being given to `caller` now.
    fn shared(&self, caller: HospitalId, owner: HospitalId, id: VersionId, version: VersionId) -> Result<Arc<Desk>> {
        let unknown = || Error::NotFound { what: "grant", id: id.to_string() };
        let refuse = |why| Err(Error::NotShared { grant: id, why });
        let desk = self.desks().into_iter().find(|desk| desk.info().hospital == owner).ok_or_else(unknown)?;
        let granted = self.index.row::<ShareRow>(&rows::share_key(owner, id))?.filter(|row| row.is_stated);
        let granted = granted.filter(|row| row.kind == ActKind::ShareGrant).ok_or_else(unknown)?;
        let grant = self.grant(&desk, &granted.document)?;
        if grant.terms.recipient != caller || grant.terms.versions.as_slice().binary_search(&version).is_err() {
            return Err(unknown());
        }
        if granted.ended {
            return refuse("its owner has ended it");
        }
        let accepted = self.index.row::<ShareRow>(&rows::share_key(caller, id))?.filter(|row| row.is_stated);
        match accepted {
            Some(row) if row.ended => return refuse("the hospital that it was for has ended it"),
            Some(row) if !self.accepts(caller, owner, &row, &granted.document)? => {
                return refuse("what was accepted is another grant");
            }
            Some(_) => {}
            None => return refuse("it has not been accepted: `shosoin share accept`"),
        }
        if desk.ended()?.is_some() {
            return refuse("its owner has left for another vault");
        }
        match self.clock.now_ms() < grant.terms.expires_ms {
            true => Ok(desk),
            false => refuse("the moment until which it was granted has passed"),
        }
    }

    /// Whether the acceptance is of this owner's grant, word for word.
    fn accepts(&self, caller: HospitalId, owner: HospitalId, row: &ShareRow, granted: &Address) -> Result<bool> {
        let desks = self.desks();
        let Some(desk) = desks.iter().find(|desk| desk.info().hospital == caller) else { return Ok(false) };
        match Document::decode(row.kind, &desk.record(&row.document)?) {
            Ok(Document::ShareAccepted(accepted)) => Ok(accepted.owner == owner && accepted.grant == *granted),
            _ => Ok(false),
        }
    }

    fn grant(&self, desk: &Desk, address: &Address) -> Result<Arc<ShareGrant>> {
        let kept = self.shares.lock().grants.iter().find(|(known, _)| known == address).map(|(_, grant)| grant.clone());
        if let Some(grant) = kept {
            return Ok(grant);
        }
        let document = Document::decode(ActKind::ShareGrant, &desk.record(address)?);
        let Document::ShareGrant(grant) = document.map_err(|source| Error::Malformed { what: "grant", source })? else {
            return Err(Error::Bug("the document of an act is of its kind"));
        };
        let grant = Arc::new(*grant);
        keep(&mut self.shares.lock().grants, *address, &grant);
        Ok(grant)
    }

    fn shared_version(&self, caller: HospitalId, desk: &Desk, version: VersionId) -> Result<Bytes> {
        let (entry, deposit) = self.deposit_of(desk, version)?;
        let manifest = desk.record(&deposit.manifest)?;
        let mut event = AuditEvent::new(self.clock.now_ms(), format!("hospital {caller}"), Action::ShareGiven);
        event.hospital = Some(desk.info().hospital);
        (event.units, event.bytes) = (1, deposit.stored_bytes);
        self.media.record(event.ended(Outcome::Done))?;
        Ok(SharedVersion { deposit: self.signed(desk, &entry)?, manifest }.encode().into())
    }

    fn shared_record(&self, desk: &Desk, version: VersionId, address: Address) -> Result<Bytes> {
        let (_, deposit) = self.deposit_of(desk, version)?;
        let list = self.list(desk, &deposit)?;
        match list.addresses().binary_search(&address) {
            Ok(_) => desk.record(&address),
            Err(_) => Err(Error::NotFound { what: "record of the version", id: address.to_string() }),
        }
    }

    fn list(&self, desk: &Desk, deposit: &Deposit) -> Result<Arc<AddressList>> {
        let address = deposit.address_list;
        let kept = self.shares.lock().lists.iter().find(|(known, _)| *known == address).map(|(_, list)| list.clone());
        if let Some(list) = kept {
            return Ok(list);
        }
        let list = AddressList::decode(&desk.record(&address)?);
        let list = Arc::new(list.map_err(|source| Error::Malformed { what: "address list", source })?);
        keep(&mut self.shares.lock().lists, address, &list);
        Ok(list)
    }

    fn deposit_of(&self, desk: &Desk, version: VersionId) -> Result<(Entry, Deposit)> {
        let not_found = || Error::NotFound { what: "version", id: version.to_string() };
        let row = self.index.row::<LeafIndex>(&rows::version_key(desk.info().hospital, version))?;
        let entry = desk.ledger().entry(row.ok_or_else(not_found)?.0)?.entry;
        match entry.body() {
            Body::Deposit(deposit) if deposit.version == version => {
                let deposit = deposit.as_ref().clone();
                Ok((entry, deposit))
            }
            _ => Err(not_found()),
        }
    }

    /// An entry with the enrolment of the device that signed it.
    fn signed(&self, desk: &Desk, entry: &Entry) -> Result<SignedEntry> {
        let device = entry.statement().device;
        let of_device = |bytes: &Vec<u8>| {
            Enrolment::verify(bytes).is_ok_and(|enrolment| enrolment.device_key.device_id() == device)
        };
        let files = hospitals::files_of(&self.dir, desk.info().hospital)?;
        let enrolment = files.into_iter().map(|(_, bytes)| bytes).find(of_device);
        let missing = || Error::NotFound { what: "enrolment of device", id: device.to_string() };
        let entry = Bytes::copy_from_slice(entry.bytes());
        Ok(SignedEntry { entry, enrolment: enrolment.ok_or_else(missing)?.into() })
    }
}

/// Keeps one more, and the oldest no longer where there are too many.
fn keep<T>(kept: &mut Vec<(Address, Arc<T>)>, address: Address, value: &Arc<T>) {
    if kept.len() == KEPT_MAX {
        kept.remove(0);
    }
    kept.push((address, value.clone()));
}
