//! `shosoin vault init`: make a vault.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use clap::Args;
use serde_json::json;
use shosoin_store::http::tls::vault_pin;
use shosoin_store::{Code, IndexKind, InitOptions, Vault, VolumeSpec};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Arguments of `vault init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder of the vault; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A volume: a folder, a mount point or a prefix in an object store (s3://, az://, gs://; with endpoint, region, and
    /// credentials=FILE), and what it shares with others (host, power, rack, site, device); repeat
    #[arg(long, value_name = "PLACE[,rack=1,...]", required = true, value_parser = parse_volume)]
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
    let place = parts.next().filter(|place| !place.is_empty()).ok_or("it must begin with a path or a URL")?;
    let absolute = |path: &str| std::path::absolute(path).map_err(|error| error.to_string());
    let mut volume = match place.contains("://") {
        true => VolumeSpec::in_store(place),
        false => VolumeSpec::at(absolute(place)?),
    };
    for part in parts {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("{part} must look like rack=1"))?;
        let domains = &mut volume.domains;
        let slot = match name {
            "host" => &mut domains.host,
            "power" => &mut domains.power,
            "rack" => &mut domains.rack,
            "site" => &mut domains.site,
            "device" => &mut domains.device,
            "endpoint" => volume.endpoint.insert(String::new()),
            "region" => volume.region.insert(String::new()),
            "credentials" => {
                volume.credentials = Some(absolute(value)?);
                continue;
            }
            _ => {
                let known = "host, power, rack, site, device, endpoint, region, credentials";
                return Err(format!("{name} is none of {known}"));
            }
        };
        *slot = value.to_owned();
    }
    volume.address()?;
    Ok(volume)
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
    let hot = args.volume.iter().filter(|volume| volume.url.is_none()).count();
    let code = parse_code(&args.code, hot)?;
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
        let stored =
            parse_volume("s3://box/v07,endpoint=https://ceph.example,credentials=/etc/key,site=Osaka").unwrap();
        assert_eq!((stored.place().as_str(), stored.domains.site.as_str()), ("s3://box/v07", "Osaka"));
        assert_eq!(stored.credentials.as_deref(), Some(std::path::Path::new("/etc/key")));
        assert!(parse_volume("/mnt/a,endpoint=https://x").is_err() && parse_volume("s3://user:pw@box/x").is_err());
        assert!(parse_volume("/mnt/a,shelf=1").is_err());
        assert!(parse_volume("/mnt/a,rack").is_err());
        assert!(parse_volume("").is_err());
    }
}
