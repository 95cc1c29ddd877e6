//! What a key file says of the token without which it does not open, and the half of its secret that the token keeps.
//!
//! - Nothing of it is secret: it names the token and the key in it, and carries the share as the token wrapped it.
//! - It is part of what the key file is sealed over, so a key file with another one does not open.

use crate::secret::SecretKey;
use shosoin_protocol::codec::{Reader, Writer};

/// How a token wraps the share; codes of key files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WrapMechanism {
    /// `CKM_AES_KEY_WRAP`: RFC 3394
    KeyWrap = 1,
    /// `CKM_AES_KEY_WRAP_PAD`: RFC 5649
    KeyWrapPad = 2,
}

impl WrapMechanism {
    /// Every one, the preferred one first.
    pub const ALL: [WrapMechanism; 2] = [WrapMechanism::KeyWrap, WrapMechanism::KeyWrapPad];

    /// What PKCS#11 calls it.
    pub fn name(self) -> &'static str {
        match self {
            WrapMechanism::KeyWrap => "CKM_AES_KEY_WRAP",
            WrapMechanism::KeyWrapPad => "CKM_AES_KEY_WRAP_PAD",
        }
    }

    fn from_code(code: u8) -> shosoin_protocol::Result<Self> {
        let known = WrapMechanism::ALL.into_iter().find(|mechanism| *mechanism as u8 == code);
        known.ok_or(shosoin_protocol::Error::Invalid { what: "wrap mechanism", why: "no such code" })
    }
}

/// Names a key inside a token (`CKA_ID`).
pub type TokenKeyId = [u8; 16];

/// Which token, which key in it, and the share as that key wrapped it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPart {
    /// how the share is wrapped
    pub mechanism: WrapMechanism,
    /// the wrapping key
    pub key: TokenKeyId,
    /// serial number of the token, at most 16 bytes
    pub serial: String,
    /// label of the token, at most 32 bytes
    pub label: String,
    /// the share, wrapped
    pub wrapped: [u8; TokenPart::WRAPPED_LEN],
}

impl TokenPart {
    /// Bytes of it in a key file.
    pub(super) const LEN: usize = 4 + 16 + Self::SERIAL_LEN + Self::LABEL_LEN + Self::WRAPPED_LEN;
    /// Bytes of a wrapped share, with either mechanism.
    pub const WRAPPED_LEN: usize = 40;
    const SERIAL_LEN: usize = 16;
    const LABEL_LEN: usize = 32;

    pub(super) fn write(&self, out: &mut Writer) {
        out.u8(self.mechanism as u8).zeros(3).put(&self.key);
        out.put(&padded::<{ Self::SERIAL_LEN }>(&self.serial)).put(&padded::<{ Self::LABEL_LEN }>(&self.label));
        out.put(&self.wrapped);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> shosoin_protocol::Result<Self> {
        let mechanism = WrapMechanism::from_code(reader.u8("wrap mechanism")?)?;
        reader.zeros(3, "reserved bytes of the token part")?;
        Ok(TokenPart {
            mechanism,
            key: reader.array("id of the wrapping key")?,
            serial: text(&reader.array::<{ Self::SERIAL_LEN }>("serial number of the token")?)?,
            label: text(&reader.array::<{ Self::LABEL_LEN }>("label of the token")?)?,
            wrapped: reader.array("wrapped share")?,
        })
    }
}

/// As PKCS#11 has it: padded with blanks, cut where it is longer than any token can say.
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut out = [b' '; N];
    let len = text.len().min(N);
    out[..len].copy_from_slice(&text.as_bytes()[..len]);
    out
}

fn text(padded: &[u8]) -> shosoin_protocol::Result<String> {
    match std::str::from_utf8(padded).map(str::trim_end) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text.to_owned()),
        _ => Err(shosoin_protocol::Error::Invalid { what: "name of the token", why: "it is not text" }),
    }
}

/// The half of a key file's secret that a token keeps, and where it keeps it.
pub struct TokenShare {
    pub(crate) part: TokenPart,
    pub(crate) secret: SecretKey,
}

impl TokenShare {
    /// Where it is kept.
    pub fn part(&self) -> &TokenPart {
        &self.part
    }
}
