//! The label of a volume: who made the medium, how long it lasts, and what it shares with others.

use shosoin_protocol::VolumeId;

/// What a volume says about itself. Empty text means: not stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeLabel {
    /// the volume, chosen at random when it is labelled
    pub id: VolumeId,
    /// raised by one each time the label is written; of two copies the higher one counts
    pub generation: u64,
    /// which tier it belongs to
    pub tier: TierKind,
    /// what it is
    pub class: MediaClass,
    /// labelled as part of a demo, where placement does not keep losses apart
    pub demo: bool,
    /// who made it
    pub vendor: String,
    /// maker's model
    pub model: String,
    /// maker's serial number
    pub serial: String,
    /// manufacturing lot: media of one lot die together
    pub lot: String,
    /// firmware revision: drives of one firmware fail together
    pub firmware: String,
    /// first use, in milliseconds since 1970
    pub first_use_ms: u64,
    /// how long its maker says it lasts
    pub rated_life: RatedLife,
    /// security label of what may be kept on it
    pub security_label: String,
    /// what it shares with other volumes
    pub domains: Domains,
}

/// What a volume shares with others, and so what it may be lost together with. Empty text means: not stated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domains {
    /// machine
    pub host: String,
    /// power feed
    pub power: String,
    /// rack
    pub rack: String,
    /// building
    pub site: String,
    /// physical device
    pub device: String,
}

/// Which tier a volume belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TierKind {
    /// fresh records, on solid-state or magnetic disk
    Hot = 1,
    /// closed segments that are read rarely
    Archive = 2,
}

/// What a medium is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MediaClass {
    /// solid-state disk
    Ssd = 1,
    /// magnetic disk
    Hdd = 2,
    /// magnetic tape
    Tape = 3,
    /// optical disc
    Optical = 4,
    /// prefix in somebody's object store
    Cloud = 5,
}

/// How long a medium lasts, in the unit its maker states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RatedLife {
    /// nobody says
    NotStated,
    /// years from first use
    Years(u32),
    /// hours of running
    Hours(u32),
    /// passes over a head
    Passes(u32),
}
