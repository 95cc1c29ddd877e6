//! Hand-over over the administration socket. What was stopped goes on with the next run of the same command.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST /v1/handover` | [`HandoverCommand`] as JSON | lines: `{"progress": ..}`, then `{"report": ..}` or `{"problem": ..}` |

use super::admin::Peer;
use super::lines;
use super::reply::Reply;
use crate::handover::{HandoverCommand, HandoverRun};
use crate::{Error, Vault};
use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::routing::post;
use bytes::Bytes;
use serde_json::json;

/// The routes.
pub(super) fn routes() -> Router<Vault> {
    Router::new().route("/v1/handover", post(handover))
}

async fn handover(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: HandoverCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    let run = HandoverRun::default();
    let (seen, stopped) = (run.clone(), run.clone());
    let work = async move { vault.handover_command(command, peer.caller, run).await };
    Ok(lines::answer(work, move || Some(json!(seen.progress())), move || stopped.stop()))
}
