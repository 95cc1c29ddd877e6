//! The two halves apart: a vault and hospitals that meet only over mutual TLS.

use super::{Done, Serving, arg, shosoin};
use std::path::PathBuf;
use tempfile::TempDir;

/// An operator's folder with a vault, and a hospital's with a keyring; nothing runs yet.
pub struct Halves {
    dir: TempDir,
    /// pin of the vault's TLS key
    pub pin: String,
}

impl Halves {
    /// Six volumes that share one device, 4+2.
    pub fn new() -> Halves {
        let halves = Halves { dir: tempfile::tempdir().unwrap(), pin: String::new() };
        let vault = halves.path("vault");
        let volumes: Vec<String> =
            (1..=6).map(|number| halves.path(&format!("m{number}")).display().to_string()).collect();
        let mut arguments = vec!["vault", "init", "--dir", arg(&vault), "--code", "4+2", "--demo", "--json"];
        volumes.iter().for_each(|volume| arguments.extend(["--volume", volume]));
        let pin = shosoin(&arguments).ok().json()["pin"].as_str().unwrap().to_owned();
        std::fs::write(halves.path("passphrase"), "correct horse").unwrap();
        Halves { pin, ..halves }
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Serves the vault on a free port.
    pub fn serve_vault(&self) -> Serving {
        Serving::start(&["vault", "serve", "--dir", arg(&self.path("vault")), "--listen", "127.0.0.1:0"])
    }

    /// Makes the keyring of hospital `name`; gives its fingerprint.
    pub fn make_hospital(&self, name: &str) -> String {
        let (dir, passphrase) = (self.path(name), self.path("passphrase"));
        let made = shosoin(&["keyring", "init", "--dir", arg(&dir), "--passphrase-file", arg(&passphrase), "--json"]);
        made.ok().json()["fingerprint"].as_str().unwrap().to_owned()
    }

    /// Enrols a hospital at the vault.
    pub fn enrol(&self, name: &str, how: &[&str]) -> Done {
        let (vault, file) = (self.path("vault"), self.path(name).join("enrolment"));
        shosoin(&[&["hospital", "enrol", "--dir", arg(&vault), arg(&file), "--json"], how].concat())
    }

    /// A command of hospital `name` against the vault at `url`.
    pub fn hospital(&self, name: &str, url: &str, command: &[&str]) -> Done {
        self.hospital_with_pin(name, url, &self.pin, command)
    }

    /// The same, expecting another vault.
    pub fn hospital_with_pin(&self, name: &str, url: &str, pin: &str, command: &[&str]) -> Done {
        let (dir, passphrase) = (self.path(name), self.path("passphrase"));
        let reach = ["--dir", arg(&dir), "--vault-url", url, "--vault-pin", pin];
        shosoin(&[command, &reach, &["--passphrase-file", arg(&passphrase), "--json"]].concat())
    }

    /// The vault takes nothing without an agreement from now on: as one that is no demonstration is made.
    pub fn require_agreements(&self) {
        let path = self.path("vault").join("vault.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, volumes) = text.split_at(text.find("[[volume]]").unwrap());
        std::fs::write(&path, format!("{before}[intake]\nagreement_required = true\n\n{volumes}")).unwrap();
    }
}
