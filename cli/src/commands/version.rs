//! `shosoin version`: the release, the digest of the program, and every library in it with its version.

use crate::error::{Error, Result};
use crate::output::Output;
use clap::Args;
use serde::{Deserialize, Serialize};
use shosoin_protocol::suite::sha256;

/// The versions this program was built with. It has those of tests and benchmarks too.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// Arguments of `version`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  shosoin version --json")]
pub struct VersionArgs {}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

/// A library, as the lock file has it.
#[derive(Debug, Serialize, Deserialize)]
struct Package {
    name: String,
    version: String,
    /// SHA-256 of its package; those of this product have none
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

#[derive(Serialize)]
struct Version {
    release: &'static str,
    sha256: String,
    libraries: Vec<Package>,
}

/// Runs it.
pub fn run(_args: &VersionArgs, output: Output) -> Result<()> {
    let failed = |source| Error::System { action: "read the program", source };
    let path = std::env::current_exe().map_err(failed)?;
    let program = std::fs::read(path).map_err(failed)?;
    let lock: Lock = toml::from_str(LOCK).map_err(|error| Error::System {
        action: "read the list of libraries",
        source: std::io::Error::other(error),
    })?;
    let (release, sha256) = (env!("CARGO_PKG_VERSION"), sha256(&[&program]).to_string());
    let version = Version { release, sha256, libraries: lock.package };
    output.answer(&version, || {
        let libraries: String =
            version.libraries.iter().map(|one| format!("  {} {}\n", one.name, one.version)).collect();
        format!("shosoin {release}\nsha256  {}\nlibraries\n{libraries}", version.sha256)
    })
}
