//! Checking a page of the ledger entry by entry, before anything of it is applied: who signed, in which order, and
//! whether the sealed summary or document is the one the entry names and says what the entry says.

use crate::accuse::Accusation;
use crate::depositor::DepositScope;
use crate::ledger::Identity;
use crate::view::row::Chain;
use crate::view::{Placed, Source, View};
use crate::{Error, Result};
use shosoin_protocol::act::handover::key_digest;
use shosoin_protocol::act::{ActKind, Author, Document, HandOverIn, SuitePolicy, WordStage};
use shosoin_protocol::api::{LogItem, LogPage};
use shosoin_protocol::entry::{Body, Entry};
use shosoin_protocol::evidence::Class;
use shosoin_protocol::lineage::Span;
use shosoin_protocol::manifest::Summary;
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{DeviceId, Lineage};
use std::collections::HashMap;
use std::sync::Arc;

/// What is asked of the vault when a page is read.
const OPERATION: &str = "entries of the ledger";

/// Why a page is refused, and what of it can be shown to others.
#[derive(Debug)]
pub struct Refused {
    /// why
    pub error: Box<Error>,
    /// the entry that may not be in the ledger, where its being there is enough to show it
    pub accusation: Option<Accusation>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused { error: Box::new(error), accusation: None }
    }
}

/// An entry that may not be where it is.
fn accused(class: Class, index: u64) -> impl Fn(Error) -> Refused {
    move |error| Refused { error: Box::new(error), accusation: Some(Accusation { class, index }) }
}

/// Checks every entry of a page and opens its summary. CPU work, spread over the identity's threads.
pub fn check_page(identity: &Identity, view: &View, page: LogPage) -> Result<Vec<Placed>, Refused> {
    let mut devices = Devices { identity, view, known: HashMap::new() };
    let mut keys = Vec::with_capacity(page.items.len());
    let mut policy = SuiteGuard::begin(view)?;
    let mut roles = Roles { identity, view, known: HashMap::new() };
    for item in &page.items {
        let scope = roles.check(item, &devices)?;
        keys.push((devices.check(item.placed.index, &item.placed.entry)?, scope));
        policy.check(item)?;
    }
    let work: Vec<(LogItem, (PublicKey, Option<Scope>))> = page.items.into_iter().zip(keys).collect();
    let share = work.len().div_ceil(identity.threads.max(1)).max(1);
    let mut work = work.into_iter();
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        loop {
            let items: Vec<_> = work.by_ref().take(share).collect();
            if items.is_empty() {
                break;
            }
            let check =
                move || items.into_iter().map(|(item, key)| check_item(identity, item, &key.0, key.1)).collect();
            threads.push(scope.spawn(check));
        }
        let mut placed = Vec::new();
        for thread in threads {
            let lost = || Err(Error::Lost { task: "checking entries" }.into());
            let items: Result<Vec<Placed>, Refused> = thread.join().unwrap_or_else(|_| lost());
            placed.extend(items?);
        }
        Ok(placed)
    })
}

/// The suite policy as the page has it so far.
struct SuiteGuard(Option<SuitePolicy>);

impl SuiteGuard {
    fn begin(view: &View) -> Result<Self> {
        Ok(SuiteGuard(view.suite_policy()?.and_then(|row| match row.document {
            Document::SuitePolicy(policy) => Some(policy),
            _ => None,
        })))
    }

    /// Refuses a deposit below the policy, and a policy that takes back what the one before demanded. That the document is
    /// the one its entry names is checked with the entry.
    fn check(&mut self, item: &LogItem) -> Result<(), Refused> {
        let (index, statement) = (item.placed.index, item.placed.entry.statement());
        let refuse = |source| accused(Class::Downgrade, index)(Error::Answer { operation: OPERATION, source });
        match (&statement.body, self.0) {
            (Body::Deposit(_), Some(policy)) if !policy.takes(statement.suite) => {
                let (found, expected) = (statement.suite.code(), "what the hospital's policy demands");
                return Err(refuse(shosoin_protocol::Error::Suite { found, expected }));
            }
            (Body::Act(act), before) if act.kind == ActKind::SuitePolicy => {
                let answer = |source| Error::Answer { operation: OPERATION, source };
                if let Document::SuitePolicy(next) = Document::decode(act.kind, &item.attachment).map_err(answer)? {
                    before.map_or(Ok(()), |before| next.may_follow(&before)).map_err(refuse)?;
                    self.0 = Some(next);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Where a machine that only deposits may deposit.
type Scope = Arc<DepositScope>;

/// The roles of devices as the page has them so far.
struct Roles<'a> {
    identity: &'a Identity,
    view: &'a View,
    known: HashMap<DeviceId, Option<Scope>>,
}

impl Roles<'_> {
    /// Refuses an entry that its signer's role does not allow, and a role that comes too late or twice; gives the scope of a
    /// signer that only deposits.
    fn check(&mut self, item: &LogItem, devices: &Devices<'_>) -> Result<Option<Scope>, Refused> {
        let (index, statement) = (item.placed.index, item.placed.entry.statement());
        let injected =
            |why: String| accused(Class::Injection, index)(Error::Contradiction { operation: OPERATION, why });
        let scope = self.of(statement.device)?;
        if scope.is_some() && !matches!(statement.body, Body::Deposit(_)) {
            return Err(injected(format!("device {} only deposits, and entry {index} is none", statement.device)));
        }
        if let Body::Act(act) = &statement.body
            && act.kind == ActKind::DeviceRole
        {
            let answer = |source| Error::Answer { operation: OPERATION, source };
            if let Document::DeviceRole(role) = Document::decode(act.kind, &item.attachment).map_err(answer)? {
                if self.of(role.device)?.is_some() || devices.has_met(role.device)? {
                    return Err(injected(format!("the role of device {} is stated too late, or twice", role.device)));
                }
                let scope = DepositScope::open(&self.identity.keyring, &role);
                self.known.insert(role.device, Some(Arc::new(scope)));
            }
        }
        Ok(scope)
    }

    fn of(&mut self, device: DeviceId) -> Result<Option<Scope>> {
        if let Some(known) = self.known.get(&device) {
            return Ok(known.clone());
        }
        let role = self.view.role(device)?;
        let scope = role.map(|role| Arc::new(DepositScope::open(&self.identity.keyring, &role)));
        self.known.insert(device, scope.clone());
        Ok(scope)
    }
}

/// A device as the page has it so far.
struct Device {
    key: PublicKey,
    enrolled: bool,
    chain: Chain,
}

struct Devices<'a> {
    identity: &'a Identity,
    view: &'a View,
    known: HashMap<DeviceId, Device>,
}

impl Devices<'_> {
    /// Checks log, order and standing of an entry; gives the key that must have signed it.
    fn check(&mut self, index: u64, entry: &Entry) -> Result<PublicKey, Refused> {
        let answer = |source| Error::Answer { operation: OPERATION, source };
        let (injected, replayed) = (accused(Class::Injection, index), accused(Class::Replay, index));
        let span = self.identity.lineage.at(index);
        let (statement, vault) = (entry.statement(), span.vault_key.device_id());
        entry.expect(span.log, self.identity.keyring.hospital()).map_err(answer).map_err(&replayed)?;
        let suite = self.identity.keyring.suite();
        if statement.suite != suite {
            let found = statement.suite.code();
            let weaker = shosoin_protocol::Error::Suite { found, expected: "the suite of the hospital" };
            return Err(accused(Class::Downgrade, index)(answer(weaker)));
        }
        if let Body::Device(change) = entry.body() {
            let hospital_key = self.identity.keyring.hospital_key().public();
            change.verify(span.log, &hospital_key).map_err(answer).map_err(&injected)?;
            if self.identity.lineage.is_vault(change.key.device_id()) {
                let why = "a device joins or leaves under the vault's own key".to_owned();
                return Err(Error::Contradiction { operation: OPERATION, why }.into());
            }
            let target = self.device(change.key.device_id(), Some(&change.key))?;
            if change.enrol && !target.enrolled {
                let why = format!("device {} was revoked and joins again", change.key.device_id());
                return Err(Error::Contradiction { operation: OPERATION, why }.into());
            }
        }
        let of_a_vault = self.identity.lineage.is_vault(statement.device);
        let device = self.device(statement.device, None).map_err(&injected)?;
        let next = Chain { next_seq: statement.device_seq, prev: statement.prev };
        let may_sign = match entry.body() {
            Body::Act(act) if act.kind.author() == Author::Operator => statement.device == vault,
            Body::Act(act) if act.kind.author() == Author::Either && statement.device == vault => true,
            _ => device.enrolled && !of_a_vault,
        };
        if !may_sign || device.chain != next {
            let (seq, id, expected) = (statement.device_seq, statement.device, device.chain.next_seq);
            let why = format!("entry {seq} of device {id} is not the next one of somebody who may sign it");
            let error = Error::Contradiction { operation: OPERATION, why };
            return Err(match may_sign {
                false => injected(error),
                true if seq < expected => replayed(error),
                true => error.into(),
            });
        }
        device.chain = Chain { next_seq: statement.device_seq + 1, prev: entry.leaf_hash() };
        if let Body::Device(change) = entry.body() {
            self.device(change.key.device_id(), None)?.enrolled = change.enrol;
        }
        Ok(self.device(statement.device, None)?.key.clone())
    }

    /// Whether the ledger has a device already.
    fn has_met(&self, id: DeviceId) -> Result<bool> {
        Ok(self.known.contains_key(&id) || self.view.device(id)?.is_some())
    }

    /// A device the ledger knows, this device itself, or one that is being certified with `new`.
    fn device(&mut self, id: DeviceId, new: Option<&PublicKey>) -> Result<&mut Device> {
        if !self.known.contains_key(&id) {
            let own = Some(self.identity.keyring.device_key().public()).filter(|key| key.device_id() == id);
            let device = match self.view.device(id)? {
                Some(row) => Device { key: row.key, enrolled: row.enrolled, chain: row.chain },
                None => {
                    let key = new.cloned().or(own).ok_or_else(|| Error::Contradiction {
                        operation: OPERATION,
                        why: format!("device {id} was never enrolled"),
                    })?;
                    Device { key, enrolled: true, chain: Chain::START }
                }
            };
            self.known.insert(id, device);
        }
        self.known.get_mut(&id).ok_or(Error::Lost { task: "a device" })
    }
}

fn check_item(identity: &Identity, item: LogItem, key: &PublicKey, scope: Option<Scope>) -> Result<Placed, Refused> {
    let answer = |source| Error::Answer { operation: OPERATION, source };
    let (index, entry) = (item.placed.index, item.placed.entry);
    entry.verify(key).map_err(answer).map_err(accused(Class::Injection, index))?;
    let mut source = if scope.is_some() { Source::Depositor } else { Source::Full };
    let summary = match (entry.body().name_change(), entry.body().summary()) {
        // it may have been disposed of since: the view waits for the act that says so
        (Some(_), Some(_)) if item.attachment.is_empty() => None,
        (Some((version, _, _)), Some(address)) => {
            identity.keyring.suite().verify(&address, &item.attachment).map_err(answer)?;
            let opened = identity.keyring.open_summary(version, &item.attachment);
            if let Some(scope) = &scope {
                // a stolen machine can store nonsense, and must not be able to stop the others with it
                let allowed = opened.ok().filter(|summary| scope.allows(summary, &item.attachment));
                if allowed.is_none() {
                    source = Source::OutOfScope;
                    let device = entry.statement().device;
                    tracing::warn!(%device, index, "a machine that only deposits stored what it may not: no name has it");
                }
                return Ok(Placed {
                    index,
                    accepted_ms: item.placed.accepted_ms,
                    entry,
                    summary: allowed,
                    document: None,
                    source,
                });
            }
            let summary = opened.map_err(|source| Error::Keyring { what: "summary", source })?;
            check_summary(identity, &entry, &summary, index)?;
            Some(summary)
        }
        _ => None,
    };
    let document = match entry.body() {
        Body::Act(act) => {
            identity.keyring.suite().verify(&act.document, &item.attachment).map_err(answer)?;
            let document = Document::decode(act.kind, &item.attachment).map_err(answer)?;
            if let Document::Agreement(agreement) = &document {
                let hospital_key = identity.keyring.hospital_key().public();
                let parties = identity.parties_in(identity.lineage.at(index), &hospital_key);
                agreement.verify(&parties).map_err(answer)?;
            }
            Some(document)
        }
        _ => None,
    };
    Ok(Placed { index, accepted_ms: item.placed.accepted_ms, entry, summary, document, source })
}

/// Refuses an entry with which a ledger comes to another vault elsewhere than where the lineage says, or without the
/// hospital's word for it, and one that a ledger that ended does not take: the next vault would never have it. `before` is
/// what comes before the entry, all of it applied.
pub fn check_step(identity: &Identity, view: &View, placed: &Placed, before: &Frontier) -> Result<()> {
    let refused = |why: &str| {
        let why = format!("entry {}: {why}", placed.index);
        Err(Error::Contradiction { operation: OPERATION, why })
    };
    let span = identity.lineage.at(placed.index);
    let begins = span.from == placed.index && span.from > 0;
    match &placed.document {
        Some(Document::HandOverIn(document)) if begins => {
            let former = former(&identity.lineage, span);
            let leads_back = former.is_some_and(|former| leads_to(document, former));
            if !leads_back || (document.log_size, document.log_root) != (span.from, span.root) {
                return refused("it takes over from another vault than the one that the lineage names");
            }
            if before.root() != span.root {
                return refused("it takes over behind other entries than those before it");
            }
            let is_order = |word: &shosoin_protocol::act::HandOverWord| {
                (word.stage, word.receiver) == (WordStage::Ordered, span.vault)
                    && word.receiver_key == key_digest(&span.vault_key)
            };
            let ordered = view.acts(&[ActKind::HandOverWord])?.into_iter().any(|row| match row.document {
                Document::HandOverWord(word) => row.id == document.order && is_order(&word),
                _ => false,
            });
            match ordered {
                true => Ok(()),
                false => refused("it takes over without the hospital's word for it"),
            }
        }
        Some(Document::HandOverIn(_)) => refused("it takes over where no other vault goes on"),
        _ if begins => refused("another vault goes on without having taken over"),
        _ => {
            let comes_after = match placed.entry.body() {
                Body::Act(act) => act.kind.comes_after_the_end(),
                Body::Device(_) => true,
                _ => false,
            };
            match comes_after || view.ended()?.is_none() {
                true => Ok(()),
                false => refused("it comes after the end of the ledger, which was handed over"),
            }
        }
    }
}

fn former<'a>(lineage: &'a Lineage, span: &Span) -> Option<&'a Span> {
    lineage.spans().take_while(|other| other.from < span.from).last()
}

fn leads_to(document: &HandOverIn, former: &Span) -> bool {
    (document.former, &document.former_key) == (former.vault, &former.vault_key)
}

/// Refuses a summary that does not belong to its entry: of another kind, or about another name.
fn check_summary(identity: &Identity, entry: &Entry, summary: &Summary, index: u64) -> Result<()> {
    let token = match summary {
        Summary::Object(facts) => identity.keyring.name_token(&facts.bucket, &facts.name),
        Summary::Bucket(facts) => identity.keyring.bucket_token(&facts.bucket),
        Summary::Marker { bucket, name, .. }
        | Summary::Tags { bucket, name, .. }
        | Summary::Withdrawn { bucket, name, .. } => identity.keyring.name_token(bucket, name),
    };
    let kinds_fit = match (entry.body(), summary) {
        (Body::Deposit(_), Summary::Object(_)) | (Body::Marker(_), Summary::Marker { .. }) => true,
        (Body::Policy(_), summary) => !matches!(summary, Summary::Object(_) | Summary::Marker { .. }),
        _ => false,
    };
    let tokens_fit = entry.body().name_change().is_some_and(|(_, _, named)| named == token);
    match kinds_fit && tokens_fit {
        true => Ok(()),
        false => {
            let why = format!("the summary of entry {index} is about something else than the entry");
            Err(Error::Contradiction { operation: OPERATION, why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Keyring;
    use shosoin_protocol::act::{Act, DeviceRole, Hold, HoldReason, Incident, IncidentClass, Role, Severity};
    use shosoin_protocol::entry::{DeviceChange, PlacedEntry, Seen, Statement};
    use shosoin_protocol::sign::SigningKey;
    use shosoin_protocol::{Digest, LogId, Suite, VaultId};
    use std::sync::Arc;

    /// A device that signs one entry after the other.
    struct Signer<'a> {
        key: &'a SigningKey,
        chain: Chain,
    }

    fn identity() -> Identity {
        let keyring = Arc::new(Keyring::generate(Suite::Default).unwrap());
        let (vault, vault_key) = (VaultId([7; 16]), keyring.hospital_key().public());
        let log = LogId::of(vault, keyring.hospital());
        let lineage = Lineage::of(keyring.hospital(), vault, vault_key.clone());
        Identity { keyring, vault, vault_key, log, lineage, threads: 2 }
    }

    impl Signer<'_> {
        fn change(&mut self, identity: &Identity, enrol: bool, target: &PublicKey) -> LogItem {
            let hospital_key = identity.keyring.hospital_key();
            let change = DeviceChange::certify(identity.log, enrol, target.clone(), hospital_key);
            self.sign(identity, Body::Device(change), Vec::new())
        }

        fn act(&mut self, identity: &Identity, document: &Document) -> LogItem {
            let bytes = document.encode();
            let (id, kind) = (shosoin_protocol::VersionId([5; 16]), document.kind());
            let address = identity.keyring.suite().address(&bytes);
            self.sign(identity, Body::Act(Act { id, kind, subject: None, document: address }), bytes)
        }

        fn sign(&mut self, identity: &Identity, body: Body, attachment: Vec<u8>) -> LogItem {
            let statement = Statement {
                suite: Suite::Default,
                log: identity.log,
                hospital: identity.keyring.hospital(),
                device: self.key.public().device_id(),
                device_seq: self.chain.next_seq,
                prev: self.chain.prev,
                seen: Seen::nothing(),
                claimed_ms: 0,
                body,
            };
            let entry = Entry::sign(statement, self.key);
            self.chain = Chain { next_seq: self.chain.next_seq + 1, prev: entry.leaf_hash() };
            LogItem { placed: PlacedEntry { index: 0, accepted_ms: 0, entry }, attachment: attachment.into() }
        }
    }

    fn checked(identity: &Identity, items: Vec<LogItem>) -> Result<usize, Error> {
        let dir = tempfile::tempdir().unwrap();
        let (view, _) = View::open(dir.path(), identity.log).unwrap();
        if identity.vault_key != identity.keyring.hospital_key().public() {
            view.know_vault(identity.vault_key.clone()).unwrap();
        }
        check_page(identity, &view, LogPage { items }).map(|placed| placed.len()).map_err(|refused| *refused.error)
    }

    #[test]
    fn devices_join_and_leave_but_one_that_left_never_joins_again() {
        let identity = identity();
        let other_key = SigningKey::from_seed(Suite::Default, &[9; 32].into()).unwrap();
        let (own_public, other_public) = (identity.keyring.device_key().public(), other_key.public());
        let start = Chain { next_seq: 0, prev: Digest([0; 32]) };
        let mut own = Signer { key: identity.keyring.device_key(), chain: start };
        let mut other = Signer { key: &other_key, chain: start };
        let mut items = vec![
            own.change(&identity, true, &own_public),
            other.change(&identity, true, &other_public),
            own.change(&identity, false, &other_public),
        ];
        assert_eq!(checked(&identity, items.clone()).unwrap(), 3);
        for again in [other.change(&identity, true, &other_public), own.change(&identity, true, &other_public)] {
            items.push(again);
            assert!(matches!(checked(&identity, items.clone()), Err(Error::Contradiction { .. })));
            items.pop();
        }
    }

    /// An act with its document, signed by `key` as its first entry.
    fn act(identity: &Identity, key: &SigningKey, document: &Document) -> LogItem {
        let bytes = document.encode();
        let (id, kind) = (shosoin_protocol::VersionId([5; 16]), document.kind());
        let act = Act { id, kind, subject: None, document: identity.keyring.suite().address(&bytes) };
        let statement = Statement {
            suite: Suite::Default,
            log: identity.log,
            hospital: identity.keyring.hospital(),
            device: key.public().device_id(),
            device_seq: 0,
            prev: Digest([0; 32]),
            seen: Seen::nothing(),
            claimed_ms: 0,
            body: Body::Act(act),
        };
        let placed = PlacedEntry { index: 0, accepted_ms: 0, entry: Entry::sign(statement, key) };
        LogItem { placed, attachment: bytes.into() }
    }

    #[test]
    fn an_act_is_believed_only_from_the_side_that_may_state_it() {
        let vault_key = SigningKey::from_seed(Suite::Default, &[8; 32].into()).unwrap();
        let identity = identity();
        let lineage = Lineage::of(identity.keyring.hospital(), identity.vault, vault_key.public());
        let identity = Identity { vault_key: vault_key.public(), lineage, ..identity };
        let device_key = identity.keyring.device_key();
        let hold = Document::Hold(Hold::whole(HoldReason::Other));
        let (class, severity) = (IncidentClass::Other, Severity::Notice);
        let incident = Document::Incident(Incident { class, severity, noticed_ms: 1, began_ms: None, scene: None });
        assert_eq!(checked(&identity, vec![act(&identity, device_key, &hold)]).unwrap(), 1);
        assert_eq!(checked(&identity, vec![act(&identity, &vault_key, &incident)]).unwrap(), 1);
        for forged in [act(&identity, &vault_key, &hold), act(&identity, device_key, &incident)] {
            assert!(matches!(checked(&identity, vec![forged]), Err(Error::Contradiction { .. })));
        }
        let mut other = act(&identity, device_key, &hold);
        other.attachment = Document::Hold(Hold::whole(HoldReason::Audit)).encode().into();
        assert!(matches!(checked(&identity, vec![other]), Err(Error::Answer { .. })));
    }

    #[test]
    fn what_a_role_does_not_allow_is_an_injection_and_so_is_a_role_that_comes_late_or_twice() {
        let identity = identity();
        let machine_key = SigningKey::from_seed(Suite::Default, &[9; 32].into()).unwrap();
        let (own_public, public) = (identity.keyring.device_key().public(), machine_key.public());
        let start = Chain { next_seq: 0, prev: Digest([0; 32]) };
        let mut own = Signer { key: identity.keyring.device_key(), chain: start };
        let mut machine = Signer { key: &machine_key, chain: start };
        let role = |device| Document::DeviceRole(DeviceRole { device, role: Role::DepositOnly, scope: Vec::new() });
        let hold = Document::Hold(Hold::whole(HoldReason::Other));
        let good = vec![
            own.change(&identity, true, &own_public),
            own.act(&identity, &role(public.device_id())),
            own.change(&identity, true, &public),
        ];
        assert_eq!(checked(&identity, good.clone()).unwrap(), 3);
        let after = own.chain;
        let refused = |item: LogItem| {
            let outcome = checked(&identity, [&good[..], &[item]].concat());
            assert!(matches!(outcome, Err(Error::Contradiction { .. })), "{outcome:?}");
        };
        refused(machine.act(&identity, &hold));
        machine.chain = start;
        refused(machine.change(&identity, false, &own_public));
        for device in [public.device_id(), own_public.device_id()] {
            own.chain = after;
            refused(own.act(&identity, &role(device)));
        }
    }

    #[test]
    fn an_entry_out_of_its_chain_or_signed_by_another_is_refused() {
        let identity = identity();
        let other_key = SigningKey::from_seed(Suite::Default, &[9; 32].into()).unwrap();
        let public = identity.keyring.device_key().public();
        let start = Chain { next_seq: 0, prev: Digest([0; 32]) };
        let mut own = Signer { key: identity.keyring.device_key(), chain: start };
        let first = own.change(&identity, true, &public);
        let second = own.change(&identity, false, &other_key.public());
        assert!(matches!(checked(&identity, vec![second.clone()]), Err(Error::Contradiction { .. })));
        assert!(matches!(checked(&identity, vec![first.clone(), first.clone()]), Err(Error::Contradiction { .. })));
        assert_eq!(checked(&identity, vec![first, second]).unwrap(), 2);
        let stranger = Signer { key: &other_key, chain: start }.change(&identity, true, &public);
        assert!(checked(&identity, vec![stranger]).is_err());
    }
}
