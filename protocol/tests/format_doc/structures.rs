//! One value of each structure, encoded by the real code, and the bytes that each field should be.
//!
//! Fields hold values that differ, so a field at another's place shows.

mod documents;
mod entries;
mod exchange;
mod proofs;
mod sealed;

use super::table::Structure;
use bytes::Bytes;
use shosoin_protocol::act::agreement::*;
use shosoin_protocol::act::{
    Act, ActKind, Custody, DeviceRole, Document, Epoch, EpochReason, Export, ExportScope, Hold, HoldReason, Incident,
    IncidentClass, KeySource, Lock, LockMode, MonthReport, QuarantineIn, QuarantineOut, QuarantineOutcome,
    QuarantineReason, QuarantinedThing, Release, Remark, RemarkWord, Reopened, Reseal, Retain, RetentionChange, Rewrap,
    Role, Severity, Snapshot, SnapshotPiece, StopCause, Stopped, SuitePolicy, TransferFailure, Versions, WitnessRule,
};
use shosoin_protocol::answer::{Answer, Outcome, Said};
use shosoin_protocol::api::{
    DepositBatch, DepositReplies, DepositRequest, DeviceReply, Enrolment, InlineRecord, LogItem, LogPage, Problem,
    VersionReply, WrapsReply, encode_addresses, encode_versions,
};
use shosoin_protocol::bucket_rules::{BucketRules, DefaultLock, LifecycleRule, LockPeriod};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::codec::Writer;
use shosoin_protocol::entry::{Body, Deposit, DeviceChange, Entry, Expected, NameChange, PlacedEntry, Seen, Statement};
use shosoin_protocol::envelope::{Context, Encapsulated, HEADER_LEN, write_aad};
use shosoin_protocol::malware::{Engine, MalwareReport, ScanResult};
use shosoin_protocol::manifest::*;
use shosoin_protocol::medium::{MediumBatch, MediumCheck, MediumKind, MediumManifest, MediumPlace, MediumVerdict};
use shosoin_protocol::note::{KeyUse, VerifierKey};
use shosoin_protocol::package::{Package, PackageFile, PackageState};
use shosoin_protocol::policy::{DepositPolicy, Label, RecordType, Retention};
use shosoin_protocol::quarantine::{EvidenceHead, EvidenceRecord};
use shosoin_protocol::receipt::{Durable, Inclusion, Receipt};
use shosoin_protocol::reconciliation::{Account, Amount, Reconciliation};
use shosoin_protocol::sign::{Domain, SigningKey};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{
    Address, DeviceId, Digest, HospitalId, LogId, NameToken, RecordKind, Suite, VaultId, VersionId,
};

use documents::*;
use entries::*;
use exchange::*;
use proofs::*;
use sealed::*;

pub(super) type Fields = Vec<(&'static str, Vec<u8>)>;

pub(super) fn whole(encoded: Vec<u8>, fields: Fields) -> Structure {
    let ends_at = encoded.len();
    Structure { encoded, begins_at: 0, ends_at, fields }
}

pub(super) fn part(encoded: Vec<u8>, begins_at: usize, ends_at: usize, fields: Fields) -> Structure {
    Structure { encoded, begins_at, ends_at, fields }
}

/// Every structure this crate encodes, by the title of its table.
pub fn all() -> Vec<(&'static str, Structure)> {
    let mut all = envelopes();
    all.extend(facts_and_manifests());
    all.extend(summaries());
    all.extend(entries());
    all.extend(documents());
    all.extend(receipts());
    all.extend(messages());
    all.push(reconciliation());
    all.push(malware_report());
    all.push(audit_answer());
    all.extend(packages());
    all.extend(handovers());
    all.extend(shares());
    all
}

pub(super) fn var(bytes: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.var(bytes);
    out.finish()
}

pub(super) fn counted(count: u32, pieces: &[&[u8]]) -> Vec<u8> {
    [&count.to_le_bytes(), pieces.concat().as_slice()].concat()
}

pub(super) fn u32(value: u32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

pub(super) fn u64(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

pub(super) const VERSION: VersionId = VersionId([0xa1; 16]);
pub(super) const HOSPITAL: HospitalId = HospitalId([0xa2; 16]);
pub(super) const LOG: LogId = LogId([0xa3; 16]);
pub(super) const TIME: u64 = 0x0102_0304_0506_0708;

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Suite::Default, &[seed; 32].into()).expect("a constant that is a scalar")
}

pub(super) fn public(seed: u8) -> Vec<u8> {
    let mut out = Writer::new();
    key(seed).public().write(&mut out);
    out.finish()
}

const PLACE: MediumPlace = MediumPlace { shipment: VERSION, number: 2, of: 3 };
