//! Administration of an open vault over a Unix socket in its folder; nothing here leaves the machine. Who asks is the user at the
//! other end of the socket, as the system tells it: their account decides what they may do, and in a vault without accounts
//! the file system decides who may open the socket.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | | [`Status`](crate::Status) as JSON |
//! | `POST /v1/check?every_unit=` | | [`CheckReport`](crate::CheckReport) as JSON |
//! | `POST /v1/hospitals` | enrolment | `{"hospital": id}` |
//! | `POST /v1/media` | [`MediaCommand`] as JSON | what it says |
//! | `POST /v1/assets` | [`AssetCommand`] as JSON | what it says |
//! | `POST /v1/agreements` | [`AgreementCommand`] as JSON | what it says |
//! | `POST /v1/quarantine` | [`QuarantineCommand`] as JSON | what it says |
//! | `POST /v1/changes` | [`ChangeCommand`] as JSON | what it says |
//! | `POST /v1/machines` | [`MachineCommand`] as JSON | what it says |
//! | `POST /v1/shipments` | [`ShipmentCommand`] as JSON | what it says |
//! | `POST /v1/transfers` | [`TransferCommand`] as JSON | what it says |
//! | `POST /v1/disposal` | [`DisposalCommand`] as JSON | what it says |
//! | `POST /v1/notify` | [`NotifyCommand`] as JSON | what it says |
//! | `POST /v1/reports` | [`ReportCommand`] as JSON | what it says |
//! | `POST /v1/incidents` | [`IncidentCommand`] as JSON | what it says |
//! | `POST /v1/accounts` | [`AccountCommand`] as JSON | what it says |
//! | `POST /v1/applicability` | [`StatementRequest`] as JSON | [`Statement`](crate::applicability::Statement) as JSON |
//!
//! Hand-over is in `admin_handover`.
//!
//! Jobs and figures are in `admin_jobs`.

use super::reply::{self, Reply};
use super::routes::parse_query;
use crate::accounts::{AccountCommand, Caller, Mode};
use crate::agreements::AgreementCommand;
use crate::applicability::StatementRequest;
use crate::assets::AssetCommand;
use crate::changes::ChangeCommand;
use crate::disposal::DisposalCommand;
use crate::incidents::IncidentCommand;
use crate::machines::MachineCommand;
use crate::notify::NotifyCommand;
use crate::quarantine::QuarantineCommand;
use crate::reports::ReportCommand;
use crate::shipments::ShipmentCommand;
use crate::transfers::TransferCommand;
use crate::volumes::MediaCommand;
use crate::{CheckOptions, Error, Result, Vault, actor};
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, State};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use bytes::Bytes;
use http::Uri;
use serde::Deserialize;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Where the socket of the vault in `dir` is.
pub fn socket_path(dir: &Path) -> PathBuf {
    dir.join("admin.sock")
}

/// An administration socket that listens; [`run`](Self::run) answers.
pub struct Admin {
    listener: UnixListener,
    path: PathBuf,
    router: Router,
}

impl Admin {
    /// Listens in the folder of a vault that is open here. A socket left by a process that was killed is replaced: the
    /// vault's lock says that nobody uses it.
    pub fn bind(vault: &Vault, dir: &Path) -> Result<Admin> {
        let path = socket_path(dir);
        let failed = |source| Error::Io { action: "listen on", path: socket_path(dir), source };
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        share(vault, &path)?;
        let router = Router::new()
            .route("/v1/status", get(status))
            .route("/v1/check", post(check))
            .route("/v1/hospitals", post(enrol))
            .route("/v1/media", post(media))
            .route("/v1/assets", post(assets))
            .route("/v1/agreements", post(agreements))
            .route("/v1/quarantine", post(quarantine))
            .route("/v1/machines", post(machines))
            .route("/v1/changes", post(changes))
            .route("/v1/shipments", post(shipments))
            .route("/v1/transfers", post(transfers))
            .route("/v1/disposal", post(disposal))
            .route("/v1/notify", post(notify))
            .route("/v1/incidents", post(incidents))
            .route("/v1/reports", post(reports))
            .route("/v1/accounts", post(accounts))
            .route("/v1/applicability", post(applicability))
            .merge(super::admin_jobs::routes())
            .merge(super::admin_handover::routes())
            .with_state(vault.clone());
        Ok(Admin { listener, path, router })
    }

    /// Answers until `shutdown` is ready.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) {
        let router = self.router.into_make_service_with_connect_info::<Peer>();
        let served = axum::serve(self.listener, router).with_graceful_shutdown(shutdown).await;
        if let Err(error) = served {
            tracing::warn!(%error, "the administration socket failed");
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Lets the group of the configuration open the socket, once accounts decide what each of its members may do.
fn share(vault: &Vault, path: &Path) -> Result<()> {
    let group = &vault.accounts().config().socket_group;
    if group.is_empty() || vault.accounts().mode() == Mode::NoAccounts {
        return Ok(());
    }
    let unknown = || Error::Argument { what: "accounts.socket_group", why: format!("there is no group {group} here") };
    let failed = |source| Error::Io { action: "share", path: path.to_owned(), source };
    chown(path, None, Some(actor::gid_of(group).ok_or_else(unknown)?)).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o660)).map_err(failed)
}

/// Who is at the other end of the socket.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) caller: Caller,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        // a peer that the system does not name is no user, and so has no account
        let uid = stream.io().peer_cred().map_or(u32::MAX, |peer| peer.uid());
        Peer { caller: Caller::user(uid) }
    }
}

async fn media(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: MediaCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.media_command(command, peer.caller).await?))
}

async fn assets(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: AssetCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.asset_command(command, peer.caller).await?))
}

async fn notify(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: NotifyCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.notify_command(command, peer.caller).await?))
}

async fn incidents(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: IncidentCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.incident_command(command, peer.caller).await?))
}

async fn reports(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: ReportCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.report_command(command, peer.caller).await?))
}

async fn agreements(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: AgreementCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.agreement_command(command, peer.caller).await?))
}

async fn quarantine(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: QuarantineCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.quarantine_command(command, peer.caller).await?))
}

async fn shipments(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: ShipmentCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.shipment_command(command, peer.caller).await?))
}

async fn machines(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: MachineCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.machine_command(command, peer.caller).await?))
}

async fn changes(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: ChangeCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.change_command(command, peer.caller).await?))
}

async fn transfers(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: TransferCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.transfer_command(command, peer.caller).await?))
}

async fn disposal(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let command: DisposalCommand =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "command", why: error.to_string() })?;
    Ok(reply::json(&vault.disposal_command(command, peer.caller).await?))
}

async fn accounts(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    // what was typed may be in it: an answer says what kind of command it was not, and nothing of what it was
    let unknown = |_| Error::Argument { what: "command", why: "it is no command about people".into() };
    let command: AccountCommand = serde_json::from_slice(&body).map_err(unknown)?;
    let answer = vault.account_command(command, peer.caller, true).await?;
    share(&vault, &socket_path(&vault.inner.dir))?; // the first account opens the socket to the others
    Ok(reply::json(&answer))
}

async fn applicability(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, body: Bytes) -> Reply {
    let request: StatementRequest =
        serde_json::from_slice(&body).map_err(|error| Error::Argument { what: "request", why: error.to_string() })?;
    Ok(reply::json(&vault.applicability(request, peer.caller).await?))
}

async fn status(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>) -> Reply {
    Ok(reply::json(&vault.status_for(&peer.caller).await?))
}

/// How deep to look.
#[derive(Deserialize)]
struct CheckQuery {
    every_unit: bool,
}

async fn check(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, uri: Uri) -> Reply {
    let query: CheckQuery = parse_query(&uri)?;
    let options = CheckOptions { every_unit: query.every_unit, ..CheckOptions::default() };
    Ok(reply::json(&vault.check_for(&peer.caller, options).await?))
}

async fn enrol(State(vault): State<Vault>, ConnectInfo(peer): ConnectInfo<Peer>, enrolment: Bytes) -> Reply {
    let hospital = vault.enrol_for(&peer.caller, enrolment.to_vec()).await?;
    Ok(reply::json(&serde_json::json!({ "hospital": hospital.to_string() })))
}
