//! The attacks by name: what the vault does, what the hospital does meanwhile, which check catches it, and what proves it
//! to others. `docs/threat-model.md` has the same table for people; a test holds the two together.

use crate::vault::{Byzantine, Forged, LONG_MS, item};
use bytes::Bytes;
use shosoin_protocol::act::{Act, ActKind, DeviceRole, Document, Role};
use shosoin_protocol::api::LogItem;
use shosoin_protocol::entry::{Body, DeviceChange, Entry, Statement};
use shosoin_protocol::evidence::Class;
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{Address, DeviceId, Digest, LogId, Suite, VaultId, VersionId};

/// What the hospital does while it is attacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// catches up with the ledger
    Refresh,
    /// reads a record it has opened before
    Get,
    /// proves a record and its content
    Verify,
    /// stores a large record
    Put,
    /// opens with an empty state folder
    Open,
    /// opens with the state it has
    Reopen,
    /// audits
    Audit,
    /// checks the vault's account
    Reconcile,
    /// stores a record, then audits the vault when it is honest again
    PutThenAudit,
}

macro_rules! attacks {
    ($($attack:ident, $op:ident, $caught:literal, $evidence:expr;)*) => {
        /// What the vault does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Attack { $($attack),* }

        /// Every attack with what the hospital does, what catches it, and what is kept: a class, and whether it is
        /// conclusive.
        pub const ALL: &[(Attack, &str, Op, &str, Option<(Class, bool)>)] =
            &[$((Attack::$attack, stringify!($attack), Op::$op, $caught, $evidence)),*];
    };
}

attacks! {
    // bytes of records
    FlipRecord, Get, "address", None;
    TruncateRecord, Get, "address", None;
    PadRecord, Get, "address", None;
    EmptyRecord, Get, "address", None;
    OtherRecord, Get, "address", None;
    DenyRecord, Get, "the ledger names it", None;
    SilentRecord, Get, "bounded waiting", None;
    // versions
    OtherVersion, Verify, "the leaf in the view", None;
    OtherEntry, Verify, "the leaf in the view", None;
    OtherWrap, Verify, "key commitment in the entry", None;
    FlipWrap, Verify, "seal of the wrap", None;
    OtherManifest, Verify, "address in the entry", None;
    WrongPlace, Verify, "the place in the view", None;
    ShortProof, Verify, "inclusion proof", None;
    DenyVersion, Verify, "the ledger names it", None;
    VersionUnderForgedHead, Verify, "signature of the head", None;
    // heads
    ReplayOldHead, Refresh, "the remembered head", Some((Class::Rollback, false));
    SignShorterLedger, Refresh, "the remembered head", Some((Class::Rollback, true));
    ForkOfOneSize, Refresh, "the remembered head", Some((Class::Fork, true));
    ForkThatGrows, Refresh, "consistency proof", Some((Class::Fork, true));
    ForkWithoutProof, Refresh, "consistency proof", Some((Class::Fork, true));
    NonsenseProof, Refresh, "consistency proof", None;
    HeadByAnotherKey, Refresh, "signature of the head", None;
    HeadUnderOtherSuite, Refresh, "signature of the head", None;
    HeadOfAnotherHospital, Refresh, "origin of the head", None;
    HeadOfAnotherVault, Refresh, "origin of the head", None;
    HeadThatCannotBeShown, Refresh, "consistency proof", None;
    HeadIsNoText, Refresh, "one form of a head", None;
    TimeGoesBack, Refresh, "times of heads", Some((Class::Time, true));
    // entries
    OmitEntry, Open, "root of the head", None;
    SwapEntries, Open, "chain of the device", None;
    FlipEntry, Open, "signature of the device", None;
    FlipSummaries, Open, "address in the entry", None;
    EmptyPages, Open, "shape of a page", None;
    SignedOmission, Open, "chain of the device", None;
    InjectUnknownDevice, Refresh, "enrolment in the ledger", Some((Class::Injection, true));
    ForgeEnrolledDevice, Refresh, "signature of the device", Some((Class::Injection, true));
    EnrolWithoutCertificate, Refresh, "certificate of the hospital", Some((Class::Injection, true));
    ReplayEntry, Refresh, "chain of the device", Some((Class::Replay, true));
    EntryOfAnotherLedger, Refresh, "ledger in the entry", Some((Class::Replay, true));
    WeakerSuite, Refresh, "suite of the hospital", Some((Class::Downgrade, true));
    OperatorActByAnotherKey, Refresh, "signature of the vault", Some((Class::Injection, true));
    OperatorActInADevicesName, Refresh, "author of the act", Some((Class::Injection, true));
    HospitalActInTheVaultsName, Refresh, "author of the act", Some((Class::Injection, true));
    RoleByAnotherKey, Refresh, "signature of the device", Some((Class::Injection, true));
    RoleInTheVaultsName, Refresh, "author of the act", Some((Class::Injection, true));
    AlteredRole, Open, "address in the entry", None;
    // with the keys of a stolen machine that only deposits
    ActOfAMachine, Refresh, "role of the machine", None;
    WeakerSuiteOfAMachine, Refresh, "suite of the hospital", Some((Class::Downgrade, true));
    // deposits
    StaleReceipt, Put, "leaf in the receipt", None;
    ReceiptByAnotherKey, Put, "signature of the receipt", None;
    UnsignedReceipt, Put, "signature of the receipt", None;
    ReceiptThatDoesNotHold, Put, "inclusion proof", Some((Class::FalseReceipt, true));
    ReceiptForAnotherPlace, Put, "inclusion proof", Some((Class::FalseReceipt, true));
    ReceiptInTheFuture, Put, "times in the receipt", Some((Class::Time, true));
    FewerReplies, Put, "count of replies, then the ledger", None;
    FalseConflict, Put, "the ledger", None;
    FalseSequence, Put, "the chain in the ledger, bounded tries", None;
    PretendToHold, Put, "completeness of the deposit", None;
    AnswerTooFew, Put, "what is not answered is sent", None;
    ForgetChunks, Put, "completeness of the deposit", None;
    AcknowledgeAndForget, PutThenAudit, "the remembered head", Some((Class::Rollback, true));
    // greeting
    HelloWithAnotherKey, Reopen, "pinned key", None;
    HelloOfAnotherVault, Reopen, "pinned vault", None;
    HelloToAnotherHospital, Reopen, "own id", None;
    // audits
    ReplayAnswer, Audit, "nonce", None;
    AnswerToAnotherQuestion, Audit, "nonce", None;
    AnswerByAnotherKey, Audit, "signature of the answer", None;
    AnswerWithOtherBytes, Audit, "digest in the answer", None;
    SignedSubstitution, Audit, "address", Some((Class::Substitution, true));
    SignedLoss, Audit, "the ledger names it", Some((Class::Loss, true));
    SignedUnreadable, Audit, "the ledger names it", Some((Class::Loss, true));
    EverythingOnAShelf, Audit, "unanswered is not vouched for", None;
    AnswerUnderShorterLedger, Audit, "the remembered head", Some((Class::Rollback, true));
    // accounts
    AccountOfLess, Reconcile, "own count of the ledger", None;
    AccountByAnotherKey, Reconcile, "signature of the account", None;
}

/// Attacks that are not refused but come to nothing: the hospital goes on by its ledger, and what it stored is right.
pub const DEFEATED: [Attack; 3] = [Attack::FewerReplies, Attack::FalseConflict, Attack::AnswerTooFew];

/// Attacks that work only on a machine that has seen all of the ledger.
pub const WANT_STANDING_STILL: [Attack; 1] = [Attack::AcknowledgeAndForget];

impl Attack {
    /// The ledger that the liar shows in place of the honest one, where the attack is about that.
    pub async fn ledger(self, byzantine: &Byzantine) -> Option<Forged> {
        let (mut items, head) = (byzantine.entries().await, byzantine.head().await);
        let last = items.len() - 1;
        let mut clock = (head.time_ms + 1, head.term);
        match self {
            Attack::SignShorterLedger => items.truncate(last - 2),
            Attack::ForkOfOneSize => {
                items.truncate(last);
                items.swap(last - 1, last - 2);
            }
            Attack::ForkThatGrows | Attack::ForkWithoutProof => {
                items.swap(last - 1, last - 2);
                items.push(items[last].clone());
            }
            Attack::TimeGoesBack => clock.0 = head.time_ms - LONG_MS,
            Attack::SignedOmission => drop(items.remove(3)),
            Attack::InjectUnknownDevice => items.push(stated(byzantine, &items, byzantine.stranger(), |statement| {
                statement.device = byzantine.stranger().public().device_id();
                (statement.device_seq, statement.prev) = (0, Digest([0; 32]));
            })),
            Attack::ForgeEnrolledDevice => items.push(stated(byzantine, &items, byzantine.stranger(), |_| {})),
            Attack::EnrolWithoutCertificate => {
                items.push(stated(byzantine, &items, byzantine.stranger(), |statement| {
                    let key = byzantine.stranger();
                    let change = DeviceChange::certify(statement.log, true, key.public(), key);
                    statement.device = key.public().device_id();
                    (statement.device_seq, statement.prev) = (0, Digest([0; 32]));
                    statement.body = Body::Device(change);
                }));
            }
            Attack::ReplayEntry => items.push(items[last].clone()),
            Attack::EntryOfAnotherLedger => items.push(stated(byzantine, &items, byzantine.stranger(), |statement| {
                statement.log = LogId::of(VaultId([3; 16]), statement.hospital);
            })),
            Attack::WeakerSuite => items.push(stated(byzantine, &items, byzantine.other_key(), |statement| {
                statement.suite = other(statement.suite);
                if let Body::Device(_) = statement.body {
                    unreachable!("the last entry is a deposit");
                }
            })),
            Attack::OperatorActByAnotherKey => {
                let vault = byzantine.key().public().device_id();
                items.push(stated(byzantine, &items, byzantine.stranger(), |statement| {
                    (statement.device, statement.device_seq, statement.prev) = (vault, 0, Digest([0; 32]));
                    statement.body = act(ActKind::Incident);
                }));
            }
            Attack::OperatorActInADevicesName => {
                items.push(stated(byzantine, &items, byzantine.key(), |statement| {
                    statement.body = act(ActKind::Incident);
                }));
            }
            Attack::HospitalActInTheVaultsName => {
                let vault = byzantine.key().public().device_id();
                items.push(stated(byzantine, &items, byzantine.key(), |statement| {
                    (statement.device, statement.device_seq, statement.prev) = (vault, 0, Digest([0; 32]));
                    statement.body = act(ActKind::Hold);
                }));
            }
            Attack::RoleByAnotherKey => items.push(role(byzantine, &items, byzantine.stranger(), |_| {})),
            Attack::RoleInTheVaultsName => {
                let vault = byzantine.key().public().device_id();
                items.push(role(byzantine, &items, byzantine.key(), |statement| {
                    (statement.device, statement.device_seq, statement.prev) = (vault, 0, Digest([0; 32]));
                }));
            }
            Attack::ActOfAMachine => {
                let of_machine = byzantine.of_machine(&items);
                items.push(stated(byzantine, &of_machine, byzantine.machine().device_key(), |statement| {
                    statement.body = act(ActKind::Hold);
                }));
            }
            Attack::WeakerSuiteOfAMachine => {
                let of_machine = byzantine.of_machine(&items);
                items.push(stated(byzantine, &of_machine, byzantine.other_key(), |statement| {
                    statement.suite = other(statement.suite);
                }));
            }
            _ => return None,
        }
        Some(Forged::new(byzantine, items, clock))
    }
}

fn act(kind: ActKind) -> Body {
    Body::Act(Act { id: VersionId([0xac; 16]), kind, subject: None, document: Address([0xac; 32]) })
}

fn other(suite: Suite) -> Suite {
    if suite == Suite::Default { Suite::Cryptrec } else { Suite::Default }
}

/// An entry like the last one of the ledger, changed, with the next number of its device, and signed by `key`.
fn stated(_: &Byzantine, items: &[LogItem], key: &SigningKey, change: impl FnOnce(&mut Statement)) -> LogItem {
    let last = &items[items.len() - 1].placed;
    let mut statement = last.entry.statement().clone();
    (statement.device_seq, statement.prev) = (statement.device_seq + 1, last.entry.leaf_hash());
    change(&mut statement);
    item(Entry::sign(statement, key), last.accepted_ms, Bytes::new())
}

/// The role of a machine that nobody knows, as the next act after the last entry.
fn role(byzantine: &Byzantine, items: &[LogItem], key: &SigningKey, change: impl FnOnce(&mut Statement)) -> LogItem {
    let role = DeviceRole { device: DeviceId([0x5c; 16]), role: Role::DepositOnly, scope: Vec::new() };
    let document: Bytes = Document::DeviceRole(role).encode().into();
    let address = byzantine.suite.address(&document);
    let signed = stated(byzantine, items, key, |statement| {
        let (id, kind) = (VersionId([0xad; 16]), ActKind::DeviceRole);
        statement.body = Body::Act(Act { id, kind, subject: None, document: address });
        change(statement);
    });
    LogItem { attachment: document, ..signed }
}
