//! The deposit lane: the one place where this device signs entries.
//!
//! A device's entries form a chain, so they are signed in order by one task. What waits is signed and sent as one
//! batch; while it is out, the next gathers. So deposits share round trips and the vault's syncs.
//!
//! - A refused deposit fails alone; those behind it are signed again, without the gap.
//! - If no answer comes, the ledger tells what was accepted. Only what it does not hold is sent again, under the same
//!   version id, which no ledger takes twice. If the first one arrives late after all, the second is refused for it, and
//!   the ledger tells again.
//! - Nothing is signed while the ledger has an entry of this device that was not signed here: a copy of it must be at work.
//! - Nobody is answered before the receipt was verified and the view has the entry.

use crate::clock::now_ms;
use crate::ledger::Ledger;
use crate::retry::pause;
use crate::task::blocking;
use crate::view::row::Chain;
use crate::view::{Placed, Source};
use crate::{Error, Result, Transport};
use parking_lot::Mutex;
use shosoin_protocol::act::Document;
use shosoin_protocol::api::{DepositBatch, DepositRequest, InlineRecord, Problem, code};
use shosoin_protocol::entry::{Body, Entry, Statement};
use shosoin_protocol::limits::{
    DEPOSIT_BATCH_BYTES_MAX, DEPOSIT_BATCH_MAX, DEPOSIT_BATCH_RECORDS_MAX, ENTRY_BYTES_MAX,
};
use shosoin_protocol::manifest::Summary;
use shosoin_protocol::receipt::Receipt;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Deposits that may wait before callers are held back.
const WAITING_MAX: usize = 2 * DEPOSIT_BATCH_MAX;
/// Times a deposit is sent before the vault's silence or its refusal of the device's sequence is passed on.
const ATTEMPTS: u32 = 4;

/// An entry to be: everything but its place in the chain.
#[derive(Debug, Clone)]
pub struct Intent {
    /// what it states
    pub body: Body,
    /// what the view is told, where there is a summary
    pub summary: Option<Summary>,
    /// what an act says
    pub document: Option<Document>,
    /// records that travel with it
    pub records: Vec<InlineRecord>,
}

/// An entry that is in the ledger and in the view.
#[derive(Debug)]
pub struct Accepted {
    /// leaf index
    pub index: u64,
    /// the vault's word; none where the answer was lost and the entry was found in the ledger
    pub receipt: Option<Receipt>,
}

struct Waiting {
    intent: Intent,
    attempts: u32,
    reply: oneshot::Sender<Result<Accepted>>,
}

/// Where deposits are handed in.
#[derive(Debug)]
pub struct Lane {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
}

impl Lane {
    /// Starts the lane.
    pub fn new(ledger: Arc<Ledger>, transport: Arc<dyn Transport>, packs: bool) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let worker = tokio::spawn(Worker { ledger, transport, packs }.run(waiting));
        Lane { queue: Mutex::new(Some(queue)), worker: Mutex::new(Some(worker)) }
    }

    /// Hands in a deposit and waits for its place in the ledger.
    pub async fn submit(&self, intent: Intent) -> Result<Accepted> {
        let queue = self.queue.lock().clone().ok_or(Error::Closing)?;
        let (reply, answer) = oneshot::channel();
        queue.send(Waiting { intent, attempts: 0, reply }).await.map_err(|_| Error::Closing)?;
        drop(queue);
        answer.await.unwrap_or(Err(Error::Lost { task: "the deposit lane" }))
    }

    /// Takes nothing more, and waits until everything handed in is answered.
    pub async fn close(&self) {
        drop(self.queue.lock().take());
        let worker = self.worker.lock().take();
        if let Some(worker) = worker {
            worker.await.ok();
        }
    }
}

struct Worker {
    ledger: Arc<Ledger>,
    transport: Arc<dyn Transport>,
    /// what is sent goes onto a medium
    packs: bool,
}

/// A batch as it was sent: what waits, and the entry that was signed for it.
type Signed = Vec<(Waiting, Entry)>;

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut waiting: VecDeque<Waiting> = VecDeque::new();
        let mut fresh = Vec::new();
        loop {
            if waiting.is_empty() && queue.recv_many(&mut fresh, DEPOSIT_BATCH_MAX).await == 0 {
                return;
            }
            while waiting.len() + fresh.len() < DEPOSIT_BATCH_MAX {
                match queue.try_recv() {
                    Ok(next) => fresh.push(next),
                    Err(_) => break,
                }
            }
            waiting.extend(fresh.drain(..));
            let batch = take_batch(&mut waiting);
            for again in self.deposit(batch).await.into_iter().rev() {
                waiting.push_front(again);
            }
        }
    }

    /// Deposits a batch and answers; gives back, in order, what must be signed and sent again.
    async fn deposit(&self, batch: Vec<Waiting>) -> Vec<Waiting> {
        let signed = match self.sign(batch).await {
            Ok(signed) => signed,
            Err((batch, error)) => {
                fail_all(batch, error);
                return Vec::new();
            }
        };
        let deposits = signed.iter().map(|(waiting, entry)| DepositRequest {
            entry: bytes::Bytes::copy_from_slice(entry.bytes()),
            records: waiting.intent.records.clone(),
        });
        let request = DepositBatch { deposits: deposits.collect() };
        let noted = match self.note(&signed).await {
            Ok(file) => file,
            Err(error) => {
                fail_all(signed.into_iter().map(|(waiting, _)| waiting), error);
                return Vec::new();
            }
        };
        // the note outlives a kill already; while the vault works it is made to outlive a power cut
        let sync = blocking("syncing what was signed", move || Ok(noted.sync_data()));
        let (answer, synced) = tokio::join!(self.transport.deposit(&request), sync);
        if let Ok(Err(error)) | Err(Error::State { source: error, .. }) = synced {
            tracing::warn!(%error, "what was signed could not be synced; a power cut now would make this gateway read-only");
        }
        match answer {
            Ok(answer) if answer.replies.len() == signed.len() => self.settle(signed, answer.replies).await,
            Ok(answer) => {
                let why = format!("{} replies to {} deposits", answer.replies.len(), signed.len());
                self.search(signed, Error::Contradiction { operation: "a deposit", why }).await
            }
            Err(Error::Vault(problem)) => {
                let problem = match (self.packs, signed.last()) {
                    (true, Some((_, last))) if problem.code == code::PACKED => match self.ledger.packed(last) {
                        Ok(()) => problem,
                        Err(error) => {
                            fail_all(signed.into_iter().map(|(waiting, _)| waiting), error);
                            return Vec::new();
                        }
                    },
                    _ => problem,
                };
                fail_all(signed.into_iter().map(|(waiting, _)| waiting), Error::Vault(problem));
                Vec::new()
            }
            Err(error) => self.search(signed, error).await,
        }
    }

    /// Notes what is about to be sent, as signed here.
    async fn note(&self, signed: &Signed) -> Result<Arc<std::fs::File>> {
        let leaves = signed.iter().map(|(_, entry)| entry.leaf_hash()).collect();
        let first = signed.first().ok_or(Error::Lost { task: "the deposit lane" })?.1.statement();
        let signed = self.ledger.signed();
        match self.packs {
            // everything on media is on its way from where the ledger stands
            true => signed.note_packed(self.ledger.told_chain()?, first.device_seq, leaves).await,
            false => signed.note(Chain { next_seq: first.device_seq, prev: first.prev }, leaves).await,
        }
    }

    async fn sign(&self, batch: Vec<Waiting>) -> Result<Signed, (Vec<Waiting>, Error)> {
        let standing = self.ledger.own_standing().await;
        if !self.packs && self.ledger.is_ahead() {
            return Err((batch, Error::Packed));
        }
        let (mut chain, seen) = match standing {
            Ok(standing) => standing,
            Err(error) => return Err((batch, error)),
        };
        let identity = self.ledger.identity().clone();
        let bodies: Vec<Body> = batch.iter().map(|waiting| waiting.intent.body.clone()).collect();
        let entries = blocking("signing entries", move || {
            let keyring = &identity.keyring;
            let sign = |body| {
                let statement = Statement {
                    suite: keyring.suite(),
                    log: identity.log,
                    hospital: keyring.hospital(),
                    device: keyring.device_id(),
                    device_seq: chain.next_seq,
                    prev: chain.prev,
                    seen,
                    claimed_ms: now_ms(),
                    body,
                };
                let entry = Entry::sign(statement, keyring.device_key());
                chain.next_seq += 1;
                chain.prev = entry.leaf_hash();
                entry
            };
            Ok(bodies.into_iter().map(sign).collect::<Vec<Entry>>())
        });
        match entries.await {
            Ok(entries) => Ok(batch.into_iter().zip(entries).collect()),
            Err(error) => Err((batch, error)),
        }
    }

    /// Answers by the replies. What came behind a refusal is given back.
    async fn settle(&self, signed: Signed, replies: Vec<Result<Receipt, Problem>>) -> Vec<Waiting> {
        let (mut accepted, mut again, mut there) = (Vec::new(), Vec::new(), Vec::new());
        let (mut refused_one, mut chain_is_old) = (false, false);
        for ((mut waiting, entry), reply) in signed.into_iter().zip(replies) {
            match reply {
                Ok(receipt) => accepted.push((waiting, entry, receipt)),
                Err(problem)
                    if problem.code == code::OUT_OF_SEQUENCE && (refused_one || waiting.attempts < ATTEMPTS) =>
                {
                    chain_is_old |= !refused_one;
                    waiting.attempts += u32::from(!refused_one);
                    again.push(waiting);
                }
                Err(problem) => {
                    refused_one = true;
                    match problem.code == code::VERSION_EXISTS {
                        true => there.push((waiting, problem)),
                        false => drop(waiting.reply.send(Err(Error::Vault(problem)))),
                    }
                }
            }
        }
        self.acknowledge(accepted).await;
        self.find_again(there).await;
        if chain_is_old && let Err(error) = self.resume().await {
            fail_all(again, error);
            return Vec::new();
        }
        again
    }

    /// Answers those whose version the ledger has already: what was sent before has arrived after all.
    async fn find_again(&self, there: Vec<(Waiting, Problem)>) {
        if there.is_empty() {
            return;
        }
        let caught_up = self.catch_up().await.map_err(Arc::new);
        for (waiting, problem) in there {
            let version = waiting.intent.body.id();
            let outcome = match (&caught_up, version) {
                (Err(error), _) => Err(Error::share(error)),
                (Ok(()), None) => Err(Error::Vault(problem)),
                (Ok(()), Some(version)) => match self.ledger.placed(version) {
                    Ok(Some(index)) => Ok(Accepted { index, receipt: None }),
                    Ok(None) => Err(Error::Vault(problem)),
                    Err(error) => Err(error),
                },
            };
            waiting.reply.send(outcome).ok();
        }
    }

    async fn acknowledge(&self, accepted: Vec<(Waiting, Entry, Receipt)>) {
        if accepted.is_empty() {
            return;
        }
        let mut placed = Vec::with_capacity(accepted.len());
        let mut replies = Vec::with_capacity(accepted.len());
        for (waiting, entry, receipt) in accepted {
            let (index, accepted_ms) = (receipt.inclusion.index, receipt.inclusion.accepted_ms);
            let (summary, document) = (waiting.intent.summary, waiting.intent.document);
            placed
                .push((Placed { index, accepted_ms, entry, summary, document, source: Source::Full }, receipt.clone()));
            replies.push((waiting.reply, Accepted { index, receipt: Some(receipt) }));
        }
        match self.ledger.accept(placed).await {
            Ok(()) => {
                for (reply, accepted) in replies {
                    reply.send(Ok(accepted)).ok();
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for (reply, _) in replies {
                    reply.send(Err(Error::share(&error))).ok();
                }
            }
        }
    }

    /// Finds out from the ledger which entries of a batch without an answer are in it. Gives back the others, until
    /// they were sent often enough.
    async fn search(&self, signed: Signed, error: Error) -> Vec<Waiting> {
        let deposits = signed.len();
        tracing::warn!(error = &error as &dyn std::error::Error, deposits, "no usable answer; looking in the ledger");
        if let Err(unknown) = self.catch_up().await {
            fail_all(signed.into_iter().map(|(waiting, _)| waiting), unknown);
            return Vec::new();
        }
        let (mut again, mut given_up) = (Vec::new(), Vec::new());
        for (mut waiting, entry) in signed {
            match self.ledger.own_entry(entry.statement().device_seq, &entry.leaf_hash()) {
                Some(index) => {
                    waiting.reply.send(Ok(Accepted { index, receipt: None })).ok();
                }
                None if waiting.attempts + 1 < ATTEMPTS => {
                    waiting.attempts += 1;
                    again.push(waiting);
                }
                None => given_up.push(waiting),
            }
        }
        fail_all(given_up, error);
        again
    }

    async fn catch_up(&self) -> Result<()> {
        let mut attempt = 1;
        loop {
            match self.ledger.refresh().await {
                Err(error) if error.is_unreachable() && attempt < ATTEMPTS => {
                    tokio::time::sleep(pause(attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// After the vault called an entry out of sequence: reads the ledger up to its head, and refuses a vault that says
    /// of this device's chain something else than its ledger.
    async fn resume(&self) -> Result<()> {
        self.catch_up().await?;
        let chain = self.ledger.told_chain()?;
        let device = self.ledger.identity().keyring.device_id();
        let said = self.transport.device(device).await?;
        match (said.next_seq, said.prev) == (chain.next_seq, chain.prev) {
            true => Ok(()),
            false if said.next_seq > chain.next_seq => Ok(()),
            false => {
                let why = format!("it says entry {} is next, its ledger says {}", said.next_seq, chain.next_seq);
                Err(Error::Contradiction { operation: "the chain of this device", why })
            }
        }
    }
}

/// As many as fit one batch, from the front; at least one.
fn take_batch(waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
    let (mut count, mut bytes, mut records) = (0, 4, 0);
    for next in waiting.iter().take(DEPOSIT_BATCH_MAX) {
        let sent: usize = next.intent.records.iter().map(|record| record.bytes.len() + 5).sum();
        bytes += sent + ENTRY_BYTES_MAX + 16;
        records += next.intent.records.len();
        if count > 0 && (bytes > DEPOSIT_BATCH_BYTES_MAX || records > DEPOSIT_BATCH_RECORDS_MAX) {
            break;
        }
        count += 1;
    }
    waiting.drain(..count).collect()
}

fn fail_all(waiting: impl IntoIterator<Item = Waiting>, error: Error) {
    let error = Arc::new(error);
    for waiting in waiting {
        waiting.reply.send(Err(Error::share(&error))).ok();
    }
}
