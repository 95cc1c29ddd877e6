//! `/metrics` on a loopback address, for a Prometheus that cannot reach the administration socket. Figures only: no name, no
//! key, no record.

use super::admin_jobs::show_metrics;
use crate::{Error, Result, Vault};
use axum::Router;
use axum::routing::get;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// A metrics address that listens; [`run`](Self::run) answers.
pub struct MetricsServer {
    listener: TcpListener,
    router: Router,
}

impl MetricsServer {
    /// Listens where the configuration says, if it says so. An address beyond this machine is refused: figures are shown
    /// without asking who looks.
    pub async fn bind(vault: &Vault) -> Result<Option<MetricsServer>> {
        let Some(listen) = vault.metrics_listen() else { return Ok(None) };
        if !listen.ip().is_loopback() {
            let why = format!("{listen} is not a loopback address, and /metrics is shown to whoever asks");
            return Err(Error::Argument { what: "listen of [metrics]", why });
        }
        let listener = TcpListener::bind(listen).await.map_err(|source| Error::Listen { listen, source })?;
        let router = Router::new().route("/metrics", get(show_metrics)).with_state(vault.clone());
        Ok(Some(MetricsServer { listener, router }))
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers until `shutdown` is ready.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) {
        let served = axum::serve(self.listener, self.router).with_graceful_shutdown(shutdown).await;
        if let Err(error) = served {
            tracing::warn!(%error, "the metrics address failed");
        }
    }
}
