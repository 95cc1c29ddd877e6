//! The key-holding client: chunk, seal, upload, fetch, verify, local view of names.

mod assemble;
mod audit;
mod bucket;
mod budget;
mod change;
mod chunker;
mod client;
mod clock;
mod copy;
mod error;
mod fetch;
mod hashing;
mod head;
pub mod http;
mod lane;
mod ledger;
mod object;
mod open;
mod options;
mod part;
mod retry;
mod sealer;
mod task;
mod transport;
mod upload;
mod uploader;
mod verify;
mod view;

pub use client::Client;
pub use error::Error;
pub use fetch::OpenObject;
pub use http::{HttpOptions, HttpTransport};
pub use object::{Condition, Deleted, NewObject, Part, Stored, Withdrawn};
pub use options::ClientOptions;
pub use part::PartContent;
pub use shosoin_keyring::Keyring;
pub use transport::Transport;
pub use upload::ObjectWriter;
pub use verify::{PartProof, Proof, VerifyOptions};
pub use view::list::{ListPage, ListQuery, ListedObject, ListedVersion, VersionsPage, VersionsQuery};
pub use view::row::{ListedChecksum, RowContent, ViewRow};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
