//! The key-holding client of a hospital: everything between plain objects with names and a vault that sees neither.
//!
//! *Writing.* [`ObjectWriter`] takes bytes as they come: `chunker` cuts them, `hashing` and `sealer` work side by side
//! under one memory `budget`, and `uploader` sends what the vault lacks. `assemble` makes a deposit of the result, and
//! `lane` signs it, sends it with others that wait, and verifies the receipt. `signed` notes what is sent, so that a copy of
//! this device is recognised; until a person has confirmed the head (`standing`) a copy signs nothing.
//!
//! *Knowing.* `ledger` follows the hospital's ledger from one verified head to the next (`head` remembers it over
//! restarts, `audit` checks every entry, `evidence` keeps what proves a vault wrong) and applies its summaries to the `view`
//! of names; `fresh` catches it up before an answer that must have what other machines did. `handover` orders and confirms a move to another vault, and
//! `follow` goes on there.
//!
//! A gateway that knows nothing yet begins from a `snapshot` that another one made.
//!
//! *Reading.* `open` verifies a version from its entry to its manifest, `fetch` reads ranges of it, `copy` names its chunks
//! again, `verify` proves it, `signature` holds what people signed against it, and `plan` says what the operator must mount first.
//!
//! *Sharing.* `shared` grants versions to another hospital of the vault, and accepts, opens and ends what others grant.
//!
//! *Being told.* `notice` gives what the operator told the hospital in its own ledger, and says what the hospital remarks on a report.
//! *Depositing alone.* `depositor` lets machines in that may store and open nothing, and is what such a machine runs.
//!
//! *Doubting.* `vault_audit` asks for records that `challenge` draws, and what contradicts becomes `evidence` through `accuse`. With `witness`
//! no head is believed that outsiders have not co-signed, and `timestamp` has an authority say since when it exists.
//! *Keys over time.* `epoch` begins the next epoch, `rewrap` wraps every data key anew under it, `coverage` tells what still
//! depends on older ones; both go over the ledger with `pages`. `reseal` seals content itself anew, `exposure` tells what a lost
//! machine could read, `succession` moves a hospital to another suite.
//!
//! Invariants
//! - No byte of a chunk is given out before the whole chunk is verified; no answer of the vault is believed unchecked.
//! - A ledger head that does not continue the one remembered is refused, and both are kept as evidence.
//! - What a put answered is durable, in the ledger, and in the view: the next lookup or list shows it.
//! - Nothing is visible that was not deposited. A writer that is dropped, or a process that dies, leaves nothing behind
//!   but chunks that nobody names.
//! - Memory is bounded: by the upload budget, by one chunk for each reader plus the read-ahead budget, by pages.
//!
//! Not here: S3 (`gateway`), cryptography (`keyring`), the operator's side (`store`).

mod accuse;
mod act;
mod agreement;
mod ahead;
mod assemble;
mod audit;
mod bucket;
mod budget;
mod challenge;
mod change;
mod chunker;
mod client;
mod clock;
mod copy;
mod courier;
mod coverage;
mod depositor;
mod device;
mod disposal;
pub mod durable;
mod epoch;
mod error;
mod evidence;
mod exposure;
mod fetch;
mod follow;
mod followed;
mod fresh;
mod handover;
mod hashing;
mod head;
pub mod http;
mod keeping;
mod lane;
mod ledger;
mod notice;
mod object;
mod open;
mod options;
mod pages;
mod part;
mod plan;
mod reconcile;
mod reseal;
mod retry;
mod rewrap;
pub mod scan;
mod scan_report;
mod sealer;
mod shared;
mod signature;
mod signed;
mod snapshot;
mod standing;
mod succession;
mod task;
pub mod timestamp;
mod transport;
mod upload;
mod uploader;
mod vault_audit;
mod verify;
mod view;
mod walk;
mod witness;

pub use act::Stated;
pub use agreement::{Agreed, SignedAgreement};
pub use challenge::{SAMPLE_MAX, Wanted};
pub use client::Client;
pub use clock::now_ms;
pub use courier::{Courier, PackedTotals};
pub use coverage::{CoverageReport, Covered, Dependence};
pub use depositor::{Deposited, Depositor, Enrolled};
pub use device::Device;
pub use disposal::{OrderOptions, OrderStanding, OrderStated};
pub use epoch::Begun;
pub use error::Error;
pub use exposure::{Exposure, Records};
pub use fetch::OpenObject;
pub use handover::{HandoverOrder, Look, Unsound};
pub use head::pinned_vault;
pub use http::{HttpOptions, HttpTransport};
pub use keeping::{HoldNote, HoldStanding, Keeping, Selected, Selection};
pub use object::{Condition, Deleted, NewObject, Part, Stored, Withdrawn};
pub use options::ClientOptions;
pub use pages::WalkProgress;
pub use part::{PartContent, SealedPiece};
pub use plan::{Mount, MountPlan};
pub use reconcile::Reconciled;
pub use reseal::{Fate, ResealProgress, ResealReport};
pub use rewrap::{Counts, RewrapOptions, RewrapReport};
pub use shared::{Granting, Share, SharedObject};
pub use shosoin_keyring::Keyring;
pub use signature::{CheckedDocument, SignatureCheck, SignatureProof, SignerProof};
pub use snapshot::{SNAPSHOT_ENTRIES_DEFAULT, SnapshotMade, SnapshotRule, SnapshotsSeen};
pub use standing::Standing;
pub use transport::Transport;
pub use upload::ObjectWriter;
pub use vault_audit::{AuditFailure, AuditOptions, VaultAudit};
pub use verify::{PartProof, Proof, ReceiptProof, ScanProof, VerifyOptions};
pub use view::list::{ListPage, ListQuery, ListedObject, ListedVersion, VersionsPage, VersionsQuery};
pub use view::row::{ActRow, ListedChecksum, RowContent, ViewRow};
pub use witness::{WITNESSED, WitnessPolicy, WitnessSpec};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
