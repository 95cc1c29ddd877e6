//! The view against a model: a list of versions per name, and lists made of it the slow way.

use super::list::{ListPage, ListQuery, VersionsPage, VersionsQuery};
use super::row::PositionRow;
use super::{Placed, View};
use crate::ViewRow;
use crate::followed::Followed;
use proptest::prelude::*;
use shosoin_keyring::Keyring;
use shosoin_protocol::act::{Act, Document, Hold, HoldReason, Lock, LockMode, Release, Retain, RetentionChange};
use shosoin_protocol::entry::{Body, Entry, Expected, NameChange, Seen, Statement};
use shosoin_protocol::manifest::{BucketFacts, ObjectFacts, PartFact, Summary, Versioning};
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::{Address, Digest, LogId, NameToken, Suite, VersionId};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

const BUCKET: &str = "ward";

static KEYRING: LazyLock<Keyring> = LazyLock::new(|| Keyring::generate(Suite::Default).unwrap());

/// Name, version, whether it is the newest, whether it is a marker.
type Shown = (String, VersionId, bool, bool);

/// A view of a ledger that is made up entry by entry.
struct Made {
    view: Arc<View>,
    frontier: Frontier,
    dir: tempfile::TempDir,
}

impl Made {
    fn new(versioning: Versioning) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (view, _) = View::open(dir.path(), LogId([3; 16])).unwrap();
        let mut made = Made { view: Arc::new(view), frontier: Frontier::default(), dir };
        made.set_versioning(versioning);
        made
    }

    fn apply(&mut self, summary: Summary) -> VersionId {
        let index = self.frontier.size();
        let mut id = [0; 16];
        id[8..].copy_from_slice(&(index + 1).to_be_bytes());
        let (version, name_token) = (VersionId(id), NameToken([0; 32]));
        let change = NameChange { version, expected: Expected::Any, name_token, summary: Address([0; 32]) };
        let statement = Statement {
            suite: Suite::Default,
            log: LogId([3; 16]),
            hospital: KEYRING.hospital(),
            device: KEYRING.device_id(),
            device_seq: index,
            prev: Digest([u8::from(index > 0); 32]),
            seen: Seen::nothing(),
            claimed_ms: 0,
            body: Body::Policy(change),
        };
        let entry = Entry::sign(statement, KEYRING.device_key());
        self.frontier.push(entry.leaf_hash(), |_, _| {});
        let position = PositionRow { log: LogId([3; 16]), frontier: self.frontier.clone(), checkpoint: String::new() };
        let placed = Placed {
            index,
            accepted_ms: 1000 + index,
            entry,
            summary: Some(summary),
            document: None,
            source: super::Source::Full,
        };
        self.view.apply(placed, &position).unwrap();
        version
    }

    fn set_versioning(&mut self, versioning: Versioning) {
        let facts = BucketFacts { versioning, ..BucketFacts::new(BUCKET, 1) };
        self.apply(Summary::Bucket(facts));
    }

    fn list_all(&self, query: &ListQuery) -> (Vec<String>, Vec<String>) {
        let (mut names, mut prefixes, mut query) = (Vec::new(), Vec::new(), query.clone());
        loop {
            let page = self.view.list(&query).unwrap();
            assert!(page.objects.len() + page.common_prefixes.len() <= query.max);
            names.extend(page.objects.into_iter().map(|object| object.name));
            prefixes.extend(page.common_prefixes);
            match page.next {
                Some(next) => query.start_after = Some(next),
                None => return (names, prefixes),
            }
        }
    }

    fn versions_all(&self, query: &VersionsQuery) -> (Vec<Shown>, Vec<String>) {
        let (mut versions, mut prefixes, mut query) = (Vec::new(), Vec::new(), query.clone());
        loop {
            let page = self.view.list_versions(&query).unwrap();
            assert!(page.versions.len() + page.common_prefixes.len() <= query.max);
            for row in page.versions {
                versions.push((row.object.name, row.version, row.is_latest, row.is_marker));
            }
            prefixes.extend(page.common_prefixes);
            match page.next {
                Some((key, version)) => (query.key_marker, query.version_marker) = (Some(key), version),
                None => return (versions, prefixes),
            }
        }
    }
}

fn facts(name: &str, null_version: bool) -> ObjectFacts {
    ObjectFacts {
        bucket: BUCKET.into(),
        name: name.into(),
        size_bytes: name.len() as u64,
        modified_ms: 5,
        null_version,
        multipart: false,
        headers: Vec::new(),
        metadata: Vec::new(),
        tags: Vec::new(),
        checksum: None,
        parts: vec![PartFact {
            number: 1,
            size_bytes: name.len() as u64,
            md5: [7; 16],
            plain_digest: Digest([8; 32]),
            checksum: None,
        }],
        signature: None,
    }
}

/// What S3 would keep: versions of a name, newest first, as (id, null, marker).
#[derive(Default)]
struct Model {
    names: BTreeMap<String, Vec<(VersionId, bool, bool)>>,
}

impl Model {
    fn add(&mut self, name: &str, version: (VersionId, bool, bool)) {
        let versions = self.names.entry(name.into()).or_default();
        if version.1 {
            versions.retain(|(_, null, _)| !null);
        }
        versions.insert(0, version);
    }

    fn current(&self) -> Vec<String> {
        let current = self.names.iter().filter(|(_, versions)| versions.first().is_some_and(|(_, _, marker)| !marker));
        current.map(|(name, _)| name.clone()).collect()
    }

    fn versions(&self) -> Vec<Shown> {
        let mut all = Vec::new();
        for (name, versions) in &self.names {
            for (at, (id, _, marker)) in versions.iter().enumerate() {
                all.push((name.clone(), *id, at == 0, *marker));
            }
        }
        all
    }
}

/// Splits names as S3 does: those shown, and the common prefixes of the others.
fn roll_up<T>(all: Vec<T>, name: impl Fn(&T) -> &str, prefix: &str, delimiter: Option<&str>) -> (Vec<T>, Vec<String>) {
    let (mut shown, mut common) = (Vec::new(), Vec::new());
    for item in all {
        let Some(tail) = name(&item).strip_prefix(prefix) else { continue };
        match delimiter.and_then(|delimiter| tail.find(delimiter).map(|at| &tail[..at + delimiter.len()])) {
            Some(head) => common.push(format!("{prefix}{head}")),
            None => shown.push(item),
        }
    }
    common.dedup();
    (shown, common)
}

#[derive(Debug, Clone)]
enum Step {
    Put(String),
    Delete(String),
    Withdraw(prop::sample::Index),
    Versioning(bool),
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[ab/]{1,5}", "[a\u{0}/\u{7f}é]{1,4}", "a/b/[a-f]{1,2}"]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => names().prop_map(Step::Put),
        2 => names().prop_map(Step::Delete),
        3 => any::<prop::sample::Index>().prop_map(Step::Withdraw),
        1 => any::<bool>().prop_map(Step::Versioning),
    ];
    proptest::collection::vec(step, 1..40)
}

/// Runs the steps in view and model. `versioning` changes from off to others, never back, as in S3.
fn run(steps: Vec<Step>) -> (Made, Model) {
    let mut made = Made::new(Versioning::Off);
    let (mut model, mut versioning) = (Model::default(), Versioning::Off);
    for step in steps {
        let null = versioning != Versioning::Enabled;
        match step {
            Step::Put(name) => {
                let id = made.apply(Summary::Object(facts(&name, null)));
                model.add(&name, (id, null, false));
            }
            Step::Delete(name) => {
                let bucket = BUCKET.to_owned();
                let marker = Summary::Marker { bucket, name: name.clone(), modified_ms: 6, null_version: null };
                let id = made.apply(marker);
                match versioning {
                    Versioning::Off => drop(model.names.remove(&name)),
                    _ => model.add(&name, (id, null, true)),
                }
            }
            Step::Withdraw(which) => {
                let all = model.versions();
                if !all.is_empty() {
                    let (name, version, ..) = which.get(&all).clone();
                    made.apply(Summary::Withdrawn { bucket: BUCKET.into(), name: name.clone(), version });
                    let left = model.names.get_mut(&name).unwrap();
                    left.retain(|(id, ..)| *id != version);
                    if left.is_empty() {
                        model.names.remove(&name);
                    }
                }
            }
            Step::Versioning(enabled) => {
                versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
                made.set_versioning(versioning);
            }
        }
    }
    (made, model)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lists_are_what_s3_would_list(
        steps in steps(), prefix in "[ab/]{0,3}", delimiter in prop_oneof![Just(None), Just(Some("/")), Just(Some("b/"))], max in 1usize..5,
    ) {
        let (made, model) = run(steps);
        let (bucket, wanted) = (BUCKET.to_owned(), delimiter.map(str::to_owned));
        let query = ListQuery { bucket: bucket.clone(), prefix: prefix.clone(), delimiter: wanted.clone(), start_after: None, max };
        prop_assert_eq!(made.list_all(&query), roll_up(model.current(), |name| name, &prefix, delimiter));

        let query = VersionsQuery { bucket, prefix: prefix.clone(), delimiter: wanted, key_marker: None, version_marker: None, max };
        prop_assert_eq!(made.versions_all(&query), roll_up(model.versions(), |row| &row.0, &prefix, delimiter));
    }

    #[test]
    fn lookups_find_every_version_and_nothing_else(steps in steps()) {
        let (made, model) = run(steps);
        for (name, version, is_latest, is_marker) in model.versions() {
            let row = made.view.lookup(BUCKET, &name, Some(version)).unwrap().unwrap();
            prop_assert_eq!((row.version, row.is_latest, row.object().is_none()), (version, is_latest, is_marker));
            let newest: Option<ViewRow> = made.view.lookup(BUCKET, &name, None).unwrap();
            prop_assert_eq!(newest.map(|row| row.version == version), Some(is_latest));
            prop_assert_eq!(made.view.lookup(BUCKET, "never", Some(version)).unwrap(), None);
        }
        for (name, versions) in &model.names {
            let null = versions.iter().find(|(_, null, _)| *null).map(|(id, ..)| *id);
            prop_assert_eq!(made.view.lookup_null(BUCKET, name).unwrap().map(|row| row.version), null);
        }
        prop_assert_eq!(made.view.is_empty(BUCKET).unwrap(), model.names.is_empty());
    }

    #[test]
    fn a_page_begins_after_any_name(steps in steps(), after in names()) {
        let (made, model) = run(steps);
        let query = ListQuery { bucket: BUCKET.into(), start_after: Some(after.clone()), max: 1000, ..Default::default() };
        let wanted: Vec<String> = model.current().into_iter().filter(|name| *name > after).collect();
        prop_assert_eq!(made.list_all(&query).0, wanted);
    }
}

#[test]
fn tags_of_a_version_change_without_a_new_version() {
    let mut made = Made::new(Versioning::Enabled);
    let first = made.apply(Summary::Object(facts("scan", false)));
    let second = made.apply(Summary::Object(facts("scan", false)));
    let tags = vec![("k".to_owned(), "v".to_owned())];
    let (bucket, name) = (BUCKET.to_owned(), "scan".to_owned());
    let change = made.apply(Summary::Tags { bucket, name, version: first, tags: tags.clone() });
    let row = made.view.lookup(BUCKET, "scan", Some(first)).unwrap().unwrap();
    assert_eq!((row.object().unwrap().0.tags.clone(), row.last_change, row.is_latest), (tags, change, false));
    let row = made.view.lookup(BUCKET, "scan", None).unwrap().unwrap();
    assert_eq!((row.version, row.object().unwrap().0.tags.len()), (second, 0));
}

#[test]
fn a_page_of_versions_goes_on_after_a_version_that_was_withdrawn_meanwhile() {
    let mut made = Made::new(Versioning::Enabled);
    let versions: Vec<VersionId> = (0..4).map(|_| made.apply(Summary::Object(facts("scan", false)))).collect();
    let query = VersionsQuery { bucket: BUCKET.into(), max: 2, ..Default::default() };
    let VersionsPage { next, .. } = made.view.list_versions(&query).unwrap();
    let (key, marker) = next.unwrap();
    assert_eq!(marker, Some(versions[2]));
    made.apply(Summary::Withdrawn { bucket: BUCKET.into(), name: "scan".into(), version: versions[2] });
    let query = VersionsQuery { key_marker: Some(key), version_marker: marker, ..query };
    let page = made.view.list_versions(&query).unwrap();
    let left: Vec<VersionId> = page.versions.iter().map(|row| row.version).collect();
    assert_eq!((left, page.next), (vec![versions[1], versions[0]], None));
}

#[test]
fn a_view_that_is_opened_again_stands_where_it_stood() {
    let mut made = Made::new(Versioning::Off);
    made.apply(Summary::Object(facts("scan", true)));
    let frontier = made.frontier.clone();
    let Made { view, dir, .. } = made;
    drop(view);
    let (view, position) = View::open(dir.path(), LogId([3; 16])).unwrap();
    assert_eq!(position.frontier, frontier);
    assert!(view.lookup(BUCKET, "scan", None).unwrap().is_some());
}

#[test]
fn a_view_of_another_ledger_or_of_garbage_is_begun_anew() {
    let mut made = Made::new(Versioning::Off);
    made.apply(Summary::Object(facts("scan", true)));
    let Made { view, dir, .. } = made;
    drop(view);
    let (view, position) = View::open(dir.path(), LogId([4; 16])).unwrap();
    assert_eq!((position.frontier.size(), view.buckets().unwrap().len()), (0, 0));
    drop(view);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            std::fs::write(path, b"garbage").unwrap();
        }
    }
    let (_, position) = View::open(dir.path(), LogId([4; 16])).unwrap();
    assert_eq!(position.frontier.size(), 0);
}

#[test]
fn a_view_that_is_open_elsewhere_is_left_alone() {
    let mut made = Made::new(Versioning::Off);
    made.apply(Summary::Object(facts("scan", true)));
    assert!(View::open(made.dir.path(), LogId([3; 16])).is_err());
    assert!(made.view.lookup(BUCKET, "scan", None).unwrap().is_some());
}

#[test]
fn a_page_skips_what_is_rolled_up_instead_of_reading_it() {
    let mut made = Made::new(Versioning::Off);
    for folder in 0..3 {
        for file in 0..400 {
            made.apply(Summary::Object(facts(&format!("{folder}/{file:04}"), true)));
        }
    }
    let query = ListQuery { bucket: BUCKET.into(), delimiter: Some("/".into()), max: 1000, ..Default::default() };
    let ListPage { objects, common_prefixes, next } = made.view.list(&query).unwrap();
    assert_eq!((objects.len(), common_prefixes, next), (0, vec!["0/".into(), "1/".into(), "2/".into()], None));
}

#[test]
#[ignore = "builds a view of a million names, or as many as SHOSOIN_VIEW_NAMES says: minutes"]
fn a_page_of_a_thousand_of_a_million_names_takes_under_50_ms() {
    let names = std::env::var("SHOSOIN_VIEW_NAMES").map_or(1_000_000, |text| text.parse().unwrap());
    let mut made = Made::new(Versioning::Off);
    for n in 0..names {
        made.apply(Summary::Object(facts(&format!("{:03}/{:03}/scan-{n:07}.dcm", n % 997, n % 31), true)));
    }
    for (prefix, delimiter) in [("", None), ("", Some("/")), ("5", Some("/")), ("123/", None), ("123/", Some("/"))] {
        let (bucket, delimiter) = (BUCKET.to_owned(), delimiter.map(str::to_owned));
        let query = ListQuery { bucket, prefix: prefix.to_owned(), delimiter, start_after: None, max: 1000 };
        let mut took = Vec::new();
        for _ in 0..5 {
            let begun = on_cpu_us();
            let page = made.view.list(&query).unwrap();
            took.push(on_cpu_us() - begun);
            assert!(page.objects.len() + page.common_prefixes.len() <= 1000);
        }
        println!("{prefix:?} {:?}: {took:?} us", query.delimiter);
        assert!(took.iter().all(|took| *took < 50_000), "{took:?}");
    }
}

/// Time this thread spent running, in microseconds: what a page costs, however busy the machine is.
fn on_cpu_us() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<u64>().unwrap() / 1000
}

#[test]
fn a_version_and_the_newest_change_of_its_name_are_seen_at_one_moment() {
    let mut made = Made::new(Versioning::Enabled);
    let (view, ended) = (made.view.clone(), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let (row, change) = view.newest(BUCKET, "n").unwrap();
                assert_eq!(row.map(|row| row.version), change);
            }
        });
        for _ in 0..3000 {
            made.apply(Summary::Object(facts("n", false)));
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap();
    });
}

impl Made {
    /// Applies an act of the hospital about a version.
    fn act(&mut self, subject: VersionId, document: Document) -> crate::Result<VersionId> {
        let index = self.frontier.size();
        let id = VersionId([u8::try_from(index + 100).unwrap(); 16]);
        let act = Act { id, kind: document.kind(), subject: Some(subject), document: Address([0; 32]) };
        let statement = Statement {
            suite: Suite::Default,
            log: LogId([3; 16]),
            hospital: KEYRING.hospital(),
            device: KEYRING.device_id(),
            device_seq: index,
            prev: Digest([u8::from(index > 0); 32]),
            seen: Seen::nothing(),
            claimed_ms: 0,
            body: Body::Act(act),
        };
        let entry = Entry::sign(statement, KEYRING.device_key());
        let mut frontier = self.frontier.clone();
        frontier.push(entry.leaf_hash(), |_, _| {});
        let position = PositionRow { log: LogId([3; 16]), frontier: frontier.clone(), checkpoint: String::new() };
        let placed = Placed {
            index,
            accepted_ms: 1000 + index,
            entry,
            summary: None,
            document: Some(document),
            source: super::Source::Full,
        };
        self.view.apply(placed, &position)?;
        self.frontier = frontier;
        Ok(id)
    }
}

#[test]
fn a_vault_that_let_a_lock_shorten_or_a_hold_end_twice_contradicts_its_rules() {
    let mut made = Made::new(Versioning::Off);
    let version = VersionId([7; 16]);
    let lock = |mode, until_ms| Document::Retention(Retain::of_subject(RetentionChange::Lock(Lock { mode, until_ms })));
    made.act(version, lock(LockMode::Compliance, 50)).unwrap();
    let shorter = made.act(version, lock(LockMode::Compliance, 49));
    assert!(matches!(shorter, Err(crate::Error::Contradiction { .. })), "{shorter:?}");
    let weaker = made.act(version, lock(LockMode::Governance, 60));
    assert!(matches!(weaker, Err(crate::Error::Contradiction { .. })), "{weaker:?}");
    assert_eq!(made.view.kept(version).unwrap().kept.lock, Some(Lock { mode: LockMode::Compliance, until_ms: 50 }));
    let hold = made.act(version, Document::Hold(Hold::whole(HoldReason::Audit))).unwrap();
    assert_eq!(made.view.kept(version).unwrap().kept.holds, [hold]);
    made.act(version, Document::Release(Release { hold })).unwrap();
    assert_eq!(made.view.kept(version).unwrap().kept.holds, []);
    let twice = made.act(version, Document::Release(Release { hold }));
    assert!(matches!(twice, Err(crate::Error::Contradiction { .. })), "{twice:?}");
}

#[test]
fn what_follows_the_acts_takes_each_of_them_once_however_often_it_is_asked() {
    let mut made = Made::new(Versioning::Off);
    let mut followed = Followed::<Vec<VersionId>>::default();
    let mut stated = Vec::new();
    for round in 0..20 {
        for version in 0..round % 3 {
            stated.push(made.act(VersionId([version; 16]), Document::Hold(Hold::whole(HoldReason::Audit))).unwrap());
            made.apply(Summary::Object(facts("between", false)));
        }
        let mut taken = 0;
        let all = followed.follow(&made.view, |all, act| {
            taken += 1;
            all.push(act.id);
        });
        assert_eq!((all.unwrap(), taken), (&stated, usize::from(round % 3)), "round {round}");
    }
}
