//! The end of records: the hospital's order, its cancellation, and the operator's word that the end has begun and what became
//! of it.
//!
//! Invariants
//! - An order names each entry by its place and its leaf hash, or everything under one root: it can mean nothing else.
//! - The person who asks signs it, together with the ledger and the id of the act, so that it means one act in one ledger.
//! - The end has begun when the operator's act is in the ledger: it carries the approvals, and names the lists of what goes.

use super::codes;
use crate::approval::Approval;
use crate::codec::{Reader, Writer};
use crate::limits::{APPROVALS_MAX, ORDER_ITEMS_MAX, REMOVAL_LISTS_MAX};
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Address, Digest, Error, LogId, Result, VersionId};

codes! {
    /// Why records are to end.
    DisposalReason, "reason of a disposal" {
        /// their retention has ended
        RetentionEnded = 1 "retention-ended",
        /// the contract has ended, and they were handed over or are not needed any more
        ContractEnded = 2 "contract-ended",
        /// the person they are about demands it, and the hospital must comply
        SubjectRequest = 3 "subject-request",
        /// they were deposited by mistake
        DepositedInError = 4 "deposited-in-error",
        /// a reason that the hospital keeps in its own files
        Other = 5 "other",
    }
}

/// One entry that is to lose its records. It stays in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderItem {
    /// its place
    pub leaf_index: u64,
    /// version of the deposit, or id of the change of a name
    pub version: VersionId,
    /// its hash as a leaf
    pub leaf: Digest,
}

impl OrderItem {
    const LEN: usize = 56;
}

/// What is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// these entries, ascending by place
    These(Vec<OrderItem>),
    /// every deposit and every change of a name in the ledger as it was
    Everything {
        /// leaves
        log_size: u64,
        /// root over them
        log_root: Digest,
        /// the act by which the hospital confirmed that everything was handed over; none: it says that it needs no hand-over
        hand_over: Option<VersionId>,
    },
}

impl Scope {
    /// The act by which the hospital confirmed that another vault has everything, where it did.
    pub fn hand_over(&self) -> Option<VersionId> {
        match self {
            Scope::These(_) => None,
            Scope::Everything { hand_over, .. } => *hand_over,
        }
    }
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// why
    pub reason: DisposalReason,
    /// what
    pub scope: Scope,
    /// days that must pass between the last approval and the end; the vault's own term counts where it is longer
    pub cool_down_days: u16,
    /// not to be carried out from this moment on, in milliseconds since 1970
    pub expires_ms: u64,
    /// key of the person who asks
    pub requester: PublicKey,
    /// that person's signature
    pub signature: Signature,
}

impl Order {
    /// An order for the act `id` in the ledger `log`, signed by the person who asks.
    pub fn sign(
        (log, id): (LogId, VersionId),
        reason: DisposalReason,
        scope: Scope,
        cool_down_days: u16,
        expires_ms: u64,
        requester: &SigningKey,
    ) -> Self {
        let signature = Signature([0; Signature::LEN]);
        let requester_key = requester.public();
        let mut order = Order { reason, scope, cool_down_days, expires_ms, requester: requester_key, signature };
        order.signature = requester.sign(Domain::Order, &order.signed_bytes(log, id));
        order
    }

    /// Refuses an order that its requester did not sign for this act and ledger.
    pub fn verify(&self, log: LogId, id: VersionId) -> Result<()> {
        self.requester.verify(Domain::Order, &self.signed_bytes(log, id), &self.signature)
    }

    fn signed_bytes(&self, log: LogId, id: VersionId) -> Vec<u8> {
        let mut out = Writer::with_capacity(256);
        out.put(&log.0).put(&id.0);
        self.write_fields(&mut out);
        out.finish()
    }

    fn write_fields(&self, out: &mut Writer) {
        let scope = match self.scope {
            Scope::These(_) => 1,
            Scope::Everything { .. } => 2,
        };
        out.u8(scope).u8(self.reason.code()).u16(self.cool_down_days).zeros(4).u64(self.expires_ms);
        match &self.scope {
            Scope::These(items) => {
                out.count(items.len());
                for OrderItem { leaf_index, version, leaf } in items {
                    out.u64(*leaf_index).put(&version.0).put(&leaf.0);
                }
            }
            Scope::Everything { log_size, log_root, hand_over } => {
                out.u64(*log_size).put(&log_root.0).put(&hand_over.map_or([0; 16], |act| act.0));
            }
        }
        self.requester.write(out);
    }

    pub(super) fn write(&self, out: &mut Writer) {
        self.write_fields(out);
        out.put(&self.signature.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let (scope, reason) = (reader.u8("scope of the order")?, reader.u8("reason of the order")?);
        let reason = DisposalReason::from_code(reason)?;
        let cool_down_days = reader.u16("cool-down")?;
        reader.zeros(4, "reserved bytes of the order")?;
        let expires_ms = reader.u64("expiry")?;
        let scope = match scope {
            1 => Scope::These(read_items(reader)?),
            2 => Scope::Everything {
                log_size: reader.u64("log size")?,
                log_root: Digest::read(reader)?,
                hand_over: Some(VersionId::read(reader)?).filter(|act| act.0 != [0; 16]),
            },
            _ => return Err(Error::Invalid { what: "scope of the order", why: "no such scope" }),
        };
        let requester = PublicKey::read(reader)?;
        let signature = Signature::read(reader)?;
        Ok(Order { reason, scope, cool_down_days, expires_ms, requester, signature })
    }
}

fn read_items(reader: &mut Reader<'_>) -> Result<Vec<OrderItem>> {
    let count = reader.count(ORDER_ITEMS_MAX, "items of an order")?;
    let mut items: Vec<OrderItem> = Vec::with_capacity(count.min(reader.left() / OrderItem::LEN));
    for _ in 0..count {
        let leaf_index = reader.u64("leaf index")?;
        let item = OrderItem { leaf_index, version: VersionId::read(reader)?, leaf: Digest::read(reader)? };
        if items.last().is_some_and(|last| last.leaf_index >= item.leaf_index) {
            return Err(Error::Invalid { what: "items of an order", why: "their places must ascend" });
        }
        items.push(item);
    }
    match items.is_empty() {
        true => Err(Error::Invalid { what: "items of an order", why: "it must name at least one" }),
        false => Ok(items),
    }
}

/// The hospital takes an order back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancel {
    /// id of the act that ordered
    pub order: VersionId,
}

impl Cancel {
    pub(super) fn write(&self, out: &mut Writer) {
        out.put(&self.order.0);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Cancel { order: VersionId::read(reader)? })
    }
}

/// How far a disposal has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisposalStep {
    /// 1: it was approved and judged, and from here on the records are ended: what removes them follows
    Begun {
        /// address of the order's document
        order_document: Address,
        /// who agreed
        approvals: Vec<Approval>,
        /// addresses of the lists of records that go
        removals: Vec<Address>,
        /// entries of the ledger that were read for that; later ones are another matter
        read_to: u64,
    },
    /// 2: a certificate was issued
    Certified {
        /// SHA-256 of the certificate
        certificate: Digest,
        /// number of the certificate for this order, from 1
        serial: u32,
        /// copies that are not erased yet, and are named in it
        pending: u64,
    },
}

/// The operator's word about a disposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposed {
    /// id of the act that ordered it
    pub order: VersionId,
    /// how far it has come
    pub step: DisposalStep,
}

impl Disposed {
    /// The lists of what goes.
    pub fn removals(&self) -> &[Address] {
        match &self.step {
            DisposalStep::Begun { removals, .. } => removals,
            DisposalStep::Certified { .. } => &[],
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        match &self.step {
            DisposalStep::Begun { order_document, approvals, removals, read_to } => {
                out.u8(1).zeros(7).put(&self.order.0).put(&order_document.0).u64(*read_to);
                out.count(approvals.len());
                approvals.iter().for_each(|approval| approval.write(out));
                out.count(removals.len());
                removals.iter().for_each(|address| address.write(out));
            }
            DisposalStep::Certified { certificate, serial, pending } => {
                out.u8(2).zeros(7).put(&self.order.0).put(&certificate.0).u32(*serial).zeros(4).u64(*pending);
            }
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let step = reader.u8("step of the disposal")?;
        reader.zeros(7, "reserved bytes of the disposal")?;
        let order = VersionId::read(reader)?;
        let step = match step {
            1 => DisposalStep::Begun {
                order_document: Address::read(reader)?,
                read_to: reader.u64("entries read")?,
                approvals: {
                    let count = reader.count(APPROVALS_MAX, "approvals")?;
                    (0..count).map(|_| Approval::read(reader)).collect::<Result<_>>()?
                },
                removals: {
                    let count = reader.count(REMOVAL_LISTS_MAX, "lists of removals")?;
                    (0..count).map(|_| Address::read(reader)).collect::<Result<_>>()?
                },
            },
            2 => {
                let (certificate, serial) = (Digest::read(reader)?, reader.u32("serial")?);
                reader.zeros(4, "reserved bytes of the disposal")?;
                DisposalStep::Certified { certificate, serial, pending: reader.u64("pending copies")? }
            }
            _ => return Err(Error::Invalid { what: "step of the disposal", why: "no such step" }),
        };
        Ok(Disposed { order, step })
    }
}
