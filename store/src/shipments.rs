//! Media that arrive by courier: announced by the hospital, received by people, checked by a station without any connection, taken
//! in like deposits over a line, and then disposed of (guideline 3.3, 7.6.8-M3).
//!
//! | step | what is demanded | what stays of it |
//! |---|---|---|
//! | announced | number, kinds and seals of the media, who carries them, when | a file, the audit log |
//! | received | who carried them was checked; number, kinds and seals are those announced | the audit log |
//! | taken | a clean result of a known station, fresh, without connection, about exactly these bytes; intake agrees | ledger entries, a receipt for each |
//! | disposed | every medium, by a named worker | the audit log |
//!
//! Invariants
//! - No step is left out, and none is taken back.
//! - Nothing is believed of a medium: bytes are compared with its manifest, the manifest with the result, deposits go through the same
//!   intake as all others. Only the age of the malware scan counts up to when the medium was packed, because couriers take days.
//! - A shipment that is not what was announced stays announced, and the audit log says what was wrong.
//!
//! Not here: reading the medium for malware (`shosoin intake media check`), and the courier.

mod command;
mod file;

pub use command::ShipmentCommand;
pub use file::{AnnouncedMedium, MediumStep, Shipment};

use crate::audit::{Action, AuditEvent, Outcome};
use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::intake::Prepared;
use crate::vault::{Inner, Vault, blocking};
use bytes::Bytes;
use shosoin_protocol::act::agreement::Terms;
use shosoin_protocol::api::{DepositBatch, DepositReplies, DepositRequest};
use shosoin_protocol::entry::Entry;
use shosoin_protocol::medium::{FOLDER, MediumCheck, MediumManifest, MediumVerdict};
use shosoin_protocol::receipt::Receipt;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Address, LogId, VersionId};
use shosoin_tiers::durable;
use shosoin_tiers::media::{FileMedia, FileOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Milliseconds of an hour.
const HOUR_MS: u64 = 60 * 60 * 1000;
/// Longest manifest, in bytes: as many chunks and batches as there may be.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// Longest result of a station, in bytes.
const CHECK_BYTES_MAX: u64 = 4096;

/// What was taken from a medium.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// chunks and pages that came
    pub chunks: u64,
    /// deposits that have a receipt
    pub deposits: u64,
    /// deposits that were refused, and why
    pub refused: Vec<String>,
    /// bytes read
    pub bytes: u64,
}

impl Inner {
    /// A medium whose manifest, result and shipment belong together, ready to be read.
    fn judge_medium(&self, desk: &Desk, medium: &Path, check: &Path) -> Result<Judged> {
        let (hospital, now_ms) = (desk.info().hospital, self.clock.now_ms());
        let bytes = read_file(&medium.join(FOLDER).join("manifest"), MANIFEST_BYTES_MAX)?;
        let refused = |what| move |source| Error::Malformed { what, source };
        let manifest = MediumManifest::verify(&bytes, &desk.info().hospital_key).map_err(refused("medium"))?;
        let check =
            MediumCheck::verify(&read_file(check, CHECK_BYTES_MAX)?).map_err(refused("result of the station"))?;
        let wrong = |why: &'static str| Err(Error::Invalid { what: "medium", why });
        if manifest.hospital != hospital || manifest.log != LogId::of(self.identity.vault(), hospital) {
            return wrong("it is of another hospital, or for another vault");
        }
        if check.manifest != MediumManifest::digest_of(&bytes) || check.place != manifest.place {
            return wrong("the result of the station is about another medium");
        }
        if !self.is_station(&check.station) {
            return wrong("the station that checked it is not in `intake.stations` of vault.toml");
        }
        if check.connected {
            return wrong("the station was connected to something while it checked it (3.3-P3)");
        }
        if check.verdict != MediumVerdict::Clean {
            let (what, why) = ("medium", check.verdict.name());
            return Err(Error::Unclean { what, why });
        }
        let terms = desk.agreements().for_content(now_ms)?;
        if let Some(terms) = &terms {
            if !terms.routes.media {
                return wrong("the agreement in force has no media among its routes");
            }
            is_fresh(terms, &check, now_ms)?;
        }
        let shipment = self.shipment(manifest.place.shipment)?;
        let announced = shipment.of_hospital(hospital)?.medium(manifest.place.number)?;
        if shipment.media.len() != usize::from(manifest.place.of) || announced.kind != manifest.kind {
            return wrong("its number or kind is not what was announced");
        }
        match announced.step {
            MediumStep::Received => Ok(Judged { manifest, shipment }),
            MediumStep::Announced => wrong("nobody has received its shipment yet"),
            MediumStep::Taken | MediumStep::Disposed => wrong("it was taken in before"),
        }
    }

    fn is_station(&self, key: &PublicKey) -> bool {
        let key = key.to_string();
        self.config.intake.stations.contains(&key)
    }

    fn note_shipment(
        &self,
        actor: &str,
        action: Action,
        shipment: &Shipment,
        reason: &str,
        ended: Outcome,
    ) -> Result<()> {
        let mut event = AuditEvent::new(self.clock.now_ms(), actor, action).ended(ended);
        (event.hospital, event.units) = (Some(shipment.hospital), shipment.media.len() as u64);
        let reason: String = format!("{} {reason}", shipment.id).chars().take(200).collect();
        self.media.record(event.because(reason)).map(drop)
    }
}

/// A medium that may be read.
struct Judged {
    manifest: MediumManifest,
    shipment: Shipment,
}

/// The definitions were as new as agreed when the station looked, and that was not too long ago.
fn is_fresh(terms: &Terms, check: &MediumCheck, now_ms: u64) -> Result<()> {
    let limit_ms = |hours: u32| u64::from(hours).max(1) * HOUR_MS;
    let definitions_ms = check.checked_ms.saturating_sub(check.engine.definitions_ms);
    let why = match check {
        _ if definitions_ms >= limit_ms(terms.scan.definitions_hours_max) => {
            "the definitions of the station were older than was agreed on"
        }
        _ if now_ms.saturating_sub(check.checked_ms) >= limit_ms(terms.scan.packed_hours_max) => {
            "its check is older than was agreed on"
        }
        _ if check.checked_ms > now_ms.saturating_add(HOUR_MS) => "its check is in the future",
        _ => return Ok(()),
    };
    Err(Error::Unclean { what: "medium", why })
}

/// A file that is no longer than it may be.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let len = std::fs::symlink_metadata(path).map_err(failed)?.len();
    match len <= limit {
        true => std::fs::read(path).map_err(failed),
        false => {
            let over = shosoin_protocol::Error::OverLimit { what: "file of the medium", found: len, limit };
            Err(Error::Malformed { what: "medium", source: over })
        }
    }
}

impl Vault {
    /// Takes a medium in: every chunk and every deposit of it goes through intake. A receipt for each deposit is written to
    /// `receipts`, as `put --receipt` keeps it.
    async fn take_medium(&self, desk: Arc<Desk>, places: Places, actor: String) -> Result<Taken> {
        let inner = self.inner.clone();
        let (judging, paths) = (desk.clone(), places.clone());
        let judged = blocking(move || inner.judge_medium(&judging, &paths.medium, &paths.check)).await;
        let Judged { manifest, mut shipment } = match judged {
            Ok(judged) => judged,
            Err(error) => {
                let mut event = AuditEvent::new(self.inner.clock.now_ms(), actor, Action::MediumTaken);
                event.hospital = Some(desk.info().hospital);
                let reason: String = error.problem().message.chars().take(200).collect();
                self.inner.media.record(event.ended(Outcome::Refused).because(reason))?;
                return Err(error);
            }
        };
        let number = manifest.place.number;
        let noted = |ended: Outcome, taken: &Taken, why: &str| {
            let mut event = AuditEvent::new(self.inner.clock.now_ms(), &actor, Action::MediumTaken).ended(ended);
            (event.hospital, event.bytes, event.units) = (Some(manifest.hospital), taken.bytes, taken.deposits);
            let why: String = format!("{} medium {number} {why}", shipment.id).chars().take(200).collect();
            self.inner.media.record(event.because(why.trim_end()))
        };
        let mut taken = Taken::default();
        noted(Outcome::Begun, &taken, "")?;
        if let Err(error) = self.take_judged(&desk, &places, &manifest, &mut taken).await {
            noted(Outcome::Failed, &taken, &error.problem().message)?;
            return Err(error);
        }
        let ended = if taken.refused.is_empty() { Outcome::Done } else { Outcome::Findings };
        noted(ended, &taken, "")?;
        if ended == Outcome::Done {
            shipment.step(number, MediumStep::Taken, self.inner.clock.now_ms())?;
            self.inner.keep_shipment(&shipment)?;
        }
        Ok(taken)
    }

    /// Every chunk, then every batch.
    async fn take_judged(
        &self,
        desk: &Arc<Desk>,
        places: &Places,
        manifest: &MediumManifest,
        taken: &mut Taken,
    ) -> Result<()> {
        let folder = places.medium.join(FOLDER);
        for (address, len) in &manifest.chunks {
            let bytes = read_exactly(folder.join(MediumManifest::chunk_file(address)), *len).await?;
            taken.bytes += u64::from(*len);
            self.take_chunk(desk, *address, bytes.into()).await?;
            taken.chunks += 1;
        }
        for (number, batch) in manifest.batches.iter().enumerate() {
            let bytes = read_exactly(folder.join(MediumManifest::batch_file(number)), batch.len).await?;
            if sha256(&[&bytes]) != batch.digest {
                return Err(Error::Invalid { what: "medium", why: "a batch on it is not what its manifest says" });
            }
            taken.bytes += u64::from(batch.len);
            let batch =
                DepositBatch::decode(&bytes.into()).map_err(|source| Error::Malformed { what: "batch", source })?;
            self.take_batch(desk, batch, manifest, &places.receipts, taken).await?;
        }
        Ok(())
    }

    async fn take_batch(
        &self,
        desk: &Arc<Desk>,
        batch: DepositBatch,
        manifest: &MediumManifest,
        receipts: &Path,
        taken: &mut Taken,
    ) -> Result<()> {
        let (inner, whole, looking, folder) = (self.inner.clone(), batch, desk.clone(), receipts.to_owned());
        let (deposits, already) = blocking(move || {
            let (deposits, there) = not_there(&looking, whole.deposits);
            for version in &there {
                let receipt = looking.receipt_again(&inner.tier, *version)?;
                write_receipt(&folder, &version.to_string(), &receipt)?;
            }
            Ok((deposits, there.len() as u64))
        })
        .await?;
        taken.deposits += already; // a kill came between them and the last step
        if deposits.is_empty() {
            return Ok(());
        }
        let batch = DepositBatch { deposits };
        let entries: Vec<Bytes> = batch.deposits.iter().map(|deposit| deposit.entry.clone()).collect();
        let replies = self.take_deposits(desk, batch, Some(manifest.packed_ms)).await?;
        for (entry, reply) in entries.iter().zip(replies.replies) {
            let id = Entry::decode(entry).ok().and_then(|entry| entry.body().id());
            let name = id.map_or_else(|| format!("{}", taken.deposits), |id| id.to_string());
            match reply {
                Ok(receipt) => {
                    taken.deposits += 1;
                    let folder = receipts.to_owned();
                    blocking(move || write_receipt(&folder, &name, &receipt)).await?;
                }
                Err(problem) => taken.refused.push(format!("{name}: {}", problem.message)),
            }
        }
        Ok(())
    }

    /// Stores a chunk, wherever it came from.
    pub(crate) async fn take_chunk(&self, desk: &Arc<Desk>, address: Address, bytes: Bytes) -> Result<()> {
        let _room = self.room(bytes.len()).await?;
        let (inner, judging) = (self.inner.clone(), desk.clone());
        match blocking(move || inner.judged_chunk(&judging, address, bytes)).await? {
            Some(record) => desk.committer().store(record).await,
            None => Ok(()),
        }
    }

    /// Takes deposits, wherever they came from; `packed_ms` is when the medium was packed that they came on.
    pub(crate) async fn take_deposits(
        &self,
        desk: &Arc<Desk>,
        batch: DepositBatch,
        packed_ms: Option<u64>,
    ) -> Result<DepositReplies> {
        let records = batch.deposits.iter().flat_map(|deposit| &deposit.records);
        let _room = self.room(records.map(|record| record.bytes.len()).sum()).await?;
        let ticket = self.inner.in_flight.begin();
        let (inner, judging) = (self.inner.clone(), desk.clone());
        let prepared: Vec<Result<Prepared>> =
            blocking(move || Ok(inner.judged_deposits(&judging, &batch.deposits, packed_ms))).await?;
        let places = desk.committer().deposit(prepared, ticket).await?;
        let answering = desk.clone();
        blocking(move || Ok(answering.receipts(places))).await
    }
}

/// Where a medium, the result about it and the receipts for it are.
#[derive(Debug, Clone)]
struct Places {
    medium: PathBuf,
    check: PathBuf,
    receipts: PathBuf,
}

/// The deposits that the ledger does not have yet, and the versions of those that it has.
fn not_there(desk: &Desk, deposits: Vec<DepositRequest>) -> (Vec<DepositRequest>, Vec<VersionId>) {
    let (mut left, mut there) = (Vec::new(), Vec::new());
    for deposit in deposits {
        let id = Entry::decode(&deposit.entry).ok().and_then(|entry| entry.body().id());
        match id.filter(|id| desk.version(*id).is_ok_and(|reply| reply.entry == deposit.entry)) {
            Some(id) => there.push(id),
            None => left.push(deposit),
        }
    }
    (left, there)
}

async fn read_exactly(path: PathBuf, len: u32) -> Result<Vec<u8>> {
    blocking(move || {
        let bytes = read_file(&path, len.into())?;
        match bytes.len() == len as usize {
            true => Ok(bytes),
            false => Err(Error::Invalid { what: "medium", why: "a file on it is shorter than its manifest says" }),
        }
    })
    .await
}

/// Whole or not there: one that a kill cut would be taken for a bad one.
fn write_receipt(folder: &Path, name: &str, receipt: &Receipt) -> Result<()> {
    let folder = FileMedia::open(folder, FileOptions { exclusive: false, ..FileOptions::default() })?;
    Ok(durable::replace(&folder, &format!("{name}.receipt"), &receipt.encode())?)
}
