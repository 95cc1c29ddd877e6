//! Snapshots of the view, made by a gateway that runs: a new gateway begins from the newest one in place of the first leaf.
//!
//! - One is made when it is due by the rule of the hospital ([`SnapshotRule`]), not before an hour after the last one of this gateway, and
//!   by one of its gateways alone; and whenever a person asks for one.
//! - What fails is said in the log and tried again an hour later; nothing depends on a snapshot.
//!
//! Not here: what a snapshot is, when one is due (`client`).

use parking_lot::Mutex;
use shosoin_client::{Client, Result, SnapshotMade, SnapshotRule, SnapshotsSeen};
use std::sync::Arc;
use std::time::Duration;

/// Least time between two that this gateway makes by itself: a disposal in many steps ends the newest with each of them.
const BETWEEN: Duration = Duration::from_secs(60 * 60);
/// How long the number of entries alone is waited for: a disposal makes a snapshot due with an entry that nobody counts on.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// What a gateway knows of snapshots, and the one that it makes.
pub(crate) struct Snapshots {
    client: Client,
    rule: SnapshotRule,
    seen: Mutex<SnapshotsSeen>,
    /// held while one is made
    making: tokio::sync::Mutex<()>,
}

impl Snapshots {
    pub(crate) fn new(client: Client, rule: SnapshotRule) -> Arc<Self> {
        Arc::new(Snapshots { client, rule, seen: Mutex::default(), making: tokio::sync::Mutex::default() })
    }

    pub(crate) fn rule(&self) -> SnapshotRule {
        self.rule
    }

    /// What the view says of snapshots now.
    pub(crate) async fn look(&self) -> Result<SnapshotsSeen> {
        let seen = self.seen.lock().clone();
        let looked = self.client.look_for_snapshots(seen).await?;
        *self.seen.lock() = looked.clone();
        Ok(looked)
    }

    /// Makes one now, after the one that is being made.
    pub(crate) async fn make(&self) -> Result<SnapshotMade> {
        let _alone = self.making.lock().await;
        tracing::info!("a snapshot of the view is made");
        let made = self.client.make_snapshot(|_| {}).await?;
        let SnapshotMade { log_size, rows, pieces, sealed_bytes, .. } = made;
        tracing::info!(log_size, rows, pieces, sealed_bytes, "a snapshot of the view was made");
        Ok(made)
    }

    /// Makes them for ever; who started it ends it.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            match self.next().await {
                Ok(Next::Never) => return,
                Ok(Next::Look) => {}
                Ok(Next::Made) => tokio::time::sleep(BETWEEN).await,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "no snapshot of the view could be made; it is tried again in an hour"
                    );
                    tokio::time::sleep(BETWEEN).await;
                }
            }
        }
    }

    /// Makes one where it is due; otherwise waits until it may be.
    async fn next(&self) -> Result<Next> {
        let device = self.client.keyring().device_id();
        let Some(due) = self.look().await?.due(self.rule, device) else { return Ok(Next::Never) };
        if tokio::time::timeout(LOOK_EVERY, self.client.reached(due)).await.is_err() {
            // nobody may have asked this gateway for anything since a disposal; without a vault there is nothing new to see
            self.client.up_to_date().await.ok();
            return Ok(Next::Look);
        }
        self.client.up_to_date().await?; // another gateway may have made it up to this moment
        let seen = self.look().await?;
        match seen.due(self.rule, device) {
            Some(due) if due <= seen.leaves() => self.make().await.map(|_| Next::Made),
            _ => Ok(Next::Look),
        }
    }
}

enum Next {
    /// the rule says so
    Never,
    /// look again
    Look,
    Made,
}
