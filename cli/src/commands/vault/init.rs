//! `shosoin vault init`: make a vault.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use clap::Args;
use serde_json::json;
use shosoin_store::http::tls::vault_pin;
use shosoin_store::{Code, Domains, IndexKind, InitOptions, Vault, VolumeSpec};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Arguments of `vault init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder of the vault; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A volume: a folder or mount point, and what it shares with others (host, power, rack, site, device); repeat
    #[arg(long, value_name = "PATH[,rack=1,...]", required = true, value_parser = parse_volume)]
    volume: Vec<VolumeSpec>,
    /// Code of new segments: data and parity shards
    #[arg(long, value_name = "K+M", default_value = "4+2")]
    code: String,
    /// Address the API listens on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// Waive the placement rules, as for volumes on one device: a demonstration, not an archive
    #[arg(long)]
    demo: bool,
    /// Database of the index: fjall or sled
    #[arg(long, default_value = "fjall", value_parser = parse_index)]
    index: IndexKind,
}

/// A volume as written on the command line.
pub fn parse_volume(text: &str) -> Result<VolumeSpec, String> {
    let mut parts = text.split(',');
    let path = parts.next().filter(|path| !path.is_empty()).ok_or("it must begin with a path")?;
    let mut domains = Domains::default();
    for part in parts {
        let (domain, name) = part.split_once('=').ok_or_else(|| format!("{part} must look like rack=1"))?;
        let slot = match domain {
            "host" => &mut domains.host,
            "power" => &mut domains.power,
            "rack" => &mut domains.rack,
            "site" => &mut domains.site,
            "device" => &mut domains.device,
            _ => return Err(format!("{domain} is none of host, power, rack, site, device")),
        };
        *slot = name.to_owned();
    }
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    Ok(VolumeSpec { domains, ..VolumeSpec::at(path) })
}

/// A database as written on the command line.
pub fn parse_index(text: &str) -> Result<IndexKind, String> {
    match text {
        "fjall" => Ok(IndexKind::Fjall),
        "sled" => Ok(IndexKind::Sled),
        _ => Err("it must be fjall or sled".to_owned()),
    }
}

/// The code of a vault over `volumes` volumes.
pub fn parse_code(text: &str, volumes: usize) -> Result<Code> {
    let code = Code::parse(text).map_err(|error| Error::invalid("--code", error.to_string()))?;
    match code.shards() {
        needed if needed <= volumes => Ok(code),
        needed => {
            Err(Error::invalid("number of volumes", format!("code {text} needs {needed} of them, not {volumes}")))
        }
    }
}

/// Makes the vault and prints what hospitals must pin.
pub async fn run(args: InitArgs, output: Output) -> Result<()> {
    let code = parse_code(&args.code, args.volume.len())?;
    let options = InitOptions { volumes: args.volume, code, demo: args.demo, index: args.index, listen: args.listen };
    let made = Vault::init(&args.dir, options).await;
    made.map_err(Error::vault(format!("make vault {}", args.dir.display())))?;
    let vault = operator::open(&args.dir).await?;
    let pin = vault_pin(&vault).map(hex::encode).map_err(Error::vault("read the vault's TLS key"));
    let id = vault.id().to_string();
    let pin = operator::finish(&vault, pin).await?;
    let answer = json!({ "vault": id, "pin": pin, "listen": args.listen, "code": args.code, "demo": args.demo });
    output.answer(&answer, || format!("vault   {id}\npin     {pin}\nlisten  {}", args.listen))?;
    output.note("Tell hospitals the pin by a way nobody else can write to; `shosoin vault serve` starts the vault.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_names_what_it_shares_and_nothing_unknown() {
        let volume = parse_volume("/mnt/a,rack=1,power=left").unwrap();
        assert_eq!((volume.domains.rack.as_str(), volume.domains.power.as_str()), ("1", "left"));
        assert!(parse_volume("/mnt/a,shelf=1").is_err());
        assert!(parse_volume("/mnt/a,rack").is_err());
        assert!(parse_volume("").is_err());
    }
}
