//! Following a ledger from one vault to the next.
//!
//! Invariants
//! - A vault is followed only if its ledger leads back, by acts that each vault signed, to the vault and the key that this
//!   client has pinned; and the head that it remembers from there must be a prefix of what the new vault shows.
//! - Without a pin, as after a restore from sheets, the lineage is the one that the pinned vault shows, whose every step is
//!   signed; it is read and checked against the entries themselves all the same.

use crate::head::Remembered;
use crate::view::View;
use crate::view::row::{Chain, EndRow};
use crate::{Client, ClientOptions, Error, Result, Transport};
use shosoin_keyring::Keyring;
use shosoin_protocol::api::Hello;
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::{HospitalId, Lineage, VaultId};
use std::path::Path;
use std::sync::Arc;

const OPERATION: &str = "the vaults that kept the ledger";

/// The vaults that kept the ledger, as `hello` tells it and as far as it must be so.
pub fn lineage(hello: &Hello, remembered: &Remembered, hospital: HospitalId) -> Result<Lineage> {
    let Remembered { vault, vault_key, former, .. } = remembered;
    let lineage = traced(hello, hospital, *vault, vault_key.clone())?;
    for (vault, key) in former {
        if lineage.of_vault(*vault).is_none_or(|span| span.vault_key != *key) {
            return Err(not_continued(*vault));
        }
    }
    Ok(lineage)
}

fn traced(hello: &Hello, hospital: HospitalId, vault: VaultId, key: PublicKey) -> Result<Lineage> {
    let answer = |source| Error::Answer { operation: OPERATION, source };
    let acts: Vec<_> = hello.taken_over.iter().map(|taken| taken.decode()).collect::<Result<_, _>>().map_err(answer)?;
    Lineage::trace(hospital, vault, key, &acts).map_err(answer)
}

fn not_continued(former: VaultId) -> Error {
    let why = format!("they do not lead back to vault {former} under the key that was pinned");
    Error::Contradiction { operation: OPERATION, why }
}

impl Client {
    /// Opens the ledger at the vault that took it over, in a state folder of its own, from what the state in `former` remembers
    /// of the vault that kept it before. Nothing in `former` is changed.
    pub async fn follow(
        options: ClientOptions,
        keyring: Keyring,
        transport: Arc<dyn Transport>,
        former: &Path,
    ) -> Result<Client> {
        let remembered = Remembered::load(&former.join("head"))?;
        let remembered = remembered.ok_or(Error::Invalid { what: "former state", why: "it remembers no vault" })?;
        let answer = |source| Error::Answer { operation: OPERATION, source };
        let hello = transport.hello().await?;
        let (vault, key) = (hello.vault.parse().map_err(answer)?, hello.vault_key.parse().map_err(answer)?);
        if vault == remembered.vault {
            return Err(Error::Invalid { what: "next vault", why: "it is the one that is followed already" });
        }
        let next = Remembered { former: pinned(&remembered), vault, vault_key: key, ..remembered.clone() };
        let lineage = lineage(&hello, &next, keyring.hospital())?;
        let next = within(&hello, &lineage, &remembered, next, former)?;
        std::fs::create_dir_all(&options.state_dir)
            .map_err(|source| Error::State { path: options.state_dir.clone(), source })?;
        next.save(&options.state_dir.join("head"))?;
        let client = Client::open(options, keyring, transport).await?;
        // The new state is made here and now, from one that a person named: it signs behind what the ledger brought along.
        client.inner.ledger.adopt().await?;
        Ok(client)
    }
}

fn pinned(remembered: &Remembered) -> Vec<(VaultId, PublicKey)> {
    let Remembered { former, vault, vault_key, .. } = remembered;
    former.iter().cloned().chain([(*vault, vault_key.clone())]).collect()
}

/// What is remembered beyond the end of the former vault's span is that vault's alone, if what comes before the end is the
/// same. There the head that it signed at the hand-over takes its place, which the act that took over has in it.
fn within(
    hello: &Hello,
    lineage: &Lineage,
    remembered: &Remembered,
    next: Remembered,
    former: &Path,
) -> Result<Remembered> {
    let answer = |source| Error::Answer { operation: OPERATION, source };
    let size = match remembered.checkpoint.is_empty() {
        true => 0,
        false => Checkpoint::parse(&remembered.checkpoint).map_err(answer)?.0.size,
    };
    let mut spans = lineage.spans().skip_while(|span| span.vault != remembered.vault);
    let (Some(of_former), Some(of_next)) = (spans.next(), spans.next()) else {
        return Err(not_continued(remembered.vault));
    };
    if size <= of_next.from {
        return Ok(next);
    }
    let (view, position) = View::open(&former.join("view"), of_former.log)?;
    if position.frontier.size() < size {
        let why = "its view of names does not reach what it remembers: open it at the former vault once more";
        return Err(Error::Invalid { what: "former state", why });
    }
    for taken in &hello.taken_over {
        let (_, document) = taken.decode().map_err(answer)?;
        if document.former == remembered.vault {
            let end = EndRow { size: of_next.from, root: of_next.root };
            return match view.ended()? == Some(end) {
                true => Ok(Remembered { checkpoint: document.head, chain: Chain::START, ..next }),
                false => Err(Error::Head {
                    why: "was handed over without entries that it had",
                    remembered: remembered.checkpoint.clone(),
                    offered: document.head,
                    evidence: None,
                }),
            };
        }
    }
    Err(not_continued(remembered.vault))
}
