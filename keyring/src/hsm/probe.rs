//! What a token can do, told before anything depends on it: by its own list, and by trying.

use super::{Module, Token, TokenFacts, token};
use crate::Result;
use crate::keyfile::WrapMechanism;
use crate::secret;
use cryptoki::mechanism::MechanismType;

/// A mechanism, and what it would be used for.
#[derive(Debug, Clone, Copy)]
pub struct Ability {
    /// what PKCS#11 calls it
    pub mechanism: &'static str,
    /// what for
    pub purpose: &'static str,
    /// without it, or without one of those that serve the same, a key file cannot be bound to the token
    pub needed: bool,
    /// the token lists it, with all that is needed of it
    pub listed: bool,
}

/// What was tried with keys that live as long as the session.
#[derive(Debug, Clone)]
pub struct Trial {
    /// what works; otherwise the first thing that did not, in words
    pub outcome: std::result::Result<WrapMechanism, String>,
    /// wrapping keys of Shosoin in the token, by id
    pub keys: Vec<crate::keyfile::TokenKeyId>,
}

/// What a token can do.
#[derive(Debug, Clone)]
pub struct Probe {
    /// the module, as it describes itself
    pub module: String,
    /// the token
    pub token: TokenFacts,
    /// by its own list
    pub abilities: Vec<Ability>,
    /// by trying; not without a PIN
    pub trial: Option<Trial>,
}

impl Probe {
    /// Whether key files can be bound to the token, as far as it was asked.
    pub fn suffices(&self) -> bool {
        match &self.trial {
            Some(trial) => trial.outcome.is_ok(),
            None => {
                let listed =
                    |purpose| self.abilities.iter().any(|ability| ability.purpose == purpose && ability.listed);
                listed(MAKES) && listed(WRAPS)
            }
        }
    }
}

const MAKES: &str = "make the wrapping key and the share";
const WRAPS: &str = "wrap and unwrap the share";
const SIGNS: &str = "sign; nothing here needs it";

/// Mechanism, name, purpose, needed.
const MECHANISMS: [(MechanismType, &str, &str, bool); 5] = [
    (MechanismType::AES_KEY_GEN, "CKM_AES_KEY_GEN", MAKES, true),
    (MechanismType::AES_KEY_WRAP, "CKM_AES_KEY_WRAP", WRAPS, true),
    (MechanismType::AES_KEY_WRAP_PAD, "CKM_AES_KEY_WRAP_PAD", WRAPS, true),
    (MechanismType::ECDSA, "CKM_ECDSA", SIGNS, false),
    (MechanismType::EDDSA, "CKM_EDDSA", SIGNS, false),
];

impl Module {
    /// Asks a token what it can do; with its PIN, tries it and leaves nothing behind.
    pub fn probe(&self, wanted: Option<&str>, pin: Option<&[u8]>) -> Result<Probe> {
        let info = self.pkcs11.get_library_info().map_err(token("describe its module"))?;
        let facts = self.find(wanted)?;
        let there = self.pkcs11.get_mechanism_list(facts.slot).map_err(token("list its mechanisms"))?;
        let suits = |kind, purpose| {
            self.pkcs11.get_mechanism_info(facts.slot, kind).is_ok_and(|info| match purpose {
                MAKES => info.generate(),
                WRAPS => info.wrap() && info.unwrap(),
                _ => info.sign(),
            })
        };
        let ability = |(kind, mechanism, purpose, needed)| {
            let listed = there.contains(&kind) && suits(kind, purpose);
            Ability { mechanism, purpose, needed, listed }
        };
        let abilities = MECHANISMS.map(ability).to_vec();
        let trial = pin.map(|pin| self.log_in(facts.clone(), pin)?.try_all()).transpose()?;
        let module = format!("{} {}", info.library_description(), info.library_version());
        Ok(Probe { module, token: facts, abilities, trial })
    }
}

impl Token {
    fn try_all(&self) -> Result<Trial> {
        let tried = secret::random().and_then(|id| {
            let key = self.make_wrapping_key(&id, false)?;
            let share = self.share(&id, key);
            self.session.destroy_object(key).map_err(token("destroy a wrapping key"))?;
            share.map(|share| share.part.mechanism)
        });
        Ok(Trial { outcome: tried.map_err(|error| error.to_string()), keys: self.keys()? })
    }
}
