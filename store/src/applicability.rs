//! The statement of applicability: every control of the guideline with its state, the evidence, and when that was
//! measured.
//!
//! Invariants
//! - No control is met because code exists: each state comes from checks that ran while the statement was made, on this
//!   vault, and the evidence names them with their figures.
//! - Where nothing was measured the state is *not shown*, and nothing else.
//! - The catalogue is data with an edition mark, so that another edition can stand beside it; what is the organisation's
//!   is printed as the organisation's, with owner and document where it registered them.
//!
//! Source: guideline 7.1.1-S3, 8.1-R7; the catalogue is `store/data/guideline-2.toml`.

mod catalogue;
mod html;
mod measure;
mod moment;
mod proofs;
mod register;

pub use catalogue::{Catalogue, Control, Duty};
pub(crate) use html::style_digest;
pub use html::{Scope, page};
pub(crate) use moment::day;
pub use register::{Attestation, FILE as REGISTER_FILE};

use crate::accounts::Caller;
use crate::audit::{Action, AuditEvent};
use crate::error::{Error, Result};
use crate::vault::{Inner, Vault, blocking};
use measure::{Measure, Shown};
use register::Register;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Language of evidence and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// Japanese
    #[default]
    Ja,
    /// English
    En,
}

/// What is shown of a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// everything that was measured for it holds
    Met,
    /// something that was measured for it does not hold
    NotMet,
    /// nothing was measured
    NotShown,
    /// people answer for it
    Organisation,
}

/// One line of the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// id of the control
    pub id: String,
    /// whose duty it is
    pub duty: Duty,
    /// what is shown of it
    pub state: State,
    /// when, in RFC 3339; missing where nothing was measured and nobody reviewed it
    pub measured_at: Option<String>,
    /// checks that ran and their figures, or who answers for it by which document
    pub evidence: String,
}

/// The statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// edition of the guideline that it answers
    pub edition: String,
    /// every control, in the order of the guideline
    pub controls: Vec<Line>,
}

/// What is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementRequest {
    /// only what concerns this hospital, in hex; all of them otherwise
    pub hospital: Option<String>,
    /// language of the evidence
    pub lang: Lang,
}

impl Vault {
    /// Measures and makes the statement, for `caller`.
    pub async fn applicability(&self, request: StatementRequest, caller: Caller) -> Result<Statement> {
        let actor = self.admit(&caller, "applicability").await?.actor;
        let inner = self.inner.clone();
        blocking(move || inner.applicability(&request, &actor)).await
    }
}

impl Inner {
    fn applicability(self: &Arc<Self>, request: &StatementRequest, actor: &str) -> Result<Statement> {
        let catalogue = Catalogue::edition_2()?;
        let register = Register::load(&self.dir)?;
        register.check(&catalogue).map_err(|why| Error::Config { path: self.dir.join(REGISTER_FILE), why })?;
        let desks = match &request.hospital {
            Some(_) => vec![self.asset_desk(request.hospital.as_deref(), actor)?],
            None => {
                self.reader(actor)?;
                self.desks()
            }
        };
        let now_ms = self.clock.now_ms();
        let mut event = AuditEvent::new(now_ms, actor, Action::Applicability);
        event.units = catalogue.controls.len() as u64;
        self.media.record(event)?;
        let measures = measure::all(self, &desks, now_ms);
        let lines: Vec<Line> = catalogue
            .controls
            .iter()
            .map(|control| line(control, &measures, register.of(&control.id), now_ms, request.lang))
            .collect();
        Ok(Statement { edition: catalogue.meta.edition, controls: lines })
    }
}

type Measures = BTreeMap<&'static str, Measure>;

fn line(control: &Control, measures: &Measures, attested: Option<&Attestation>, now_ms: u64, lang: Lang) -> Line {
    let shown: Vec<(&str, &Measure)> =
        proofs::of(&control.id).iter().filter_map(|name| measures.get_key_value(name)).map(|(n, m)| (*n, m)).collect();
    let measured: Vec<_> = shown.iter().filter(|(_, measure)| measure.shown != Shown::Nothing).collect();
    let state = match control.duty {
        Duty::Organisation => State::Organisation,
        Duty::Product => product_state(&shown),
        Duty::Evidence => evidence_state(&shown, attested),
    };
    let mut evidence: Vec<String> = shown.iter().map(|(name, measure)| measure.sentence(name, lang)).collect();
    evidence.extend(attested.map(|attested| attested.sentence(lang)));
    if evidence.is_empty() {
        evidence.push(nothing(control.duty, lang).to_owned());
    }
    let measured_at = match (measured.is_empty(), attested) {
        (false, _) => Some(moment::rfc3339(now_ms)),
        (true, Some(attested)) => attested.reviewed.clone(),
        (true, None) => None,
    };
    let (id, duty) = (control.id.clone(), control.duty);
    Line { id, duty, state, measured_at, evidence: evidence.join(" ") }
}

/// A product's control is met if every check that stands for it ran and holds.
fn product_state(shown: &[(&str, &Measure)]) -> State {
    let any = |wanted: Shown| shown.iter().any(|(_, measure)| measure.shown == wanted);
    if any(Shown::NotMet) {
        State::NotMet
    } else if shown.is_empty() || any(Shown::Nothing) || !any(Shown::Met) {
        State::NotShown
    } else {
        State::Met
    }
}

/// A control that people meet and figures show: judged by the figures where they can judge it, else theirs to answer for.
fn evidence_state(shown: &[(&str, &Measure)], attested: Option<&Attestation>) -> State {
    match product_state(shown) {
        State::NotShown if attested.is_some() => State::Organisation,
        State::NotShown if shown.iter().any(|(_, measure)| measure.shown == Shown::Figure) => State::Organisation,
        state => state,
    }
}

fn nothing(duty: Duty, lang: Lang) -> &'static str {
    match (duty, lang) {
        (Duty::Organisation, Lang::En) => {
            "The organisation's duty. No owner and document are registered in attestations.toml."
        }
        (Duty::Organisation, Lang::Ja) => "組織の責務。attestations.toml に責任者と文書の届出がない。",
        (_, Lang::En) => "Nothing was measured for this control.",
        (_, Lang::Ja) => "この項目について測定したものはない。",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(shown: Shown) -> Measure {
        Measure { shown, en: "seen".into(), ja: "見た".into() }
    }

    #[test]
    fn a_control_of_the_product_is_met_only_by_checks_that_all_ran_and_hold() {
        let state = |shown: &[Shown]| {
            let measures: Vec<Measure> = shown.iter().map(|shown| measure(*shown)).collect();
            product_state(&measures.iter().map(|measure| ("check", measure)).collect::<Vec<_>>())
        };
        assert_eq!(state(&[]), State::NotShown);
        assert_eq!(state(&[Shown::Met]), State::Met);
        assert_eq!(state(&[Shown::Met, Shown::Nothing]), State::NotShown, "one of two was not measured");
        assert_eq!(state(&[Shown::Met, Shown::NotMet]), State::NotMet);
        assert_eq!(state(&[Shown::NotMet, Shown::Nothing]), State::NotMet);
        assert_eq!(state(&[Shown::Figure]), State::NotShown, "a figure alone judges nothing");
    }

    #[test]
    fn every_control_has_a_line_and_none_is_met_without_a_measure() {
        let catalogue = Catalogue::edition_2().unwrap();
        for control in &catalogue.controls {
            let line = line(control, &Measures::new(), None, 0, Lang::En);
            let expected = if control.duty == Duty::Organisation { State::Organisation } else { State::NotShown };
            assert_eq!((line.state, line.measured_at), (expected, None), "{}", control.id);
        }
        assert_eq!((catalogue.controls.len(), catalogue.meta.edition.as_str()), (392, "2"));
    }

    #[test]
    fn every_proof_names_a_control_of_the_product_or_of_evidence_and_a_check_that_exists() {
        let catalogue = Catalogue::edition_2().unwrap();
        for (id, names) in proofs::ALL {
            let control = catalogue.controls.iter().find(|control| control.id == *id);
            assert!(control.is_some_and(|control| control.duty != Duty::Organisation), "{id}");
            assert!(!names.is_empty() && names.iter().all(|name| measure::NAMES.contains(name)), "{id}: {names:?}");
        }
        let ids: std::collections::BTreeSet<_> = proofs::ALL.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), proofs::ALL.len(), "a control is in the table twice");
        for name in measure::NAMES {
            assert!(proofs::ALL.iter().any(|(_, names)| names.contains(name)), "{name} stands for no control");
        }
    }
}
