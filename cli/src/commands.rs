//! The commands, one file for each verb.

pub mod account;
pub mod agreement;
pub mod applicability;
pub mod assets;
pub mod audit;
pub mod audit_vault;
pub mod bucket;
pub mod change;
pub mod device;
pub mod dispose;
pub mod escrow;
pub mod evidence;
pub mod export;
pub mod forecast;
pub mod gateway;
pub mod get;
pub mod handover;
pub mod hold;
pub mod hospital;
pub mod incident;
pub mod intake;
pub mod jobs;
pub mod keyring;
pub mod ls;
pub mod machine;
pub mod notices;
pub mod notify;
pub mod pack;
pub mod put;
pub mod quarantine;
pub mod reconcile;
pub mod report;
pub mod retention;
pub mod share;
pub mod stat;
pub mod suite;
pub mod timestamp;
pub mod transfer;
pub mod up;
pub mod vault;
pub mod verify;
pub mod version;
pub mod volume;
pub mod witness;

use crate::args::Command;
use crate::error::Result;
use crate::output::Output;
use shosoin_store::JobKind;

/// Runs one command to its end.
pub async fn run(command: Command, output: Output) -> Result<()> {
    match command {
        Command::Up(args) => up::run(args, output).await,
        Command::Vault(command) => vault::run(command, output).await,
        Command::Hospital(command) => hospital::run(command, output).await,
        Command::Keyring(command) => keyring::run(command, output).await,
        Command::Suite(command) => suite::run(command, output).await,
        Command::Device(command) => device::run(command, output).await,
        Command::Escrow(command) => escrow::run(command, output),
        Command::Gateway(command) => gateway::run(command, output).await,
        Command::Bucket(command) => bucket::run(command, output).await,
        Command::Put(args) => put::run(args, output).await,
        Command::Get(args) => get::run(args, output).await,
        Command::Export(args) => export::run(args, output).await,
        Command::Ls(args) => ls::run(args, output).await,
        Command::Retention(command) => retention::run(command, output).await,
        Command::Hold(command) => hold::run(command, output).await,
        Command::Notices(args) => notices::run(args, output).await,
        Command::Remark(args) => notices::remark(args, output).await,
        Command::Dispose(command) => dispose::run(command, output).await,
        Command::Intake(command) => intake::run(command, output).await,
        Command::Pack(args) => pack::run(args, output).await,
        Command::Change(command) => change::run(command, output).await,
        Command::Version(args) => version::run(&args, output),
        Command::Machine(command) => machine::run(command, output).await,
        Command::Quarantine(command) => quarantine::run(command, output).await,
        Command::Transfer(command) => transfer::run(command, output).await,
        Command::Approver(command) => dispose::approver(command, output),
        Command::Stat(args) => stat::run(args, output).await,
        Command::Verify(args) => verify::run(args, output).await,
        Command::AuditVault(args) => audit_vault::run(args, output).await,
        Command::Witness(command) => witness::run(command, output).await,
        Command::Evidence(command) => evidence::run(command, output).await,
        Command::Timestamp(command) => timestamp::run(command, output).await,
        Command::Scrub(args) => jobs::run(JobKind::Scrub, args, output).await,
        Command::Repair(args) => jobs::run(JobKind::Repair, args, output).await,
        Command::CopyForward(args) => jobs::copy_forward(args, output).await,
        Command::Migrate(args) => jobs::run(JobKind::Migrate, args, output).await,
        Command::Compact(args) => jobs::compact(args, output).await,
        Command::Check(args) => jobs::check(args, output).await,
        Command::Jobs(args) => jobs::jobs(args, output).await,
        Command::Volume(command) => volume::run(command, output).await,
        Command::Forecast(args) => forecast::run(args, output).await,
        Command::Audit(command) => audit::run(command, output).await,
        Command::Report(command) => report::run(command, output).await,
        Command::Notify(command) => notify::run(command, output).await,
        Command::Incident(command) => incident::run(command, output).await,
        Command::Assets(command) => assets::run(command, output).await,
        Command::Handover(command) => handover::run(command, output).await,
        Command::Share(command) => share::run(command, output).await,
        Command::Reconcile(command) => reconcile::run(command, output).await,
        Command::Agreement(command) => agreement::run(command, output).await,
        Command::Account(command) => account::run(command, output).await,
        Command::Applicability(args) => applicability::run(args, output).await,
    }
}
