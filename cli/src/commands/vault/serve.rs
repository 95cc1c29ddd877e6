//! `shosoin vault serve`: the vault for its hospitals, until SIGTERM or SIGINT.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::stop::Stop;
use clap::Args;
use serde_json::json;
use shosoin_store::Vault;
use shosoin_store::http::admin::Admin;
use shosoin_store::http::metrics::MetricsServer;
use shosoin_store::http::tls::vault_pin;
use shosoin_store::http::{HttpOptions, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

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
    let admin = AdminTask::start(vault, &args.dir).await?;
    output.answer(&answer, || format!("vault  {id}\nurl    {url}\npin    {pin}"))?;
    server.run(stop.asked()).await;
    admin.stop().await;
    Ok(())
}

/// What runs in a process that serves, beside its service: jobs that are due, the administration socket, figures.
pub struct AdminTask {
    vault: Vault,
    stops: Vec<oneshot::Sender<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl AdminTask {
    /// Starts it. Without the socket the vault works all the same; its other commands must then wait until it stops.
    pub async fn start(vault: &Vault, dir: &Path) -> Result<Self> {
        let mut task = AdminTask { vault: vault.clone(), stops: Vec::new(), tasks: Vec::new() };
        let failed = || Error::vault(format!("serve vault {}", dir.display()));
        if let Some(metrics) = MetricsServer::bind(vault).await.map_err(failed())? {
            let stopped = task.stop_signal();
            task.tasks.push(tokio::spawn(metrics.run(stopped)));
        }
        match Admin::bind(vault, dir) {
            Ok(admin) => {
                let stopped = task.stop_signal();
                task.tasks.push(tokio::spawn(admin.run(stopped)));
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "no administration socket"),
        }
        vault.start_jobs().map_err(failed())?;
        Ok(task)
    }

    fn stop_signal(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let (stop, stopped) = oneshot::channel();
        self.stops.push(stop);
        async { stopped.await.unwrap_or_default() }
    }

    /// Ends the jobs at their next safe points and finishes the requests it has.
    pub async fn stop(self) {
        if let Err(error) = self.vault.stop_jobs().await {
            tracing::warn!(%error, "jobs could not be ended");
        }
        for stop in self.stops {
            let _ = stop.send(());
        }
        for task in self.tasks {
            let _ = task.await;
        }
    }
}
