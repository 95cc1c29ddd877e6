//! Sending sealed chunks, each address once.
//!
//! - Whether the vault lacks a chunk is asked in batches: while one question is out, the next one gathers.
//! - Two uploads of one address at a time become one; the second waits for the first.
//! - If the question fails, the chunk is sent: sending what is held already is waste, not harm.

use crate::retry::repeat;
use crate::{Result, Transport};
use bytes::Bytes;
use parking_lot::Mutex;
use shosoin_protocol::Address;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Addresses in one question: enough to hide the round trip, few enough to be answered soon.
const QUESTION_ADDRESSES: usize = 64;

type Question = (Address, oneshot::Sender<bool>);
type Done = Arc<tokio::sync::Mutex<bool>>;

/// The way up for sealed chunks.
pub struct Uploader {
    transport: Arc<dyn Transport>,
    questions: mpsc::Sender<Question>,
    under_way: Mutex<HashMap<Address, Done>>,
}

impl Uploader {
    /// An uploader with its asking task, which ends when the uploader is dropped.
    pub fn new(transport: Arc<dyn Transport>) -> Arc<Self> {
        let (questions, asked) = mpsc::channel(QUESTION_ADDRESSES);
        tokio::spawn(ask(transport.clone(), asked));
        Arc::new(Uploader { transport, questions, under_way: Mutex::default() })
    }

    /// Makes sure that the vault has this chunk, asking first where an equal one may have been sent before.
    pub async fn upload(&self, address: Address, bytes: Bytes, may_meet: bool) -> Result<()> {
        let turn = Turn::take(self, address);
        let mut done = turn.done.lock().await;
        if !*done && (!may_meet || self.is_missing(address).await) {
            repeat(|| self.transport.put_chunk(address, bytes.clone())).await?;
        }
        *done = true;
        Ok(())
    }

    async fn is_missing(&self, address: Address) -> bool {
        let (reply, answer) = oneshot::channel();
        match self.questions.send((address, reply)).await {
            Ok(()) => answer.await.unwrap_or(true),
            Err(_) => true,
        }
    }
}

/// One upload of an address among those under way. The last one to end forgets the address, however it ends.
struct Turn<'a> {
    uploader: &'a Uploader,
    address: Address,
    done: Done,
}

impl<'a> Turn<'a> {
    fn take(uploader: &'a Uploader, address: Address) -> Self {
        let done = uploader.under_way.lock().entry(address).or_default().clone();
        Turn { uploader, address, done }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut under_way = self.uploader.under_way.lock();
        // Given up under the lock: of two that end together, one sees that it is the last.
        drop(std::mem::take(&mut self.done));
        if under_way.get(&self.address).is_some_and(|listed| Arc::strong_count(listed) == 1) {
            under_way.remove(&self.address);
        }
    }
}

async fn ask(transport: Arc<dyn Transport>, mut asked: mpsc::Receiver<Question>) {
    let mut batch: Vec<Question> = Vec::with_capacity(QUESTION_ADDRESSES);
    while asked.recv_many(&mut batch, QUESTION_ADDRESSES).await > 0 {
        let addresses: Vec<Address> = batch.iter().map(|(address, _)| *address).collect();
        let missing = match repeat(|| transport.missing(&addresses)).await {
            Ok(missing) if missing.len() == addresses.len() => missing,
            Ok(_) => vec![true; addresses.len()],
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "asking which chunks are missing failed; sending them"
                );
                vec![true; addresses.len()]
            }
        };
        for ((_, reply), missing) in batch.drain(..).zip(missing) {
            reply.send(missing).ok();
        }
    }
}
