//! The rules that depend on the order of entries: devices and their chains, fresh ids, conditions on names. Judged by the
//! committer alone, against the rows as they will be once every entry before is in.

use crate::disposal::standing;
use crate::error::{Error, Result};
use crate::hospitals::HospitalInfo;
use crate::index::Pending;
use crate::rows::{
    self, ActRow, DeviceRow, DeviceState, EndedRow, EpochRow, LeafIndex, NameRow, RoleRow, Rows, ShareRow,
    SuitePolicyRow,
};
use shosoin_protocol::act::{Act, ActKind, Author, Document, Epoch, Remark, Role};
use shosoin_protocol::entry::{Body, DeviceChange, Entry, Expected, Statement};
use shosoin_protocol::{DeviceId, NameToken, VersionId};

/// Refuses an entry that may not come next, as leaf `index`. `vault` is the id of the key that signs acts of the operator,
/// `document` what the entry says where it is an act.
pub fn admit(
    rows: &Pending<'_>,
    hospital: &HospitalInfo,
    vault: DeviceId,
    index: u64,
    entry: &Entry,
    document: Option<&Document>,
) -> Result<()> {
    let statement = entry.statement();
    let signer = device(rows, hospital, statement.device)?;
    match &statement.body {
        Body::Device(change) if change.key.device_id() == vault => {
            return Err(Error::Invalid { what: "device", why: "its key is the vault's" });
        }
        Body::Device(change) => may_change_devices(rows, hospital, index, statement, &signer, change)?,
        Body::Act(act) if act.kind.author() == Author::Operator => of_operator(statement, vault, index)?,
        Body::Act(act) if act.kind.author() == Author::Either && statement.device == vault => {
            of_operator(statement, vault, index)?;
        }
        _ => enrolled(statement.device, &signer)?,
    }
    if let (Body::Deposit(_), Some(order)) = (&statement.body, standing::contract_ended_by(rows, hospital.hospital)?) {
        return Err(Error::ContractEnded { order });
    }
    in_its_role(rows, hospital, &statement.body, statement.device)?;
    next_in_chain(statement, &signer)?;
    before_the_end(rows, hospital, &statement.body)?;
    if let Body::Act(act) = &statement.body {
        of_handover(rows, hospital, &signer, act)?;
        of_share(rows, hospital, act)?;
    }
    if let Some(id) = statement.body.id() {
        fresh(rows, hospital, id)?;
    }
    match document {
        Some(Document::Remark(remark)) => of_a_report(rows, hospital, remark)?,
        Some(Document::Epoch(epoch)) => next_epoch(rows, hospital, epoch)?,
        Some(Document::DeviceRole(stated)) => before_it_joins(rows, hospital, stated.device)?,
        _ => {}
    }
    let policy = rows.row::<SuitePolicyRow>(&rows::suite_policy_key(hospital.hospital))?.map(|row| row.policy);
    match (&statement.body, document, policy) {
        (Body::Act(_), Some(Document::SuitePolicy(next)), Some(before)) => {
            next.may_follow(&before)
                .map_err(|_| Error::Invalid { what: "suite policy", why: "it takes back what was demanded" })?;
        }
        (Body::Deposit(_), _, Some(policy)) if !policy.takes(statement.suite) => {
            return Err(Error::BelowSuite { suite: statement.suite.code(), minimum: policy.minimum.code() });
        }
        _ => {}
    }
    match statement.body.name_change() {
        Some((_, expected, token)) => as_expected(rows, hospital, expected, token),
        None => Ok(()),
    }
}

/// The log begins with a device of the hospital, never with an act of the operator.
fn of_operator(statement: &Statement, vault: DeviceId, index: u64) -> Result<()> {
    match statement.device == vault && index > 0 {
        true => Ok(()),
        false => Err(Error::UnknownDevice { device: statement.device, why: "may not state an act of the operator" }),
    }
}

/// A device that only deposits signs deposits, and nothing else.
fn in_its_role(rows: &Pending<'_>, hospital: &HospitalInfo, body: &Body, device: DeviceId) -> Result<()> {
    let role = rows.row::<RoleRow>(&rows::role_key(hospital.hospital, device))?.map(|row| row.role);
    match (role, body) {
        (Some(Role::DepositOnly), Body::Deposit(_)) | (None, _) => Ok(()),
        (Some(Role::DepositOnly), _) => Err(Error::OnlyDeposits { device }),
    }
}

/// A role is stated before its device joins, and once, so that there is no moment at which it may do more.
fn before_it_joins(rows: &Pending<'_>, hospital: &HospitalInfo, of: DeviceId) -> Result<()> {
    let role = rows.row::<RoleRow>(&rows::role_key(hospital.hospital, of))?;
    match (role, device(rows, hospital, of)?.state) {
        (None, DeviceState::Unknown) => Ok(()),
        _ => Err(Error::Invalid { what: "device role", why: "it must be stated before the device joins, and once" }),
    }
}

/// Epochs are numbered without a gap: of two machines that begin one at the same time, one is refused.
fn next_epoch(rows: &Pending<'_>, hospital: &HospitalInfo, epoch: &Epoch) -> Result<()> {
    let newest = rows.row::<EpochRow>(&rows::epoch_key(hospital.hospital))?.unwrap_or_default().0;
    match newest.checked_add(1) == Some(epoch.number) {
        true => Ok(()),
        false => Err(Error::EpochOutOfOrder { newest, found: epoch.number }),
    }
}

/// A hospital remarks on a report that is on the record.
fn of_a_report(rows: &Pending<'_>, hospital: &HospitalInfo, remark: &Remark) -> Result<()> {
    let place = rows.row::<LeafIndex>(&rows::version_key(hospital.hospital, remark.report))?;
    let act = match place {
        Some(LeafIndex(leaf)) => rows.row::<ActRow>(&rows::act_key(hospital.hospital, leaf))?,
        None => None,
    };
    match act.is_some_and(|row| row.act.kind == ActKind::Report) {
        true => Ok(()),
        false => Err(Error::Invalid { what: "remark", why: "there is no report of that id" }),
    }
}

/// A hospital accepts a grant of another once, and ends what it granted or accepted once.
fn of_share(rows: &Pending<'_>, hospital: &HospitalInfo, act: &Act) -> Result<()> {
    let row = |grant| rows.row::<ShareRow>(&rows::share_key(hospital.hospital, grant));
    let why = match (act.kind, act.subject) {
        (ActKind::ShareGrant, Some(_)) => "a grant names its versions, and has no subject",
        (ActKind::ShareAccepted | ActKind::Unshare, None) => "its subject must be the grant",
        (ActKind::ShareAccepted, Some(grant)) if row(grant)?.is_some() => {
            "the grant was accepted, or is this hospital's own"
        }
        (ActKind::Unshare, Some(grant)) if !row(grant)?.is_some_and(|row| row.is_stated && !row.ended) => {
            "there is no such share, or it has ended"
        }
        _ => return Ok(()),
    };
    Err(Error::Invalid { what: "act about a share", why })
}

/// A log that ended takes what ends the relation, and devices.
fn before_the_end(rows: &Pending<'_>, hospital: &HospitalInfo, body: &Body) -> Result<()> {
    let comes_after = match body {
        Body::Act(act) => act.kind.comes_after_the_end(),
        Body::Device(_) => true,
        _ => false,
    };
    match rows.row::<EndedRow>(&rows::ended_key(hospital.hospital))? {
        Some(row) if row.ended && !comes_after => Err(Error::HandedOver { hospital: hospital.hospital }),
        _ => Ok(()),
    }
}

/// A log ends once until that is taken back, by the act that did it; and a vault takes one over with the first thing it says.
fn of_handover(rows: &Pending<'_>, hospital: &HospitalInfo, signer: &DeviceRow, act: &Act) -> Result<()> {
    let ended = || rows.row::<EndedRow>(&rows::ended_key(hospital.hospital));
    let why = match (act.kind, act.subject) {
        (ActKind::HandOverOut, None) if ended()?.is_some_and(|row| row.ended) => "the log has ended already",
        (ActKind::HandOverOut, Some(closing)) if !ended()?.is_some_and(|row| row.ended && row.act == closing) => {
            "it takes back what did not end the log"
        }
        (ActKind::HandOverIn, _) if signer.next_seq > 0 => "this vault has kept the log before",
        _ => return Ok(()),
    };
    Err(Error::Invalid { what: "act about a hand-over", why })
}

fn device(rows: &Pending<'_>, hospital: &HospitalInfo, device: DeviceId) -> Result<DeviceRow> {
    Ok(rows.row(&rows::device_key(hospital.hospital, device))?.unwrap_or_default())
}

fn enrolled(device: DeviceId, row: &DeviceRow) -> Result<()> {
    let why = match row.state {
        DeviceState::Enrolled => return Ok(()),
        DeviceState::Unknown => "is not enrolled",
        DeviceState::Revoked => "was revoked",
    };
    Err(Error::UnknownDevice { device, why })
}

/// The log begins with the device of the enrolment. After that a device joins with its own entry or another's, and
/// leaves with that of an enrolled one; one that was ever known never joins again, so that an old certificate cannot
/// be used twice.
fn may_change_devices(
    rows: &Pending<'_>,
    hospital: &HospitalInfo,
    index: u64,
    statement: &Statement,
    signer: &DeviceRow,
    change: &DeviceChange,
) -> Result<()> {
    let target = change.key.device_id();
    let first = hospital.device_key.device_id();
    if index == 0 && !(change.enrol && target == first && statement.device == first) {
        return Err(Error::UnknownDevice { device: target, why: "is not the one the enrolment begins the log with" });
    }
    let joins_itself = change.enrol && target == statement.device;
    if !joins_itself {
        enrolled(statement.device, signer)?;
    }
    match (change.enrol, device(rows, hospital, target)?.state) {
        (true, DeviceState::Unknown) | (false, DeviceState::Enrolled) => Ok(()),
        (true, DeviceState::Enrolled) => Err(Error::Invalid { what: "device", why: "it is enrolled already" }),
        (true, DeviceState::Revoked) => Err(Error::UnknownDevice { device: target, why: "was revoked" }),
        (false, _) => Err(Error::UnknownDevice { device: target, why: "is not enrolled" }),
    }
}

fn next_in_chain(statement: &Statement, signer: &DeviceRow) -> Result<()> {
    match statement.device_seq == signer.next_seq && statement.prev == signer.prev {
        true => Ok(()),
        false => Err(Error::OutOfSequence {
            device: statement.device,
            expected_seq: signer.next_seq,
            expected_prev: signer.prev,
            found_seq: statement.device_seq,
        }),
    }
}

fn fresh(rows: &Pending<'_>, hospital: &HospitalInfo, version: VersionId) -> Result<()> {
    match rows.row::<LeafIndex>(&rows::version_key(hospital.hospital, version))? {
        None => Ok(()),
        Some(_) => Err(Error::VersionExists { version }),
    }
}

fn as_expected(rows: &Pending<'_>, hospital: &HospitalInfo, expected: Expected, token: NameToken) -> Result<()> {
    if expected == Expected::Any {
        return Ok(());
    }
    let newest = rows.row::<NameRow>(&rows::name_key(hospital.hospital, token))?;
    let holds = match (expected, &newest) {
        (Expected::Any, _) | (Expected::Absent, None) => true,
        (Expected::Absent, Some(row)) => row.marker,
        (Expected::Version(version), Some(row)) => row.version == version,
        (Expected::Version(_), None) => false,
    };
    if let Some(row) = newest.filter(|_| !holds)
        && standing::ended_by(rows, hospital.hospital, row.version, row.index)?.is_some()
    {
        return Ok(()); // the newest change has ended, and says nothing any more of what is there
    }
    let found = || newest.map_or("none".to_owned(), |row| row.version.to_string());
    if holds { Ok(()) } else { Err(Error::ExpectedVersion { token, found: found() }) }
}
