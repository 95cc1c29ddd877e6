//! Which version a name has now: the ledger played from its beginning, as S3 would have it.
//!
//! An object joins the versions of its name, and takes the place of the `null` version if it is one itself. A marker does
//! the same without content. A withdrawal takes one version out, and the next older one is the newest.

use crate::crypto::Id;
use crate::keys::Root;
use crate::ledger::{Body, Change, Ledger};
use crate::manifest::{Meaning, meaning};
use crate::records::Records;
use std::collections::{BTreeMap, BTreeSet};

/// One version of a name.
struct Step {
    version: Id,
    null: bool,
    is_object: bool,
}

/// The versions with content that names have now.
pub fn current(root: &Root, records: &mut Records, ledger: &Ledger) -> BTreeSet<Id> {
    let mut names: BTreeMap<[u8; 32], Vec<Step>> = BTreeMap::new();
    let mut unread = Vec::new();
    for change in &ledger.changes {
        let opened = records.small("summary", &change.summary);
        let opened = opened.and_then(|stored| root.open_summary(&change.version, stored));
        let meaning = opened.and_then(|summary| meaning(&summary)).unwrap_or_else(|error| {
            unread.push(format!("what became of a name is not known for sure: {error}"));
            guess(change)
        });
        apply(names.entry(change.token).or_default(), change.version, &meaning);
    }
    records.findings.append(&mut unread);
    let newest = names.into_values().filter_map(|mut steps| steps.pop());
    newest.filter(|step| step.is_object).map(|step| step.version).collect()
}

/// Without its summary, a deposit is at least a version.
fn guess(change: &Change) -> Meaning {
    match change.body {
        Body::Deposit { .. } => Meaning::Object { null: false },
        Body::Other => Meaning::Other,
    }
}

fn apply(steps: &mut Vec<Step>, version: Id, meaning: &Meaning) {
    let (null, is_object) = match *meaning {
        Meaning::Object { null } => (null, true),
        Meaning::Marker { null } => (null, false),
        Meaning::Withdrawn(version) => return steps.retain(|step| step.version != version),
        Meaning::Other => return,
    };
    steps.retain(|step| !(null && step.null));
    steps.push(Step { version, null, is_object });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(changes: &[(u8, Meaning)]) -> Option<u8> {
        let mut steps = Vec::new();
        changes.iter().for_each(|(id, meaning)| apply(&mut steps, [*id; 16], meaning));
        steps.last().filter(|step| step.is_object).map(|step| step.version[0])
    }

    #[test]
    fn what_was_overwritten_before_versioning_never_comes_back() {
        let null = || Meaning::Object { null: true };
        assert_eq!(newest(&[(1, null()), (2, null())]), Some(2));
        assert_eq!(newest(&[(1, null()), (2, null()), (3, Meaning::Withdrawn([2; 16]))]), None);
        assert_eq!(newest(&[(1, null()), (2, Meaning::Marker { null: true })]), None);
        assert_eq!(newest(&[(1, null()), (2, Meaning::Marker { null: true }), (3, null())]), Some(3));
    }

    #[test]
    fn a_withdrawn_marker_or_version_gives_way_to_the_one_before() {
        let version = || Meaning::Object { null: false };
        let marker = || Meaning::Marker { null: false };
        assert_eq!(newest(&[(1, version()), (2, marker())]), None);
        assert_eq!(newest(&[(1, version()), (2, marker()), (3, Meaning::Withdrawn([2; 16]))]), Some(1));
        assert_eq!(newest(&[(1, version()), (2, version()), (3, Meaning::Withdrawn([2; 16]))]), Some(1));
        assert_eq!(newest(&[(1, version()), (2, version()), (3, Meaning::Withdrawn([1; 16]))]), Some(2));
    }
}
