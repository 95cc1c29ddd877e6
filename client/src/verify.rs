//! Proving a record: that its entry is in the ledger where it was said to be, that the ledger continues the one
//! remembered, that everything the entry names is held, and on demand that the content is what was stored.

use crate::hashing::Digests;
use crate::open::Opened;
use crate::retry::repeat;
use crate::scan_report::marked;
use crate::task::blocking;
use crate::{Client, Error, OpenObject, Result, SignatureProof};
use futures::StreamExt as _;
use serde::Serialize;
use shosoin_protocol::limits::ADDRESS_QUERY_MAX;
use shosoin_protocol::malware::MalwareReport;
use shosoin_protocol::manifest::{AddressList, PartFact};
use shosoin_protocol::receipt::{Durable, Receipt};
use shosoin_protocol::{Address, VersionId};
use std::sync::Arc;

/// How deep to go.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyOptions {
    /// fetch and open every chunk and compare the digests of the parts
    pub content: bool,
}

/// What was proved of one version. Everything in it was checked; a check that fails is an error instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// version id, hex
    pub version: String,
    /// place of its entry in the ledger
    pub leaf_index: u64,
    /// hash of its entry as a leaf, hex
    pub leaf: String,
    /// device that signed it, hex
    pub device: String,
    /// its place among the entries of that device
    pub device_seq: u64,
    /// the vault's clock when it was accepted, in milliseconds since 1970
    pub accepted_ms: u64,
    /// leaves of the signed ledger head that the entry was proved to be in, and that continues the one remembered
    pub ledger_size: u64,
    /// root of that head, hex
    pub ledger_root: String,
    /// records the version depends on besides its manifest root, all held by the vault
    pub addresses: u64,
    /// sealed bytes of them and of the manifest root
    pub stored_bytes: u64,
    /// bytes of plain text
    pub size_bytes: u64,
    /// ETag, without quotes
    pub etag: String,
    /// the parts whose content was read and compared; none where that was not asked for
    pub parts: Option<Vec<PartProof>>,
    /// what the scanner said of its content, where it was scanned
    pub scan: Option<ScanProof>,
    /// what the signature says that the document brought, if it did; verified over the content where that was read
    pub signature: Option<SignatureProof>,
    /// what a kept receipt says, where one was given
    pub receipt: Option<ReceiptProof>,
}

/// A malware report that the depositing device signed, of exactly this content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanProof {
    /// clean, or not-scannable where only its pieces were
    pub result: &'static str,
    /// engine and number of its definitions
    pub engine: String,
    /// when the definitions were made, in milliseconds since 1970
    pub definitions_ms: u64,
    /// when it was scanned, in milliseconds since 1970
    pub scanned_ms: u64,
}

/// A receipt that was kept: the vault signed it for this very entry, under a head that today's ledger continues.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptProof {
    /// 1: synced on k + m volumes of one site (D1); 2: on both sites (D2)
    pub level: u8,
    /// sites
    pub sites: u8,
    /// data shards
    pub k: u8,
    /// parity shards
    pub m: u8,
    /// leaves of the ledger when the receipt was signed
    pub ledger_size: u64,
}

/// A part whose every chunk was fetched, verified and opened, and whose digests are those of its facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartProof {
    /// part number
    pub number: u16,
    /// bytes of plain text
    pub size_bytes: u64,
    /// digest of the plain text, hex
    pub plain_digest: String,
    /// MD5 of the plain text, hex
    pub md5: String,
}

impl Client {
    /// Proves a version, `None` meaning the newest. Nothing that was opened before is trusted.
    pub async fn verify(
        &self,
        bucket: &str,
        name: &str,
        version: Option<VersionId>,
        options: VerifyOptions,
    ) -> Result<Proof> {
        let row = self.object_row(bucket, name, version)?;
        let opened = Arc::new(self.inner.open_anew(&row).await?);
        self.verify_addresses(&opened).await?;
        let object = OpenObject { inner: self.inner.clone(), opened: opened.clone() };
        let parts = match options.content {
            true => Some(object.verify_parts().await?),
            false => None,
        };
        let signature = match options.content {
            true => object.verify_signature().await?,
            false => object.stored_signature(),
        };
        let scan = self.verify_scan(&opened).await?;
        let statement = opened.entry.statement();
        Ok(Proof {
            version: row.version.to_string(),
            leaf_index: row.leaf_index,
            leaf: row.leaf.to_string(),
            device: statement.device.to_string(),
            device_seq: statement.device_seq,
            accepted_ms: row.accepted_ms,
            ledger_size: opened.checkpoint.size,
            ledger_root: opened.checkpoint.root.to_string(),
            addresses: opened.deposit.address_count.into(),
            stored_bytes: opened.deposit.stored_bytes,
            size_bytes: opened.facts.size_bytes,
            etag: row.object().map(|(_, etag)| etag.to_owned()).unwrap_or_default(),
            parts,
            scan,
            signature,
            receipt: None,
        })
    }

    /// The malware report is signed by the device of the entry, and its mark is that of this content.
    async fn verify_scan(&self, opened: &Opened) -> Result<Option<ScanProof>> {
        let Some(address) = opened.deposit.report else { return Ok(None) };
        let version = opened.version();
        let bytes = self.inner.record(version, "its malware report", address).await?;
        let answer = |source| Error::Answer { operation: "a malware report", source };
        let device = opened.entry.statement().device;
        let row = self.inner.view.device(device)?.ok_or_else(|| Error::Contradiction {
            operation: "a malware report",
            why: format!("device {device} was never enrolled"),
        })?;
        let report = MalwareReport::verify(&bytes, &row.key).map_err(answer)?;
        // a machine that only deposits has no key under the root to mark with
        let expected = match self.inner.view.role(device)? {
            Some(_) => opened.mark,
            None => Some(self.inner.keyring.content_mark(version, &marked(&opened.facts))),
        };
        if report.version != version || Some(report.content) != expected {
            return Err(Error::Damaged { version, why: "its malware report is of another content".to_owned() });
        }
        Ok(Some(ScanProof {
            result: report.result.name(),
            engine: report.engine.to_string(),
            definitions_ms: report.engine.definitions_ms,
            scanned_ms: report.scanned_ms,
        }))
    }

    /// Proves a receipt that was kept for a version, `None` meaning the newest.
    pub async fn verify_receipt(
        &self,
        bucket: &str,
        name: &str,
        version: Option<VersionId>,
        receipt: &[u8],
    ) -> Result<ReceiptProof> {
        let answer = |source| Error::Answer { operation: "a kept receipt", source };
        let row = self.object_row(bucket, name, version)?;
        let receipt = Receipt::decode(receipt).map_err(answer)?;
        let checkpoint = receipt.verify(&row.leaf, self.inner.ledger.identity().key_of(&receipt)).map_err(answer)?;
        if receipt.inclusion.index != row.leaf_index {
            let why =
                format!("it is for place {}, the ledger has the entry at {}", receipt.inclusion.index, row.leaf_index);
            return Err(Error::Contradiction { operation: "a kept receipt", why });
        }
        self.inner.ledger.confirm(&receipt.inclusion.checkpoint, 0).await?;
        let Durable { level, sites, k, m } = receipt.durable;
        Ok(ReceiptProof { level, sites, k, m, ledger_size: checkpoint.size })
    }

    /// The address list is the one the entry commits to, it is complete, and the vault holds all of it.
    async fn verify_addresses(&self, opened: &Arc<Opened>) -> Result<()> {
        let version = opened.version();
        let damaged = |why: &str| Error::Damaged { version, why: why.to_owned() };
        let stored = self.inner.record(version, "its address list", opened.deposit.address_list).await?;
        let known = opened.clone();
        let list = blocking("checking an address list", move || {
            let answer = |source| Error::Answer { operation: "an address list", source };
            let list = AddressList::decode(&stored).map_err(answer)?;
            let named = known.chunks.iter().map(|chunk| chunk.address).chain(known.pages.iter().copied());
            Ok((AddressList::new(named.collect()) == list && list.root() == known.deposit.address_root).then_some(list))
        });
        let list = list.await?.ok_or_else(|| damaged("its address list is not what its manifest names"))?;
        if list.addresses().len() as u64 != u64::from(opened.deposit.address_count) {
            return Err(damaged("its address list is not as long as its entry says"));
        }
        for addresses in list.addresses().chunks(ADDRESS_QUERY_MAX) {
            self.verify_held(version, addresses).await?;
        }
        Ok(())
    }

    async fn verify_held(&self, version: VersionId, addresses: &[Address]) -> Result<()> {
        let missing = repeat(|| self.inner.transport.missing(addresses)).await?;
        if missing.len() != addresses.len() {
            let why = format!("{} answers for {} addresses", missing.len(), addresses.len());
            return Err(Error::Contradiction { operation: "which records are missing", why });
        }
        match missing.iter().zip(addresses).find(|(missing, _)| **missing) {
            Some((_, address)) => Err(Error::Damaged { version, why: format!("the vault lacks record {address}") }),
            None => Ok(()),
        }
    }
}

impl OpenObject {
    async fn verify_parts(&self) -> Result<Vec<PartProof>> {
        let mut proofs = Vec::with_capacity(self.facts().parts.len());
        let mut begin = 0;
        for fact in &self.facts().parts {
            proofs.push(self.verify_part(begin, fact).await?);
            begin += fact.size_bytes;
        }
        Ok(proofs)
    }

    async fn verify_part(&self, begin: u64, fact: &PartFact) -> Result<PartProof> {
        let mut digests = Digests::new(self.inner.keyring.suite());
        let mut plain = self.read(begin..begin + fact.size_bytes);
        while let Some(bytes) = plain.next().await {
            digests = digests.add(bytes?).await?;
        }
        let (md5, plain_digest) = digests.finish();
        if (md5, plain_digest) != (fact.md5, fact.plain_digest) {
            let why = format!("part {} has another digest than was stored", fact.number);
            return Err(Error::Damaged { version: self.version(), why });
        }
        let (number, size_bytes) = (fact.number, fact.size_bytes);
        Ok(PartProof { number, size_bytes, plain_digest: plain_digest.to_string(), md5: hex::encode(md5) })
    }
}
