//! How a client is set up.

use crate::scan::Scanner;
use crate::witness::WitnessPolicy;
use shosoin_keyring::escrow::drill::Drill;
use shosoin_protocol::manifest::SignerStanding;
use shosoin_protocol::sign::PublicKey;
use shosoin_trust::Anchors;
use std::path::PathBuf;
use std::sync::Arc;

/// Memory that plain text and sealed bytes on their way to the vault may take, all writers together, in bytes.
pub const UPLOAD_MEMORY_BYTES_DEFAULT: usize = 128 * 1024 * 1024;
/// Memory that readers together may fill ahead of what is asked of them, in bytes.
pub const READ_AHEAD_BYTES_DEFAULT: usize = 64 * 1024 * 1024;

/// Options of [`Client::open`](crate::Client::open).
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// folder for the remembered head and the local view of names; made if it is not there
    pub state_dir: PathBuf,
    /// key of the vault; without it, the key met first is remembered in the state and demanded from then on
    pub vault_key: Option<PublicKey>,
    /// the restore drill that was held last: without one that still counts, a device does not enrol at a vault that is not
    /// a demonstration
    pub drill: Option<Drill>,
    /// witnesses that must have co-signed a head before it is believed; none: no witness is asked
    pub witnesses: Option<WitnessPolicy>,
    /// believe heads without witnesses, although the hospital's own act requires them: only to change that act
    pub unwitnessed: bool,
    /// what scans contents for malware before they are sealed, if anything does
    pub scanner: Option<Arc<Scanner>>,
    /// where certificates of people who sign documents must lead
    pub document_anchors: Anchors,
    /// standings of such people beside trusted that documents are stored with
    pub accepted_signers: Vec<SignerStanding>,
    /// bytes on their way up, all writers together
    pub upload_memory_bytes: usize,
    /// bytes read ahead, all readers together
    pub read_ahead_bytes: usize,
    /// threads that seal, and that verify long stretches of the ledger
    pub threads: usize,
}

impl ClientOptions {
    /// The defaults over a state folder.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        ClientOptions {
            state_dir: state_dir.into(),
            vault_key: None,
            drill: None,
            witnesses: None,
            unwitnessed: false,
            scanner: None,
            document_anchors: Anchors::default(),
            accepted_signers: Vec::new(),
            upload_memory_bytes: UPLOAD_MEMORY_BYTES_DEFAULT,
            read_ahead_bytes: READ_AHEAD_BYTES_DEFAULT,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}
