//! Approvals: a person's signature under one order of one hospital, made with the person's own key, on the person's own
//! machine if they like. As a file, `shap`; in the ledger, inside the act by which a disposal begins.

use crate::codec::{Reader, Writer};
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::{Address, Digest, Error, LogId, Result, VersionId};

/// First bytes of an approval as a file.
pub const MAGIC: [u8; 4] = *b"shap";
/// Version of that file.
pub const VERSION: u8 = 1;

/// The order that is agreed to, by everything that tells it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovedOrder {
    /// ledger it is in
    pub log: LogId,
    /// id of the act
    pub order: VersionId,
    /// hash of its entry as a leaf
    pub leaf: Digest,
    /// address of its document
    pub document: Address,
}

impl ApprovedOrder {
    fn write(&self, out: &mut Writer) {
        out.put(&self.log.0).put(&self.order.0).put(&self.leaf.0).put(&self.document.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(ApprovedOrder {
            log: LogId::read(reader)?,
            order: VersionId::read(reader)?,
            leaf: Digest::read(reader)?,
            document: Address::read(reader)?,
        })
    }
}

/// Who agreed, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// the person's key
    pub key: PublicKey,
    /// by the person's clock, in milliseconds since 1970
    pub decided_ms: u64,
    /// over the order and the moment
    pub signature: Signature,
}

impl Approval {
    /// Agrees to an order.
    pub fn sign(order: &ApprovedOrder, decided_ms: u64, key: &SigningKey) -> Self {
        let signature = key.sign(Domain::Approval, &signed_bytes(order, decided_ms));
        Approval { key: key.public(), decided_ms, signature }
    }

    /// Refuses an approval of another order, or by another key than it names.
    pub fn verify(&self, order: &ApprovedOrder) -> Result<()> {
        self.key.verify(Domain::Approval, &signed_bytes(order, self.decided_ms), &self.signature)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        self.key.write(out);
        out.u64(self.decided_ms).put(&self.signature.0);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        let key = PublicKey::read(reader)?;
        Ok(Approval { key, decided_ms: reader.u64("moment of the approval")?, signature: Signature::read(reader)? })
    }
}

fn signed_bytes(order: &ApprovedOrder, decided_ms: u64) -> Vec<u8> {
    let mut out = Writer::with_capacity(128);
    order.write(&mut out);
    out.u64(decided_ms);
    out.finish()
}

/// An approval with the order it is of, as a person hands it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalFile {
    /// the order
    pub order: ApprovedOrder,
    /// who agrees to it
    pub approval: Approval,
}

impl ApprovalFile {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(256);
        out.put(&MAGIC).u8(VERSION).zeros(3);
        self.order.write(&mut out);
        self.approval.write(&mut out);
        out.finish()
    }

    /// Reads a file and verifies its signature; whose key it is, and whether there is such an order, is for the reader.
    pub fn verify(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes, "approval");
        if reader.array::<4>("approval magic")? != MAGIC {
            return Err(Error::Magic { what: "approval" });
        }
        match reader.u8("approval version")? {
            VERSION => {}
            found => return Err(Error::Version { what: "approval", found, known: VERSION }),
        }
        reader.zeros(3, "reserved bytes of the approval")?;
        let file = ApprovalFile { order: ApprovedOrder::read(&mut reader)?, approval: Approval::read(&mut reader)? };
        reader.finish()?;
        file.approval.verify(&file.order)?;
        Ok(file)
    }
}
