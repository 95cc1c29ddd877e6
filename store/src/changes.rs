//! The register of changes of the service: what was changed in the program, the settings or the machines, by whom, why, on whose
//! agreement, with which test, and what it was before and after (guideline 7.6.9-M4, 7.6.1-M9). A projection of the audit log,
//! kept in memory, as the register of machines is: the log is the truth, so a changed register is a changed log.
//!
//! The vault holds itself against it (`look`): a program or settings that nobody registered are an alarm, an incident, and a
//! finding until somebody does.
//!
//! Invariants
//! - Nothing changes here before the record that says so is durable in the audit log. A change is never taken back: another one
//!   follows it, with the next number.
//! - A program is registered only with the digest that its maker published by another way, and only if the file has it.
//! - A registered program or setting that was never met waits, and until then what it follows is right too; once it was met,
//!   nothing else is.
//!
//! What this cannot do: a program that was replaced by one that lies says what it likes. So the digest is also compared from
//! outside, as `docs/operations.md` says.

mod command;
mod config;
mod look;

pub use command::{ChangeCommand, Thing};
pub use config::ChangesConfig;
pub(crate) use look::{Look, finding};
pub use look::{PERIOD_MS, SelfStatus};

use crate::audit::check_text;
use crate::audit::vocabulary::vocabulary;
use crate::audit::{Action, AuditEvent, Detail, Outcome};
use crate::error::{Error, Result};
use serde::Serialize;
use shosoin_protocol::Digest;
use shosoin_protocol::Error as FormatError;
use shosoin_protocol::codec::{Reader, Writer};

/// Changes of one register: a change every working day for a hundred years.
const CHANGES_MAX: usize = 32_768;
/// Longest release or id of a machine, in bytes.
const SUBJECT_BYTES_MAX: usize = 64;
/// Longest names of those who agreed, in bytes.
const AGREED_BYTES_MAX: usize = 128;
/// Longest sentence of a change, in bytes.
const SENTENCE_BYTES_MAX: usize = 240;

vocabulary! {
    /// What was changed.
    ChangeKind: u8, "kind of change" {
        /// the program
        Program = 1 "program",
        /// `vault.toml`, its list of volumes aside, which the vault keeps itself
        Settings = 2 "settings",
        /// a computer that the service is run on or from
        Machine = 3 "machine",
    }
}

/// What the register says of a change. Who registered it, when and why is in its record of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeFacts {
    /// what was changed
    pub kind: ChangeKind,
    /// release of the program, or id of the machine; empty for settings
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// what it was before, as SHA-256, where that is known
    #[serde(serialize_with = "in_hex")]
    pub before: Option<Digest>,
    /// what it is afterwards; machines have none
    #[serde(serialize_with = "in_hex")]
    pub after: Option<Digest>,
    /// number of the request that others agreed to, or 0 in a vault without accounts
    pub request: u64,
    /// who agreed
    pub approved_by: String,
    /// what is changed
    pub what: String,
    /// how it was found to work, and to do what it is for
    pub tested: String,
}

fn in_hex<S: serde::Serializer>(digest: &Option<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
    match digest {
        Some(digest) => serializer.collect_str(digest),
        None => serializer.serialize_none(),
    }
}

impl ChangeFacts {
    /// Refuses text that is missing, too long or would move a terminal's cursor.
    fn check(&self) -> Result<()> {
        for (what, text, limit) in [
            ("release or machine", &self.subject, SUBJECT_BYTES_MAX),
            ("who agreed", &self.approved_by, AGREED_BYTES_MAX),
            ("what is changed", &self.what, SENTENCE_BYTES_MAX),
            ("test", &self.tested, SENTENCE_BYTES_MAX),
        ] {
            check_text(what, text, limit)?;
        }
        let missing = |what| Err(Error::Argument { what, why: "the register of changes wants it".to_owned() });
        match (self.what.trim().is_empty(), self.tested.trim().is_empty(), self.approved_by.trim().is_empty()) {
            (true, _, _) => missing("what is changed"),
            (_, true, _) => missing("test"),
            (_, _, true) => missing("who agreed"),
            _ => Ok(()),
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        let flags = u8::from(self.before.is_some()) | (u8::from(self.after.is_some()) << 1);
        out.u8(self.kind.code()).u8(flags).u64(self.request);
        for digest in [self.before, self.after] {
            out.put(&digest.unwrap_or(Digest([0; 32])).0);
        }
        for text in [&self.subject, &self.approved_by, &self.what, &self.tested] {
            out.var(text.as_bytes());
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let invalid = |why| FormatError::Invalid { what: "change", why };
        let kind = ChangeKind::from_code(reader.u8("kind of change")?)?;
        let flags = reader.u8("known digests of a change")?;
        if flags > 3 {
            return Err(invalid("unknown flags must be zero"));
        }
        let request = reader.u64("request of a change")?;
        let (before, after) = (Digest::read(reader)?, Digest::read(reader)?);
        let known = |flag: u8, digest: Digest| match (flags & flag != 0, digest == Digest([0; 32])) {
            (true, false) => Ok(Some(digest)),
            (false, true) => Ok(None),
            _ => Err(invalid("a digest goes with its flag")),
        };
        let facts = ChangeFacts {
            kind,
            before: known(1, before)?,
            after: known(2, after)?,
            request,
            subject: reader.text(SUBJECT_BYTES_MAX, "release or machine of a change")?,
            approved_by: reader.text(AGREED_BYTES_MAX, "who agreed to a change")?,
            what: reader.text(SENTENCE_BYTES_MAX, "what is changed")?,
            tested: reader.text(SENTENCE_BYTES_MAX, "test of a change")?,
        };
        match facts.check() {
            Ok(()) => Ok(facts),
            Err(_) => Err(invalid("its texts are there, short and without control characters")),
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// from 1, without gaps
    pub number: u64,
    /// what was changed
    #[serde(flatten)]
    pub facts: ChangeFacts,
    /// when it was registered, in milliseconds since 1970
    pub registered_ms: u64,
    /// who registered it
    pub actor: String,
    /// why
    pub reason: String,
    /// when the vault first met what it says, in milliseconds since 1970; of a machine, when it was registered
    pub in_force_ms: Option<u64>,
}

/// How something that the vault is made of stands to the register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registered {
    /// none was ever registered, so there is nothing to compare with
    Nothing,
    /// it is what this change says
    As {
        /// its number
        change: u64,
    },
    /// it is what it was before this change, which is registered and not done yet
    Before {
        /// its number
        change: u64,
    },
    /// nobody registered it
    Not {
        /// the newest change, which it should be as
        change: u64,
    },
}

/// Every change, in the order of its registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    changes: Vec<Change>,
    /// program and settings as the newest self-check met them
    met: Option<(Digest, Digest)>,
    /// whether that had findings
    met_unregistered: bool,
}

impl Changes {
    /// Takes in the next record of the log.
    pub fn apply(&mut self, event: &AuditEvent) {
        match (event.action, &event.detail) {
            (Action::ChangeRegistered, Detail::Change(facts)) => {
                let facts = ChangeFacts::clone(facts);
                let at_once = facts.kind == ChangeKind::Machine;
                self.changes.push(Change {
                    number: self.changes.len() as u64 + 1,
                    facts,
                    registered_ms: event.at_ms,
                    actor: event.actor.clone(),
                    reason: event.reason.clone(),
                    in_force_ms: at_once.then_some(event.at_ms),
                });
            }
            (Action::SelfChecked, Detail::Look { program, settings }) => {
                (self.met, self.met_unregistered) = (Some((*program, *settings)), event.outcome == Outcome::Findings);
                for (kind, met) in [(ChangeKind::Program, program), (ChangeKind::Settings, settings)] {
                    let newest = self.changes.iter_mut().rev().find(|change| change.facts.kind == kind);
                    if let Some(newest) = newest.filter(|newest| newest.facts.after == Some(*met)) {
                        newest.in_force_ms.get_or_insert(event.at_ms);
                    }
                }
            }
            _ => {}
        }
    }

    /// Every change, the oldest first.
    pub fn list(&self) -> &[Change] {
        &self.changes
    }

    /// One change.
    pub fn get(&self, number: u64) -> Result<&Change> {
        let found = self.changes.iter().find(|change| change.number == number);
        found.ok_or_else(|| Error::NotFound { what: "change", id: number.to_string() })
    }

    /// The newest change of a kind.
    pub fn newest(&self, kind: ChangeKind) -> Option<&Change> {
        self.changes.iter().rev().find(|change| change.facts.kind == kind)
    }

    /// Program and settings as the newest self-check met them.
    pub fn met(&self) -> Option<(Digest, Digest)> {
        self.met
    }

    /// Whether nobody had registered one of them then.
    pub fn met_unregistered(&self) -> bool {
        self.met_unregistered
    }

    /// How what is there now stands to the register.
    pub fn judge(&self, kind: ChangeKind, now: Digest) -> Registered {
        let Some(newest) = self.newest(kind) else { return Registered::Nothing };
        let change = newest.number;
        if newest.facts.after == Some(now) {
            Registered::As { change }
        } else if newest.in_force_ms.is_none() && newest.facts.before == Some(now) {
            Registered::Before { change }
        } else {
            Registered::Not { change }
        }
    }

    /// That a change may be registered.
    fn may_add(&self, facts: &ChangeFacts) -> Result<()> {
        facts.check()?;
        let refused = |why: String| Err(Error::Argument { what: "change", why });
        if self.changes.len() >= CHANGES_MAX {
            return refused(format!("it is one more than the {CHANGES_MAX} of a register"));
        }
        match self.newest(facts.kind).filter(|newest| facts.after.is_some() && newest.facts.after == facts.after) {
            Some(newest) => refused(format!("change {} says the same of the {} already", newest.number, facts.kind)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(kind: ChangeKind, before: Option<u8>, after: u8) -> ChangeFacts {
        let digest = |byte| Digest([byte; 32]);
        ChangeFacts {
            kind,
            subject: "0.2.0".into(),
            before: before.map(digest),
            after: Some(digest(after)),
            request: 0,
            approved_by: "hanako".into(),
            what: "new release".into(),
            tested: "a trial vault was read back".into(),
        }
    }

    fn registered(changes: &mut Changes, facts: ChangeFacts) {
        let event = AuditEvent::new(1, "taro", Action::ChangeRegistered).because("patch");
        changes.apply(&event.with(Detail::Change(Box::new(facts))));
    }

    fn met(changes: &mut Changes, program: u8, settings: u8) {
        let (program, settings) = (Digest([program; 32]), Digest([settings; 32]));
        changes
            .apply(&AuditEvent::new(2, "job:self-check", Action::SelfChecked).with(Detail::Look { program, settings }));
    }

    #[test]
    fn what_was_registered_and_not_done_yet_leaves_what_was_before_it_right_until_it_was_met_7_6_2_m4() {
        let (mut changes, program) = (Changes::default(), ChangeKind::Program);
        let judge = |changes: &Changes, byte| changes.judge(program, Digest([byte; 32]));
        assert_eq!(judge(&changes, 1), Registered::Nothing);
        registered(&mut changes, facts(program, None, 1));
        assert_eq!(
            (judge(&changes, 1), judge(&changes, 9)),
            (Registered::As { change: 1 }, Registered::Not { change: 1 })
        );
        met(&mut changes, 1, 50);
        registered(&mut changes, facts(program, Some(1), 2));
        assert_eq!(
            (judge(&changes, 1), judge(&changes, 2)),
            (Registered::Before { change: 2 }, Registered::As { change: 2 })
        );
        met(&mut changes, 2, 50);
        assert_eq!(judge(&changes, 1), Registered::Not { change: 2 }, "the old one was brought back");
        assert_eq!(changes.judge(ChangeKind::Settings, Digest([50; 32])), Registered::Nothing);
    }

    #[test]
    fn a_change_without_what_test_or_agreement_and_the_same_change_twice_are_refused_7_6_9_m4() {
        let mut changes = Changes::default();
        let good = facts(ChangeKind::Program, None, 1);
        for wrong in [
            ChangeFacts { what: " ".into(), ..good.clone() },
            ChangeFacts { tested: String::new(), ..good.clone() },
            ChangeFacts { approved_by: String::new(), ..good.clone() },
            ChangeFacts { what: "a\u{1b}b".into(), ..good.clone() },
            ChangeFacts { subject: "x".repeat(65), ..good.clone() },
        ] {
            assert!(changes.may_add(&wrong).is_err(), "{wrong:?}");
        }
        changes.may_add(&good).unwrap();
        registered(&mut changes, good.clone());
        assert!(changes.may_add(&good).unwrap_err().to_string().contains("change 1"));
    }

    #[test]
    fn a_change_reads_back_and_wrong_ones_are_refused() {
        let read = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes, "change");
            ChangeFacts::read(&mut reader).and_then(|facts| reader.finish().map(|()| facts))
        };
        let encode = |facts: &ChangeFacts| {
            let mut out = Writer::new();
            facts.write(&mut out);
            out.finish()
        };
        let good = facts(ChangeKind::Settings, Some(3), 4);
        let bytes = encode(&good);
        assert_eq!(read(&bytes).unwrap(), good);
        let with = |at: usize, byte: u8| {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            bytes
        };
        for (bytes, why) in [
            (with(0, 9), "kind"),
            (with(1, 2), "a digest without its flag"),
            (with(1, 7), "flags"),
            (bytes[..bytes.len() - 1].to_vec(), "short"),
            ([&bytes[..], &[0]].concat(), "long"),
            (encode(&ChangeFacts { tested: String::new(), ..good.clone() }), "no test"),
        ] {
            assert!(read(&bytes).is_err(), "{why}");
        }
    }
}
