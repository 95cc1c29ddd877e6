//! The key file of a machine that only deposits: what it signs and shows with, where it seals to, and nothing that opens.
//!
//! ```text
//! file = header of a key file, magic "shkd" | commitment | AES-256-GCM(body) | tag | SHA-256 of everything before
//! body = device seed:32 | TLS key:var | TLS certificate:var | KEM:u8 | 0:u8 x 3 | deposit key:var | vault:16 | vault key |
//!        bucket:var | prefix:var | policy:16 | chunk bytes:u32 | codec:u8 | 0:u8 x 3
//! ```

use super::{Argon2Params, COMMIT_LEN, DER_BYTES_MAX, HEADER_LEN, MAGIC_DEPOSIT, RawKeyFile, VERSION};
use crate::deposits::{DepositKey, DepositTerms, depositor};
use crate::seal::{self, AwsLc};
use crate::secret::{self, SecretKey};
use crate::tls::TlsIdentity;
use crate::{Error, Keyring, Result, derive};
use shosoin_protocol::act::ShareKem;
use shosoin_protocol::codec::{Reader, Writer};
use shosoin_protocol::limits::{BUCKET_BYTES_MAX, NAME_BYTES_MAX, SHARE_ENCAPSULATED_BYTES_MAX};
use shosoin_protocol::policy::DepositPolicy;
use shosoin_protocol::sign::PublicKey;
use shosoin_protocol::suite::sha256;
use shosoin_protocol::{HospitalId, Suite, VaultId};
use zeroize::Zeroizing;

/// Whether these are the bytes of such a key file.
pub fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC_DEPOSIT)
}

/// The bytes of the key file of `machine`, which only deposits.
pub fn seal(machine: &Keyring, terms: &DepositTerms, passphrase: &[u8], params: Argon2Params) -> Result<Vec<u8>> {
    let Some(to) = machine.deposits_to() else { return Err(Error::Bug { what: "key file of another machine" }) };
    if passphrase.is_empty() {
        return Err(Error::EmptyPassphrase);
    }
    let (params, salt) = (params.check()?, secret::random()?);
    let secret = params.stretch(passphrase, &salt, None)?;
    let mut aad = Writer::with_capacity(HEADER_LEN + COMMIT_LEN);
    aad.put(&MAGIC_DEPOSIT).u8(VERSION).u8(machine.suite().code()).zeros(2).put(&machine.hospital().0);
    aad.u32(params.memory_kib).u32(params.passes).u32(params.lanes).put(&salt);
    aad.put(&derive::commitment(&secret));
    let body = encode(machine, to, terms);
    let mut file = seal::seal_after::<AwsLc>(&secret, &aad.finish(), &body, &[])?;
    let digest = sha256(&[&file]);
    file.extend_from_slice(&digest.0);
    Ok(file)
}

/// Opens such a key file.
pub fn open(bytes: &[u8], passphrase: &[u8]) -> Result<(Keyring, DepositTerms)> {
    let raw = RawKeyFile::read(bytes)?;
    if !is_one(bytes) {
        return Err(Error::ForeignKeyFile);
    }
    let secret = raw.params.check()?.stretch(passphrase, &raw.salt, None)?;
    seal::check_commitment("key file", &secret, &raw.commit).map_err(|_| Error::WrongPassphrase)?;
    let mut body = Zeroizing::new(Vec::new());
    seal::open_after::<AwsLc>("key file", &secret, raw.aad, raw.sealed, &mut body)
        .map_err(|_| Error::DamagedKeyFile { why: "its sealed part does not verify" })?;
    decode(raw.suite, raw.hospital, &body)
}

fn encode(machine: &Keyring, to: &DepositKey, terms: &DepositTerms) -> Zeroizing<Vec<u8>> {
    let secrets = machine.secrets();
    let mut out = Writer::with_capacity(4096);
    out.put(secrets.device_seed.as_bytes()).var(&secrets.tls.key_der).var(&secrets.tls.certificate_der);
    out.u8(to.kem.code()).zeros(3).var(&to.key).put(&terms.vault.0);
    terms.vault_key.write(&mut out);
    out.var(terms.bucket.as_bytes()).var(terms.prefix.as_bytes());
    terms.policy.write(&mut out);
    out.u32(terms.chunk_plain_bytes).u8(terms.codec).zeros(3);
    Zeroizing::new(out.finish())
}

fn decode(suite: Suite, hospital: HospitalId, body: &[u8]) -> Result<(Keyring, DepositTerms)> {
    let damaged = |_| Error::DamagedKeyFile { why: "its content does not have the form it must have" };
    let mut reader = Reader::new(body, "key file body");
    let device_seed = reader.array("device seed").map(SecretKey::new).map_err(damaged)?;
    let key_der = Zeroizing::new(reader.var(DER_BYTES_MAX, "TLS key").map_err(damaged)?.to_vec());
    let certificate_der = reader.var(DER_BYTES_MAX, "TLS certificate").map_err(damaged)?.to_vec();
    let (to, terms) = read_terms(&mut reader).map_err(damaged)?;
    reader.finish().map_err(damaged)?;
    let tls = TlsIdentity::from_der(key_der, certificate_der)?;
    Ok((depositor(suite, hospital, device_seed, tls, to)?, terms))
}

fn read_terms(reader: &mut Reader<'_>) -> shosoin_protocol::Result<(DepositKey, DepositTerms)> {
    let kem = ShareKem::from_code(reader.u8("KEM")?)?;
    reader.zeros(3, "reserved bytes")?;
    let key = reader.var(SHARE_ENCAPSULATED_BYTES_MAX, "deposit key")?.to_vec();
    let terms = DepositTerms {
        vault: VaultId::read(reader)?,
        vault_key: PublicKey::read(reader)?,
        bucket: reader.text(BUCKET_BYTES_MAX, "bucket")?,
        prefix: reader.text(NAME_BYTES_MAX, "prefix")?,
        policy: DepositPolicy::read(reader)?,
        chunk_plain_bytes: reader.u32("chunk bytes")?,
        codec: reader.u8("codec")?,
    };
    reader.zeros(3, "reserved bytes")?;
    Ok((DepositKey { kem, key }, terms))
}
