//! The operator's commands about media that arrive by courier, as values: a running vault takes them through its administration
//! socket and a stopped one in the process that asks.

use super::file::{MEDIA_MAX, TEXT_BYTES_MAX};
use super::{AnnouncedMedium, MediumStep, Places, Shipment};
use crate::accounts::Caller;
use crate::audit::{Action, Outcome, check_text};
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shosoin_protocol::VersionId;
use shosoin_protocol::medium::MediumKind;
use std::path::PathBuf;

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ShipmentCommand {
    /// every shipment, and how far its media are
    List,
    /// a hospital told of a shipment, by another way than the courier
    Announce {
        /// whose, in hex; may be left out where the vault knows one hospital
        hospital: Option<String>,
        /// its id, as the hospital's `pack` gave it
        shipment: String,
        /// kind and seal of each medium, in the order of their numbers
        media: Vec<(String, String)>,
        /// who carries it
        courier: String,
        /// when it should arrive, in milliseconds since 1970
        expected_ms: u64,
    },
    /// it is here: what people found
    Receive {
        /// which
        shipment: String,
        /// kind of each medium, and the number of its seal if that is unbroken
        media: Vec<(String, String)>,
        /// how it was checked who carried it
        identity: String,
    },
    /// take in what is on a medium
    Take {
        /// where it is mounted
        medium: PathBuf,
        /// what the station said of it
        check: PathBuf,
        /// folder for the hospital's receipts
        receipts: PathBuf,
    },
    /// a medium, or what is on it, was disposed of
    Dispose {
        /// of which shipment
        shipment: String,
        /// its number
        number: u16,
        /// `overwritten`, `destroyed` or `returned`
        method: String,
        /// who did it
        worker: String,
    },
}

/// How a medium ends. A disc that cannot be added to is destroyed (7.6.7-M1).
const METHODS: [&str; 3] = ["overwritten", "destroyed", "returned"];

impl ShipmentCommand {
    /// What it is called in the table of permissions.
    pub fn work(&self) -> &'static str {
        match self {
            ShipmentCommand::List => "intake media list",
            ShipmentCommand::Announce { .. } => "intake media announce",
            ShipmentCommand::Receive { .. } => "intake media receive",
            ShipmentCommand::Take { .. } => "intake media take",
            ShipmentCommand::Dispose { .. } => "intake media dispose",
        }
    }
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON.
    pub async fn shipment_command(&self, command: ShipmentCommand, caller: Caller) -> Result<Value> {
        let actor = self.admit(&caller, command.work()).await?.actor;
        let inner = self.inner.clone();
        match command {
            ShipmentCommand::Take { medium, check, receipts } => {
                let desk = inner.desk_of_medium(&medium)?;
                let places = Places { medium, check, receipts };
                let taken = self.take_medium(desk, places, actor).await?;
                Ok(json!({
                    "chunks": taken.chunks,
                    "deposits": taken.deposits,
                    "bytes": taken.bytes,
                    "refused": taken.refused,
                }))
            }
            ShipmentCommand::List => blocking(move || inner.list_shipments()).await,
            ShipmentCommand::Announce { hospital, shipment, media, courier, expected_ms } => {
                blocking(move || {
                    let hospital = inner.desk_of(hospital.as_deref())?.info().hospital;
                    let (id, media) = (id(&shipment)?, media_of(&media, inner.clock.now_ms())?);
                    let shipment = Shipment { id, hospital, expected_ms, courier, media };
                    inner.announce(shipment, &actor)
                })
                .await
            }
            ShipmentCommand::Receive { shipment, media, identity } => {
                blocking(move || inner.receive(id(&shipment)?, &media, &identity, &actor)).await
            }
            ShipmentCommand::Dispose { shipment, number, method, worker } => {
                blocking(move || inner.dispose_medium(id(&shipment)?, number, &method, &worker, &actor)).await
            }
        }
    }
}

fn id(text: &str) -> Result<VersionId> {
    text.parse().map_err(|error: shosoin_protocol::Error| Error::Argument { what: "shipment", why: error.to_string() })
}

fn media_of(media: &[(String, String)], at_ms: u64) -> Result<Vec<AnnouncedMedium>> {
    if media.is_empty() || media.len() > MEDIA_MAX {
        return Err(Error::Argument { what: "media", why: format!("there are 1 to {MEDIA_MAX} in a shipment") });
    }
    let one = |(kind, seal): &(String, String)| {
        let unknown = || Error::Argument { what: "kind of a medium", why: format!("{kind} is none") };
        let kind = MediumKind::parse(kind).ok_or_else(unknown)?;
        check_text("seal", seal, TEXT_BYTES_MAX)?;
        Ok(AnnouncedMedium { kind, seal: seal.clone(), step: MediumStep::Announced, at_ms })
    };
    media.iter().map(one).collect()
}

fn shown(shipment: &Shipment) -> Value {
    let medium = |(number, medium): (usize, &AnnouncedMedium)| {
        json!({
            "number": number + 1,
            "kind": medium.kind.name(),
            "seal": medium.seal,
            "step": medium.step.name(),
            "at_ms": medium.at_ms,
        })
    };
    json!({
        "shipment": shipment.id.to_string(),
        "hospital": shipment.hospital.to_string(),
        "courier": shipment.courier,
        "expected_ms": shipment.expected_ms,
        "media": shipment.media.iter().enumerate().map(medium).collect::<Vec<_>>(),
    })
}

impl Inner {
    /// The desk of the hospital that a medium says it is of; whether that is true is judged later.
    fn desk_of_medium(&self, medium: &std::path::Path) -> Result<std::sync::Arc<crate::desk::Desk>> {
        let path = medium.join(shosoin_protocol::medium::FOLDER).join("manifest");
        let bytes = super::read_file(&path, super::MANIFEST_BYTES_MAX)?;
        let hospital = bytes.get(8..24).and_then(|id| id.try_into().ok()).map(shosoin_protocol::HospitalId);
        let hospital = hospital.ok_or(Error::Invalid { what: "medium", why: "its manifest is cut" })?;
        self.desk_of(Some(&hospital.to_string()))
    }

    fn list_shipments(&self) -> Result<Value> {
        let shipments = self.shipments()?;
        let now_ms = self.clock.now_ms();
        let late = |shipment: &&Shipment| {
            shipment.expected_ms < now_ms && shipment.media.iter().any(|medium| medium.step == MediumStep::Announced)
        };
        let late: Vec<String> = shipments.iter().filter(late).map(|shipment| shipment.id.to_string()).collect();
        Ok(json!({ "time_ms": now_ms, "shipments": shipments.iter().map(shown).collect::<Vec<_>>(), "late": late }))
    }

    fn announce(&self, shipment: Shipment, actor: &str) -> Result<Value> {
        check_text("courier", &shipment.courier, TEXT_BYTES_MAX)?;
        if shipment.courier.is_empty() || shipment.media.iter().any(|medium| medium.seal.is_empty()) {
            let why = "a courier and a seal for each medium must be announced (3.3-H3, 3.3-H5)".to_owned();
            return Err(Error::Argument { what: "shipment", why });
        }
        match self.shipment(shipment.id) {
            Err(Error::NotFound { .. }) => {}
            Ok(_) => {
                let (id, why) = (shipment.id.to_string(), "was announced before".to_owned());
                return Err(Error::AccountState { what: "shipment", id, why });
            }
            Err(error) => return Err(error),
        }
        self.note_shipment(actor, Action::ShipmentAnnounced, &shipment, "", Outcome::Done)?;
        self.keep_shipment(&shipment)?;
        Ok(shown(&shipment))
    }

    /// People have it, and found what was announced; else it stays announced and the log says what is wrong.
    fn receive(&self, id: VersionId, media: &[(String, String)], identity: &str, actor: &str) -> Result<Value> {
        let mut shipment = self.shipment(id)?;
        let (found, now_ms) = (media_of(media, 0)?, self.clock.now_ms());
        check_text("identity", identity, TEXT_BYTES_MAX)?;
        let wrong = match &shipment {
            _ if identity.trim().is_empty() => Some("nobody checked who carried it (3.3-P1)".to_owned()),
            shipment if found.len() != shipment.media.len() => {
                Some(format!("{} media came, {} were announced (3.3-P2)", found.len(), shipment.media.len()))
            }
            shipment => found.iter().zip(&shipment.media).enumerate().find_map(|(at, (found, announced))| {
                let number = at + 1;
                match (found.kind == announced.kind, found.seal == announced.seal) {
                    (false, _) => Some(format!("medium {number} is of another kind than was announced (3.3-P2)")),
                    (_, false) => Some(format!("the seal of medium {number} is broken or another one (3.3-P2)")),
                    _ => None,
                }
            }),
        };
        if let Some(wrong) = wrong {
            self.note_shipment(actor, Action::ShipmentReceived, &shipment, &wrong, Outcome::Refused)?;
            let why = format!("was not received: {wrong}; tell the hospital, and keep it apart");
            return Err(Error::AccountState { what: "shipment", id: id.to_string(), why });
        }
        for number in 1..=shipment.media.len() {
            shipment.step(u16::try_from(number).unwrap_or(u16::MAX), MediumStep::Received, now_ms)?;
        }
        self.note_shipment(actor, Action::ShipmentReceived, &shipment, identity, Outcome::Done)?;
        self.keep_shipment(&shipment)?;
        Ok(shown(&shipment))
    }

    fn dispose_medium(&self, id: VersionId, number: u16, method: &str, worker: &str, actor: &str) -> Result<Value> {
        let mut shipment = self.shipment(id)?;
        check_text("worker", worker, TEXT_BYTES_MAX)?;
        if !METHODS.contains(&method) {
            let why = format!("it is one of {}", METHODS.join(", "));
            return Err(Error::Argument { what: "method", why });
        }
        if shipment.medium(number)?.kind == MediumKind::Optical && method == "overwritten" {
            let why = "a disc cannot be overwritten: it is destroyed, or returned (7.6.7-M1)".to_owned();
            return Err(Error::Argument { what: "method", why });
        }
        if worker.trim().is_empty() {
            return Err(Error::Argument { what: "worker", why: "name who did it (7.5.4-M4)".to_owned() });
        }
        shipment.step(number, MediumStep::Disposed, self.clock.now_ms())?;
        let reason = format!("medium {number} {method} by {worker}");
        self.note_shipment(actor, Action::CourierMediumDisposed, &shipment, &reason, Outcome::Done)?;
        self.keep_shipment(&shipment)?;
        Ok(shown(&shipment))
    }
}
