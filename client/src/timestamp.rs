//! Trusted times: an authority outside says when a ledger head, or evidence, existed at the latest (RFC 3161).
//!
//! The head commits to every entry before it, and the entries to every record and every signature in them. So one token over
//! a head proves of all of them that they are not younger, also when the keys they were signed with are broken or forgotten.
//!
//! Invariants
//! - No token is kept that was not verified: for its own query, by the hospital's anchors, by the clock of this machine.
//! - What a token covers never changes. Renewing adds a token over everything before it, the older tokens included.
//! - A chain that had already lapsed is not renewed: a token over it would say nothing of the time before.
//!
//! Only addresses that the hospital configured are called; they see digests and nothing else.
//! Not here: what tokens prove (`trust::timestamp`), what they cover (`protocol::evidence`).

use crate::clock::now_ms;
use crate::http::plain::{self, Target};
use crate::task::blocking;
use crate::witness::WITNESSED;
use crate::{Client, Error, Result, durable, evidence};
use shosoin_protocol::checkpoint::SignedHead;
use shosoin_protocol::evidence::{Class, Evidence, Part};
use shosoin_protocol::limits::{CLOCK_AHEAD_MS_MAX, EVIDENCE_BYTES_MAX, EVIDENCE_TIMESTAMPS_MAX};
use shosoin_trust::timestamp::{ANSWER_BYTES_MAX, NONCE_BYTES, Query, Timestamped, Token, judge, token_of};
use shosoin_trust::{Anchors, HashName};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folder of timestamped heads below the client's state.
pub const TIMESTAMPS: &str = "timestamps";
/// Longest time for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Authorities of one hospital.
pub const AUTHORITIES_MAX: usize = 8;

/// A timestamping authority.
#[derive(Debug, Clone)]
pub struct AuthoritySpec {
    /// `http://host:port/path`, or `https://` with a pin; none if it is not asked any more and its old tokens still count
    pub url: Option<String>,
    /// SHA-256 of its TLS public key info, where the URL is `https`
    pub pin: Option<[u8; 32]>,
    /// where its certificate must lead
    pub anchors: Anchors,
}

/// The authorities that a hospital trusts, in the order in which they are asked.
pub struct Authorities {
    asked: Vec<(String, Target)>,
    anchors: Anchors,
    hash: HashName,
}

impl Authorities {
    /// Refuses addresses that cannot be.
    pub fn new(specs: Vec<AuthoritySpec>, hash: HashName) -> Result<Self> {
        if specs.len() > AUTHORITIES_MAX {
            return Err(Error::Invalid { what: "timestamping authorities", why: "there are more than 8" });
        }
        let mut authorities = Authorities { asked: Vec::new(), anchors: Anchors::default(), hash };
        for AuthoritySpec { url, pin, anchors } in specs {
            if let Some(url) = url {
                authorities.asked.push((url.clone(), Target::new(&url, pin)?));
            }
            authorities.anchors = authorities.anchors.and(anchors);
        }
        Ok(authorities)
    }

    /// Everybody whose tokens count.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// The evidence with one more token, over everything that is in it, from the first authority that gives a good one.
    pub async fn stamp(&self, evidence: &Evidence) -> Result<(Evidence, Timestamped)> {
        let text = evidence.to_be_timestamped();
        let mut refusals = Vec::new();
        for (url, target) in &self.asked {
            match self.ask(target, text.as_bytes()).await {
                Ok(token) => return self.append(evidence, token),
                Err(error) => refusals.push((url, error)),
            }
        }
        match (refusals.len(), refusals.pop()) {
            (1, Some((url, Refusal::Not(source)))) => Err(Error::Timestamp { authority: url.clone(), source }),
            (_, Some(last)) => {
                let said = refusals.into_iter().chain([last]).map(|(url, refusal)| format!("{url}: {refusal}"));
                Err(Error::NoTimestamp { why: said.collect::<Vec<_>>().join("; ") })
            }
            (_, None) => Err(Error::NoTimestamp { why: "no authority with an address is configured".to_owned() }),
        }
    }

    async fn ask(&self, target: &Target, content: &[u8]) -> Result<Vec<u8>, Refusal> {
        let query = fresh_query(self.hash, content).map_err(|error| Refusal::Silent(error.to_string()))?;
        let body = query.encode()?;
        let asked_ms = now_ms();
        let call = plain::call(target, "POST", "", "application/timestamp-query", body.into(), ANSWER_BYTES_MAX);
        let (status, answer) = match tokio::time::timeout(REQUEST_TIMEOUT, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Refusal::Silent(error.to_string())),
            Err(_) => return Err(Refusal::Silent(format!("no answer within {}s", REQUEST_TIMEOUT.as_secs()))),
        };
        if status != 200 {
            return Err(Refusal::Silent(format!("it answered with status {status}")));
        }
        let token = token_of(&answer)?;
        self.check(&token, &query, (asked_ms, now_ms()))?;
        Ok(token)
    }

    /// The evidence with the token in `answer`, which was asked for by `query` and carried here by hand.
    pub fn accept(&self, evidence: &Evidence, query: &Query, answer: &[u8]) -> Result<(Evidence, Timestamped)> {
        let refused = |source| Error::Timestamp { authority: "the answer".to_owned(), source };
        if !query.is_about(evidence.to_be_timestamped().as_bytes()) {
            return Err(refused(shosoin_trust::Error::OtherQuery { what: "imprint" }));
        }
        let token = token_of(answer).map_err(refused)?;
        self.check(&token, query, (evidence.found_ms, now_ms())).map_err(refused)?;
        self.append(evidence, token)
    }

    fn check(&self, token: &[u8], query: &Query, (asked_ms, answered_ms): (u64, u64)) -> shosoin_trust::Result<()> {
        let token = Token::read(token)?;
        token.answers(query)?;
        token.prove(&self.anchors, answered_ms)?;
        token.agrees(asked_ms, answered_ms, CLOCK_AHEAD_MS_MAX)
    }

    /// Adds a token that was checked, if everything before it is still good.
    fn append(&self, evidence: &Evidence, token: Vec<u8>) -> Result<(Evidence, Timestamped)> {
        let mut stamped = evidence.clone();
        stamped.timestamps.push(token);
        let (found, size) = (stamped.timestamps.len() as u64, stamped.render().len() as u64);
        for (what, found, limit) in [
            ("timestamps of evidence", found, EVIDENCE_TIMESTAMPS_MAX as u64),
            ("evidence", size, EVIDENCE_BYTES_MAX as u64),
        ] {
            if found > limit {
                return Err(Error::OverLimit { what, found, limit });
            }
        }
        let refused = |source| Error::Timestamp { authority: "the timestamps before it".to_owned(), source };
        // the newest may be some milliseconds ahead of this clock
        let mut proved = timestamps(&stamped, &self.anchors, now_ms()).map_err(refused)?;
        let newest = proved.pop().ok_or(Error::Lost { task: "the timestamp that was added" })?;
        Ok((stamped, newest))
    }
}

/// Why an authority gave no token that counts.
enum Refusal {
    /// no answer that could be read
    Silent(String),
    /// what is wrong with its answer
    Not(shosoin_trust::Error),
}

impl From<shosoin_trust::Error> for Refusal {
    fn from(error: shosoin_trust::Error) -> Self {
        Refusal::Not(error)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Silent(why) => f.write_str(why),
            Refusal::Not(error) => error.fmt(f),
        }
    }
}

/// A query about `content` that no other answer fits.
pub fn fresh_query(hash: HashName, content: &[u8]) -> Result<Query> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| Error::Randomness { why: error.to_string() })?;
    Ok(Query::new(hash, content, nonce))
}

/// What the tokens of evidence prove, oldest first; `now_ms` may lag an authority by as much as clocks may disagree.
pub fn timestamps(evidence: &Evidence, anchors: &Anchors, now_ms: u64) -> shosoin_trust::Result<Vec<Timestamped>> {
    let tokens = evidence.timestamps.iter().map(|token| Token::read(token)).collect::<Result<Vec<_>, _>>()?;
    let covered: Vec<String> = (0..tokens.len()).map(|number| evidence.timestamped(number)).collect();
    let last_ms = tokens.last().map_or(now_ms, Token::made_ms);
    let now_ms = if last_ms > now_ms && last_ms - now_ms <= CLOCK_AHEAD_MS_MAX { last_ms } else { now_ms };
    let chain: Vec<(Token, &[u8])> = tokens.into_iter().zip(covered.iter().map(String::as_bytes)).collect();
    judge(&chain, anchors, now_ms)
}

/// A timestamped head: where it is kept, and what its newest token proves.
#[derive(Debug, Clone)]
pub struct StampedHead {
    /// the file
    pub path: PathBuf,
    /// leaves of the head
    pub size: u64,
    /// what its newest token proves; none if nobody was asked
    pub newest: Option<Timestamped>,
}

impl Client {
    /// Keeps the vault's newest head, with its cosignatures where there are, as evidence that can be timestamped; with
    /// `authorities` it is, unless it has been before. The file is durable on return.
    pub async fn timestamp_head(&self, authorities: Option<&Authorities>) -> Result<StampedHead> {
        self.refresh().await?;
        let ledger = &self.inner.ledger;
        let head = ledger.head().ok_or(Error::Lost { task: "the newest head" })?;
        let (folder, size) = (ledger.state_dir().join(TIMESTAMPS), head.size());
        let root = head.checkpoint().root.to_string();
        let path = folder.join(format!("head-{size:012}-{}.txt", &root[..16]));
        let evidence = match load(&path).await? {
            Some(evidence) => evidence,
            None => {
                let text = cosigned(ledger.state_dir(), &head);
                let evidence = evidence::make(ledger.identity(), Class::Head, vec![Part::Head(text)]);
                save(&path, &evidence).await?;
                evidence
            }
        };
        let newest = match authorities {
            None => None,
            Some(authorities) if evidence.timestamps.is_empty() => {
                let (stamped, newest) = authorities.stamp(&evidence).await?;
                save(&path, &stamped).await?;
                Some(newest)
            }
            Some(authorities) => {
                let refused = |source| Error::Timestamp { authority: path.display().to_string(), source };
                timestamps(&evidence, authorities.anchors(), now_ms()).map_err(refused)?.pop()
            }
        };
        Ok(StampedHead { path, size, newest })
    }
}

/// The head with the cosignatures that were gathered for it.
fn cosigned(state_dir: &Path, head: &SignedHead) -> String {
    let witnessed = std::fs::read_to_string(state_dir.join(WITNESSED)).ok();
    let same = witnessed.filter(|text| text.starts_with(head.text()));
    same.unwrap_or_else(|| head.text().to_owned())
}

/// Reads evidence from its file; none if there is none.
pub async fn load(path: &Path) -> Result<Option<Evidence>> {
    let path = path.to_owned();
    blocking("reading evidence", move || match std::fs::read_to_string(&path) {
        Ok(text) => Evidence::parse(&text).map(Some).map_err(|source| Error::StateDamaged { path, source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::State { path, source }),
    })
    .await
}

/// Writes evidence over an older state of the same; there whole, and for good, on return.
pub async fn save(path: &Path, evidence: &Evidence) -> Result<()> {
    let (path, text) = (path.to_owned(), evidence.render());
    blocking("keeping evidence", move || {
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
            durable::replace(&path, text.as_bytes())?;
            let above = path.parent().and_then(Path::parent).filter(|above| !above.as_os_str().is_empty());
            above.map_or(Ok(()), durable::sync_folder)
        });
        written.map_err(|source| Error::State { path, source })
    })
    .await
}
