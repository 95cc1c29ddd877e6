//! Terms to begin with: those of a demonstration, and a proposal for two parties to change.

use super::*;

/// Days of retention that are commonly published for a record type, from its start event on; each hospital confirms or
/// changes them. What is not here has no term of its own.
const TERMS_DAYS: [(&str, u32); 9] = [
    ("T4-01", 5 * 365 + 2),
    ("T4-02", 5 * 365 + 2),
    ("T4-03", 5 * 365 + 2),
    ("T4-05", 2 * 365 + 1),
    ("T4-06", 2 * 365 + 1),
    ("T4-07", 5 * 365 + 2),
    ("T4-08", 5 * 365 + 2),
    ("T4-10", 3 * 365 + 1),
    ("T4-12", 3 * 365 + 1),
];

/// Who agrees, and when that is written down.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    /// hospital
    pub hospital: HospitalId,
    /// its algorithms
    pub suite: Suite,
    /// vault
    pub vault: VaultId,
    /// now, in milliseconds since 1970
    pub now_ms: u64,
}

impl Terms {
    /// Terms for two parties to change: everything that may come, commonly published terms, a scan before sealing.
    pub fn proposal(draft: Draft) -> Self {
        let Draft { hospital, suite, vault, now_ms } = draft;
        let label = |label, deliver, copies| LabelRule { label, deliver, copies, erasure: Erasure::Overwrite };
        let notice = |notice| NoticeRule { notice, channel: Channel::Ledger, target: 0 };
        Terms {
            demo: false,
            suite,
            hospital,
            vault,
            number: 1,
            previous: Digest([0; 32]),
            made_ms: now_ms,
            from_ms: now_ms,
            routes: Routes { network: true, media: true, application: true },
            line: Line::IpVpn,
            second_site: true,
            exports: true,
            scan: ScanRule {
                scanning: Scanning::Required,
                definitions_hours_max: 72,
                scan_hours_max: 24,
                packed_hours_max: 72,
            },
            erasure: Erasure::Overwrite,
            overwrite_passes: 3,
            cool_down_days: 7,
            emergency: Emergency::Telephone,
            timestamps: Timestamps::VaultClock,
            retry: RetryRule { failures_max: 10, window_minutes: 24 * 60 },
            quarantine: QuarantineRule { term_days: 30, bytes_max: 10 << 30 },
            quota_bytes: 10 << 40,
            types: RecordType::all()
                .map(|record_type| TypeRule { record_type, term_days_min: term_days(record_type), read_within_s: 60 })
                .collect(),
            labels: vec![
                label(Label::Ordinary, Deliver::Grants, Copies::Exports),
                label(Label::Sensitive, Deliver::Grants, Copies::SecondSite),
                label(Label::Restricted, Deliver::Hospital, Copies::SecondSite),
            ],
            notices: Notice::ALL.iter().copied().map(notice).collect(),
            outward: Vec::new(),
            papers: Vec::new(),
        }
    }

    /// What a demonstration agrees with itself, so that everything can be tried: it says that it is one.
    pub fn demonstration(draft: Draft) -> Self {
        let proposal = Terms::proposal(draft);
        let types = proposal.types.iter().map(|rule| TypeRule { term_days_min: 0, ..*rule }).collect();
        Terms {
            demo: true,
            line: Line::None,
            scan: ScanRule { scanning: Scanning::Off, ..proposal.scan },
            cool_down_days: 0,
            retry: RetryRule { failures_max: 1000, window_minutes: 60 },
            types,
            ..proposal
        }
    }
}

fn term_days(record_type: RecordType) -> u32 {
    TERMS_DAYS.iter().find(|row| row.0 == record_type.code()).map_or(0, |row| row.1)
}
