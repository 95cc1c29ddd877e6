//! The register of processing devices: every computer that the service is run on or from, what recognises it, and whether it
//! may be connected now (guideline 7.5.3-M1, M13). A projection of the audit log, kept in memory, as the ledger of media is: the
//! log is the truth, so a changed register is a changed log.
//!
//! Invariants
//! - Nothing changes here before the record that says so is durable in the audit log. A machine is never forgotten, and its id
//!   is never given to another one.
//! - A machine becomes active only with a passed, recent result of every [`CheckKind`], made since it was last stopped.
//! - Two machines that are not retired never have the same address or the same mark.
//! - As soon as one machine is registered, the console talks to registered, active, checked machines alone, and a vault that is
//!   served on another host than a registered one says so, or refuses, as `[machines]` has it.
//!
//! Not here: media (`media_ledger`), machines of hospitals (`hospitals`), and what a check consists of, which is people's.

mod command;
mod config;
mod host;

pub use command::MachineCommand;
pub use config::MachinesConfig;
pub use host::HostStanding;

use crate::audit::vocabulary::vocabulary;
use crate::audit::{Action, AuditEvent, Detail};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::{Digest, Error as FormatError};
use shosoin_tiers::life::DAY_MS;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Longest id, in bytes.
const ID_BYTES_MAX: usize = 32;
/// Addresses of one machine.
pub const ADDRESSES_MAX: usize = 16;
/// Machines of one register.
pub const MACHINES_MAX: usize = 4096;
/// How far ahead of the vault's clock a check may say that it was made.
const AHEAD_MS_MAX: u64 = DAY_MS;

vocabulary! {
    /// What a machine is for.
    MachineKind: u8, "machine kind" {
        /// runs a vault
        VaultHost = 1 "vault-host",
        /// people log on to the console from it
        OperatorTerminal = 2 "operator-terminal",
        /// checks what couriers bring, without any connection
        Station = 3 "station",
        /// runs a witness
        WitnessHost = 4 "witness-host",
    }

    /// Whether it may be connected.
    MachineState: u8, "machine state" {
        /// registered, not connected yet
        New = 1 "new",
        /// in use
        Active = 2 "active",
        /// stopped, and to be checked again before it is used
        Suspended = 3 "suspended",
        /// never used again
        Retired = 4 "retired",
        /// physically destroyed, with what was on it
        Destroyed = 5 "destroyed",
    }

    /// What is looked at before it is connected.
    CheckKind: u8, "check" {
        /// no malicious program was found on it
        Malware = 1 "malware",
        /// what mends known weaknesses is applied
        Patches = 2 "patches",
        /// it has the address that the register says
        Address = 3 "address",
    }
}

/// The states that a machine in `state` may go to.
pub fn allowed_after(state: MachineState) -> &'static [MachineState] {
    use MachineState::{Active, Destroyed, Retired, Suspended};
    match state {
        MachineState::New => &[Active, Retired],
        Active => &[Suspended, Retired],
        Suspended => &[Active, Retired],
        Retired => &[Destroyed],
        Destroyed => &[],
    }
}

/// Id of a machine: 2 to 32 of `a-z 0-9 . _ -`, beginning with a letter. Given once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MachineId(String);

impl MachineId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MachineId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        match begins && (2..=ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain) {
            true => Ok(MachineId(text.to_owned())),
            false => {
                let why = "it has 2 to 32 of a-z, 0-9, '.', '_' and '-', and begins with a letter".to_owned();
                Err(Error::Argument { what: "machine id", why })
            }
        }
    }
}

impl TryFrom<String> for MachineId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<MachineId> for String {
    fn from(id: MachineId) -> String {
        id.0
    }
}

impl fmt::Display for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What the register says of a machine when it is added, and after a change: all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineFacts {
    /// its id
    pub id: MachineId,
    /// what it is for
    pub kind: MachineKind,
    /// its network addresses, ascending; none for one without any connection
    pub addresses: Vec<IpAddr>,
    /// what recognises it, hashed; for the host of a vault, which can be asked
    #[serde(serialize_with = "in_hex", skip_serializing_if = "Option::is_none")]
    pub mark: Option<Digest>,
}

fn in_hex<S: serde::Serializer>(digest: &Option<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => serializer.collect_str(digest),
        None => serializer.serialize_none(),
    }
}

impl MachineFacts {
    /// What the types alone do not refuse.
    fn check(&self) -> shosoin_protocol::Result<()> {
        let invalid = |why| Err(FormatError::Invalid { what: "machine", why });
        if self.addresses.len() > ADDRESSES_MAX {
            return invalid("it has more addresses than a machine may have");
        }
        if !self.addresses.is_sorted_by(|one, next| one < next) {
            return invalid("its addresses ascend, each once");
        }
        if self.addresses.iter().any(|address| address.is_unspecified() || address.is_multicast()) {
            return invalid("an address of nobody or of many is no machine's");
        }
        match (self.kind, self.mark, self.addresses.is_empty()) {
            (MachineKind::OperatorTerminal, _, true) => invalid("a terminal is known by its address, and has none"),
            (kind, Some(_), _) if kind != MachineKind::VaultHost => invalid("only the host of a vault has a mark"),
            _ => Ok(()),
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        let mark = self.mark.unwrap_or(Digest([0; 32]));
        out.u8(self.kind.code())
            .u8(self.mark.is_some().into())
            .u16(self.addresses.len().try_into().unwrap_or(u16::MAX));
        out.put(&mark.0);
        for address in &self.addresses {
            out.put(&in_six(*address).octets());
        }
        out.put(self.id.0.as_bytes());
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let invalid = |why| FormatError::Invalid { what: "machine", why };
        let kind = MachineKind::from_code(reader.u8("machine kind")?)?;
        let marked = reader.u8("whether it has a mark")?;
        let count = usize::from(reader.u16("addresses of a machine")?);
        let mark = Digest::read(reader)?;
        let mark = match (marked, mark == Digest([0; 32])) {
            (0, true) => None,
            (1, false) => Some(mark),
            _ => return Err(invalid("a mark goes with its flag")),
        };
        if count > ADDRESSES_MAX {
            return Err(invalid("it has more addresses than a machine may have"));
        }
        let mut addresses = Vec::with_capacity(count);
        for _ in 0..count {
            addresses.push(IpAddr::V6(reader.array::<16>("address of a machine")?.into()).to_canonical());
        }
        let facts = MachineFacts { id: id_of(reader)?, kind, addresses, mark };
        facts.check().map(|()| facts)
    }
}

/// The id behind the other fields of a detail.
pub(crate) fn id_of(reader: &mut Reader<'_>) -> shosoin_protocol::Result<MachineId> {
    let invalid = FormatError::Invalid { what: "machine id", why: "it is no id of a machine" };
    std::str::from_utf8(reader.rest()).ok().and_then(|text| text.parse().ok()).ok_or(invalid)
}

/// The form of an address on disk.
fn in_six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

/// The newest result of one kind of check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// when it was made, in milliseconds since 1970
    pub made_ms: u64,
    /// when it was put on record
    pub noted_ms: u64,
    /// whether all was well
    pub passed: bool,
    /// who says so
    pub actor: String,
    /// how it was made
    pub remark: String,
}

/// One machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// what it is and what recognises it
    #[serde(flatten)]
    pub facts: MachineFacts,
    /// whether it may be connected
    pub state: MachineState,
    /// since when, in milliseconds since 1970
    pub since_ms: u64,
    /// who said so
    pub actor: String,
    /// why
    pub reason: String,
    /// since when it is registered
    pub added_ms: u64,
    /// newest result of each kind of check since it was last stopped
    pub checks: BTreeMap<CheckKind, CheckResult>,
}

impl Machine {
    /// Checks that are missing, failed, or too old at `now_ms` where they are good for `days`.
    pub fn lacks(&self, now_ms: u64, days: u32) -> Vec<CheckKind> {
        let good =
            |result: &CheckResult| result.passed && now_ms.saturating_sub(result.made_ms) < u64::from(days) * DAY_MS;
        CheckKind::ALL.iter().copied().filter(|kind| !self.checks.get(kind).is_some_and(good)).collect()
    }

    /// Why it may not be connected now; `None` where it may.
    pub fn obstacle(&self, now_ms: u64, days: u32) -> Option<String> {
        if self.state != MachineState::Active {
            return Some(format!("it is {}", self.state));
        }
        let lacks = self.lacks(now_ms, days);
        (!lacks.is_empty()).then(|| format!("its checks are old or did not pass: {}", names(&lacks)))
    }

    fn is_gone(&self) -> bool {
        matches!(self.state, MachineState::Retired | MachineState::Destroyed)
    }
}

fn names(kinds: &[CheckKind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// Every machine there ever was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machines(BTreeMap<MachineId, Machine>);

impl Machines {
    /// Takes in the next record of the log.
    pub fn apply(&mut self, event: &AuditEvent) {
        let stands = || (event.at_ms, event.actor.clone(), event.reason.clone());
        match (event.action, &event.detail) {
            (Action::MachineAdded, Detail::Machine(facts)) => {
                let (since_ms, actor, reason) = stands();
                let (facts, state) = (MachineFacts::clone(facts), MachineState::New);
                let machine =
                    Machine { facts, state, since_ms, actor, reason, added_ms: since_ms, checks: BTreeMap::new() };
                self.0.entry(machine.facts.id.clone()).or_insert(machine);
            }
            (Action::MachineChanged, Detail::Machine(facts)) => {
                if let Some(machine) = self.0.get_mut(&facts.id) {
                    machine.facts = MachineFacts::clone(facts);
                    // whether its address is the registered one was said of the old one
                    machine.checks.remove(&CheckKind::Address);
                }
            }
            (Action::MachineState, Detail::MachineState { id, to, .. }) => {
                if let Some(machine) = self.0.get_mut(id) {
                    machine.state = *to;
                    (machine.since_ms, machine.actor, machine.reason) = stands();
                    if *to == MachineState::Suspended {
                        machine.checks.clear(); // whatever was found before says nothing of what happened
                    }
                }
            }
            (Action::MachineChecked, Detail::MachineCheck { id, check, passed, made_ms }) => {
                if let Some(machine) = self.0.get_mut(id) {
                    let (noted_ms, actor, remark) = stands();
                    let result = CheckResult { made_ms: *made_ms, noted_ms, passed: *passed, actor, remark };
                    machine.checks.insert(*check, result);
                }
            }
            _ => {}
        }
    }

    /// Whether anything is registered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every machine, by id.
    pub fn list(&self) -> impl Iterator<Item = &Machine> {
        self.0.values()
    }

    /// One machine.
    pub fn get(&self, id: &MachineId) -> Result<&Machine> {
        self.0.get(id).ok_or_else(|| Error::NotFound { what: "machine", id: id.to_string() })
    }

    /// The machine that has this address and is not retired.
    pub fn at_address(&self, address: IpAddr) -> Option<&Machine> {
        let address = address.to_canonical();
        self.list().find(|machine| !machine.is_gone() && machine.facts.addresses.contains(&address))
    }

    /// The host that has this mark and is not retired.
    pub fn with_mark(&self, mark: Digest) -> Option<&Machine> {
        self.list().find(|machine| !machine.is_gone() && machine.facts.mark == Some(mark))
    }

    /// Whether `facts` may stand in the register, new or in place of what it says of the same machine.
    fn may_stand(&self, facts: &MachineFacts) -> Result<()> {
        facts.check().map_err(|error| Error::Argument { what: "machine", why: error.to_string() })?;
        let other = |machine: &&Machine| machine.facts.id != facts.id;
        for address in &facts.addresses {
            if let Some(machine) = self.at_address(*address).filter(other) {
                return refused(&facts.id, format!("cannot have {address}: {} has it", machine.facts.id));
            }
        }
        match facts.mark.and_then(|mark| self.with_mark(mark)).filter(other) {
            Some(machine) => refused(&facts.id, format!("is registered already, as {}", machine.facts.id)),
            None => Ok(()),
        }
    }

    /// That a new machine may be registered so.
    pub fn may_add(&self, facts: &MachineFacts) -> Result<()> {
        if let Some(machine) = self.0.get(&facts.id) {
            let why = format!("has an id that is taken since it was first given, and stays so ({})", machine.state);
            return refused(&facts.id, why);
        }
        if self.0.len() >= MACHINES_MAX {
            return refused(&facts.id, format!("is one more than the {MACHINES_MAX} machines of a register"));
        }
        self.may_stand(facts)
    }

    /// That a machine may be registered differently.
    pub fn may_change(&self, facts: &MachineFacts) -> Result<()> {
        let machine = self.get(&facts.id)?;
        match machine.is_gone() {
            true => refused(&facts.id, format!("is {}: it never changes again", machine.state)),
            false => self.may_stand(facts),
        }
    }

    /// That a machine may go to a state; `days`: how long a check is good.
    pub fn may_become(&self, id: &MachineId, to: MachineState, now_ms: u64, days: u32) -> Result<MachineState> {
        let machine = self.get(id)?;
        let from = machine.state;
        if !allowed_after(from).contains(&to) {
            let after: Vec<&str> = allowed_after(from).iter().map(|state| state.name()).collect();
            let after = if after.is_empty() { "nothing".to_owned() } else { after.join(", ") };
            return refused(id, format!("is {from}, and goes from there to {after}"));
        }
        let lacks = machine.lacks(now_ms, days);
        if to == MachineState::Active && !lacks.is_empty() {
            let why = format!("is not connected before it was checked; missing, failed or too old: {}", names(&lacks));
            return refused(id, why);
        }
        Ok(from)
    }

    /// That a check may be noted.
    pub fn may_check(&self, id: &MachineId, made_ms: u64, now_ms: u64) -> Result<()> {
        let machine = self.get(id)?;
        if machine.is_gone() {
            return refused(id, format!("is {}: nobody connects it", machine.state));
        }
        match made_ms > now_ms.saturating_add(AHEAD_MS_MAX) {
            true => Err(Error::Argument { what: "time of the check", why: "it is in the future".to_owned() }),
            false => Ok(()),
        }
    }
}

fn refused<T>(id: &MachineId, why: String) -> Result<T> {
    Err(Error::Machine { machine: id.to_string(), why })
}

#[cfg(test)]
mod tests;
