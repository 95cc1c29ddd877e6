//! Checks of what was agreed on with hospitals: in force, signed by both, with the papers that belong to it, and kept to.

use super::Measure;
use crate::applicability::Measures;
use crate::assets;
use crate::desk::Desk;
use crate::vault::Inner;
use shosoin_protocol::act::agreement::{Paper, Terms};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The papers that each check asks for.
const PAPERS: [(&str, &[Paper]); 5] = [
    ("paper-media", &[Paper::MediaProcedure]),
    ("paper-network", &[Paper::NetworkProcedure]),
    ("paper-application", &[Paper::ApplicationProcedure]),
    ("paper-disposal", &[Paper::DisposalProcedure]),
    ("paper-operation", &[Paper::Specification, Paper::OperatingPlan, Paper::ContinuityPlan]),
];

/// Every check of this file.
pub fn all(inner: &Inner, desks: &[Arc<Desk>], now_ms: u64) -> Measures {
    let mut measures = Measures::new();
    let in_force: Vec<(&Arc<Desk>, Option<Arc<Terms>>)> =
        desks.iter().map(|desk| (desk, verified(desk, now_ms))).collect();
    measures.insert("agreements", agreements(inner, &in_force));
    measures.insert("label-rules", label_rules(inner, &in_force));
    for (name, papers) in PAPERS {
        measures.insert(name, agreed_papers(&in_force, papers));
    }
    measures
}

/// The terms in force, if both signatures under them are good now.
fn verified(desk: &Desk, now_ms: u64) -> Option<Arc<Terms>> {
    let terms = desk.agreements().in_force(now_ms).ok().flatten()?;
    let all = desk.agreements().all().ok()?;
    let agreed = all.iter().find(|agreed| agreed.terms.number == terms.number)?;
    agreed.agreement.verify(&desk.agreements().parties()).ok().map(|()| terms)
}

fn none() -> Measure {
    Measure::nothing("no hospital is enrolled", "登録された病院がない")
}

fn agreements(inner: &Inner, in_force: &[(&Arc<Desk>, Option<Arc<Terms>>)]) -> Measure {
    if in_force.is_empty() {
        return none();
    }
    let real = in_force.iter().filter(|(_, terms)| terms.as_ref().is_some_and(|terms| !terms.demo)).count();
    let demos = in_force.iter().filter(|(_, terms)| terms.as_ref().is_some_and(|terms| terms.demo)).count();
    let (count, required) = (in_force.len(), inner.config.intake.agreement_required);
    Measure::judged(
        real == count && required,
        format!(
            "{real} of {count} hospitals have an agreement in force with good signatures of both sides, {demos} a \
             demonstration's with itself; content is refused without one: {required}"
        ),
        format!(
            "病院 {count} のうち {real} に双方の署名が有効な取り決めが発効中、{demos} は試用の自己合意。取り決めのない受入の拒否：{required}"
        ),
    )
}

fn agreed_papers(in_force: &[(&Arc<Desk>, Option<Arc<Terms>>)], papers: &[Paper]) -> Measure {
    if in_force.is_empty() {
        return none();
    }
    let has = |terms: &Terms| papers.iter().all(|paper| terms.papers.iter().any(|(kind, _)| kind == paper));
    let with = in_force.iter().filter(|(_, terms)| terms.as_ref().is_some_and(|terms| has(terms))).count();
    let (count, names) = (in_force.len(), papers.iter().map(|paper| paper.name()).collect::<Vec<_>>().join(", "));
    Measure::judged(
        with == count,
        format!("{with} of {count} agreements in force have the digest of: {names}"),
        format!("発効中の取り決め {count} 件中 {with} 件が次の文書の要約値を含む：{names}"),
    )
}

/// Whether every label that is held has a rule in the agreement in force.
fn label_rules(inner: &Inner, in_force: &[(&Arc<Desk>, Option<Arc<Terms>>)]) -> Measure {
    if in_force.is_empty() {
        return none();
    }
    let (mut held, mut ruled, mut rules) = (0u64, 0u64, 0usize);
    for (desk, terms) in in_force {
        rules += terms.as_ref().map_or(0, |terms| terms.labels.len());
        let mut labels = BTreeSet::new();
        let scanned = assets::scan(inner.index.as_ref(), desk.info().hospital, &mut |slot| {
            labels.insert(slot.policy.label);
            Ok(true)
        });
        if scanned.is_err() {
            held += 1; // what cannot be counted is not covered
        }
        let covered = |label| terms.as_ref().is_some_and(|terms| terms.of_label(label).is_some());
        held += labels.len() as u64;
        ruled += labels.into_iter().filter(|label| covered(*label)).count() as u64;
    }
    Measure::judged(
        ruled == held && rules > 0,
        format!(
            "{rules} rules for labels in force (delivering, copying, disposing); {ruled} of {held} labels of what is held have \
             one, a label without one is refused"
        ),
        format!(
            "発効中の格付け別の取扱規則（交付・複写・廃棄）{rules} 件。保管中の格付け {held} のうち {ruled} に規則あり。規則のない格付けは受入拒否"
        ),
    )
}
