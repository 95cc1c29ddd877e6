//! Which records of the audit log people are told of at once, and under which word. What they are told is that word, the number of
//! the record and when: never who, never whose, never why (3.4-R9).

use crate::audit::vocabulary::vocabulary;
use crate::audit::{Action, AuditRecord, Detail, MediaState, Outcome};
use serde::Serialize;

vocabulary! {
    /// What people are told of.
    Alarm: u8, "alarm" {
        /// a comparison or a tour found damage
        Damage = 1 "damage",
        /// a volume failed, was lost, or came back older than it was
        Volume = 2 "volume",
        /// work of the vault failed
        WorkFailed = 3 "work-failed",
        /// an account is locked after wrong tries, or many tries were turned away
        Guessing = 4 "guessing",
        /// somebody asked for what they may not do, or a record's end was refused
        Refused = 5 "refused",
        /// somebody may do more than usual for a while
        Emergency = 6 "emergency",
        /// something about the people who run it must be looked at: the accounts file, or what a stopped person could reach
        People = 7 "people",
        /// the clock went back or far ahead
        Clock = 8 "clock",
        /// the audit log was damaged, restored, or not ended
        Log = 9 "log",
        /// the room for the audit log is short
        LogSpace = 10 "log-space",
        /// settings or the program are not what they were
        Changed = 11 "changed",
        /// an incident was stated to a hospital
        Incident = 12 "incident",
        /// a message could not be delivered by another channel
        Undelivered = 13 "undelivered",
        /// somebody tries whether they are told
        Trial = 14 "trial",
        /// something suspicious was set aside, or left quarantine
        Quarantine = 15 "quarantine",
        /// transfers of a hospital fail, by courier too, or all communication with it was stopped
        Line = 16 "line",
        /// a machine was met that the register does not know, or that may not be connected now
        Machine = 17 "machine",
    }
}

/// One thing to tell: content-free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// number of the record in the audit log
    pub record: u64,
    /// what
    pub alarm: Alarm,
    /// when, in milliseconds since 1970
    pub at_ms: u64,
    /// how many times, where it was counted
    #[serde(skip_serializing_if = "is_zero")]
    pub count: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a record is to people, and to the channel called `channel`: its own failures are for the others.
pub fn notice_of(record: &AuditRecord, channel: &str) -> Option<Notice> {
    let event = &record.event;
    let alarm = match event.action {
        Action::NoticeFailed => match &event.detail {
            Detail::Place(name) if name == channel => return None,
            _ => Alarm::Undelivered,
        },
        _ => alarm_of(record)?,
    };
    let counted = matches!(alarm, Alarm::Guessing | Alarm::Refused | Alarm::Machine);
    Some(Notice { record: record.seq, alarm, at_ms: event.at_ms, count: if counted { event.units } else { 0 } })
}

/// What a record is to people, its delivery aside.
pub fn alarm_of(record: &AuditRecord) -> Option<Alarm> {
    let event = &record.event;
    let (bad, refused) = (event.outcome == Outcome::Findings, event.outcome == Outcome::Refused);
    match event.action {
        Action::NoticeTried => Some(Alarm::Trial),
        Action::IncidentStated if event.outcome == Outcome::Done => Some(Alarm::Incident),
        Action::Quarantined | Action::QuarantineReleased => Some(Alarm::Quarantine),
        Action::TransferFailed | Action::CommunicationStopped => Some(Alarm::Line),
        Action::ShipmentReceived | Action::MediumTaken if refused => Some(Alarm::Line),
        Action::LogSpace if bad => Some(Alarm::LogSpace),
        Action::LogStarted if bad => Some(Alarm::Log),
        Action::LogRestored => Some(Alarm::Log),
        Action::ClockJumped if event.outcome != Outcome::Done || event.actor == crate::journal::VAULT => {
            Some(Alarm::Clock)
        }
        Action::SettingsChanged | Action::ProgramChanged | Action::LibrariesChanged
            if event.reason.ends_with("met first") =>
        {
            None
        }
        Action::SettingsChanged | Action::ProgramChanged | Action::LibrariesChanged => Some(Alarm::Changed),
        Action::TimeAgreement if bad => Some(Alarm::Clock),
        Action::SelfChecked if bad => Some(Alarm::Changed),
        Action::AccountLocked => Some(Alarm::Guessing),
        Action::LogOnRefused if event.reason.starts_with("too many tries") => Some(Alarm::Guessing),
        Action::CommandRefused => Some(Alarm::Refused),
        Action::MachineUnknown => Some(Alarm::Machine),
        Action::DisposalRefused if event.actor != "job:canary" || bad => Some(Alarm::Refused),
        Action::BreakGlass => Some(Alarm::Emergency),
        Action::AccountsConfirmed | Action::AccountSuspended => Some(Alarm::People),
        Action::SuspicionVerified if bad => Some(Alarm::People),
        Action::VolumeStale => Some(Alarm::Volume),
        Action::VolumeState => match &event.detail {
            Detail::State { to: MediaState::Suspect | MediaState::Lost, .. } if !refused => Some(Alarm::Volume),
            _ => None,
        },
        Action::VolumeTested if bad => Some(Alarm::Volume),
        _ if event.outcome == Outcome::Failed => Some(Alarm::WorkFailed),
        Action::Check | Action::Scrub | Action::Watch | Action::VolumeToured | Action::Repair if bad => {
            Some(Alarm::Damage)
        }
        Action::Stocktake if bad => Some(Alarm::Volume),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditEvent;
    use shosoin_protocol::Digest;

    fn told(event: AuditEvent) -> Option<Alarm> {
        notice_of(&AuditRecord { seq: 7, digest: Digest([0; 32]), event }, "desk").map(|notice| notice.alarm)
    }

    #[test]
    fn people_are_told_of_what_is_wrong_and_not_of_what_is_usual_3_4_r8() {
        let event = |action, outcome| AuditEvent::new(1, "hanako", action).ended(outcome);
        let lost = Detail::State { from: None, to: MediaState::Lost };
        for (event, alarm) in [
            (event(Action::Check, Outcome::Findings), Alarm::Damage),
            (event(Action::CopyForward, Outcome::Failed), Alarm::WorkFailed),
            (event(Action::AccountLocked, Outcome::Findings), Alarm::Guessing),
            (event(Action::CommandRefused, Outcome::Refused), Alarm::Refused),
            (event(Action::VolumeState, Outcome::Done).with(lost), Alarm::Volume),
            (event(Action::LogStarted, Outcome::Findings), Alarm::Log),
            (event(Action::MachineUnknown, Outcome::Findings), Alarm::Machine),
            (event(Action::SelfChecked, Outcome::Findings), Alarm::Changed),
            (event(Action::TimeAgreement, Outcome::Findings), Alarm::Clock),
            (event(Action::Quarantined, Outcome::Done), Alarm::Quarantine),
            (event(Action::CommunicationStopped, Outcome::Done), Alarm::Line),
            (event(Action::ShipmentReceived, Outcome::Refused), Alarm::Line),
            (event(Action::MediumTaken, Outcome::Refused), Alarm::Line),
            (event(Action::NoticeFailed, Outcome::Failed).with(Detail::Place("night".into())), Alarm::Undelivered),
        ] {
            assert_eq!(told(event.clone()), Some(alarm), "{}", event.action);
        }
        for event in [
            event(Action::Check, Outcome::Done),
            event(Action::Scrub, Outcome::Begun),
            event(Action::LogOnRefused, Outcome::Refused),
            event(Action::LogStarted, Outcome::Done),
            event(Action::SelfChecked, Outcome::Done),
            event(Action::SettingsChanged, Outcome::Done).because("as they were met first"),
            event(Action::NoticeFailed, Outcome::Failed).with(Detail::Place("desk".into())),
            AuditEvent::of_job(1, "canary", Action::DisposalRefused).ended(Outcome::Refused),
        ] {
            assert_eq!(told(event.clone()), None, "{}", event.action);
        }
    }
}
