//! Certificates, signatures and timestamps that OpenSSL makes, so that what is verified here was written by others.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A certificate that is good for many years.
pub const GOOD: (&str, &str) = ("20250101000000Z", "20450101000000Z");
/// One that had ended.
pub const ENDED: (&str, &str) = ("20200101000000Z", "20210101000000Z");
/// One that has not begun.
pub const TO_COME: (&str, &str) = ("20400101000000Z", "20450101000000Z");

/// A folder with an authority that issues certificates, and a timestamping authority.
pub struct OpenSsl {
    dir: tempfile::TempDir,
}

const CONFIG: &str = r"
[req]
distinguished_name = dn
prompt = no
[dn]
CN = to be given
[ca]
default_ca = issuer
[issuer]
dir = .
database = index.txt
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[tsa]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[signer]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,nonRepudiation
extendedKeyUsage = emailProtection
subjectKeyIdentifier = hash
[server]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = serverAuth
[authority]
serial = tsaserial
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
signer_digest = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
";

impl OpenSsl {
    /// A new root, by the name.
    pub fn new(name: &str) -> OpenSsl {
        let made = OpenSsl { dir: tempfile::tempdir().unwrap() };
        made.write("openssl.cnf", CONFIG.as_bytes());
        made.write("index.txt", b"");
        made.write("serial", b"01\n");
        made.write("tsaserial", b"01\n");
        let subject = format!("/CN={name}");
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key"];
        let more =
            ["-out", "ca.pem", "-days", "9000", "-subj", &subject, "-extensions", "root", "-config", "openssl.cnf"];
        made.run(&[&["req", "-x509"][..], &key, &more].concat());
        made
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs `openssl` in the folder; it must succeed.
    pub fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let done = Command::new("openssl").args(arguments).current_dir(self.dir.path()).output().unwrap();
        assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// Issues `name.pem` with `name.key`, from a section of extensions and a validity.
    pub fn issue(&self, name: &str, extensions: &str, algorithm: &[&str], (from, until): (&str, &str)) {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let subject = format!("/CN={name}");
        let common = ["-nodes", "-keyout", &key, "-out", &request, "-subj", &subject, "-config", "openssl.cnf"];
        self.run(&[&["req", "-new", "-newkey"][..], algorithm, &common].concat());
        let ca = ["ca", "-batch", "-notext", "-config", "openssl.cnf", "-in", &request, "-out", &certificate];
        self.run(&[&ca[..], &["-extensions", extensions, "-startdate", from, "-enddate", until]].concat());
    }

    /// The same with a P-256 key.
    pub fn issue_ec(&self, name: &str, extensions: &str, validity: (&str, &str)) {
        self.issue(name, extensions, &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], validity);
    }

    /// SHA-256 of a certificate, as people are told it.
    pub fn fingerprint(&self, name: &str) -> String {
        let text = self.run(&["x509", "-in", &format!("{name}.pem"), "-noout", "-fingerprint", "-sha256"]);
        String::from_utf8(text).unwrap().trim().rsplit('=').next().unwrap().to_owned()
    }

    /// The answer of OpenSSL's timestamping authority to a query, signed by `signer`.
    pub fn answer(&self, signer: &str, query: &[u8]) -> Vec<u8> {
        self.write("query.tsq", query);
        let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let reply = ["ts", "-reply", "-config", "openssl.cnf", "-section", "authority", "-queryfile", "query.tsq"];
        self.run(&[&reply[..], &["-signer", &certificate, "-inkey", &key, "-out", "answer.tsr"]].concat());
        self.read("answer.tsr")
    }

    /// An answer like another one, after `change` was at what it says, signed by `signer` whatever its certificate is for.
    pub fn changed_answer(&self, signer: &str, answer: &[u8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        self.write("token.tsr", answer);
        self.run(&["ts", "-reply", "-in", "token.tsr", "-token_out", "-out", "token.der"]);
        self.run(&["cms", "-verify", "-noverify", "-inform", "DER", "-in", "token.der", "-out", "said.der"]);
        let mut said = self.read("said.der");
        change(&mut said);
        self.write("said.der", &said);
        let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let kind = ["-econtent_type", "1.2.840.113549.1.9.16.1.4", "-outform", "DER", "-out", "token.der"];
        let sign = ["cms", "-sign", "-nodetach", "-binary", "-cades", "-md", "sha256", "-in", "said.der"];
        self.run(&[&sign[..], &["-signer", &certificate, "-inkey", &key], &kind].concat());
        let token = self.read("token.der");
        [sequence_header(token.len() + 5), vec![0x30, 3, 2, 1, 0], token].concat()
    }

    /// A detached signature of a file, in DER.
    pub fn sign(&self, signer: &str, content: &Path, more: &[&str]) -> Vec<u8> {
        let (certificate, key, content) = (format!("{signer}.pem"), format!("{signer}.key"), content.to_str().unwrap());
        let sign = ["cms", "-sign", "-binary", "-in", content, "-signer", &certificate, "-inkey", &key];
        self.run(&[&sign[..], &["-outform", "DER", "-out", "signature.p7s"], more].concat());
        self.read("signature.p7s")
    }
}

/// Tag and length of a DER sequence.
fn sequence_header(len: usize) -> Vec<u8> {
    let bytes = u16::try_from(len).unwrap().to_be_bytes();
    match bytes {
        [0, low @ 0..128] => vec![0x30, low],
        [0, low] => vec![0x30, 0x81, low],
        [high, low] => vec![0x30, 0x82, high, low],
    }
}

/// Replaces the time that a timestamp says.
pub fn set_time(said: &mut [u8], time: &str) {
    let at = said.windows(2).position(|two| two == [0x18, 15]).unwrap() + 2;
    said[at..at + 15].copy_from_slice(time.as_bytes());
}
