//! Catching up before an answer: whoever asks sees everything that was in the ledger when it asked.
//!
//! A vault can have several gateways of one hospital, and each answers from a view of its own. So before a gateway answers
//! it asks the vault for the newest head. Many who ask at the same time share one question: one that *began* after all
//! of them had asked. A question that was under way already may have been answered before the change they must see.
//!
//! Not here: what following a head takes (`ledger`).

use crate::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Questions that are shared by those who wait for them.
#[derive(Debug, Default)]
pub struct Fresh {
    /// questions begun, counted from 1
    begun: AtomicU64,
    /// the last one that ended, and its failure; held while one is under way
    ended: Mutex<(u64, Option<Arc<Error>>)>,
}

impl Fresh {
    /// Waits for a question that began after this call, whoever asks it: the caller with `ask`, or another.
    pub async fn after<F: Future<Output = Result<()>>>(&self, ask: impl FnOnce() -> F) -> Result<()> {
        let wanted = self.begun.load(Ordering::SeqCst) + 1;
        let mut ended = self.ended.lock().await;
        if ended.0 < wanted {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            let failure = ask().await.err().map(Arc::new);
            *ended = (number, failure);
        }
        match &ended.1 {
            None => Ok(()),
            Some(error) => Err(Error::share(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn those_who_ask_while_a_question_is_under_way_share_the_next_one() {
        let (fresh, asked, go) = (Fresh::default(), AtomicU64::new(0), Notify::new());
        let question = || async {
            asked.fetch_add(1, Ordering::SeqCst);
            go.notified().await;
            Ok(())
        };
        let mut first = Box::pin(fresh.after(question));
        assert!(futures::poll!(&mut first).is_pending());
        let mut others: Vec<_> = (0..5).map(|_| Box::pin(fresh.after(question))).collect();
        for other in &mut others {
            assert!(futures::poll!(other).is_pending());
        }
        go.notify_one();
        first.await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let second = futures::future::join_all(others);
        let (outcomes, ()) = futures::future::join(second, async { go.notify_one() }).await;
        assert!(outcomes.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::SeqCst), 2, "five waiters need one question, begun after they asked");
    }

    #[tokio::test]
    async fn a_failure_is_told_to_those_who_shared_it_and_the_next_asks_again() {
        let fresh = Fresh::default();
        assert!(matches!(fresh.after(|| async { Err(Error::Closing) }).await, Err(Error::Shared(_))));
        fresh.after(|| async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn one_who_goes_away_in_the_middle_holds_up_nobody() {
        let fresh = Fresh::default();
        let mut gone = Box::pin(fresh.after(std::future::pending::<Result<()>>));
        assert!(futures::poll!(&mut gone).is_pending());
        drop(gone);
        fresh.after(|| async { Ok(()) }).await.unwrap();
    }
}
