//! Terms of an agreement as people read and change them: TOML, and lines that say where each is kept to.
//!
//! What is signed is the canonical form (`protocol::act::agreement`); this text is only a way to write it, and reading back
//! what was written gives the same terms.

use crate::error::{Error, Result};
use crate::text::{self, exact_time};
use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use shosoin_protocol::act::agreement::*;
use shosoin_protocol::policy::{Label, RecordType};
use shosoin_protocol::{Digest, Suite};

/// Form of the file that this release reads.
const FORM: u32 = 1;

/// The whole file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    form: u32,
    hospital: String,
    vault: String,
    suite: u8,
    number: u32,
    previous: String,
    made: String,
    in_force: String,
    #[serde(default)]
    demo: bool,
    routes: Vec<String>,
    line: String,
    second_site: bool,
    exports: bool,
    timestamps: String,
    quota: String,
    #[serde(default)]
    outward: Vec<String>,
    scan: Scan,
    stop: Stop,
    quarantine: Quarantine,
    disposal: Disposal,
    #[serde(rename = "record_type")]
    types: Vec<Type>,
    #[serde(rename = "label")]
    labels: Vec<LabelLine>,
    #[serde(rename = "notice", default)]
    notices: Vec<NoticeLine>,
    #[serde(rename = "paper", default)]
    papers: Vec<PaperLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    scanning: String,
    definitions_hours_max: u32,
    scan_hours_max: u32,
    packed_hours_max: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    failures_max: u32,
    window_minutes: u32,
    emergency: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Quarantine {
    term_days: u32,
    bytes_max: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disposal {
    erasure: String,
    overwrite_passes: u8,
    cool_down_days: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Type {
    code: String,
    term_days_min: u32,
    read_within_s: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelLine {
    label: String,
    deliver: String,
    copies: String,
    erasure: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoticeLine {
    of: String,
    by: String,
    target: u16,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaperLine {
    kind: String,
    sha256: String,
}

/// What stands above the file: how to change it.
const HEAD: &str = "\
# Terms of an agreement between a hospital and the operator of a vault. Change what follows, then sign: each side runs
#   shosoin agreement sign THIS-FILE --dir ITS-FOLDER --out signed.shag
# and the other side signs signed.shag in its turn. No names and no free text: what needs words is a paper that both keep, of
# which the SHA-256 stands at the end.
#
# routes      network, media, application
# line        none, dedicated, ip-vpn, internet-vpn-ipsec-ike
# scanning    required, required-in-pieces (what is over the scanner's limit is taken if every piece was clean), off
# erasure     overwrite, destroy
# emergency   telephone, courier, other: the way that is left while communication is stopped
# timestamps  vault-clock, authority
# outward     cloud-volumes, webhook, mail, witness
# deliver     hospital, grants         copies  none, second-site, exports
# of          receipts, anomaly, incident, quarantine, communication, report
# by          ledger, webhook, mail, telephone
# kind        specification, operating-plan, continuity-plan, media-procedure, network-procedure, application-procedure,
#             disposal-procedure, security-policy

";

/// Terms as a file for people.
pub fn to_toml(terms: &Terms) -> Result<String> {
    let names = |outward: &Outward| outward.name().to_owned();
    let file = File {
        form: FORM,
        hospital: terms.hospital.to_string(),
        vault: terms.vault.to_string(),
        suite: terms.suite.code(),
        number: terms.number,
        previous: terms.previous.to_string(),
        made: exact_time(terms.made_ms),
        in_force: exact_time(terms.from_ms),
        demo: terms.demo,
        routes: terms.routes.names().into_iter().map(str::to_owned).collect(),
        line: terms.line.name().to_owned(),
        second_site: terms.second_site,
        exports: terms.exports,
        timestamps: terms.timestamps.name().to_owned(),
        quota: size(terms.quota_bytes),
        outward: terms.outward.iter().map(names).collect(),
        scan: Scan {
            scanning: terms.scan.scanning.name().to_owned(),
            definitions_hours_max: terms.scan.definitions_hours_max,
            scan_hours_max: terms.scan.scan_hours_max,
            packed_hours_max: terms.scan.packed_hours_max,
        },
        stop: Stop {
            failures_max: terms.retry.failures_max,
            window_minutes: terms.retry.window_minutes,
            emergency: terms.emergency.name().to_owned(),
        },
        quarantine: Quarantine { term_days: terms.quarantine.term_days, bytes_max: size(terms.quarantine.bytes_max) },
        disposal: Disposal {
            erasure: terms.erasure.name().to_owned(),
            overwrite_passes: terms.overwrite_passes,
            cool_down_days: terms.cool_down_days,
        },
        types: terms.types.iter().map(Type::of).collect(),
        labels: terms.labels.iter().map(LabelLine::of).collect(),
        notices: terms.notices.iter().map(NoticeLine::of).collect(),
        papers: terms.papers.iter().map(PaperLine::of).collect(),
    };
    let text = toml::to_string(&file).map_err(|error| Error::invalid("terms", error.to_string()))?;
    Ok(format!("{HEAD}{}", with_meanings(&text)))
}

/// Beside each record type, what it is.
fn with_meanings(text: &str) -> String {
    let meaning = |line: &str| {
        let code = line.strip_prefix("code = \"")?.strip_suffix('"')?;
        Some(format!("{line}  # {}", RecordType::from_code(code).ok()?.meaning()))
    };
    text.lines().map(|line| meaning(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// Bytes with the largest unit that divides them.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = units.into_iter().find(|(shift, _)| bytes > 0 && bytes.is_multiple_of(1u64 << shift));
    fits.map_or_else(|| format!("{bytes} B"), |(shift, unit)| format!("{} {unit}", bytes >> shift))
}

impl Type {
    fn of(rule: &TypeRule) -> Self {
        let TypeRule { record_type, term_days_min, read_within_s } = *rule;
        Type { code: record_type.code().to_owned(), term_days_min, read_within_s }
    }

    fn rule(&self) -> Result<TypeRule> {
        let record_type = RecordType::from_code(&self.code).map_err(|error| bad("record_type", error.to_string()))?;
        Ok(TypeRule { record_type, term_days_min: self.term_days_min, read_within_s: self.read_within_s })
    }
}

impl LabelLine {
    fn of(rule: &LabelRule) -> Self {
        let name = str::to_owned;
        LabelLine {
            label: name(rule.label.name()),
            deliver: name(rule.deliver.name()),
            copies: name(rule.copies.name()),
            erasure: name(rule.erasure.name()),
        }
    }

    fn rule(&self) -> Result<LabelRule> {
        Ok(LabelRule {
            label: Label::from_name(&self.label).map_err(|error| bad("label", error.to_string()))?,
            deliver: word("deliver", &self.deliver, Deliver::parse)?,
            copies: word("copies", &self.copies, Copies::parse)?,
            erasure: word("erasure", &self.erasure, Erasure::parse)?,
        })
    }
}

impl NoticeLine {
    fn of(rule: &NoticeRule) -> Self {
        NoticeLine { of: rule.notice.name().to_owned(), by: rule.channel.name().to_owned(), target: rule.target }
    }

    fn rule(&self) -> Result<NoticeRule> {
        let notice = word("of", &self.of, Notice::parse)?;
        Ok(NoticeRule { notice, channel: word("by", &self.by, Channel::parse)?, target: self.target })
    }
}

impl PaperLine {
    fn of((paper, digest): &(Paper, Digest)) -> Self {
        PaperLine { kind: paper.name().to_owned(), sha256: digest.to_string() }
    }

    fn rule(&self) -> Result<(Paper, Digest)> {
        Ok((word("kind", &self.kind, Paper::parse)?, parsed("sha256", &self.sha256)?))
    }
}

fn bad(field: &str, why: impl Into<String>) -> Error {
    Error::invalid(format!("field {field} of the terms"), why)
}

fn word<T>(field: &str, text: &str, parse: fn(&str) -> Option<T>) -> Result<T> {
    parse(text).ok_or_else(|| bad(field, format!("{text:?} is no word of its list; the head of a draft has them")))
}

fn parsed<T: std::str::FromStr<Err = shosoin_protocol::Error>>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|error: shosoin_protocol::Error| bad(field, error.to_string()))
}

fn moment(field: &str, text: &str) -> Result<u64> {
    text::parse_time(text).ok_or_else(|| bad(field, "write it as 2026-04-01T09:00:00+09:00"))
}

fn bytes(field: &str, text: &str) -> Result<u64> {
    text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|error| bad(field, error))
}

fn ascending<T, K: Ord>(field: &str, mut items: Vec<T>, key: impl Fn(&T) -> K) -> Result<Vec<T>> {
    items.sort_by_key(&key);
    match items.is_sorted_by(|a, b| key(a) < key(b)) {
        true => Ok(items),
        false => Err(bad(field, "something is in the list twice")),
    }
}

/// Terms from a file that people wrote. What is not understood is refused.
pub fn from_toml(text: &str) -> Result<Terms> {
    let file: File =
        toml::from_str(text).map_err(|error| Error::invalid("terms", error.to_string().replace('\n', " ")))?;
    if file.form != FORM {
        return Err(bad("form", format!("it is {}, this release reads form {FORM}", file.form)));
    }
    let suite = Suite::try_from(file.suite).map_err(|error| bad("suite", error.to_string()))?;
    let routes = routes(&file.routes)?;
    let terms = Terms {
        demo: file.demo,
        suite,
        hospital: parsed("hospital", &file.hospital)?,
        vault: parsed("vault", &file.vault)?,
        number: file.number,
        previous: parsed("previous", &file.previous)?,
        made_ms: moment("made", &file.made)?,
        from_ms: moment("in_force", &file.in_force)?,
        routes,
        line: word("line", &file.line, Line::parse)?,
        second_site: file.second_site,
        exports: file.exports,
        scan: ScanRule {
            scanning: word("scanning", &file.scan.scanning, Scanning::parse)?,
            definitions_hours_max: file.scan.definitions_hours_max,
            scan_hours_max: file.scan.scan_hours_max,
            packed_hours_max: file.scan.packed_hours_max,
        },
        erasure: word("erasure", &file.disposal.erasure, Erasure::parse)?,
        overwrite_passes: file.disposal.overwrite_passes,
        cool_down_days: file.disposal.cool_down_days,
        emergency: word("emergency", &file.stop.emergency, Emergency::parse)?,
        timestamps: word("timestamps", &file.timestamps, Timestamps::parse)?,
        retry: RetryRule { failures_max: file.stop.failures_max, window_minutes: file.stop.window_minutes },
        quarantine: QuarantineRule {
            term_days: file.quarantine.term_days,
            bytes_max: bytes("bytes_max", &file.quarantine.bytes_max)?,
        },
        quota_bytes: bytes("quota", &file.quota)?,
        types: ascending("record_type", all(&file.types, Type::rule)?, |rule| rule.record_type)?,
        labels: ascending("label", all(&file.labels, LabelLine::rule)?, |rule| rule.label)?,
        notices: ascending("notice", all(&file.notices, NoticeLine::rule)?, |rule| *rule)?,
        outward: ascending("outward", all(&file.outward, |name| word("outward", name, Outward::parse))?, |outward| {
            *outward
        })?,
        papers: ascending("paper", all(&file.papers, PaperLine::rule)?, |paper| paper.0)?,
    };
    sound(&terms)?;
    Ok(terms)
}

fn all<T, U>(items: &[T], one: impl Fn(&T) -> Result<U>) -> Result<Vec<U>> {
    items.iter().map(one).collect()
}

fn routes(names: &[String]) -> Result<Routes> {
    let mut routes = Routes::default();
    for name in names {
        match name.as_str() {
            "network" => routes.network = true,
            "media" => routes.media = true,
            "application" => routes.application = true,
            _ => return Err(bad("routes", format!("{name:?} is none: network, media, application"))),
        }
    }
    Ok(routes)
}

/// What the canonical form does not take is said before anybody signs it.
fn sound(terms: &Terms) -> Result<()> {
    let document = shosoin_protocol::act::Document::Agreement(Box::new(Agreement::draft(terms.clone())));
    let read = shosoin_protocol::act::Document::decode(document.kind(), &document.encode());
    read.map(drop).map_err(|error| Error::invalid("terms", error.to_string()))
}

/// One clause of an agreement: what is agreed, and who keeps to it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Clause {
    /// what it is about
    pub subject: String,
    /// what was agreed
    pub value: String,
    /// where it is enforced
    pub kept_by: &'static str,
}

const INTAKE: &str = "gateway and vault: refused otherwise";
const VAULT: &str = "vault";
const SCAN: &str = "gateway scans, vault checks the report";
const PEOPLE: &str = "people of both sides";

/// Everything that terms say, clause by clause.
pub fn clauses(terms: &Terms) -> Vec<Clause> {
    let mut all = Vec::new();
    let mut add = |subject: &str, value: String, kept_by| {
        all.push(Clause { subject: subject.to_owned(), value, kept_by });
    };
    add("routes", terms.routes.names().join(", "), "vault, for media; the others are people's");
    add("line", terms.line.name().to_owned(), PEOPLE);
    add("second site", yes(terms.second_site), PEOPLE);
    add("exports", yes(terms.exports), PEOPLE);
    add("outward services", terms.outward.iter().map(|one| one.name()).collect::<Vec<_>>().join(", "), PEOPLE);
    add("quota", text::bytes(terms.quota_bytes), "vault: over-quota otherwise");
    add("scanning", terms.scan.scanning.name().to_owned(), SCAN);
    add("age of definitions", format!("{} h at most", terms.scan.definitions_hours_max), SCAN);
    add("age of a scan", format!("{} h at most", terms.scan.scan_hours_max), SCAN);
    add("age of a scan on media", format!("{} h at most", terms.scan.packed_hours_max), SCAN);
    let RetryRule { failures_max, window_minutes } = terms.retry;
    add(
        "stop",
        format!("after {failures_max} failed transfers in {window_minutes} min"),
        "vault: communication-stopped from then on",
    );
    add("emergency channel", terms.emergency.name().to_owned(), PEOPLE);
    let QuarantineRule { term_days, bytes_max } = terms.quarantine;
    add("quarantine", format!("{term_days} days, {}", text::bytes(bytes_max)), "vault; the decision is people's");
    let passes = terms.overwrite_passes;
    add("erasure", format!("{}, {passes} passes", terms.erasure.name()), PEOPLE);
    add("cool-down of disposals", format!("{} days", terms.cool_down_days), VAULT);
    add("timestamps", terms.timestamps.name().to_owned(), VAULT);
    for rule in &terms.types {
        let TypeRule { record_type, term_days_min, read_within_s } = rule;
        let value = format!("kept {term_days_min} days at least, read within {read_within_s} s");
        add(&format!("record type {}", record_type.code()), value, INTAKE);
    }
    for rule in &terms.labels {
        let LabelRule { label, deliver, copies, erasure } = rule;
        let value = format!("deliver {}, copies {}, erasure {}", deliver.name(), copies.name(), erasure.name());
        add(&format!("label {}", label.name()), value, INTAKE);
    }
    for NoticeRule { notice, channel, target } in &terms.notices {
        add(&format!("notice of {}", notice.name()), format!("by {}, target {target}", channel.name()), PEOPLE);
    }
    for (paper, digest) in &terms.papers {
        add(&format!("paper {}", paper.name()), digest.to_string(), PEOPLE);
    }
    all
}

fn yes(agreed: bool) -> String {
    if agreed { "yes" } else { "no" }.to_owned()
}

/// What is different in the second of two terms: subject, before, after; nothing where it is not there.
pub fn differences(before: &Terms, after: &Terms) -> Vec<(String, Option<String>, Option<String>)> {
    let (before, after) = (clauses(before), clauses(after));
    let value = |of: &[Clause], subject: &str| -> Option<String> {
        let found: Vec<&str> = of.iter().filter(|one| one.subject == subject).map(|one| one.value.as_str()).collect();
        (!found.is_empty()).then(|| found.join("; "))
    };
    let mut subjects: Vec<&str> = before.iter().chain(&after).map(|clause| clause.subject.as_str()).collect();
    subjects.dedup();
    let mut seen = std::collections::BTreeSet::new();
    subjects.retain(|subject| seen.insert(*subject));
    let changed = |subject: &str| {
        let (old, new) = (value(&before, subject), value(&after, subject));
        (old != new).then(|| (subject.to_owned(), old, new))
    };
    subjects.into_iter().filter_map(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::{HospitalId, VaultId};

    fn proposal() -> Terms {
        let (hospital, vault) = (HospitalId([1; 16]), VaultId([2; 16]));
        let draft = Draft { hospital, suite: Suite::Cryptrec, vault, now_ms: 1_900_000_000_123 };
        Terms { papers: vec![(Paper::Specification, Digest([3; 32]))], ..Terms::proposal(draft) }
    }

    #[test]
    fn terms_that_were_written_read_back_as_the_same_terms() {
        let terms = Terms { outward: vec![Outward::CloudVolumes, Outward::Mail], ..proposal() };
        let text = to_toml(&terms).unwrap();
        assert!(text.contains("# doctor's treatment record"), "{text}");
        assert_eq!(from_toml(&text).unwrap(), terms);
        let demo = Terms { demo: true, quota_bytes: 12_345, ..terms };
        assert_eq!(from_toml(&to_toml(&demo).unwrap()).unwrap(), demo);
    }

    #[test]
    fn what_is_not_understood_in_terms_is_refused_by_the_name_of_its_field() {
        let text = to_toml(&proposal()).unwrap();
        let refused = [
            ("line = \"ip-vpn\"", "line = \"string\"", "field line"),
            ("scanning = \"required\"", "scanning = \"maybe\"", "field scanning"),
            ("code = \"T4-01\"", "code = \"X-01\"", "1-R1"),
            ("code = \"T4-01\"", "code = \"T9-99\"", "no such code"),
            ("code = \"T4-02\"", "code = \"T4-01\"", "twice"),
            ("failures_max = 10", "failures_max = 0", "at least 1"),
            ("form = 1", "form = 1\ncolour = 2", "colour"),
            ("form = 1", "form = 2", "form"),
        ];
        for (from, to, why) in refused {
            let wrong = text.replacen(from, to, 1);
            assert_ne!(wrong, text, "{from}");
            let error = from_toml(&wrong).unwrap_err();
            assert!(error.clauses().join(": ").contains(why), "{to}: {:?}", error.clauses());
        }
    }

    #[test]
    fn differences_name_what_changed_came_and_went() {
        let before = proposal();
        let mut after = before.clone();
        after.quota_bytes *= 2;
        after.types.remove(0);
        after.papers.push((Paper::DisposalProcedure, Digest([9; 32])));
        let subjects: Vec<String> = differences(&before, &after).into_iter().map(|one| one.0).collect();
        assert_eq!(subjects, ["quota", "record type O-00", "paper disposal-procedure"]);
        assert_eq!(differences(&before, &before), []);
    }
}
