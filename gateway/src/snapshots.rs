//! Snapshots of the view, made by a gateway that runs: a new gateway begins from the newest one in place of the first leaf.
//!
//! - One is made when it is due by the rule of the hospital ([`SnapshotRule`]), not before an hour after the last one of this gateway, and
//!   by one of its gateways alone.
//! - What fails is said in the log and tried again an hour later; nothing depends on a snapshot.
//!
//! Not here: what a snapshot is, when one is due (`client`).

use shosoin_client::{Client, Result, SnapshotMade, SnapshotRule, SnapshotsSeen};
use std::time::Duration;

/// Least time between two snapshots of this gateway: a disposal in many steps ends the newest with each of them.
const BETWEEN: Duration = Duration::from_secs(60 * 60);
/// How long the number of entries alone is waited for: a disposal makes a snapshot due with an entry that nobody counts on.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// Makes them for ever; who started it ends it.
pub(crate) async fn run(client: Client, rule: SnapshotRule) {
    let mut seen = SnapshotsSeen::default();
    loop {
        match next(&client, rule, &mut seen).await {
            Ok(Some(made)) => {
                let SnapshotMade { log_size, rows, pieces, sealed_bytes, .. } = made;
                tracing::info!(log_size, rows, pieces, sealed_bytes, "a snapshot of the view was made");
                tokio::time::sleep(BETWEEN).await;
            }
            Ok(None) if rule.entries == 0 => return,
            Ok(None) => {}
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
async fn next(client: &Client, rule: SnapshotRule, seen: &mut SnapshotsSeen) -> Result<Option<SnapshotMade>> {
    let Some(due) = client.snapshot_due(rule, seen).await? else { return Ok(None) };
    if tokio::time::timeout(LOOK_EVERY, client.reached(due)).await.is_err() {
        return Ok(None);
    }
    // another gateway may have made it up to this moment
    client.up_to_date().await?;
    match client.snapshot_due(rule, seen).await? {
        Some(due) if due <= seen.leaves() => {
            tracing::info!(leaves = seen.leaves(), "a snapshot of the view is made");
            client.make_snapshot(|_| {}).await.map(Some)
        }
        _ => Ok(None),
    }
}
