//! The commands, one file for each verb.

pub mod bucket;
pub mod gateway;
pub mod get;
pub mod hospital;
pub mod keyring;
pub mod ls;
pub mod put;
pub mod stat;
pub mod up;
pub mod vault;
pub mod verify;

use crate::args::Command;
use crate::error::Result;
use crate::output::Output;

/// Runs one command to its end.
pub async fn run(command: Command, output: Output) -> Result<()> {
    match command {
        Command::Up(args) => up::run(args, output).await,
        Command::Vault(command) => vault::run(command, output).await,
        Command::Hospital(command) => hospital::run(command, output).await,
        Command::Keyring(command) => keyring::run(command, output),
        Command::Gateway(command) => gateway::run(command, output).await,
        Command::Bucket(command) => bucket::run(command, output).await,
        Command::Put(args) => put::run(args, output).await,
        Command::Get(args) => get::run(args, output).await,
        Command::Ls(args) => ls::run(args, output).await,
        Command::Stat(args) => stat::run(args, output).await,
        Command::Verify(args) => verify::run(args, output).await,
    }
}
