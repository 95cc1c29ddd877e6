//! What passes between the vault and the networks it is on: from where and when each hospital's line may come, which servers the vault
//! itself may reach, and who connected (guideline 3.4-R3, 7.6.6-M9, M11).
//!
//! Invariants
//! - As soon as one line is declared, nobody gets a handshake from an address that no line has, or outside its hours; and a hospital is
//!   answered on its own line alone.
//! - As soon as outward servers are declared, a configuration that names another one is refused. The vault reaches nothing that its
//!   configuration does not name.
//! - Nobody is answered before a record says that they came (`ConnectionLog`).
//!
//! Not here: who somebody is (`http::tls`), terminals of the console (`console`, `machines`), lines that failed (`transfers`).

mod config;
mod log;

pub use config::{LineConfig, NetworkConfig, Outward, Purpose};
pub(crate) use log::{ConnectionLog, Guest};

use crate::accounts::Moment;
use crate::audit::Action;
use crate::check::{Finding, Severity};
use crate::vault::{Inner, blocking};
use serde::Serialize;
use shosoin_protocol::HospitalId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TurnedAway {
    /// no line is declared from there
    NoLine,
    /// its line is closed at this hour
    Hours,
    /// another hospital's line comes from there
    OtherLine,
    /// the key is nobody's
    UnknownKey,
    /// no key was shown
    NoKey,
    /// what came was no handshake, or none in time
    NoHandshake,
    /// it is no management terminal
    NoTerminal,
}

impl TurnedAway {
    /// Every reason.
    pub const ALL: [TurnedAway; 7] = [
        TurnedAway::NoLine,
        TurnedAway::Hours,
        TurnedAway::OtherLine,
        TurnedAway::UnknownKey,
        TurnedAway::NoKey,
        TurnedAway::NoHandshake,
        TurnedAway::NoTerminal,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            TurnedAway::NoLine => "no-line",
            TurnedAway::Hours => "hours",
            TurnedAway::OtherLine => "other-line",
            TurnedAway::UnknownKey => "unknown-key",
            TurnedAway::NoKey => "no-key",
            TurnedAway::NoHandshake => "no-handshake",
            TurnedAway::NoTerminal => "no-terminal",
        }
    }

    /// A sentence.
    pub const fn sentence(self) -> &'static str {
        match self {
            TurnedAway::NoLine => "no line is declared from this address",
            TurnedAway::Hours => "the line from this address is closed at this hour",
            TurnedAway::OtherLine => "the line of this hospital does not come from this address",
            TurnedAway::UnknownKey => "no enrolment names this key",
            TurnedAway::NoKey => "no key was shown",
            TurnedAway::NoHandshake => "there was no handshake in TLS 1.3",
            TurnedAway::NoTerminal => "it is from no management terminal",
        }
    }
}

/// What the vault says of its networks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkStatus {
    /// lines of hospitals, as declared
    pub lines: Vec<LineConfig>,
    /// servers that the vault reaches
    pub outward: Vec<Outward>,
    /// whether those are declared, so that no other can be configured
    pub outward_declared: bool,
    /// connections since the vault was opened
    pub connections: u64,
    /// those that were turned away, by reason
    pub turned_away: BTreeMap<TurnedAway, u64>,
}

impl Inner {
    /// Whether somebody at this address may shake hands at all.
    pub(crate) fn line_from(&self, from: IpAddr) -> Result<(), TurnedAway> {
        self.judge_lines(from, TurnedAway::NoLine, |_| true)
    }

    /// Whether this hospital may be answered at this address, now.
    pub(crate) fn line_of(&self, hospital: HospitalId, from: IpAddr) -> Result<(), TurnedAway> {
        self.judge_lines(from, TurnedAway::OtherLine, |line| line.hospital.parse() == Ok(hospital))
    }

    fn judge_lines(&self, from: IpAddr, none: TurnedAway, of: impl Fn(&LineConfig) -> bool) -> Result<(), TurnedAway> {
        let network = &self.config.network;
        if network.lines.is_empty() {
            return Ok(());
        }
        let from = from.to_canonical();
        let mut lines = network.lines.iter().filter(|line| of(line) && line.comes_from(from)).peekable();
        if lines.peek().is_none() {
            return Err(none);
        }
        let moment = Moment::of(self.clock.now_ms(), self.media.trusted_ms());
        match lines.any(|line| line.hours.are_open(&moment, network.utc_offset)) {
            true => Ok(()),
            false => Err(TurnedAway::Hours),
        }
    }

    /// Puts on record that somebody was turned away, and counts it. Floods are one record a minute for each reason.
    pub(crate) fn turn_away(self: &Arc<Self>, from: IpAddr, actor: String, why: TurnedAway) {
        tracing::info!(%from, why = why.name(), "turned a connection away");
        self.connections.turned_away(why);
        let inner = self.clone();
        tokio::spawn(async move {
            let note = move || {
                let why = why.sentence();
                inner.accounts.note_turned_away(&actor, Action::ConnectionRefused, why, from.to_canonical())
            };
            if let Err(error) = blocking(note).await {
                tracing::error!(error = &error as &dyn std::error::Error, "a refusal could not be recorded");
            }
        });
    }

    /// Puts on record that somebody connected. False where that cannot be written.
    pub(crate) async fn connected(self: &Arc<Self>, guest: Guest) -> bool {
        let now_ms = self.clock.now_ms();
        if self.connections.count(&guest, now_ms) {
            return true;
        }
        let inner = self.clone();
        let noted = blocking(move || inner.connections.begin(guest, now_ms)).await;
        if let Err(error) = &noted {
            tracing::error!(error = error as &dyn std::error::Error, "a connection could not be recorded: it is ended");
        }
        noted.is_ok()
    }

    /// Lines that were declared for hospitals that are not enrolled: most likely a wrong id, whose hospital gets no answer.
    pub(crate) fn lines_of_nobody(&self) -> Vec<Finding> {
        let enrolled: Vec<String> = self.desks().iter().map(|desk| desk.info().hospital.to_string()).collect();
        let lines = self.config.network.lines.iter().filter(|line| !enrolled.contains(&line.hospital));
        let message = |line: &LineConfig| {
            format!("vault.toml declares a line of hospital {}, which is not enrolled: look at its id", line.hospital)
        };
        let finding = |message| Finding { severity: Severity::Degraded, code: "line-of-nobody", message };
        lines.map(message).map(finding).collect()
    }

    /// What the vault says of its networks.
    pub(crate) fn network_status(&self) -> NetworkStatus {
        let (connections, turned_away) = self.connections.figures();
        NetworkStatus {
            lines: self.config.network.lines.clone(),
            outward: self.config.outward(),
            outward_declared: self.config.network.outward.is_some(),
            connections,
            turned_away,
        }
    }
}
