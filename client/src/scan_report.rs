//! The malware report of a deposit: made of what the scanner said of its content, scanned once more as a whole where it came
//! in parts, was copied, or was scanned too long ago.

use crate::clock::now_ms;
use crate::scan::{Demand, ScanPlan, Scanned};
use crate::{Client, Error, Part, Result, fetch};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use shosoin_keyring::{Keyring, MarkedPart};
use shosoin_protocol::act::agreement::{Scanning, Terms};
use shosoin_protocol::malware::{MalwareReport, ScanResult};
use shosoin_protocol::manifest::ObjectFacts;
use shosoin_protocol::{Digest, VersionId};

/// Chunks that are read back at a time.
const CHUNKS_AHEAD: usize = 2;
/// Milliseconds of an hour.
const HOUR_MS: u64 = 60 * 60 * 1000;
/// Hours that a scan may be old where no agreement says it.
const SCAN_HOURS_DEFAULT: u32 = 24;

impl Client {
    /// How contents are scanned here: as the agreement in force demands, and also without one wherever a scanner is set up.
    pub(crate) fn scan_plan(&self) -> Result<Option<ScanPlan>> {
        let terms = self.terms()?;
        let demanded = terms.as_ref().map(|terms| terms.scan).filter(|scan| scan.scanning != Scanning::Off);
        match (&self.inner.scanner, demanded) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(Error::Scan(crate::scan::ScanError::Missing)),
            (Some(scanner), demanded) => {
                let demand = Demand {
                    definitions_hours_max: demanded.map_or(u32::MAX, |scan| scan.definitions_hours_max),
                    in_pieces: demanded.is_none_or(|scan| scan.scanning == Scanning::RequiredInPieces),
                };
                Ok(Some(ScanPlan { scanner: scanner.clone(), demand }))
            }
        }
    }

    /// What the scanner says of the content of a version that is about to be deposited; nothing where contents are not scanned.
    pub(crate) async fn scanned(&self, version: VersionId, parts: &[Part]) -> Result<Option<Scanned>> {
        let Some(plan) = self.scan_plan()? else { return Ok(None) };
        let hours = self.terms()?.map_or(SCAN_HOURS_DEFAULT, |terms: Terms| terms.scan.scan_hours_max);
        let oldest_ms = now_ms().saturating_sub(u64::from(hours) * HOUR_MS / 2); // some of the time is for what follows
        let fresh = |scanned: &Scanned| scanned.scanned_ms >= oldest_ms;
        let one_by_one: Option<Vec<Scanned>> = parts.iter().map(|part| part.content.scanned.filter(fresh)).collect();
        let size_bytes: u64 = parts.iter().map(|part| part.content.size_bytes).sum();
        match one_by_one {
            Some(scans) if scans.len() == 1 || size_bytes > plan.scanner.bytes_max() => {
                plan.may_be_this_long(size_bytes)?;
                Ok(together(&scans))
            }
            _ => self.scan_again(&plan, version, parts).await.map(Some),
        }
    }

    /// Reads the sealed chunks back, opens them, and scans the whole.
    async fn scan_again(&self, plan: &ScanPlan, version: VersionId, parts: &[Part]) -> Result<Scanned> {
        plan.may_be_this_long(parts.iter().map(|part| part.content.size_bytes).sum())?;
        let mut scan = plan.begin().await?;
        for part in parts {
            let mut plain = self.plain_of(version, part);
            while let Some(bytes) = plain.next().await {
                scan.push(&bytes?).await?;
            }
        }
        Ok(scan.finish().await?)
    }

    /// The plain text of a part: of chunks in the vault, and of those that travel with the deposit.
    pub(crate) fn plain_of(
        &self,
        version: VersionId,
        part: &Part,
    ) -> impl Stream<Item = Result<Bytes>> + Send + Unpin + use<> {
        let inner = self.inner.clone();
        let chunks: Vec<_> = part.content.chunks.iter().map(|piece| piece.chunk).collect();
        let inline = part.content.inline.clone();
        let read = move |(at, chunk)| {
            let (inner, inline) = (inner.clone(), inline.get(at).cloned());
            async move {
                match inline {
                    Some(sealed) => fetch::open_chunk(&inner, chunk, sealed).await,
                    None => fetch::fetch(&inner, version, chunk).await.map(|(plain, _)| plain),
                }
            }
        };
        Box::pin(stream::iter(chunks.into_iter().enumerate().map(read)).buffered(CHUNKS_AHEAD))
    }

    /// The signed report of a version whose content was scanned.
    pub(crate) fn malware_report(&self, version: VersionId, scanned: &Scanned, facts: &ObjectFacts) -> Vec<u8> {
        let keyring = &self.inner.keyring;
        signed_report(keyring, version, scanned, keyring.content_mark(version, &marked(facts)))
    }
}

/// What the device of this keyring says of a scan of a content with this mark.
pub(crate) fn signed_report(keyring: &Keyring, version: VersionId, scanned: &Scanned, content: Digest) -> Vec<u8> {
    let report = MalwareReport {
        suite: keyring.suite(),
        result: if scanned.pieces == 1 { ScanResult::Clean } else { ScanResult::NotScannable },
        hospital: keyring.hospital(),
        version,
        device: keyring.device_id(),
        engine: scanned.engine,
        pieces: scanned.pieces,
        scanned_ms: scanned.scanned_ms,
        content,
    };
    report.sign(keyring.device_key())
}

/// The parts of a content as its mark has them.
pub(crate) fn marked(facts: &ObjectFacts) -> Vec<MarkedPart> {
    let part = |part: &shosoin_protocol::manifest::PartFact| MarkedPart {
        size_bytes: part.size_bytes,
        plain_digest: part.plain_digest,
    };
    facts.parts.iter().map(part).collect()
}

/// Parts that were scanned one by one, as one scan: the oldest definitions and the oldest time count.
fn together(scans: &[Scanned]) -> Option<Scanned> {
    let engine = scans.iter().map(|scan| scan.engine).min_by_key(|engine| engine.definitions_ms)?;
    let scanned_ms = scans.iter().map(|scan| scan.scanned_ms).min()?;
    let pieces = scans.iter().map(|scan| scan.pieces).fold(0, u32::saturating_add);
    Some(Scanned { engine, scanned_ms, pieces })
}
