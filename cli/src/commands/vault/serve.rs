//! `shosoin vault serve`: the vault for its hospitals, until SIGTERM or SIGINT.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::stop::Stop;
use clap::Args;
use serde_json::json;
use shosoin_store::Vault;
use shosoin_store::http::admin::Admin;
use shosoin_store::http::tls::vault_pin;
use shosoin_store::http::{HttpOptions, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Arguments of `vault serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address to listen on; port 0 picks a free one [default: from vault.toml]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Opens, serves, drains and closes.
pub async fn run(args: ServeArgs, output: Output) -> Result<()> {
    let stop = Stop::listen()?;
    let vault = operator::open(&args.dir).await?;
    let served = serve(&vault, &args, stop, output).await;
    let counters = vault.counters();
    operator::finish(&vault, served).await?;
    output.answer(&operator::closed(counters), || "closed".to_owned())
}

async fn serve(vault: &Vault, args: &ServeArgs, stop: Stop, output: Output) -> Result<()> {
    let listen = args.listen.unwrap_or_else(|| vault.listen());
    let failed = || Error::vault(format!("serve vault {}", args.dir.display()));
    let server = Server::bind(vault.clone(), listen, HttpOptions::default()).await.map_err(failed())?;
    let address = server.local_addr().map_err(failed())?;
    let pin = vault_pin(vault).map(hex::encode).map_err(failed())?;
    let (id, url) = (vault.id().to_string(), format!("https://{address}"));
    let answer = json!({ "vault": id, "url": url, "listen": address, "pin": pin, "pid": std::process::id() });
    let admin = AdminTask::start(vault, &args.dir);
    output.answer(&answer, || format!("vault  {id}\nurl    {url}\npin    {pin}"))?;
    server.run(stop.asked()).await;
    admin.stop().await;
    Ok(())
}

/// The administration socket beside whatever else a process does.
pub struct AdminTask {
    stop: tokio::sync::oneshot::Sender<()>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl AdminTask {
    /// Starts it. Without the socket the vault works all the same; its other commands must then wait until it stops.
    pub fn start(vault: &Vault, dir: &Path) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = match Admin::bind(vault, dir) {
            Ok(admin) => Some(tokio::spawn(admin.run(async { stopped.await.unwrap_or_default() }))),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no administration socket");
                None
            }
        };
        AdminTask { stop, task }
    }

    /// Finishes the requests it has.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if let Some(task) = self.task {
            let _ = task.await;
        }
    }
}
