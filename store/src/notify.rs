//! Telling people at once what is wrong (3.4-R8, 4.3-R1): webhooks and mail, with kinds and numbers alone.
//!
//! The spool is the audit log itself. Whoever is told is told of records of the log in their order; a small file says up to which
//! record each channel has been told, so that neither a restart nor a kill loses or forgets a message.
//!
//! Invariants
//! - A message goes out only for a record that is durable, and the place of a channel moves on only behind a message that was taken,
//!   or that was given up after a bounded number of tries, which is a record too, and is told by the other channels.
//! - A message names kinds, numbers and times, and nothing else (`message`), but to a log server.
//! - A kill between a message and its place sends it twice, never not at all.
//!
//! A log server is a channel that gets every record whole (`gather`); it stands on the operator's own network.
//!
//! Not here: what is an alarm (`alarm`), how a message travels (`channel`), incidents (`incidents`).

mod alarm;
mod channel;
mod command;
mod config;
mod gather;
mod message;

pub use alarm::Alarm;
pub use command::NotifyCommand;
pub use config::{ChannelConfig, MailTls};

use crate::audit::{Action, AuditEvent, Detail, Outcome};
use crate::error::{Error, Result};
use crate::journal::VAULT;
use crate::vault::{Inner, Vault, blocking};
pub(crate) use alarm::alarm_of;
use alarm::{Notice, notice_of};
use channel::Channel;
use message::{Message, NOTICES_MAX};
use serde::{Deserialize, Serialize};
use shosoin_tiers::durable;
use shosoin_tiers::media::Media as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Folder of the places of channels in the vault's folder.
const DIR: &str = "notify";
/// Records of the log that are looked through at once.
const PAGE: usize = 1000;
/// Longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// How long a try that failed may be described.
const WHY_BYTES_MAX: usize = 120;

/// Where a channel is, as it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// newest record of the log that it was told of, or that is nothing to tell
    told: u64,
}

/// How a channel fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// newest record of the log that it was told of, or that is nothing to tell
    pub told: u64,
    /// messages taken since the vault was opened
    pub sent: u64,
    /// tries at the message that waits now
    pub tries: u32,
    /// what went wrong with the last try
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How each channel fares, by name.
#[derive(Debug, Default)]
pub(crate) struct Standings(parking_lot::Mutex<BTreeMap<String, Standing>>);

impl Standings {
    fn change(&self, name: &str, change: impl FnOnce(&mut Standing)) {
        change(self.0.lock().entry(name.to_owned()).or_default());
    }

    pub(crate) fn list(&self) -> BTreeMap<String, Standing> {
        self.0.lock().clone()
    }
}

impl Vault {
    /// Tells people until `shutdown` is ready. A channel that cannot be made ready is refused here, before anything runs.
    pub fn notifier(&self) -> Result<Notifier> {
        let inner = self.inner.clone();
        let open = |config: &ChannelConfig| Ok((config.clone(), Channel::open(&inner.dir, config)?));
        let channels = inner.config.notify.iter().map(open).collect::<Result<Vec<_>>>()?;
        Ok(Notifier { inner, channels })
    }
}

/// Channels that are ready; [`run`](Self::run) tells.
pub struct Notifier {
    inner: Arc<Inner>,
    channels: Vec<(ChannelConfig, Channel)>,
}

impl Notifier {
    /// Tells people until `shutdown` is ready.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Notifier { inner, channels } = self;
        let all = channels.into_iter().map(|(config, channel)| Teller { inner: inner.clone(), config, channel }.run());
        tokio::select! {
            () = shutdown => {}
            () = async { futures::future::join_all(all).await; std::future::pending().await } => {}
        }
    }
}

/// One channel at work.
struct Teller {
    inner: Arc<Inner>,
    config: ChannelConfig,
    channel: Channel,
}

impl Teller {
    async fn run(self) {
        let (mut news, mut place) = (self.inner.media.audit().subscribe(), None);
        loop {
            news.borrow_and_update();
            if let Err(error) = self.tell_all(&mut place).await {
                self.complain(&error);
                tokio::time::sleep(self.wait(1)).await;
                continue;
            }
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    fn complain(&self, error: &Error) {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, channel = self.config.name, "people could not be told; it is tried again");
    }

    /// Tells everything that is new behind a place, and moves it on. Where there was nothing to tell, that is not written down:
    /// after a restart those records are looked through again.
    async fn tell_all(&self, place: &mut Option<Place>) -> Result<()> {
        if self.config.records {
            return self.gather(place).await;
        }
        loop {
            let from = match *place {
                Some(place) => place,
                None => self.place().await?,
            };
            let (found, end) = self.look(from).await?;
            if !found.is_empty() {
                self.deliver(&found).await?;
                self.keep(end).await?;
            }
            *place = Some(end);
            self.inner.standings.change(&self.config.name, |standing| standing.told = end.told);
            if end == from {
                return Ok(());
            }
        }
    }

    /// What there is to tell behind a place, at most a message, and the place behind it.
    async fn look(&self, from: Place) -> Result<(Vec<Notice>, Place)> {
        let (inner, config) = (self.inner.clone(), self.config.clone());
        blocking(move || {
            let (mut found, mut end) = (Vec::new(), from);
            for record in inner.media.audit().behind(from.told, PAGE)? {
                if found.len() == NOTICES_MAX {
                    break;
                }
                end.told = record.seq;
                let is_wanted = |notice: &Notice| config.alarms.is_empty() || config.alarms.contains(&notice.alarm);
                found.extend(notice_of(&record, &config.name).filter(is_wanted));
            }
            Ok((found, end))
        })
        .await
    }

    /// Tries until the message is taken or given up; either is on record.
    async fn deliver(&self, notices: &[Notice]) -> Result<()> {
        let message = Message { vault: self.inner.short_id(), notices: notices.to_vec() };
        let mut why = String::new();
        for tried in 1..=self.config.tries {
            match self.channel.send(&message).await {
                Ok(()) => {
                    self.inner.standings.change(&self.config.name, |standing| {
                        (standing.sent, standing.tries, standing.why) = (standing.sent + 1, 0, None);
                    });
                    return self.note(Action::NoticeSent, Outcome::Done, notices, String::new()).await;
                }
                Err(failed) => {
                    why = failed.chars().filter(|c| !c.is_control()).take(WHY_BYTES_MAX / 4).collect();
                    tracing::warn!(channel = self.config.name, tried, why, "a message was not taken");
                    let why = Some(why.clone());
                    self.inner
                        .standings
                        .change(&self.config.name, |standing| (standing.tries, standing.why) = (tried, why));
                }
            }
            if tried < self.config.tries {
                tokio::time::sleep(self.wait(tried)).await;
            }
        }
        self.note(Action::NoticeFailed, Outcome::Failed, notices, why).await
    }

    /// How long to wait behind a try.
    fn wait(&self, tried: u32) -> Duration {
        let factor = 1u32.checked_shl(tried.saturating_sub(1).min(20)).unwrap_or(u32::MAX);
        Duration::from_secs(self.config.retry_seconds.into()).saturating_mul(factor).min(WAIT_MAX)
    }

    async fn note(&self, action: Action, outcome: Outcome, notices: &[Notice], why: String) -> Result<()> {
        let (inner, name, units) = (self.inner.clone(), self.config.name.clone(), notices.len() as u64);
        let span = match (notices.first(), notices.last()) {
            (Some(first), Some(last)) if first != last => format!("records {} to {}", first.record, last.record),
            (Some(first), _) => format!("record {}", first.record),
            _ => String::new(),
        };
        let reason = if why.is_empty() { span } else { format!("{span}: {why}") };
        blocking(move || {
            let event = AuditEvent::new(inner.clock.now_ms(), VAULT, action).ended(outcome).because(reason);
            inner.media.record(AuditEvent { units, ..event.with(Detail::Place(name)) }).map(drop)
        })
        .await
    }

    /// Where this channel is. One that is new begins with what happens from now on, this start included.
    async fn place(&self) -> Result<Place> {
        let (inner, name, records) = (self.inner.clone(), self.config.name.clone(), self.config.records);
        blocking(move || {
            let path = inner.dir.join(DIR).join(format!("{name}.json"));
            match std::fs::read(&path) {
                Ok(bytes) => {
                    serde_json::from_slice(&bytes).map_err(|error| Error::Config { path, why: error.to_string() })
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    // a log server gets what was before it, too
                    let told = if records { 0 } else { inner.media.audit().opened_at() };
                    let place = Place { told };
                    inner.keep_place(&name, place)?;
                    Ok(place)
                }
                Err(source) => Err(Error::Io { action: "read", path, source }),
            }
        })
        .await
    }

    async fn keep(&self, place: Place) -> Result<()> {
        let (inner, name) = (self.inner.clone(), self.config.name.clone());
        blocking(move || inner.keep_place(&name, place)).await
    }
}

impl Inner {
    fn keep_place(&self, channel: &str, place: Place) -> Result<()> {
        self.folder.make_dir(DIR)?;
        let bytes = serde_json::to_vec(&place).map_err(|_| Error::Bug("a place could not be written as JSON"))?;
        durable::replace(&self.folder, &format!("{DIR}/{channel}.json"), &bytes)?;
        Ok(())
    }

    /// Enough of the vault's id for people.
    pub(crate) fn short_id(&self) -> String {
        self.config.vault.chars().take(8).collect()
    }
}
