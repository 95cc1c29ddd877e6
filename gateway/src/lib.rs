//! S3 in front of the client: the door through which a hospital's systems store and fetch records.
//!
//! A request comes in through `serve`, which bounds it; `auth` finds out who asks and whether they may, against the
//! users file of `users`; `s3` hands it to the file of its noun. Bodies stream: `receive` from the connection into the
//! writer that seals, `object` from the reader that verifies into the connection. XML and signatures are `s3s`'s.
//!
//! Invariants
//! - A success is answered when the record is durable in the vault and in its ledger.
//! - Nothing is held whole in memory but XML bodies, signed chunks and pages of lists, each with a limit.
//! - What S3 has and this store does not is refused by name, never ignored.
//! - No name, metadata or content of a record is logged.
//!
//! | file | noun |
//! |---|---|
//! | `serve`, `chunked`, `auth`, `users` | connections, bounds, who may |
//! | `s3`, `reply`, `name` | the table of operations, errors and times, ids and spelling |
//! | `bucket`, `versioning`, `list` | buckets and what is in them |
//! | `object`, `receive`, `span`, `headers`, `checksum`, `conditions`, `policy`, `signature`, `tagging`, `attributes` | objects |
//! | `copy`, `delete` | copies, deletes |
//! | `lock`, `lifecycle`, `expiry` | what keeps versions, rules of a bucket over time and what they do |
//! | `snapshots` | what a new gateway begins from, made by this one now and then |
//! | `local` | its state, figures and commands, for this machine alone |
//! | `multipart`, `uploads`, `list_uploads` | uploads in parts, their state on disk |
//! | `unsupported` | what is refused |

mod attributes;
mod auth;
mod bucket;
mod checksum;
mod chunked;
mod conditions;
mod copy;
mod delete;
mod error;
mod expiry;
mod headers;
mod lifecycle;
mod list;
mod list_uploads;
mod local;
mod lock;
mod multipart;
mod name;
mod object;
mod policy;
mod receive;
mod reply;
mod s3;
mod serve;
mod signature;
mod snapshots;
mod span;
mod tagging;
mod unsupported;
mod uploads;
mod users;
mod versioning;

pub use error::Error;
pub use local::{snapshot_answer, socket_path};
pub use serve::{GatewayOptions, RunningGateway, serve};
pub use users::{NewCredentials, Role, User, UserChange, UserStore};
