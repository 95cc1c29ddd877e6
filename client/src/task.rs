//! Work that would hold up other tasks: ciphers, hashes, signatures, the files of the view.

use crate::{Error, Result};

/// Runs `work` on a blocking thread. Its panic is a bug of ours and becomes an error of the caller alone.
pub async fn blocking<T: Send + 'static>(
    task: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Lost { task }))
}
