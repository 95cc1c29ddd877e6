//! What a label says, as JSON and commands say it; and the same words for what an operator types.

use crate::audit::{MediaState, TestKind};
use serde::Serialize;
use shosoin_tiers::VolumeLabel;
use shosoin_tiers::volume::{Domains, MediaClass, RatedLife, TierKind};

/// A label in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelFacts {
    /// volume id, hex
    pub id: String,
    /// raised by each rewrite
    pub generation: u64,
    /// labelled as part of a demo
    pub demo: bool,
    /// `hot` or `archive`
    pub tier: String,
    /// `ssd`, `hdd`, `tape`, `optical` or `cloud`
    pub class: String,
    /// who made it
    pub vendor: String,
    /// maker's model
    pub model: String,
    /// maker's serial number
    pub serial: String,
    /// manufacturing lot
    pub lot: String,
    /// firmware revision
    pub firmware: String,
    /// first use, in milliseconds since 1970
    pub first_use_ms: u64,
    /// as in `5y`, `40000h`, `200p`; empty where nobody says
    pub rated_life: String,
    /// security label
    pub security_label: String,
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

impl From<&VolumeLabel> for LabelFacts {
    fn from(label: &VolumeLabel) -> Self {
        let Domains { host, power, rack, site, device } = label.domains.clone();
        LabelFacts {
            id: label.id.to_string(),
            generation: label.generation,
            demo: label.demo,
            tier: tier_name(label.tier).to_owned(),
            class: class_name(label.class).to_owned(),
            vendor: label.vendor.clone(),
            model: label.model.clone(),
            serial: label.serial.clone(),
            lot: label.lot.clone(),
            firmware: label.firmware.clone(),
            first_use_ms: label.first_use_ms,
            rated_life: rated_life_text(label.rated_life),
            security_label: label.security_label.clone(),
            host,
            power,
            rack,
            site,
            device,
        }
    }
}

/// What of a label differs from the ledger; empty where nothing does.
pub fn difference(known: &VolumeLabel, read: &VolumeLabel) -> String {
    if known == read {
        return String::new();
    }
    let (known, read) = (fields(known), fields(read));
    let differing = known.iter().zip(&read).filter(|(known, read)| known.1 != read.1);
    let told = differing.map(|((name, known), (_, read))| format!("{name} is {read}, the ledger says {known}"));
    told.collect::<Vec<_>>().join("; ")
}

fn fields(label: &VolumeLabel) -> Vec<(String, String)> {
    match serde_json::to_value(LabelFacts::from(label)) {
        Ok(serde_json::Value::Object(map)) => map.into_iter().map(|(name, value)| (name, value.to_string())).collect(),
        _ => Vec::new(),
    }
}

/// Name of a tier.
pub fn tier_name(tier: TierKind) -> &'static str {
    match tier {
        TierKind::Hot => "hot",
        TierKind::Archive => "archive",
    }
}

/// The tier of a name.
pub fn parse_tier(name: &str) -> Option<TierKind> {
    [TierKind::Hot, TierKind::Archive].into_iter().find(|tier| tier_name(*tier) == name)
}

/// Name of a media class.
pub fn class_name(class: MediaClass) -> &'static str {
    match class {
        MediaClass::Ssd => "ssd",
        MediaClass::Hdd => "hdd",
        MediaClass::Tape => "tape",
        MediaClass::Optical => "optical",
        MediaClass::Cloud => "cloud",
    }
}

/// The media class of a name.
pub fn parse_class(name: &str) -> Option<MediaClass> {
    MediaClass::ALL.into_iter().find(|class| class_name(*class) == name)
}

/// A rated life as in `5y`, `40000h`, `200p`; empty where nobody says.
pub fn rated_life_text(life: RatedLife) -> String {
    match life {
        RatedLife::NotStated => String::new(),
        RatedLife::Years(years) => format!("{years}y"),
        RatedLife::Hours(hours) => format!("{hours}h"),
        RatedLife::Passes(passes) => format!("{passes}p"),
    }
}

/// The rated life that a text of [`rated_life_text`] says.
pub fn parse_rated_life(text: &str) -> Option<RatedLife> {
    if text.is_empty() {
        return Some(RatedLife::NotStated);
    }
    let (amount, unit) = text.split_at_checked(text.len() - 1)?;
    let amount = amount.parse().ok().filter(|_| !amount.starts_with('+'))?;
    match unit {
        "y" => Some(RatedLife::Years(amount)),
        "h" => Some(RatedLife::Hours(amount)),
        "p" => Some(RatedLife::Passes(amount)),
        _ => None,
    }
}

/// Whether a medium in this state is expected where its configuration says.
pub fn is_expected(state: MediaState) -> bool {
    matches!(state, MediaState::Active | MediaState::Suspect | MediaState::Draining)
}

/// Unit of a test's value.
pub fn test_unit(test: TestKind) -> &'static str {
    match test {
        TestKind::OpticalErrorRate => "errors in the worst second or block group",
        TestKind::SmartHealth => "attributes beyond their thresholds",
        TestKind::Surface => "blocks not read",
        TestKind::TapeErrorRate => "permanent errors",
        TestKind::Maker => "faults",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_life_that_is_no_number_and_unit_is_refused() {
        for text in ["y", "5", "5 y", "-5y", "+5y", "5w", "99999999999h", "五年", "年"] {
            assert_eq!(parse_rated_life(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_rated_life_reads_back(amount: u32, unit in 0..3) {
            let life = [RatedLife::Years(amount), RatedLife::Hours(amount), RatedLife::Passes(amount)][unit as usize];
            prop_assert_eq!(parse_rated_life(&rated_life_text(life)), Some(life));
        }
    }
}
