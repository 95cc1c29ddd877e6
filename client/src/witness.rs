//! Witnesses: outsiders who co-sign ledger heads after seeing that each continues the one before. A hospital that requires
//! them believes no new head before enough of them have signed it, or a head that continues it.
//!
//! Invariants
//! - A head is believed only with `required` cosignatures by distinct configured keys, or not at all: after a bounded wait
//!   the refusal says which witness did not sign, and why.
//! - A witness is asked with the consistency proof from the head it signed last; what it answers is verified by its key.
//! - A witness that holds another history than ours is the second pair of eyes it is there for: both heads are evidence.
//!
//! Only these addresses are called, and only where the hospital configured them. The vault calls nobody.
//!
//! Source: the C2SP text `tlog-witness`.

use crate::http::plain::{self, Target};
use crate::ledger::{Head, Identity};
use crate::retry::{pause, repeat};
use crate::{Client, Error, Result, Stated, Transport, durable};
use futures::future::join_all;
use parking_lot::Mutex;
use shosoin_protocol::act::{Document, WitnessRule};
use shosoin_protocol::limits::WITNESSES_MAX;
use shosoin_protocol::note::{Note, VerifierKey, number};
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{Digest, merkle};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of an answer that are read.
const REPLY_BYTES_MAX: usize = 16 * 1024;
/// Longest time for one request, so that one silent witness does not use up the whole wait.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// File of the newest head with its cosignatures, below the client's state.
pub const WITNESSED: &str = "witnessed";

/// One witness.
#[derive(Debug, Clone)]
pub struct WitnessSpec {
    /// `http://host:port/prefix`, or `https://` with a pin
    pub url: String,
    /// its name and key
    pub key: VerifierKey,
    /// SHA-256 of its TLS public key info, where the URL is `https`
    pub pin: Option<[u8; 32]>,
}

/// What a hospital demands.
#[derive(Debug, Clone)]
pub struct WitnessPolicy {
    /// all it knows
    pub witnesses: Vec<WitnessSpec>,
    /// how many must have signed
    pub required: usize,
    /// how long a head may wait for them
    pub wait: Duration,
}

impl WitnessPolicy {
    /// Refuses what could never be met, or could be met twice by one witness.
    pub fn check(&self) -> Result<()> {
        let invalid = |why| Err(Error::Invalid { what: "witnesses", why });
        let keys: BTreeSet<String> = self.witnesses.iter().map(|witness| witness.key.key.to_string()).collect();
        match (keys.len() == self.witnesses.len(), self.witnesses.len()) {
            (false, _) => invalid("each must have a key of its own"),
            (_, count) if count > WITNESSES_MAX => invalid("there are more than 16"),
            (_, count) if self.required == 0 || self.required > count => {
                invalid("as many as are required must be configured, and at least one be required")
            }
            _ => Ok(()),
        }
    }
}

/// What new heads pass before they are believed.
pub enum Gate {
    /// nothing, unless the hospital's own act requires witnesses
    None,
    /// these witnesses
    Witnesses(Witnesses),
    /// nothing, whatever the hospital's act requires: for the machine that is to change it when witnesses are gone for good
    Open,
}

/// The witnesses of one machine's configuration.
pub struct Witnesses {
    policy: WitnessPolicy,
    targets: Vec<Target>,
    /// for each, leaves of the head it signed last, as far as is known
    last: Mutex<Vec<u64>>,
    file: PathBuf,
}

/// What became of one request.
enum Asked {
    Signed(String),
    /// it has signed a head of this size
    Has(u64),
    /// it says that the head does not continue what it has signed
    Inconsistent,
    Failed(String),
}

impl Witnesses {
    /// A gate by `policy`; cosigned heads are kept below `state_dir`.
    pub fn new(policy: WitnessPolicy, state_dir: &std::path::Path) -> Result<Self> {
        policy.check()?;
        let targets = policy.witnesses.iter().map(|witness| Target::new(&witness.url, witness.pin));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let last = Mutex::new(vec![0; targets.len()]);
        Ok(Witnesses { policy, targets, last, file: state_dir.join(WITNESSED) })
    }

    /// Returns once enough witnesses signed `head`, or a newer head of the vault that continues it: as many as this machine's
    /// configuration says, and of those that the hospital's rule names as many as that says. Gives, of a head that a witness
    /// refused, the one it holds.
    pub async fn require(
        &self,
        identity: &Identity,
        transport: &Arc<dyn Transport>,
        head: &Head,
        rule: Option<&WitnessRule>,
    ) -> Result<(), Unwitnessed> {
        let demanded = rule.map_or(0, WitnessRule::required);
        let (begun, mut attempt, mut target) = (Instant::now(), 1, head.clone());
        loop {
            let asked = join_all((0..self.targets.len()).map(|at| self.ask(transport, at, &target))).await;
            let mut lines = String::new();
            let (mut signed, mut named, mut ahead, mut refusals) = (0, 0, false, Vec::new());
            for (at, asked) in asked.into_iter().enumerate() {
                let key = &self.policy.witnesses[at].key;
                let name = &key.name;
                match asked {
                    Asked::Signed(line) => {
                        signed += 1;
                        named += usize::from(rule.is_none_or(|rule| rule.names(key)));
                        lines.push_str(&line);
                    }
                    Asked::Has(size) => {
                        ahead = true;
                        refusals.push(format!("{name} has signed {size} entries"));
                    }
                    Asked::Inconsistent => {
                        let other = self.held(identity, at).await.map(Box::new);
                        if other.is_some() {
                            return Err(Unwitnessed { why: format!("{name} holds another ledger"), other });
                        }
                        refusals.push(format!("{name} says that it does not continue what it signed"));
                    }
                    Asked::Failed(why) => refusals.push(format!("{name}: {why}")),
                }
            }
            if signed >= self.policy.required && named >= demanded {
                self.keep(&target, &lines);
                return Ok(());
            }
            let waited = begun.elapsed();
            if waited >= self.policy.wait {
                let (required, refusals) = (self.policy.required.max(demanded), refusals.join("; "));
                let counted = if rule.is_some() { named } else { signed };
                let why =
                    format!("{counted} of {required} witnesses signed it within {}s: {refusals}", waited.as_secs());
                return Err(Unwitnessed { why, other: None });
            }
            if ahead && let Some(newer) = self.newer(identity, transport, head).await {
                target = newer;
            }
            tokio::time::sleep(pause(attempt).min(self.policy.wait.saturating_sub(waited))).await;
            attempt += 1;
        }
    }

    /// The vault's newest head, if it continues `head`: another machine of the hospital may have shown it to a witness.
    async fn newer(&self, identity: &Identity, transport: &Arc<dyn Transport>, head: &Head) -> Option<Head> {
        let text = repeat(|| transport.checkpoint()).await.ok()?;
        let newer = Head::verify(&text, &identity.vault_key).ok().filter(|newer| newer.size() > head.size())?;
        let proof = repeat(|| transport.consistency(head.size(), newer.size())).await.ok()?;
        let (old, new) = (head.checkpoint(), newer.checkpoint());
        merkle::verify_consistency((old.size, &old.root), (new.size, &new.root), &proof).ok().map(|()| newer)
    }

    /// Asks one witness for its cosignature, twice where it has to say first what it signed last.
    async fn ask(&self, transport: &Arc<dyn Transport>, at: usize, head: &Head) -> Asked {
        let old = self.last.lock()[at].min(head.size());
        match self.ask_from(transport, at, head, old).await {
            Asked::Has(size) if size <= head.size() && size != old => self.ask_from(transport, at, head, size).await,
            asked => asked,
        }
    }

    async fn ask_from(&self, transport: &Arc<dyn Transport>, at: usize, head: &Head, old: u64) -> Asked {
        let proof = match old {
            0 => Vec::new(),
            old if old == head.size() => Vec::new(),
            old => match repeat(|| transport.consistency(old, head.size())).await {
                Ok(proof) => proof,
                Err(error) => return Asked::Failed(format!("the vault gives no proof from {old} entries on: {error}")),
            },
        };
        let body = add_checkpoint(old, &proof, head.text());
        let reply = tokio::time::timeout(
            REQUEST_TIMEOUT.min(self.policy.wait.max(Duration::from_secs(1))),
            plain::call(&self.targets[at], "POST", "add-checkpoint", "text/plain", body.into(), REPLY_BYTES_MAX),
        );
        let (status, body) = match reply.await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => return Asked::Failed(error.to_string()),
            Err(_) => return Asked::Failed("no answer in time".to_owned()),
        };
        let text = String::from_utf8_lossy(&body).into_owned();
        match status {
            200 => self.check(at, head, &text),
            409 => match text.strip_suffix('\n').and_then(number) {
                Some(size) => {
                    self.last.lock()[at] = size;
                    Asked::Has(size)
                }
                None => Asked::Failed("it answered with a conflict and no size".to_owned()),
            },
            422 => Asked::Inconsistent,
            status => Asked::Failed(format!("it answered with status {status}")),
        }
    }

    /// The lines of this witness in an answer, verified over the head.
    fn check(&self, at: usize, head: &Head, answer: &str) -> Asked {
        let key = &self.policy.witnesses[at].key;
        let own = answer.split_inclusive('\n').filter(|line| line.contains(&format!(" {} ", key.name)));
        let lines: String = own.collect();
        let cosigned = format!("{}{lines}", head.text());
        match Note::parse(&cosigned).and_then(|note| key.cosigned_at(&note)) {
            Ok(Some(_)) => {
                self.last.lock()[at] = head.size();
                Asked::Signed(lines)
            }
            _ => Asked::Failed("what it answered is not its signature of the head".to_owned()),
        }
    }

    /// The head that a witness holds of this ledger, if the vault signed it.
    async fn held(&self, identity: &Identity, at: usize) -> Option<Head> {
        let origin = format!("shosoin/{}/{}", identity.vault, identity.keyring.hospital());
        let path = format!("{}/checkpoint", sha256(&[origin.as_bytes()]));
        let call = plain::call(&self.targets[at], "GET", &path, "text/plain", bytes::Bytes::new(), REPLY_BYTES_MAX);
        let (status, body) = tokio::time::timeout(REQUEST_TIMEOUT, call).await.ok()?.ok()?;
        let text = String::from_utf8(body.to_vec()).ok().filter(|_| status == 200)?;
        Head::verify(&text, &identity.vault_key).ok()
    }

    /// Whether what was required was met for a head of at least so many leaves.
    pub fn has_witnessed(&self, size: u64) -> bool {
        let kept = std::fs::read_to_string(&self.file).ok();
        kept.is_some_and(|text| text.split('\n').nth(1).and_then(number).is_some_and(|kept| kept >= size))
    }

    /// Keeps the head with its cosignatures. It is for showing to others; nothing depends on it.
    fn keep(&self, head: &Head, lines: &str) {
        let kept = durable::replace(&self.file, format!("{}{lines}", head.text()).as_bytes());
        if let Err(error) = kept {
            tracing::warn!(%error, "the cosignatures of the newest head could not be saved");
        }
    }
}

impl Client {
    /// The hospital's own act about witnesses, if there is one.
    pub fn witness_rule(&self) -> Result<Option<WitnessRule>> {
        self.inner.ledger.witness_rule()
    }

    /// Puts on the record that every machine of the hospital needs so many of these witnesses from now on; none any more
    /// with 0.
    pub async fn require_witnesses(&self, required: u8, keys: &[VerifierKey]) -> Result<Stated> {
        let refused =
            |_| Error::Invalid { what: "witnesses", why: "at most 16, each once, and not fewer than are required" };
        let rule = WitnessRule::new(required, keys).map_err(refused)?;
        self.state(None, Document::Witness(rule)).await
    }
}

/// Why a head is not believed.
pub struct Unwitnessed {
    /// what each witness said
    pub why: String,
    /// a head of the same vault that a witness holds, and that does not go with this one
    pub other: Option<Box<Head>>,
}

/// The body of a request.
fn add_checkpoint(old: u64, proof: &[Digest], checkpoint: &str) -> String {
    use base64::Engine as _;
    let mut out = format!("old {old}\n");
    for hash in proof {
        let _ = writeln!(out, "{}", base64::engine::general_purpose::STANDARD.encode(hash.0));
    }
    out + "\n" + checkpoint
}
