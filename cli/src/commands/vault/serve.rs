//! `shosoin vault serve`: the vault for its hospitals, until SIGTERM or SIGINT.

use crate::error::{Error, Result};
use crate::operator;
use crate::output::Output;
use crate::stop::Stop;
use clap::Args;
use serde_json::json;
use shosoin_store::Vault;
use shosoin_store::console::Console;
use shosoin_store::http::admin::Admin;
use shosoin_store::http::metrics::MetricsServer;
use shosoin_store::http::tls::vault_pin;
use shosoin_store::http::{HttpOptions, Server};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Where the console is if somebody asks for one and says no more.
const CONSOLE: &str = "127.0.0.1:7444";

/// Arguments of `vault serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Folder of the vault
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address to listen on; port 0 picks a free one [default: from vault.toml]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    console: ConsoleArgs,
}

/// Where the pages for operators are.
#[derive(Debug, Clone, Copy, Args)]
pub struct ConsoleArgs {
    /// Address of the operator console, once there is an account; port 0 picks a free one [default: from vault.toml]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = CONSOLE)]
    console: Option<SocketAddr>,
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
    let admin = AdminTask::start(vault, &args.dir, args.console).await?;
    let console = admin.console();
    let answer = json!({
        "vault": id, "url": url, "listen": address, "pin": pin, "pid": std::process::id(),
        "console": console.map(|console| &console.url),
        "console_certificate": console.map(|console| &console.fingerprint),
    });
    let pages = console.map(ConsoleAt::lines).unwrap_or_default();
    output.answer(&answer, || format!("vault  {id}\nurl    {url}\npin    {pin}{pages}"))?;
    server.run(stop.asked()).await;
    admin.stop().await;
    Ok(())
}

/// Where a console answers.
#[derive(Debug, Clone)]
pub struct ConsoleAt {
    /// its address
    pub url: String,
    /// SHA-256 of its certificate, as browsers write it
    pub fingerprint: String,
}

impl ConsoleAt {
    /// What is said of it at the start, on lines of their own.
    pub fn lines(&self) -> String {
        format!("\nconsole  {}\ncertificate of the console, SHA-256  {}", self.url, self.fingerprint)
    }
}

/// What runs in a process that serves, beside its service: jobs that are due, the administration socket, figures, the console.
pub struct AdminTask {
    vault: Vault,
    console: Option<ConsoleAt>,
    stops: Vec<oneshot::Sender<()>>,
    tasks: Vec<JoinHandle<()>>,
}

impl AdminTask {
    /// Starts it. Without the socket the vault works all the same; its other commands must then wait until it stops.
    pub async fn start(vault: &Vault, dir: &Path, console: ConsoleArgs) -> Result<Self> {
        let mut task = AdminTask { vault: vault.clone(), console: None, stops: Vec::new(), tasks: Vec::new() };
        let failed = || Error::vault(format!("serve vault {}", dir.display()));
        vault.recognise_host().await.map_err(failed())?;
        vault.note_setup().await.map_err(failed())?;
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
        let (notifier, stopped) = (vault.notifier().map_err(failed())?, task.stop_signal());
        task.tasks.push(tokio::spawn(notifier.run(stopped)));
        vault.start_jobs().map_err(failed())?;
        task.start_console(console).await.map_err(failed())?;
        Ok(task)
    }

    /// The console, if it answers already. Before there is an account it only waits for one.
    pub fn console(&self) -> Option<&ConsoleAt> {
        self.console.as_ref()
    }

    /// An address that was asked for must be had; one that is only the default may be taken by another vault of this machine.
    async fn start_console(&mut self, asked: ConsoleArgs) -> shosoin_store::Result<()> {
        let Some(listen) = asked.console.or(self.vault.console_listen()) else { return Ok(()) };
        let (vault, stopped) = (self.vault.clone(), self.stop_signal());
        if !vault.accounts().are_there() {
            self.tasks.push(tokio::spawn(wait_for_an_account(vault, listen, stopped)));
            return Ok(());
        }
        match Console::bind(&vault, listen).await {
            Ok(console) => {
                let url = format!("https://{}", console.local_addr()?);
                self.console = Some(ConsoleAt { url, fingerprint: console.fingerprint().to_owned() });
                self.tasks.push(tokio::spawn(console.run(stopped)));
                Ok(())
            }
            Err(error) if asked.console.is_some() => Err(error),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no console");
                Ok(())
            }
        }
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

/// The console begins when the first account is made.
async fn wait_for_an_account(vault: Vault, listen: SocketAddr, stopped: impl Future<Output = ()> + Send + 'static) {
    tokio::pin!(stopped);
    tokio::select! {
        () = vault.accounts().first_account() => {}
        () = &mut stopped => return,
    }
    match Console::bind(&vault, listen).await {
        Ok(console) => {
            let address = console.local_addr().map(|address| address.to_string()).unwrap_or_default();
            tracing::info!(address, certificate = console.fingerprint(), "there is an account: the console answers");
            console.run(stopped).await;
        }
        Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "no console"),
    }
}
