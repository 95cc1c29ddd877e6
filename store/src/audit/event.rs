//! One audited event, and its one encoding (`docs/format.md`, "Audit record").
//!
//! Refuses: text with control characters or over its limit, in an event that is to be written and in one that was read.

use crate::accounts::Roles;
use crate::audit::{Action, MediaState, Outcome, TestKind};
use crate::changes::ChangeFacts;
use crate::error::{Error, Result};
use crate::machines::{CheckKind, MachineFacts, MachineId, MachineState, id_of};
use crate::media_facts::LabelFacts;
use serde::Serialize;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Digest, Error as FormatError, HospitalId, SegmentId, VersionId, VolumeId};
use shosoin_tiers::VolumeLabel;
use std::net::{IpAddr, Ipv6Addr};

/// Version of a record.
pub const VERSION: u8 = 1;
/// Longest name of an actor, in bytes of UTF-8.
pub const ACTOR_BYTES_MAX: usize = 64;
/// Longest reason, in bytes of UTF-8.
pub const REASON_BYTES_MAX: usize = 240;

/// As much of a text as fits a reason, on one line.
pub fn shortened_reason(text: &str) -> String {
    let end = text.floor_char_boundary(REASON_BYTES_MAX);
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
/// Longest detail; a volume label with all its texts fits.
pub const DETAIL_BYTES_MAX: usize = 4096;

const HAS_VOLUME: u8 = 1;
const HAS_SEGMENT: u8 = 2;
const HAS_HOSPITAL: u8 = 4;
const HAS_SOURCE: u8 = 8;
const HAS_NUMBER: u8 = 16;
const FLAGS: u8 = HAS_VOLUME | HAS_SEGMENT | HAS_HOSPITAL | HAS_SOURCE | HAS_NUMBER;
/// Numbers of deposits that one record holds.
pub const NUMBERS_MAX: usize = DETAIL_BYTES_MAX / 8;

/// What happened. Times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEvent {
    /// when it ended, or began where the outcome says so
    pub at_ms: u64,
    /// how long it took
    pub duration_ms: u64,
    /// who: a user of the operating system, or `job:<name>`
    pub actor: String,
    /// what
    pub action: Action,
    /// how it ended
    pub outcome: Outcome,
    /// on which volume
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeId>,
    /// on which segment
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentId>,
    /// for which hospital
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub hospital: Option<HospitalId>,
    /// from which address, where it came over a network
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<IpAddr>,
    /// about which deposit: its number in the hospital's ledger
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// bytes read again, or moved
    pub bytes: u64,
    /// units, shards or records, as the action counts them
    pub units: u64,
    /// why, in the operator's words; empty where nobody gave any
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// what else the action has
    pub detail: Detail,
}

/// What an action has besides. The numbers of the variants on disk are in the format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// nothing
    None,
    /// the label as it was written
    Label(#[serde(serialize_with = "in_words")] Box<VolumeLabel>),
    /// a change of state; `from` is missing for a medium that was not known
    State {
        /// before
        from: Option<MediaState>,
        /// after
        to: MediaState,
    },
    /// a test and its value in the test's own unit
    Test {
        /// which test
        test: TestKind,
        /// what it gave
        value: u64,
        /// whether the medium passed
        passed: bool,
    },
    /// how much it has been used, as far as known
    Wear {
        /// hours it was powered
        power_on_hours: Option<u64>,
        /// times it passed a head, or was written full
        passes: Option<u64>,
        /// whether the device told, or a person
        by_device: bool,
    },
    /// where it is kept, measured
    Environment {
        /// tenths of a degree Celsius
        celsius_tenths: Option<i32>,
        /// relative humidity in per cent
        humidity_percent: Option<u8>,
    },
    /// where it is: mount point, address, or shelf
    Place(String),
    /// how many findings a job or a comparison had
    Found {
        /// findings
        findings: u64,
        /// those of data that cannot be read
        lost: u64,
    },
    /// a disposal order
    Order(#[serde(serialize_with = "as_hex")] VersionId),
    /// what was seen before records were ended
    Survey {
        /// the order
        #[serde(serialize_with = "as_hex")]
        order: VersionId,
        /// records that stay, because others name them
        shared: u64,
        /// records that were read whole
        verified: u64,
        /// records that could not be
        unverified: u64,
    },
    /// what was done to one copy
    Erased {
        /// which part of the segment
        shard: u8,
        /// times it was overwritten
        passes: u8,
        /// code of its state, as certificates have it
        state: u8,
    },
    /// deposits of the hospital by their numbers, ascending
    Numbers(Vec<u64>),
    /// a file of the vault's own set-up as it is from then on
    Content {
        /// digest of the whole file
        #[serde(serialize_with = "in_hex")]
        digest: Digest,
        /// bytes of it
        len: u64,
    },
    /// a change of the service as it was registered
    Change(Box<ChangeFacts>),
    /// the vault's own files as it met them
    Look {
        /// digest of the program
        #[serde(serialize_with = "in_hex")]
        program: Digest,
        /// digest of the settings, their list of volumes aside
        #[serde(serialize_with = "in_hex")]
        settings: Digest,
    },
    /// a machine of the register, all that is said of it from then on
    Machine(Box<MachineFacts>),
    /// a change of its state
    MachineState {
        /// which
        id: MachineId,
        /// before
        from: MachineState,
        /// after
        to: MachineState,
    },
    /// what was looked at before it is connected
    MachineCheck {
        /// which
        id: MachineId,
        /// what was looked at
        check: CheckKind,
        /// whether all was well
        passed: bool,
        /// when, in milliseconds since 1970
        made_ms: u64,
    },
    /// a change of the accounts file; the digest is of the whole file as it is from then on
    Account {
        /// whose account it is about; empty where it is about none
        account: String,
        /// number of the request behind it, or 0
        request: u64,
        /// generation of the file
        generation: u64,
        /// roles that the account has from then on, what is granted for a while included
        roles: Roles,
        /// digest of the file
        #[serde(serialize_with = "in_hex")]
        digest: Digest,
    },
}

/// The form of an address on disk.
fn in_six(source: IpAddr) -> Ipv6Addr {
    match source {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

impl AuditEvent {
    /// An event that is done, of nothing in particular.
    pub fn new(at_ms: u64, actor: impl Into<String>, action: Action) -> Self {
        AuditEvent {
            at_ms,
            duration_ms: 0,
            actor: actor.into(),
            action,
            outcome: Outcome::Done,
            volume: None,
            segment: None,
            hospital: None,
            source: None,
            number: None,
            bytes: 0,
            units: 0,
            reason: String::new(),
            detail: Detail::None,
        }
    }

    /// An event of the job called `name`.
    pub fn of_job(at_ms: u64, name: &str, action: Action) -> Self {
        AuditEvent::new(at_ms, format!("job:{name}"), action)
    }

    /// The same event, about a volume.
    #[must_use]
    pub fn on(self, volume: VolumeId) -> Self {
        AuditEvent { volume: Some(volume), ..self }
    }

    /// The same event, with what else there is to say.
    #[must_use]
    pub fn with(self, detail: Detail) -> Self {
        AuditEvent { detail, ..self }
    }

    /// The same event, ended so.
    #[must_use]
    pub fn ended(self, outcome: Outcome) -> Self {
        AuditEvent { outcome, ..self }
    }

    /// The same event, for this reason.
    #[must_use]
    pub fn because(self, reason: impl Into<String>) -> Self {
        AuditEvent { reason: reason.into(), ..self }
    }

    /// The same event, from this address.
    #[must_use]
    pub fn seen_from(self, source: Option<IpAddr>) -> Self {
        AuditEvent { source: source.map(|source| source.to_canonical()), ..self }
    }

    /// Whether it is about the deposit with this number, alone or among others.
    pub fn is_about(&self, number: u64) -> bool {
        let among = matches!(&self.detail, Detail::Numbers(numbers) if numbers.contains(&number));
        self.number == Some(number) || among
    }

    /// Writes it behind `seq`. Text that breaks a rule is refused.
    pub(super) fn write(&self, seq: u64, out: &mut Writer) -> Result<()> {
        check_text("actor", &self.actor, ACTOR_BYTES_MAX)?;
        check_text("reason", &self.reason, REASON_BYTES_MAX)?;
        out.u8(VERSION).u8(self.outcome.code()).u16(self.action.code());
        let flag = |present: bool, bit: u8| if present { bit } else { 0 };
        let flags = flag(self.volume.is_some(), HAS_VOLUME)
            | flag(self.segment.is_some(), HAS_SEGMENT)
            | flag(self.hospital.is_some(), HAS_HOSPITAL)
            | flag(self.source.is_some(), HAS_SOURCE)
            | flag(self.number.is_some(), HAS_NUMBER);
        out.u8(flags).u8(self.detail.code()).zeros(2);
        out.u64(seq).u64(self.at_ms).u64(self.duration_ms).u64(self.bytes).u64(self.units);
        self.volume.iter().for_each(|id| id.write(out));
        self.segment.iter().for_each(|id| id.write(out));
        self.hospital.iter().for_each(|id| id.write(out));
        if let Some(source) = self.source {
            out.put(&in_six(source).octets());
        }
        if let Some(number) = self.number {
            out.u64(number);
        }
        out.var(self.actor.as_bytes()).var(self.reason.as_bytes());
        let detail = self.detail.encode()?;
        out.var(&detail);
        Ok(())
    }

    /// Reads one and the number before it.
    pub(super) fn read(bytes: &[u8]) -> Result<(u64, Self), FormatError> {
        let mut reader = Reader::new(bytes, "audit record");
        match reader.u8("audit record version")? {
            VERSION => {}
            found => return Err(FormatError::Version { what: "audit record", found, known: VERSION }),
        }
        let outcome = Outcome::from_code(reader.u8("audit outcome")?)?;
        let action = Action::from_code(reader.u16("audit action")?)?;
        let flags = reader.u8("audit flags")?;
        if flags & !FLAGS != 0 {
            return Err(FormatError::Invalid { what: "audit flags", why: "unknown flags must be zero" });
        }
        let detail = reader.u8("audit detail kind")?;
        reader.zeros(2, "audit padding")?;
        let seq = reader.u64("audit number")?;
        let (at_ms, duration_ms) = (reader.u64("audit time")?, reader.u64("audit duration")?);
        let (bytes, units) = (reader.u64("audit bytes")?, reader.u64("audit units")?);
        let has = |bit| flags & bit != 0;
        let volume = has(HAS_VOLUME).then(|| VolumeId::read(&mut reader)).transpose()?;
        let segment = has(HAS_SEGMENT).then(|| SegmentId::read(&mut reader)).transpose()?;
        let hospital = has(HAS_HOSPITAL).then(|| HospitalId::read(&mut reader)).transpose()?;
        let source = has(HAS_SOURCE).then(|| reader.array::<16>("audit source")).transpose()?;
        let source = source.map(|octets| IpAddr::V6(octets.into()).to_canonical());
        let number = has(HAS_NUMBER).then(|| reader.u64("audit ledger number")).transpose()?;
        let actor = reader.text(ACTOR_BYTES_MAX, "actor")?;
        let reason = reader.text(REASON_BYTES_MAX, "reason")?;
        let detail = Detail::decode(detail, reader.var(DETAIL_BYTES_MAX, "audit detail")?)?;
        reader.finish()?;
        if actor.chars().chain(reason.chars()).any(char::is_control) {
            return Err(FormatError::Invalid { what: "audit text", why: "it has control characters" });
        }
        let subject = AuditEvent::new(at_ms, actor, action);
        let event =
            AuditEvent { duration_ms, outcome, volume, segment, hospital, bytes, units, reason, detail, ..subject };
        let event = AuditEvent { source, number, ..event };
        Ok((seq, event))
    }
}

impl Detail {
    fn code(&self) -> u8 {
        match self {
            Detail::None => 0,
            Detail::Label(_) => 1,
            Detail::State { .. } => 2,
            Detail::Test { .. } => 3,
            Detail::Wear { .. } => 4,
            Detail::Environment { .. } => 5,
            Detail::Place(_) => 6,
            Detail::Found { .. } => 7,
            Detail::Order(_) => 8,
            Detail::Survey { .. } => 9,
            Detail::Erased { .. } => 10,
            Detail::Numbers(_) => 21,
            Detail::Content { .. } => 22,
            Detail::Account { .. } => 20,
            Detail::Machine(_) => 30,
            Detail::MachineState { .. } => 31,
            Detail::MachineCheck { .. } => 32,
            Detail::Change(_) => 40,
            Detail::Look { .. } => 41,
        }
    }

    fn encode(&self) -> Result<Vec<u8>> {
        let mut out = Writer::new();
        let malformed = |source| Error::Malformed { what: "volume label", source };
        match self {
            Detail::None => {}
            Detail::Label(label) => drop(out.put(&label.encode().map_err(malformed)?)),
            Detail::State { from, to } => drop(out.u8(from.map_or(0, MediaState::code)).u8(to.code())),
            Detail::Test { test, value, passed } => drop(out.u8(test.code()).u8((*passed).into()).u64(*value)),
            Detail::Wear { power_on_hours, passes, by_device } => {
                let flags = u8::from(power_on_hours.is_some())
                    | (u8::from(passes.is_some()) << 1)
                    | (u8::from(*by_device) << 2);
                out.u8(flags).u64(power_on_hours.unwrap_or(0)).u64(passes.unwrap_or(0));
            }
            Detail::Environment { celsius_tenths, humidity_percent } => {
                let flags = u8::from(celsius_tenths.is_some()) | (u8::from(humidity_percent.is_some()) << 1);
                let celsius = celsius_tenths.unwrap_or(0).cast_unsigned();
                out.u8(flags).u32(celsius).u8(humidity_percent.unwrap_or(0));
            }
            Detail::Place(place) => {
                check_text("place", place, DETAIL_BYTES_MAX)?;
                out.put(place.as_bytes());
            }
            Detail::Found { findings, lost } => drop(out.u64(*findings).u64(*lost)),
            Detail::Order(order) => drop(out.put(&order.0)),
            Detail::Survey { order, shared, verified, unverified } => {
                out.put(&order.0).u64(*shared).u64(*verified).u64(*unverified);
            }
            Detail::Erased { shard, passes, state } => drop(out.u8(*shard).u8(*passes).u8(*state)),
            Detail::Numbers(numbers) => {
                for number in numbers.iter().take(NUMBERS_MAX) {
                    out.u64(*number);
                }
            }
            Detail::Content { digest, len } => drop(out.u64(*len).put(&digest.0)),
            Detail::Machine(facts) => facts.write(&mut out),
            Detail::Change(facts) => facts.write(&mut out),
            Detail::Look { program, settings } => drop(out.put(&program.0).put(&settings.0)),
            Detail::MachineState { id, from, to } => {
                out.u8(from.code()).u8(to.code()).put(id.as_str().as_bytes());
            }
            Detail::MachineCheck { id, check, passed, made_ms } => {
                out.u8(check.code()).u8((*passed).into()).u64(*made_ms).put(id.as_str().as_bytes());
            }
            Detail::Account { account, request, generation, roles, digest } => {
                check_text("account", account, ACTOR_BYTES_MAX)?;
                out.u64(*request).u64(*generation).u8(roles.bits()).put(&digest.0).put(account.as_bytes());
            }
        }
        Ok(out.finish())
    }

    fn decode(code: u8, bytes: &[u8]) -> Result<Self, FormatError> {
        let invalid = |why| FormatError::Invalid { what: "audit detail", why };
        let mut reader = Reader::new(bytes, "audit detail");
        let detail = match code {
            0 => Detail::None,
            1 => Detail::Label(Box::new(VolumeLabel::decode(reader.rest())?)),
            2 => {
                let from = match reader.u8("state before")? {
                    0 => None,
                    code => Some(MediaState::from_code(code)?),
                };
                Detail::State { from, to: MediaState::from_code(reader.u8("state after")?)? }
            }
            3 => {
                let test = TestKind::from_code(reader.u8("test")?)?;
                let passed = flag(reader.u8("test passed")?).ok_or(invalid("passed is 0 or 1"))?;
                Detail::Test { test, passed, value: reader.u64("test value")? }
            }
            4 => {
                let flags = reader.u8("wear flags")?;
                let (hours, passes) = (reader.u64("power-on hours")?, reader.u64("passes")?);
                let power_on_hours = optional(flags & 1 != 0, hours).ok_or(invalid("hours without their flag"))?;
                let passes = optional(flags & 2 != 0, passes).ok_or(invalid("passes without their flag"))?;
                if flags > 7 {
                    return Err(invalid("unknown flags must be zero"));
                }
                Detail::Wear { power_on_hours, passes, by_device: flags & 4 != 0 }
            }
            5 => {
                let flags = reader.u8("environment flags")?;
                let celsius = reader.u32("temperature")?.cast_signed();
                let humidity = reader.u8("humidity")?;
                let celsius_tenths =
                    optional(flags & 1 != 0, celsius).ok_or(invalid("temperature without its flag"))?;
                let humidity = optional(flags & 2 != 0, humidity).ok_or(invalid("humidity without its flag"))?;
                if flags > 3 {
                    return Err(invalid("unknown flags must be zero"));
                }
                Detail::Environment { celsius_tenths, humidity_percent: humidity }
            }
            6 => {
                let place = std::str::from_utf8(reader.rest()).map_err(|_| invalid("a place is UTF-8"))?;
                if place.chars().any(char::is_control) {
                    return Err(invalid("a place has no control characters"));
                }
                Detail::Place(place.to_owned())
            }
            7 => Detail::Found { findings: reader.u64("findings")?, lost: reader.u64("lost")? },
            8 => Detail::Order(VersionId::read(&mut reader)?),
            9 => Detail::Survey {
                order: VersionId::read(&mut reader)?,
                shared: reader.u64("shared records")?,
                verified: reader.u64("verified records")?,
                unverified: reader.u64("unverified records")?,
            },
            10 => Detail::Erased {
                shard: reader.u8("shard")?,
                passes: reader.u8("passes")?,
                state: reader.u8("state of the copy")?,
            },
            20 => {
                let (request, generation) = (reader.u64("request")?, reader.u64("generation")?);
                let roles = Roles::from_bits(reader.u8("roles")?)?;
                let digest = Digest::read(&mut reader)?;
                let account = std::str::from_utf8(reader.rest()).map_err(|_| invalid("an account id is UTF-8"))?;
                if account.len() > ACTOR_BYTES_MAX || account.chars().any(char::is_control) {
                    return Err(invalid("an account id is short, without control characters"));
                }
                Detail::Account { account: account.to_owned(), request, generation, roles, digest }
            }
            21 => {
                let mut numbers = Vec::with_capacity(bytes.len() / 8);
                for _ in 0..bytes.len() / 8 {
                    numbers.push(reader.u64("number of a deposit")?);
                }
                if !numbers.is_sorted_by(|one, next| one < next) {
                    return Err(invalid("numbers ascend, each once"));
                }
                Detail::Numbers(numbers)
            }
            22 => Detail::Content { len: reader.u64("bytes of the file")?, digest: Digest::read(&mut reader)? },
            30 => Detail::Machine(Box::new(MachineFacts::read(&mut reader)?)),
            31 => {
                let from = MachineState::from_code(reader.u8("state before")?)?;
                let to = MachineState::from_code(reader.u8("state after")?)?;
                Detail::MachineState { from, to, id: id_of(&mut reader)? }
            }
            32 => {
                let check = CheckKind::from_code(reader.u8("check of a machine")?)?;
                let passed = flag(reader.u8("check passed")?).ok_or(invalid("passed is 0 or 1"))?;
                let made_ms = reader.u64("time of the check")?;
                Detail::MachineCheck { check, passed, made_ms, id: id_of(&mut reader)? }
            }
            40 => Detail::Change(Box::new(ChangeFacts::read(&mut reader)?)),
            41 => Detail::Look { program: Digest::read(&mut reader)?, settings: Digest::read(&mut reader)? },
            _ => return Err(invalid("no such kind")),
        };
        reader.finish()?;
        Ok(detail)
    }
}

fn flag(byte: u8) -> Option<bool> {
    match byte {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// A value that is there or zero; `None` for one that is neither.
fn optional<T: Default + PartialEq>(present: bool, value: T) -> Option<Option<T>> {
    match present {
        true => Some(Some(value)),
        false => (value == T::default()).then_some(None),
    }
}

/// Refuses text that is too long or would move a terminal's cursor.
pub(crate) fn check_text(what: &'static str, text: &str, limit: usize) -> Result<()> {
    if text.len() > limit {
        let why = format!("it has {} bytes, at most {limit} are allowed", text.len());
        return Err(Error::Argument { what, why });
    }
    match text.chars().any(char::is_control) {
        true => Err(Error::Argument { what, why: "control characters are not allowed in it".to_owned() }),
        false => Ok(()),
    }
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(id: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match id {
        Some(id) => serializer.collect_str(id),
        None => serializer.serialize_none(),
    }
}

fn as_hex<S: serde::Serializer>(id: &VersionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn in_hex<S: serde::Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(digest)
}

fn in_words<S: serde::Serializer>(label: &VolumeLabel, serializer: S) -> Result<S::Ok, S::Error> {
    LabelFacts::from(label).serialize(serializer)
}
