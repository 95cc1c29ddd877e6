//! A PKCS#11 token (a hardware security module, or a smart card) that keeps half of what opens a key file.
//!
//! ```text
//! token     wrapping key: AES-256, made inside, never leaves; it wraps and unwraps, and is destroyed
//! key file  share: 32 random bytes that the token made, wrapped by that key (`TokenPart`)
//! opening   passphrase and share together give the secret of the key file; every derivation below it is in software
//! ```
//!
//! Invariants
//! - A wrapping key is used only if the token itself says that it was made inside, was always sensitive and never
//!   extractable. A new one that does not say so is destroyed again.
//! - A share is used only after the token unwrapped it to the same bytes.
//! - A PIN is tried once, and not at all where the token says that it is locked: tokens count.
//! - Whatever fails on the way leaves nothing but, at worst, a wrapping key that no key file names.
//!
//! Not here: where PINs come from, and replacing key files (`cli`).
//! Source: PKCS #11 Specification Version 3.1 (OASIS); RFC 3394, RFC 5649.

mod probe;

pub use probe::{Ability, Probe, Trial};

use crate::keyfile::{TokenKeyId, TokenPart, TokenShare, WrapMechanism};
use crate::secret::{self, SecretKey};
use crate::{Error, Result};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// `CKA_LABEL` of wrapping keys.
const KEY_LABEL: &[u8] = b"shosoin key file";
/// Bytes of wrapping keys and shares.
const KEY_LEN: u64 = 32;

/// A PKCS#11 module: the vendor's library.
pub struct Module {
    pkcs11: Pkcs11,
    path: PathBuf,
}

/// What a token says of itself.
#[derive(Debug, Clone)]
pub struct TokenFacts {
    /// its label
    pub label: String,
    /// its serial number
    pub serial: String,
    /// who made it
    pub manufacturer: String,
    /// which model
    pub model: String,
    /// the PIN is locked
    pub locked: bool,
    /// one more wrong PIN locks it
    pub last_try: bool,
    slot: Slot,
}

impl TokenFacts {
    fn of(slot: Slot, info: &TokenInfo) -> Self {
        TokenFacts {
            label: info.label().to_owned(),
            serial: info.serial_number().to_owned(),
            manufacturer: info.manufacturer_id().to_owned(),
            model: info.model().to_owned(),
            locked: info.user_pin_locked(),
            last_try: info.user_pin_final_try(),
            slot,
        }
    }
}

impl Module {
    /// Loads the module at `path`.
    pub fn load(path: &Path) -> Result<Module> {
        let failed = |error| Error::TokenModule { path: path.to_owned(), why: answer(error) };
        let pkcs11 = Pkcs11::new(path).map_err(failed)?;
        match pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // the module is one for the whole process, however often it is loaded
            Ok(()) | Err(cryptoki::error::Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(error)),
        }
        Ok(Module { pkcs11, path: path.to_owned() })
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every token that is there and set up.
    pub fn tokens(&self) -> Result<Vec<TokenFacts>> {
        let slots = self.pkcs11.get_slots_with_initialized_token().map_err(token("list its slots"))?;
        let facts = |slot| self.pkcs11.get_token_info(slot).map(|info| TokenFacts::of(slot, &info));
        slots.into_iter().map(facts).collect::<Result<_, _>>().map_err(token("describe itself"))
    }

    /// The one token that has this label, or else this serial number; without either, the only one there is.
    pub fn find(&self, wanted: Option<&str>) -> Result<TokenFacts> {
        let of = |token: &TokenFacts| wanted.is_none_or(|wanted| token.label == wanted || token.serial == wanted);
        self.only(of, || wanted.map_or("set up".to_owned(), |wanted| format!("called {wanted:?}")))
    }

    /// The token that a key file names.
    pub fn find_of(&self, part: &TokenPart) -> Result<TokenFacts> {
        let of = |token: &TokenFacts| token.serial == part.serial && token.label == part.label;
        self.only(of, || format!("called {:?} with serial number {:?}", part.label, part.serial))
    }

    fn only(&self, of: impl Fn(&TokenFacts) -> bool, wanted: impl FnOnce() -> String) -> Result<TokenFacts> {
        let all = self.tokens()?;
        let mut fitting: Vec<&TokenFacts> = all.iter().filter(|token| of(token)).collect();
        match (fitting.pop(), fitting.len()) {
            (Some(token), 0) => Ok(token.clone()),
            (last, others) => {
                let names: Vec<String> =
                    all.iter().map(|token| format!("{} ({})", token.label, token.serial)).collect();
                let found = others + usize::from(last.is_some());
                Err(Error::NoToken { wanted: wanted(), found, tokens: names.join(", ") })
            }
        }
    }

    /// Enters the PIN, once, and opens a session.
    pub fn log_in(&self, facts: TokenFacts, pin: &[u8]) -> Result<Token> {
        if facts.locked {
            return Err(Error::LockedPin);
        }
        let session = self.pkcs11.open_rw_session(facts.slot).map_err(token("open a session"))?;
        let pin = RawAuthPin::new(Box::new(pin.to_vec()));
        match session.login_with_raw(UserType::User, &pin) {
            Ok(()) => Ok(Token { session, facts }),
            Err(cryptoki::error::Error::Pkcs11(code, _)) if wrong_pin(code) => Err(Error::WrongPin),
            Err(cryptoki::error::Error::Pkcs11(RvError::PinLocked | RvError::PinExpired, _)) => Err(Error::LockedPin),
            Err(error) => Err(token("log in")(error)),
        }
    }
}

fn wrong_pin(code: RvError) -> bool {
    matches!(code, RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange)
}

fn token(step: &'static str) -> impl Fn(cryptoki::error::Error) -> Error {
    move |error| Error::Token { step, answer: answer(error) }
}

/// What PKCS#11 said, in one clause: the standard's own explanations fill a screen.
fn answer(error: cryptoki::error::Error) -> String {
    match error {
        cryptoki::error::Error::Pkcs11(code, function) => format!("C_{function:?} answered {code:?}"),
        error => error.to_string(),
    }
}

/// A token that the PIN has opened; closed when dropped.
pub struct Token {
    session: Session,
    facts: TokenFacts,
}

impl Token {
    /// What it says of itself.
    pub fn facts(&self) -> &TokenFacts {
        &self.facts
    }

    /// Makes a wrapping key in the token, to stay, and a share that it wraps. Fails without leaving a key behind, unless the
    /// token cannot even remove it.
    pub fn shelter(&self) -> Result<TokenShare> {
        let id: TokenKeyId = secret::random()?;
        let key = self.make_wrapping_key(&id, true)?;
        self.share(&id, key).inspect_err(|_| drop(self.session.destroy_object(key)))
    }

    /// The share that a key file names.
    pub fn unwrap(&self, part: &TokenPart) -> Result<TokenShare> {
        let key = self.key(&part.key)?.ok_or(Error::NoTokenKey { key: part.key })?;
        self.must_stay_inside(key)?;
        let secret = self.opened(part.mechanism, key, &part.wrapped)?;
        Ok(TokenShare { part: part.clone(), secret })
    }

    /// Destroys a wrapping key: what it wrapped is nothing from now on. Whether it was there.
    pub fn destroy(&self, id: &TokenKeyId) -> Result<bool> {
        let Some(key) = self.key(id)? else { return Ok(false) };
        self.session.destroy_object(key).map_err(token("destroy the wrapping key"))?;
        match self.key(id)? {
            None => Ok(true),
            Some(_) => Err(Error::TokenCannot { why: "it says that it destroyed the wrapping key, and still has it" }),
        }
    }

    /// Ids of the wrapping keys in it.
    pub fn keys(&self) -> Result<Vec<TokenKeyId>> {
        let failed = token("list its keys");
        let ours = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Label(KEY_LABEL.to_vec())];
        let mut ids = Vec::new();
        for key in self.session.find_objects(&ours).map_err(&failed)? {
            for attribute in self.session.get_attributes(key, &[AttributeType::Id]).map_err(&failed)? {
                if let Attribute::Id(id) = attribute
                    && let Ok(id) = id.try_into()
                {
                    ids.push(id);
                }
            }
        }
        Ok(ids)
    }

    fn key(&self, id: &TokenKeyId) -> Result<Option<ObjectHandle>> {
        let wanted = [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Id(id.to_vec())];
        let found = self.session.find_objects(&wanted).map_err(token("look for the wrapping key"))?;
        match found.as_slice() {
            [] => Ok(None),
            [key] => Ok(Some(*key)),
            _ => Err(Error::TokenCannot { why: "it has two keys of one id" }),
        }
    }

    fn make_wrapping_key(&self, id: &TokenKeyId, stays: bool) -> Result<ObjectHandle> {
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::ValueLen(KEY_LEN.into()),
            Attribute::Token(stays),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Wrap(true),
            Attribute::Unwrap(true),
            Attribute::Encrypt(false),
            Attribute::Decrypt(false),
            Attribute::Sign(false),
            Attribute::Verify(false),
            Attribute::Derive(false),
            Attribute::Label(KEY_LABEL.to_vec()),
            Attribute::Id(id.to_vec()),
        ];
        let made = self.session.generate_key(&Mechanism::AesKeyGen, &template);
        let key = made.map_err(token("make a wrapping key"))?;
        self.must_stay_inside(key).inspect_err(|_| drop(self.session.destroy_object(key)))?;
        Ok(key)
    }

    /// Refuses a key that the token would give out, has ever given out, or did not make.
    fn must_stay_inside(&self, key: ObjectHandle) -> Result<()> {
        let wanted = [
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Local,
        ];
        let said = self.session.get_attributes(key, &wanted).map_err(token("describe the wrapping key"))?;
        let holds = |attribute: &Attribute| match attribute {
            Attribute::Sensitive(yes) | Attribute::AlwaysSensitive(yes) => *yes,
            Attribute::NeverExtractable(yes) | Attribute::Local(yes) => *yes,
            Attribute::Extractable(yes) => !*yes,
            _ => false,
        };
        match said.len() == wanted.len() && said.iter().all(holds) {
            true => Ok(()),
            false => {
                Err(Error::TokenCannot { why: "it does not say that its wrapping key was made inside and stays there" })
            }
        }
    }

    /// A fresh share under `key`, with the first mechanism that gives it back.
    fn share(&self, id: &TokenKeyId, key: ObjectHandle) -> Result<TokenShare> {
        let made = self.session.generate_key(&Mechanism::AesKeyGen, &readable(true));
        let share = made.map_err(token("make a share"))?;
        let secret = self.value(share)?;
        let mut failure = None;
        for mechanism in WrapMechanism::ALL {
            match self.wrapped(mechanism, key, share, &secret) {
                Ok(wrapped) => {
                    self.session.destroy_object(share).map_err(token("forget the share"))?;
                    let (serial, label) = (self.facts.serial.clone(), self.facts.label.clone());
                    return Ok(TokenShare { part: TokenPart { mechanism, key: *id, serial, label, wrapped }, secret });
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or(Error::TokenCannot { why: "it wraps with no mechanism that this release knows" }))
    }

    /// A share wrapped under `key`, once it was unwrapped to the same.
    fn wrapped(
        &self,
        mechanism: WrapMechanism,
        key: ObjectHandle,
        share: ObjectHandle,
        secret: &SecretKey,
    ) -> Result<[u8; TokenPart::WRAPPED_LEN]> {
        let wrapped = self.session.wrap_key(&of(mechanism), key, share).map_err(token("wrap a share"))?;
        let wrapped: [u8; TokenPart::WRAPPED_LEN] = wrapped
            .try_into()
            .map_err(|_| Error::TokenCannot { why: "what it wrapped has not the length of RFC 3394" })?;
        let opened = self.opened(mechanism, key, &wrapped)?;
        match bool::from(opened.as_bytes().ct_eq(secret.as_bytes())) {
            true => Ok(wrapped),
            false => Err(Error::TokenCannot { why: "what it wrapped it unwraps to something else" }),
        }
    }

    fn opened(&self, mechanism: WrapMechanism, key: ObjectHandle, wrapped: &[u8]) -> Result<SecretKey> {
        let unwrapped = self.session.unwrap_key(&of(mechanism), key, wrapped, &readable(false));
        let share = unwrapped.map_err(token("unwrap the share"))?;
        let secret = self.value(share);
        self.session.destroy_object(share).map_err(token("forget the share"))?;
        secret
    }

    fn value(&self, key: ObjectHandle) -> Result<SecretKey> {
        let said = self.session.get_attributes(key, &[AttributeType::Value]).map_err(token("give out the share"))?;
        match said.into_iter().next() {
            Some(Attribute::Value(value)) => {
                let value = Zeroizing::new(value);
                let bytes = Zeroizing::new(
                    <[u8; 32]>::try_from(value.as_slice())
                        .map_err(|_| Error::TokenCannot { why: "a share has 32 bytes" })?,
                );
                Ok(SecretKey::new(*bytes))
            }
            _ => Err(Error::TokenCannot { why: "it does not give out the share that it unwrapped" }),
        }
    }
}

/// What a share is inside a session: gone with it, and readable.
fn readable(with_len: bool) -> Vec<Attribute> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ];
    // the length of what is unwrapped follows from its bytes, and some tokens refuse to be told
    template.extend(with_len.then(|| Attribute::ValueLen(KEY_LEN.into())));
    template
}

fn of(mechanism: WrapMechanism) -> Mechanism<'static> {
    match mechanism {
        WrapMechanism::KeyWrap => Mechanism::AesKeyWrap,
        WrapMechanism::KeyWrapPad => Mechanism::AesKeyWrapPad,
    }
}
