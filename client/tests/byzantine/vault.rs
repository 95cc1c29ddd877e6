//! A vault that lies: a real one behind it answers, and an attack changes the answer on its way. It has the vault's own
//! keys, so it can sign whatever it wants; it has no key of the hospital.

use crate::attack::Attack;
use crate::common::Wire;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use shosoin_client::{Error, Keyring, Result, Transport};
use shosoin_protocol::act::{ActKind, DeviceRole, Document};
use shosoin_protocol::answer::{Answer, AuditReply, Nonce, Outcome, Said};
use shosoin_protocol::api::{
    DepositBatch, DepositReplies, DeviceReply, Hello, LogItem, LogPage, Problem, VersionReply, code,
};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, Entry, PlacedEntry};
use shosoin_protocol::merkle::{self, Frontier, Node};
use shosoin_protocol::plan::ShelfReply;
use shosoin_protocol::receipt::Receipt;
use shosoin_protocol::reconciliation::Reconciliation;
use shosoin_protocol::sign::{Signature, SigningKey};
use shosoin_protocol::{Address, DeviceId, Digest, HospitalId, NameToken, Suite, VaultId, VersionId};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Quarter of an hour more than clocks may differ.
pub const LONG_MS: u64 = 3_600_000;

/// The signing keys in the folder of a vault, as `docs/format.md` lays them out.
pub fn vault_keys(dir: &Path) -> [SigningKey; 2] {
    let file = std::fs::read(dir.join("vault.key")).unwrap();
    let seed = |at: usize| <[u8; 32]>::try_from(&file[at..at + 32]).unwrap();
    [
        SigningKey::from_seed(Suite::Default, &seed(24).into()).unwrap(),
        SigningKey::from_seed(Suite::Cryptrec, &seed(56).into()).unwrap(),
    ]
}

/// A ledger of the liar's own, complete with proofs and a signed head.
pub struct Forged {
    pub items: Vec<LogItem>,
    nodes: HashMap<Node, Digest>,
    pub head: String,
}

impl Forged {
    /// A ledger of these entries in this order, signed at `time_ms` in `term`.
    pub fn new(byzantine: &Byzantine, mut items: Vec<LogItem>, (time_ms, term): (u64, u64)) -> Self {
        let (mut nodes, mut frontier) = (HashMap::new(), Frontier::default());
        for (index, item) in (0..).zip(&mut items) {
            item.placed.index = index;
            frontier.push(item.placed.entry.leaf_hash(), |node, hash| {
                nodes.insert(node, hash);
            });
        }
        let (size, root) = (frontier.size(), frontier.root());
        let head = byzantine.sign_head(size, root, time_ms, term);
        Forged { items, nodes, head }
    }

    fn size(&self) -> u64 {
        self.items.len() as u64
    }

    fn node(&self, node: Node) -> Result<Digest, ()> {
        self.nodes.get(&node).copied().ok_or(())
    }

    fn page(&self, from: u64, count: u32) -> LogPage {
        let from = usize::try_from(from).unwrap().min(self.items.len());
        let end = (from + count as usize).min(self.items.len());
        LogPage { items: self.items[from..end].to_vec() }
    }
}

/// What the liar remembers of honest traffic.
#[derive(Default)]
struct Memory {
    heads: Vec<String>,
    receipts: Vec<Receipt>,
    versions: Vec<VersionReply>,
    records: Vec<(Address, Bytes)>,
    answers: Vec<AuditReply>,
}

/// The lying vault.
pub struct Byzantine {
    pub honest: Arc<Wire>,
    pub vault: VaultId,
    pub hospital: HospitalId,
    pub suite: Suite,
    keys: [SigningKey; 2],
    stranger: SigningKey,
    /// a machine of the hospital that only deposits, and was stolen
    machine: Keyring,
    attack: Mutex<Option<Attack>>,
    forged: Mutex<Option<Arc<Forged>>>,
    memory: Mutex<Memory>,
    struck: AtomicUsize,
}

impl Byzantine {
    pub fn new(honest: Arc<Wire>, dir: &Path, suite: Suite, machine: Keyring) -> Arc<Self> {
        let (vault, hospital) = (honest.vault.id(), honest.hospital);
        let stranger = SigningKey::from_seed(suite, &[42; 32].into()).unwrap();
        Arc::new(Byzantine {
            honest,
            vault,
            hospital,
            suite,
            keys: vault_keys(dir),
            stranger,
            machine,
            attack: Mutex::default(),
            forged: Mutex::default(),
            memory: Mutex::default(),
            struck: AtomicUsize::new(0),
        })
    }

    /// From now on it does this; nothing makes it honest again.
    pub async fn attack(&self, attack: Option<Attack>) {
        *self.forged.lock() = None;
        *self.attack.lock() = None;
        self.struck.store(0, Ordering::SeqCst);
        if let Some(attack) = attack {
            let forged = attack.ledger(self).await;
            *self.forged.lock() = forged.map(Arc::new);
            *self.attack.lock() = Some(attack);
        }
    }

    /// From now on it shows this ledger.
    pub fn show(&self, forged: Forged) {
        *self.forged.lock() = Some(Arc::new(forged));
    }

    /// Answers that were changed since the attack began.
    pub fn struck(&self) -> usize {
        self.struck.load(Ordering::SeqCst)
    }

    fn is(&self, attack: Attack) -> bool {
        let is = *self.attack.lock() == Some(attack);
        if is {
            self.strike();
        }
        is
    }

    fn strike(&self) {
        self.struck.fetch_add(1, Ordering::SeqCst);
    }

    fn forged(&self) -> Option<Arc<Forged>> {
        let forged = self.forged.lock().clone();
        forged.inspect(|_| self.strike())
    }

    pub fn key(&self) -> &SigningKey {
        &self.keys[usize::from(self.suite == Suite::Cryptrec)]
    }

    /// The vault's key of the other suite.
    pub fn other_key(&self) -> &SigningKey {
        &self.keys[usize::from(self.suite == Suite::Default)]
    }

    /// A key that nobody enrolled.
    pub fn stranger(&self) -> &SigningKey {
        &self.stranger
    }

    /// The stolen machine.
    pub fn machine(&self) -> &Keyring {
        &self.machine
    }

    /// The ledger up to the last entry of the stolen machine.
    pub fn of_machine(&self, items: &[LogItem]) -> Vec<LogItem> {
        let last = items.iter().rposition(|item| item.placed.entry.statement().device == self.machine.device_id());
        items[..=last.unwrap()].to_vec()
    }

    pub fn sign_head(&self, size: u64, root: Digest, time_ms: u64, term: u64) -> String {
        let (vault, hospital) = (self.vault, self.hospital);
        Checkpoint { vault, hospital, size, root, time_ms, term }.sign(self.key())
    }

    /// Every entry of the honest ledger.
    pub async fn entries(&self) -> Vec<LogItem> {
        let mut items = Vec::new();
        loop {
            let page = self.honest.log_entries(items.len() as u64, 500).await.unwrap();
            if page.items.is_empty() {
                return items;
            }
            items.extend(page.items);
        }
    }

    /// The honest head, parsed.
    pub async fn head(&self) -> Checkpoint {
        Checkpoint::parse(&self.honest.checkpoint().await.unwrap()).unwrap().0
    }

    fn not_found() -> Error {
        let (kind, code, message) = ("not-found".into(), code::NOT_FOUND.into(), "there is no such thing".into());
        Error::Vault(Problem { kind, code, message })
    }

    fn busy() -> Error {
        let (kind, code, message) = ("unavailable".into(), "busy".into(), "come back later".into());
        Error::Vault(Problem { kind, code, message })
    }

    /// A head the liar has seen before, not the newest.
    fn old_head(&self) -> Option<String> {
        self.memory.lock().heads.first().cloned()
    }

    fn remember_head(&self, text: &str) {
        let heads = &mut self.memory.lock().heads;
        if heads.last().is_none_or(|last| last != text) {
            heads.push(text.to_owned());
        }
    }

    fn change_record(&self, address: Address, record: Bytes) -> Result<Bytes> {
        let attack = *self.attack.lock();
        let changed = |bytes: Vec<u8>| {
            self.strike();
            Ok(bytes.into())
        };
        match attack {
            Some(Attack::FlipRecord) => changed(flipped(&record)),
            Some(Attack::TruncateRecord) => changed(record[..record.len() - 1].to_vec()),
            Some(Attack::PadRecord) => changed([&record[..], &[0]].concat()),
            Some(Attack::EmptyRecord) => changed(Vec::new()),
            Some(Attack::OtherRecord) => {
                let other = self.memory.lock().records.iter().find(|(known, _)| *known != address).cloned();
                other.map_or(Ok(record), |(_, bytes)| changed(bytes.to_vec()))
            }
            Some(Attack::DenyRecord) => {
                self.strike();
                Err(Byzantine::not_found())
            }
            Some(Attack::SilentRecord) => {
                self.strike();
                Err(Byzantine::busy())
            }
            _ => Ok(record),
        }
    }

    /// A version that was asked for before, other than the one in `reply`.
    fn other_than(&self, reply: &VersionReply) -> Option<VersionId> {
        let memory = self.memory.lock();
        let other = memory.versions.iter().find(|old| old.entry != reply.entry)?;
        Entry::decode(&other.entry).unwrap().body().name_change().map(|(version, _, _)| version)
    }

    fn change_version(&self, mut reply: VersionReply) -> VersionReply {
        let old = self.memory.lock().versions.iter().find(|old| old.entry != reply.entry).cloned();
        if let Some(old) = &old {
            if self.is(Attack::OtherEntry) {
                reply.entry = old.entry.clone();
            }
            if self.is(Attack::OtherWrap) {
                reply.wrap = old.wrap.clone();
            }
            if self.is(Attack::OtherManifest) {
                reply.manifest = old.manifest.clone();
            }
        }
        if self.is(Attack::FlipWrap) {
            reply.wrap = flipped(&reply.wrap).into();
        }
        if self.is(Attack::WrongPlace) {
            reply.inclusion.index += 1;
        }
        if self.is(Attack::ShortProof) && reply.inclusion.proof.pop().is_none() {
            reply.inclusion.proof.push(Digest([1; 32]));
        }
        if self.is(Attack::VersionUnderForgedHead) {
            let (head, _) = Checkpoint::parse(&reply.inclusion.checkpoint).unwrap();
            reply.inclusion.checkpoint = head.sign(&self.stranger);
        }
        if let Some(forged) = self.forged() {
            let index = reply.inclusion.index.min(forged.size() - 1);
            let proof = merkle::inclusion_proof(index, forged.size(), |node| forged.node(node)).unwrap();
            (reply.inclusion.index, reply.inclusion.proof) = (index, proof);
            reply.inclusion.checkpoint = forged.head.clone();
        }
        reply
    }

    fn change_head(&self, text: String) -> String {
        let (head, _) = Checkpoint::parse(&text).unwrap();
        if let Some(forged) = self.forged() {
            return forged.head.clone();
        }
        if let Some(old) = self.old_head().filter(|old| *old != text)
            && self.is(Attack::ReplayOldHead)
        {
            return old;
        }
        if self.is(Attack::HeadByAnotherKey) {
            return head.sign(&self.stranger);
        }
        if self.is(Attack::HeadUnderOtherSuite) {
            return head.sign(self.other_key());
        }
        if self.is(Attack::HeadOfAnotherHospital) {
            return Checkpoint { hospital: HospitalId([9; 16]), ..head }.sign(self.key());
        }
        if self.is(Attack::HeadOfAnotherVault) {
            return Checkpoint { vault: VaultId([9; 16]), ..head }.sign(self.key());
        }
        if self.is(Attack::HeadThatCannotBeShown) {
            return Checkpoint { size: head.size + 5, root: Digest([7; 32]), ..head }.sign(self.key());
        }
        if self.is(Attack::HeadIsNoText) {
            return text.replace("time ", "time 0");
        }
        text
    }

    fn change_receipts(&self, batch: &DepositBatch, mut replies: DepositReplies) -> DepositReplies {
        if self.is(Attack::FewerReplies) {
            replies.replies.pop();
            return replies;
        }
        let first = self.memory.lock().receipts.first().cloned();
        for (number, reply) in replies.replies.iter_mut().enumerate() {
            let Ok(receipt) = reply else { continue };
            self.memory.lock().receipts.push(receipt.clone());
            if let Some(first) = first.clone()
                && self.is(Attack::StaleReceipt)
            {
                *receipt = first;
            } else if self.is(Attack::ReceiptByAnotherKey) {
                *receipt = self.sign_receipt(receipt, &self.stranger);
            } else if self.is(Attack::ReceiptThatDoesNotHold) {
                receipt.inclusion.proof.push(Digest([3; 32]));
                *receipt = self.sign_receipt(receipt, self.key());
            } else if self.is(Attack::ReceiptForAnotherPlace) {
                receipt.inclusion.index = receipt.inclusion.index.saturating_sub(1);
                *receipt = self.sign_receipt(receipt, self.key());
            } else if self.is(Attack::ReceiptInTheFuture) {
                receipt.inclusion.accepted_ms += LONG_MS;
                *receipt = self.sign_receipt(receipt, self.key());
            } else if self.is(Attack::UnsignedReceipt) {
                receipt.signature = Signature([0; 64]);
            } else if self.is(Attack::FalseConflict) {
                let version = Entry::decode(&batch.deposits[number].entry).unwrap();
                let message = format!("{:?} exists", version.body().name_change());
                let (kind, code) = ("refused".to_owned(), code::VERSION_EXISTS.to_owned());
                *reply = Err(Problem { kind, code, message });
            }
        }
        replies
    }

    fn sign_receipt(&self, receipt: &Receipt, key: &SigningKey) -> Receipt {
        Receipt::sign(receipt.leaf, receipt.inclusion.clone(), receipt.durable, key)
    }

    fn change_answer(&self, nonce: Nonce, reply: AuditReply) -> AuditReply {
        let said = reply.answer.said.clone();
        let signed = |said: Said, record: Bytes| AuditReply { answer: Answer::sign(said, self.key()), record };
        if let Some(old) = self.memory.lock().answers.first().cloned()
            && self.is(Attack::ReplayAnswer)
        {
            return old;
        }
        self.memory.lock().answers.push(reply.clone());
        if self.is(Attack::AnswerByAnotherKey) {
            return AuditReply { answer: Answer::sign(said, &self.stranger), record: reply.record };
        }
        if self.is(Attack::SignedSubstitution) {
            let record: Bytes = flipped(&reply.record).into();
            let len = u32::try_from(record.len()).unwrap();
            let outcome = Outcome::Given { len, digest: self.suite.digest(&[&record]) };
            return signed(Said { outcome, ..said }, record);
        }
        if self.is(Attack::SignedLoss) {
            return signed(Said { outcome: Outcome::NotHeld, ..said }, Bytes::new());
        }
        if self.is(Attack::SignedUnreadable) {
            return signed(Said { outcome: Outcome::Unreadable, ..said }, Bytes::new());
        }
        if self.is(Attack::EverythingOnAShelf) {
            return signed(Said { outcome: Outcome::OnShelf, ..said }, Bytes::new());
        }
        if self.is(Attack::AnswerWithOtherBytes) {
            return AuditReply { record: flipped(&reply.record).into(), ..reply };
        }
        if self.is(Attack::AnswerToAnotherQuestion) {
            let mut other = nonce;
            other[0] ^= 1;
            return signed(Said { nonce: other, ..said }, reply.record);
        }
        if self.is(Attack::AnswerUnderShorterLedger) {
            let head = self.sign_head(1, Digest([5; 32]), said.time_ms, 9);
            return signed(Said { checkpoint: head, ..said }, reply.record);
        }
        if let Some(forged) = self.forged() {
            return signed(Said { checkpoint: forged.head.clone(), ..said }, reply.record);
        }
        reply
    }

    fn change_page(&self, from: u64, mut page: LogPage) -> LogPage {
        if let Some(forged) = self.forged() {
            return forged.page(from, u32::try_from(page.items.len().max(1)).unwrap_or(u32::MAX).max(500));
        }
        if self.is(Attack::EmptyPages) {
            page.items.clear();
        }
        if page.items.len() > 2 && self.is(Attack::OmitEntry) {
            let index = page.items[1].placed.index;
            page.items.remove(1);
            page.items[1..].iter_mut().zip(index..).for_each(|(item, index)| item.placed.index = index);
        }
        if page.items.len() > 3 && self.is(Attack::SwapEntries) {
            let (one, two) = (page.items[2].placed.index, page.items[3].placed.index);
            page.items.swap(2, 3);
            (page.items[2].placed.index, page.items[3].placed.index) = (one, two);
        }
        if self.is(Attack::FlipSummaries) {
            page.items.iter_mut().for_each(|item| item.attachment = flipped(&item.attachment).into());
        }
        let is_role =
            |item: &LogItem| matches!(item.placed.entry.body(), Body::Act(act) if act.kind == ActKind::DeviceRole);
        if let Some(item) = page.items.iter_mut().find(|item| is_role(item))
            && self.is(Attack::AlteredRole)
        {
            let Document::DeviceRole(role) = Document::decode(ActKind::DeviceRole, &item.attachment).unwrap() else {
                unreachable!("it is a role")
            };
            let of_another = DeviceRole { device: DeviceId([0x5d; 16]), ..role };
            item.attachment = Document::DeviceRole(of_another).encode().into();
        }
        if self.is(Attack::FlipEntry)
            && let Some(item) = page.items.last_mut()
        {
            let mut bytes = item.placed.entry.bytes().to_vec();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            item.placed.entry = Entry::decode(&bytes).unwrap();
        }
        page
    }
}

pub fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes
}

/// An entry as an item of a page.
pub fn item(entry: Entry, accepted_ms: u64, summary: Bytes) -> LogItem {
    LogItem { placed: PlacedEntry { index: 0, accepted_ms, entry }, attachment: summary }
}

#[async_trait]
impl Transport for Byzantine {
    async fn hello(&self) -> Result<Hello> {
        let mut hello = self.honest.hello().await?;
        if self.is(Attack::HelloWithAnotherKey) {
            hello.vault_key = self.stranger.public().to_string();
        }
        if self.is(Attack::HelloOfAnotherVault) {
            hello.vault = VaultId([8; 16]).to_string();
        }
        if self.is(Attack::HelloToAnotherHospital) {
            hello.hospital = HospitalId([8; 16]).to_string();
        }
        Ok(hello)
    }

    async fn missing(&self, addresses: &[Address]) -> Result<Vec<bool>> {
        let honest = self.honest.missing(addresses).await?;
        if honest.contains(&true) && self.is(Attack::PretendToHold) {
            return Ok(vec![false; addresses.len()]);
        }
        if self.is(Attack::AnswerTooFew) {
            return Ok(honest[..honest.len() - 1].to_vec());
        }
        Ok(honest)
    }

    async fn put_chunk(&self, address: Address, bytes: Bytes) -> Result<()> {
        match self.is(Attack::ForgetChunks) {
            true => Ok(()),
            false => self.honest.put_chunk(address, bytes).await,
        }
    }

    async fn deposit(&self, batch: &DepositBatch) -> Result<DepositReplies> {
        if self.is(Attack::FalseSequence) {
            let (kind, code, message) = ("invalid".into(), code::OUT_OF_SEQUENCE.into(), String::new());
            return Ok(DepositReplies { replies: vec![Err(Problem { kind, code, message }); batch.deposits.len()] });
        }
        if self.is(Attack::AcknowledgeAndForget) {
            return Ok(self.acknowledge_and_forget(batch).await);
        }
        let replies = self.honest.deposit(batch).await?;
        Ok(self.change_receipts(batch, replies))
    }

    async fn record(&self, address: Address) -> Result<Bytes> {
        let record = self.honest.record(address).await?;
        let given = self.change_record(address, record.clone());
        let records = &mut self.memory.lock().records;
        if records.len() < 64 {
            records.push((address, record));
        }
        given
    }

    async fn audit_record(&self, address: Address, nonce: Nonce) -> Result<AuditReply> {
        let reply = self.honest.audit_record(address, nonce).await?;
        Ok(self.change_answer(nonce, reply))
    }

    async fn plan(&self, addresses: &[Address]) -> Result<ShelfReply> {
        self.honest.plan(addresses).await
    }

    async fn version(&self, version: VersionId) -> Result<VersionReply> {
        let reply = self.honest.version(version).await?;
        if self.is(Attack::DenyVersion) {
            return Err(Byzantine::not_found());
        }
        let given = match self.other_than(&reply) {
            Some(other) if self.is(Attack::OtherVersion) => self.honest.version(other).await?,
            _ => self.change_version(reply.clone()),
        };
        self.memory.lock().versions.push(reply);
        Ok(given)
    }

    async fn wraps(&self, versions: &[VersionId]) -> Result<Vec<Bytes>> {
        self.honest.wraps(versions).await
    }

    async fn name(&self, token: NameToken) -> Result<VersionReply> {
        self.honest.name(token).await
    }

    async fn device(&self, device: DeviceId) -> Result<DeviceReply> {
        self.honest.device(device).await
    }

    async fn checkpoint(&self) -> Result<String> {
        let text = self.honest.checkpoint().await?;
        let given = self.change_head(text.clone());
        self.remember_head(&text);
        Ok(given)
    }

    async fn snapshot(&self) -> Result<VersionReply> {
        self.honest.snapshot().await
    }

    async fn log_entries(&self, from: u64, count: u32) -> Result<LogPage> {
        let page = self.honest.log_entries(from, count).await?;
        let mut page = self.change_page(from, page);
        page.items.truncate(count as usize);
        Ok(page)
    }

    async fn consistency(&self, from: u64, to: u64) -> Result<Vec<Digest>> {
        if self.is(Attack::NonsenseProof) {
            return Ok(vec![Digest([6; 32]); 3]);
        }
        if let Some(forged) = self.forged()
            && to <= forged.size()
        {
            let garbage = *self.attack.lock() == Some(Attack::ForkWithoutProof);
            let proof = merkle::consistency_proof(from, to.min(forged.size()), |node| forged.node(node));
            return Ok(if garbage { vec![Digest([6; 32]); 4] } else { proof.unwrap_or_default() });
        }
        self.honest.consistency(from, to).await
    }

    async fn share(&self, ask: shosoin_protocol::share::ShareAsk) -> Result<Bytes> {
        self.honest.share(ask).await
    }

    async fn reconciliation(&self) -> Result<Bytes> {
        let honest = self.honest.reconciliation().await?;
        let mut signed = Reconciliation::decode(&honest).unwrap();
        if self.is(Attack::AccountOfLess) {
            signed.account.received.count -= 1;
            signed.account.held.count -= 1;
            return Ok(Reconciliation::sign(signed.account, self.key()).encode().into());
        }
        if self.is(Attack::AccountByAnotherKey) {
            return Ok(Reconciliation::sign(signed.account, &self.stranger).encode().into());
        }
        Ok(honest)
    }
}

impl Byzantine {
    /// Signs receipts for a ledger that holds the entries, and keeps none of them.
    async fn acknowledge_and_forget(&self, batch: &DepositBatch) -> DepositReplies {
        let (mut items, head) = (self.entries().await, self.head().await);
        let first = items.len();
        for deposit in &batch.deposits {
            items.push(item(Entry::decode(&deposit.entry).unwrap(), head.time_ms, Bytes::new()));
        }
        let forged = Forged::new(self, items, (head.time_ms, head.term));
        let receipt = |index: usize| {
            let leaf = forged.items[index].placed.entry.leaf_hash();
            let proof = merkle::inclusion_proof(index as u64, forged.size(), |node| forged.node(node)).unwrap();
            let checkpoint = forged.head.clone();
            let (index, accepted_ms) = (index as u64, head.time_ms);
            let inclusion = shosoin_protocol::receipt::Inclusion { index, accepted_ms, proof, checkpoint };
            let durable = shosoin_protocol::receipt::Durable { level: 1, sites: 1, k: 1, m: 2 };
            Ok(Receipt::sign(leaf, inclusion, durable, self.key()))
        };
        DepositReplies { replies: (first..forged.items.len()).map(receipt).collect() }
    }
}
