//! The host that a vault is served on, and the machines that come to its console: whether the register knows them.

use super::MachineKind;
use crate::audit::{Action, AuditEvent, Outcome};
use crate::error::{Error, Result};
use crate::journal::VAULT;
use crate::vault::{Inner, Vault, blocking};
use serde::Serialize;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, VaultId};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::Ordering;

/// Bytes of a file that says which host this is.
const HOST_ID_BYTES_MAX: usize = 4096;

/// What the register says of the host that a vault is open on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostStanding {
    /// nothing is registered, so there is nothing to compare with
    NoRegister,
    /// it is registered, active and checked
    Known {
        /// as this machine
        machine: String,
    },
    /// it is not
    Unknown {
        /// why
        why: String,
    },
}

/// What recognises the host of a vault: a hash over what `file` says, which differs from vault to vault so that it tells nobody
/// else which host it is. `None` where the file says nothing.
pub(super) fn mark_of(file: &Path, vault: VaultId) -> Result<Option<Digest>> {
    let said = match std::fs::read(file) {
        Ok(said) => said,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { action: "read", path: file.to_owned(), source }),
    };
    let said = said.trim_ascii();
    let useful = !said.is_empty() && said != b"uninitialized" && said.len() <= HOST_ID_BYTES_MAX;
    Ok(useful.then(|| sha256(&[b"shosoin host v1\0", &vault.0, said])))
}

impl Vault {
    /// Compares the host with the register: where it is not a registered, active and checked one, that is an alarm, and an error
    /// where `vault.toml` says so. For whoever is about to serve.
    pub async fn recognise_host(&self) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || inner.recognise_host()).await
    }

    /// Looks at the host again, as a vault that is served does by itself.
    pub async fn watch_host(&self) -> Result<()> {
        let inner = self.inner.clone();
        blocking(move || inner.watch_host()).await
    }

    /// What the register says of the host now.
    pub fn host_standing(&self) -> HostStanding {
        self.inner.host_standing()
    }

    /// Why the register does not let somebody at this address come to the console; `None` where it does, or where nothing is
    /// registered.
    pub fn terminal_obstacle(&self, from: IpAddr) -> Option<String> {
        self.inner.terminal_obstacle(from)
    }
}

impl Inner {
    /// What the register says of this host now.
    pub(crate) fn host_standing(&self) -> HostStanding {
        let machines = self.media.machines();
        if machines.is_empty() {
            return HostStanding::NoRegister;
        }
        let unknown = |why: String| HostStanding::Unknown { why };
        let file = &self.config.machines.host_id;
        let mark = match mark_of(file, self.identity.vault()) {
            Ok(Some(mark)) => mark,
            Ok(None) => return unknown(format!("{} says nothing of it", file.display())),
            Err(error) => return unknown(error.problem().message),
        };
        let Some(machine) = machines.with_mark(mark) else { return unknown("it is not registered".to_owned()) };
        match machine.obstacle(self.clock.now_ms(), self.config.machines.check_days) {
            Some(why) => unknown(format!("machine {}: {why}", machine.facts.id)),
            None => HostStanding::Known { machine: machine.facts.id.to_string() },
        }
    }

    /// Looks again while the vault is served: a host that was suspended, or whose checks grew old, is an alarm once.
    pub(crate) fn watch_host(&self) -> Result<()> {
        match self.host_standing() {
            HostStanding::Unknown { .. } if self.host_unknown.load(Ordering::Relaxed) => Ok(()),
            HostStanding::Unknown { why } => self.note_host(&why, Outcome::Findings),
            HostStanding::NoRegister | HostStanding::Known { .. } => {
                self.host_unknown.store(false, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    fn note_host(&self, why: &str, outcome: Outcome) -> Result<()> {
        let event = AuditEvent::new(self.clock.now_ms(), VAULT, Action::MachineUnknown).ended(outcome);
        let told: String = format!("host of the vault: {why}").chars().filter(|c| !c.is_control()).take(200).collect();
        self.media.record(event.because(told))?;
        self.host_unknown.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn recognise_host(&self) -> Result<()> {
        let HostStanding::Unknown { why } = self.host_standing() else { return Ok(()) };
        let refuses = self.config.machines.refuse_unknown_host;
        tracing::error!(why, refuses, "the vault is served on a host that the register of machines does not let");
        self.note_host(&why, if refuses { Outcome::Refused } else { Outcome::Findings })?;
        match refuses {
            true => Err(Error::Machine { machine: "host of the vault".to_owned(), why }),
            false => Ok(()),
        }
    }

    /// Whoever comes over loopback is on the vault's own host.
    pub(crate) fn terminal_obstacle(&self, from: IpAddr) -> Option<String> {
        let from = from.to_canonical();
        if from.is_loopback() {
            return match self.host_standing() {
                HostStanding::Unknown { why } => Some(format!("host of the vault: {why}")),
                HostStanding::NoRegister | HostStanding::Known { .. } => None,
            };
        }
        let machines = self.media.machines();
        if machines.is_empty() {
            return None;
        }
        let Some(machine) = machines.at_address(from) else { return Some("no machine has this address".to_owned()) };
        if !matches!(machine.facts.kind, MachineKind::OperatorTerminal | MachineKind::VaultHost) {
            return Some(format!("machine {} is a {}", machine.facts.id, machine.facts.kind));
        }
        let obstacle = machine.obstacle(self.clock.now_ms(), self.config.machines.check_days);
        obstacle.map(|why| format!("machine {}: {why}", machine.facts.id))
    }
}
