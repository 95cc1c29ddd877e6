//! Signed notes of any log: text, signature lines, and the keys that make them. What a witness reads, which serves logs
//! that are not ours too; our own checkpoints have one form more ([`checkpoint`](crate::checkpoint)).
//!
//! Invariants
//! - The text that was signed is kept to the byte; signatures of unknown keys are left alone.
//! - A line whose name and key id are those of a known key must verify, or the whole note is refused.
//!
//! Source: the C2SP texts `signed-note`, `tlog-checkpoint` and `tlog-cosignature`.

use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::sign::{Domain, PublicKey, Signature, SigningKey};
use crate::suite::sha256;
use crate::{Digest, Error, Result, Suite};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt;
use std::str::FromStr;

/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";
/// Longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 256;

fn bad(why: &'static str) -> Error {
    Error::Invalid { what: "note", why }
}

/// How a key signs notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    /// 0x01: Ed25519 over the text; 0x02: ECDSA over the text, in DER
    Note,
    /// 0x04: Ed25519 over a time and the text, by a witness
    Cosignature,
}

/// A named public key, as it is configured: `name+key id+base64 of type and key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    /// name in the signature lines
    pub name: String,
    /// the key
    pub key: PublicKey,
    /// what its signatures are over
    pub key_use: KeyUse,
}

impl VerifierKey {
    /// The key of a log, under the origin of its checkpoints.
    pub fn of_log(name: &str, key: PublicKey) -> Self {
        VerifierKey { name: name.to_owned(), key, key_use: KeyUse::Note }
    }

    /// The key of a witness.
    pub fn of_witness(name: &str, key: PublicKey) -> Result<Self> {
        match key {
            PublicKey::Ed25519(_) if is_name(name) => {
                Ok(VerifierKey { name: name.to_owned(), key, key_use: KeyUse::Cosignature })
            }
            PublicKey::Ed25519(_) => Err(bad("a name has no spaces and no plus, and is not empty")),
            PublicKey::P256(_) => Err(bad("witnesses sign with Ed25519")),
        }
    }

    /// First bytes of its signatures.
    pub fn id(&self) -> [u8; 4] {
        let digest = match self.key.p256_spki() {
            Some(spki) => sha256(&[&spki]),
            None => sha256(&[self.name.as_bytes(), b"\n", &self.material()]),
        };
        [digest.0[0], digest.0[1], digest.0[2], digest.0[3]]
    }

    /// Type and key, as notes encode them.
    fn material(&self) -> Vec<u8> {
        match (self.key.p256_spki(), self.key_use) {
            (Some(spki), _) => [&[2], spki.as_slice()].concat(),
            (None, KeyUse::Note) => [&[1], self.key.as_bytes()].concat(),
            (None, KeyUse::Cosignature) => [&[4], self.key.as_bytes()].concat(),
        }
    }

    /// Whether one of the signatures of `note` is of this key; an error if it says so and is not.
    pub fn verify(&self, note: &Note<'_>) -> Result<bool> {
        let mut found = false;
        for (name, signature) in &note.signatures {
            if *name == self.name && signature.starts_with(&self.id()) {
                self.verify_one(note.text, &signature[4..])?;
                found = true;
            }
        }
        Ok(found)
    }

    fn verify_one(&self, text: &str, signature: &[u8]) -> Result<()> {
        let refused = || Error::Signature { what: "note" };
        match self.key_use {
            KeyUse::Note => {
                let signature = match self.key.suite() {
                    Suite::Default => signature.try_into().ok().map(Signature),
                    Suite::Cryptrec => Signature::from_der(signature),
                };
                self.key.verify(Domain::Note, text.as_bytes(), &signature.ok_or_else(refused)?)
            }
            KeyUse::Cosignature => {
                let (time, signature) = signature.split_first_chunk::<8>().ok_or_else(refused)?;
                let signature = Signature(signature.try_into().map_err(|_| refused())?);
                let message = cosigned(u64::from_be_bytes(*time), text);
                self.key.verify(Domain::Note, message.as_bytes(), &signature)
            }
        }
    }

    /// The time of this witness's cosignature on `note`, in seconds since 1970; none if there is none.
    pub fn cosigned_at(&self, note: &Note<'_>) -> Result<Option<u64>> {
        if self.key_use != KeyUse::Cosignature || !self.verify(note)? {
            return Ok(None);
        }
        let own =
            note.signatures.iter().filter(|(name, signature)| *name == self.name && signature.starts_with(&self.id()));
        let times = own.filter_map(|(_, signature)| signature.get(4..12)?.try_into().ok().map(u64::from_be_bytes));
        Ok(times.max())
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), BASE64.encode(self.material()))
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || bad("a key must be name+id+base64, as `shosoin witness show` prints it");
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(material)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let material = BASE64.decode(material).map_err(|_| wrong())?;
        let (key, key_use) = match material.split_first() {
            Some((1, key)) => (ed25519(key)?, KeyUse::Note),
            Some((2, spki)) => (PublicKey::from_p256_spki(spki)?, KeyUse::Note),
            Some((4, key)) => (ed25519(key)?, KeyUse::Cosignature),
            _ => return Err(bad("this release knows keys of the types 1, 2 and 4")),
        };
        let key = VerifierKey { name: name.to_owned(), key, key_use };
        match is_name(name) && hex::encode(key.id()) == id {
            true => Ok(key),
            false => Err(bad("its key id is not that of its name and key")),
        }
    }
}

fn ed25519(bytes: &[u8]) -> Result<PublicKey> {
    let bytes = bytes.try_into().map_err(|_| bad("an Ed25519 key has 32 bytes"))?;
    PublicKey::ed25519(bytes)
}

/// What a witness signs.
fn cosigned(time_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

/// The signature line of the witness `name` over a note's text at `time_s`, newline included.
pub fn cosign(name: &str, key: &SigningKey, text: &str, time_s: u64) -> Result<String> {
    let public = VerifierKey::of_witness(name, key.public())?;
    let signature = key.sign(Domain::Note, cosigned(time_s, text).as_bytes());
    let line = [&public.id()[..], &time_s.to_be_bytes(), &signature.0].concat();
    Ok(format!("{DASH}{name} {}\n", BASE64.encode(line)))
}

/// A note that was read and not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    /// what is signed, final newline included
    pub text: &'a str,
    /// names, and key ids with signatures
    pub signatures: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> Note<'a> {
    /// Reads a note.
    pub fn parse(note: &'a str) -> Result<Self> {
        if note.len() > CHECKPOINT_BYTES_MAX {
            let (found, limit) = (note.len() as u64, CHECKPOINT_BYTES_MAX as u64);
            return Err(Error::OverLimit { what: "note", found, limit });
        }
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(bad("it has control characters"));
        }
        let end = note.rfind("\n\n").ok_or(bad("no blank line before its signatures"))?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(bad("its last line must end in a newline"))?;
        let signatures = lines.split('\n').map(|line| {
            let parts = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' '));
            let (name, signature) = parts.ok_or(bad("a signature line must be dash, name, base64"))?;
            match BASE64.decode(signature) {
                Ok(bytes) if bytes.len() > 4 && is_name(name) => Ok((name, bytes)),
                _ => Err(bad("a signature line must be dash, name, base64")),
            }
        });
        Ok(Note { text, signatures: signatures.collect::<Result<_>>()? })
    }

    /// Origin, size and root of a checkpoint of any log.
    pub fn tree_head(&self) -> Result<TreeHead<'a>> {
        let lines: Vec<&str> = self.text.strip_suffix('\n').unwrap_or_default().split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(bad("a checkpoint has an origin, a size and a root"));
        };
        let root = BASE64.decode(root).ok().and_then(|root| root.try_into().ok()).map(Digest);
        let number = number(size).ok_or(bad("its size must be a decimal number"))?;
        if origin.is_empty() || extensions.iter().any(|line| line.is_empty()) {
            return Err(bad("its origin and further lines must not be empty"));
        }
        Ok(TreeHead { origin, size: number, root: root.ok_or(bad("its root must be 32 bytes in base64"))? })
    }
}

/// A decimal number in its one form.
pub fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}

/// What a checkpoint says, whosever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead<'a> {
    /// which log
    pub origin: &'a str,
    /// leaves
    pub size: u64,
    /// root over them
    pub root: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the C2SP text `signed-note`.
    const EXAMPLE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn the_example_of_the_specification_verifies_and_nothing_like_it_does() {
        let key: VerifierKey = EXAMPLE_KEY.parse().unwrap();
        assert_eq!(key.to_string(), EXAMPLE_KEY);
        assert!(key.verify(&Note::parse(EXAMPLE).unwrap()).unwrap());
        let changed = EXAMPLE.replace("example message", "example messagf");
        assert!(key.verify(&Note::parse(&changed).unwrap()).is_err(), "its key signed something else");
        let other = EXAMPLE.replace("example.com/foo", "example.com/bar");
        assert!(!key.verify(&Note::parse(&other).unwrap()).unwrap(), "another name is another key");
        for wrong in [&EXAMPLE_KEY[1..], &EXAMPLE_KEY.replace("+53", "+54"), "a+b", ""] {
            assert!(wrong.parse::<VerifierKey>().is_err(), "{wrong}");
        }
    }

    /// The checkpoint of the C2SP text `tlog-cosignature`, whose lines of log and witness are of keys it does not give.
    const CHECKPOINT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    #[test]
    fn the_checkpoint_of_the_specification_is_read_and_what_a_witness_signs_is_what_it_says() {
        let note = Note::parse(CHECKPOINT).unwrap();
        let head = note.tree_head().unwrap();
        assert_eq!((head.origin, head.size), ("example.com/behind-the-sofa", 20_852_163));
        let (name, line) = &note.signatures[1];
        assert_eq!((*name, line.len()), ("witness.example.com/w1", 4 + 8 + 64));
        assert_eq!(line[4..12], 1_679_315_147u64.to_be_bytes(), "the time of the message in the text");
        let message = "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
            CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(cosigned(1_679_315_147, note.text), message);
    }

    #[test]
    fn a_cosignature_is_of_its_witness_its_text_and_its_time() {
        let key = SigningKey::from_seed(Suite::Default, &[7; 32].into()).unwrap();
        let public = VerifierKey::of_witness("witness.example/w1", key.public()).unwrap();
        assert_eq!(public.to_string().parse(), Ok(public.clone()));
        let line = cosign("witness.example/w1", &key, Note::parse(CHECKPOINT).unwrap().text, 1_767_225_600).unwrap();
        let cosigned = format!("{CHECKPOINT}{line}");
        let note = Note::parse(&cosigned).unwrap();
        assert_eq!(public.cosigned_at(&note).unwrap(), Some(1_767_225_600));
        let other = cosigned.replace("20852163", "20852164");
        assert!(public.cosigned_at(&Note::parse(&other).unwrap()).is_err());
        let stranger = SigningKey::from_seed(Suite::Default, &[8; 32].into()).unwrap();
        let stranger = VerifierKey::of_witness("witness.example/w1", stranger.public()).unwrap();
        assert_eq!(stranger.cosigned_at(&note).unwrap(), None);
        let log = VerifierKey::of_log("witness.example/w1", key.public());
        assert_ne!(log.id(), public.id(), "one key for two uses has two ids");
        let p256 = SigningKey::from_seed(Suite::Cryptrec, &[7; 32].into()).unwrap().public();
        assert!(VerifierKey::of_witness("witness.example/w1", p256.clone()).is_err());
        let log = VerifierKey::of_log("example.com/log", p256);
        assert_eq!(log.to_string().parse(), Ok(log));
    }

    #[test]
    fn a_note_without_its_form_is_refused() {
        for wrong in [
            "",
            "text\n",
            "text\n\n",
            "text\n\n\u{2014} name\n",
            "text\n\n\u{2014} name AAAA\n",
            "text\n\n- name AAAAAAA=\n",
            "te\txt\n\n\u{2014} name AAAAAAA=\n",
            "text\n\n\u{2014} name AAAAAAA=",
        ] {
            assert!(Note::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(
            Note::parse("o\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} n AAAAAAA=\n")
                .unwrap()
                .tree_head()
                .is_err()
        );
    }
}
