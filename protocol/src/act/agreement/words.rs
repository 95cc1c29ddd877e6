//! The closed vocabularies of an agreement.

use super::super::codes;
use crate::codec::{Reader, Writer};
use crate::{Error, Result};

codes! {
    /// How hospital and vault are joined (3-R8, 3.2-R3, 3.5.2-R1).
    Line, "line" {
        /// no line at all: both are on one machine, or only media travel
        None = 0 "none",
        /// a line of their own
        Dedicated = 1 "dedicated",
        /// a closed network of a carrier
        IpVpn = 2 "ip-vpn",
        /// IPsec with IKE over the Internet, keys renewed automatically
        InternetVpn = 3 "internet-vpn-ipsec-ike",
    }

    /// Whether contents are scanned for malware at the hospital, before they are sealed (7.6.3, T1).
    Scanning, "scanning" {
        /// they are not: both sides agreed so, and it is printed in status and statement
        Off = 0 "off",
        /// every content; what the scanner cannot scan is refused
        Required = 1 "required",
        /// every content; what is over the scanner's limit is taken if every piece of it was clean, and declared so
        RequiredInPieces = 2 "required-in-pieces",
    }

    /// How records end (8.2-R2, 7.5.4-R1).
    Erasure, "erasure" {
        /// the pieces are overwritten on media that can be, and the others are destroyed by a stated date
        Overwrite = 1 "overwrite",
        /// every medium that held a piece is destroyed
        Destroy = 2 "destroy",
    }

    /// The other way to reach each other while communication is stopped (T11).
    Emergency, "emergency channel" {
        /// by telephone, numbers kept in both sides' files
        Telephone = 1 "telephone",
        /// by a person who carries media
        Courier = 2 "courier",
        /// another way that both sides keep in their files
        Other = 3 "other",
    }

    /// Where the times of entries come from, beside the clocks of both sides (7.6.8-M1).
    Timestamps, "timestamps" {
        /// the vault's clock in receipts and checkpoints
        VaultClock = 1 "vault-clock",
        /// an authority that stamps checkpoints (RFC 3161)
        Authority = 2 "authority",
    }

    /// To whom records of a label may be delivered (7.2.2-M6).
    Deliver, "delivery" {
        /// to devices of the hospital alone
        Hospital = 1 "hospital",
        /// to others too, by grants of the hospital with the patient's consent
        Grants = 2 "grants",
    }

    /// Which copies of records of a label there may be, beyond the coded set that is one holding (T8).
    Copies, "copies" {
        /// none
        None = 0 "none",
        /// at the second site
        SecondSite = 1 "second-site",
        /// at the second site, and exports that the hospital makes
        Exports = 2 "exports",
    }

    /// An outward connection beyond those of 7.6.6-M9 that the hospital agreed to.
    Outward, "outward service" {
        /// volumes in an object store of somebody else
        CloudVolumes = 1 "cloud-volumes",
        /// notices by webhook
        Webhook = 2 "webhook",
        /// notices by mail, without content
        Mail = 3 "mail",
        /// witnesses of the ledger
        Witness = 4 "witness",
    }

    /// What the hospital is told of.
    Notice, "notice" {
        /// deposits, as the agreed report sums them up
        Receipts = 1 "receipts",
        /// something is not as it should be
        Anomaly = 2 "anomaly",
        /// an incident
        Incident = 3 "incident",
        /// something went into quarantine, or came out of it
        Quarantine = 4 "quarantine",
        /// communication was stopped, or opened again
        Communication = 5 "communication",
        /// the periodic report
        Report = 6 "report",
    }

    /// How the hospital is told.
    Channel, "channel" {
        /// over the API, in the ledger: always
        Ledger = 1 "ledger",
        /// webhook of the hospital
        Webhook = 2 "webhook",
        /// mail without content
        Mail = 3 "mail",
        /// telephone, by a person
        Telephone = 4 "telephone",
    }

    /// A paper that both sides keep, of which the agreement has the digest alone (3.3-R1, 4.1-R1, 7.5.4-R1).
    Paper, "paper" {
        /// system specification
        Specification = 1 "specification",
        /// operating plan
        OperatingPlan = 2 "operating-plan",
        /// continuity plan
        ContinuityPlan = 3 "continuity-plan",
        /// procedure for exchange on media
        MediaProcedure = 4 "media-procedure",
        /// procedure for exchange over the network
        NetworkProcedure = 5 "network-procedure",
        /// procedure for application input
        ApplicationProcedure = 6 "application-procedure",
        /// disposal procedure, and the reasons for the method of erasure
        DisposalProcedure = 7 "disposal-procedure",
        /// security policy of the interface
        SecurityPolicy = 8 "security-policy",
    }
}

/// Ways by which records may come in (3.3, 3.4, 3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Routes {
    /// over the network
    pub network: bool,
    /// on media that a courier brings
    pub media: bool,
    /// typed into an application of the hospital that writes to the gateway
    pub application: bool,
}

impl Routes {
    pub(super) fn write(self, out: &mut Writer) {
        out.u8(u8::from(self.network) | u8::from(self.media) << 1 | u8::from(self.application) << 2);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.u8("routes")? {
            bits @ 1..=7 => Ok(Routes { network: bits & 1 != 0, media: bits & 2 != 0, application: bits & 4 != 0 }),
            0 => Err(Error::Invalid { what: "routes", why: "one at least must be agreed" }),
            _ => Err(Error::Invalid { what: "routes", why: "unknown bits must be zero" }),
        }
    }

    /// Their names for people and programs.
    pub fn names(self) -> Vec<&'static str> {
        let all = [(self.network, "network"), (self.media, "media"), (self.application, "application")];
        all.into_iter().filter_map(|(agreed, name)| agreed.then_some(name)).collect()
    }
}
