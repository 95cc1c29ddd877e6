//! The token of a key file: which module reaches it (`token.toml` in the hospital's folder), and opening it for a command.

use crate::error::{Error, Result};
use crate::files;
use crate::hospital::HospitalDir;
use crate::passphrase::PinArgs;
use serde::{Deserialize, Serialize};
use shosoin_client::durable;
use shosoin_keyring::hsm::{Module, Token};
use shosoin_keyring::keyfile::TokenPart;
use std::path::{Path, PathBuf};

/// Form of `token.toml` that this release reads.
const FORM: u32 = 1;

/// `token.toml`: unknown fields are refused.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// form of this file
    form: u32,
    /// the PKCS#11 module
    module: PathBuf,
}

impl TokenConfig {
    /// Names the module at `path`, wherever a later command is run.
    pub fn of(path: &Path) -> Result<Self> {
        Ok(TokenConfig { form: FORM, module: std::path::absolute(path).map_err(Error::file("find", path))? })
    }

    fn path(dir: &HospitalDir) -> PathBuf {
        dir.root().join("token.toml")
    }

    /// Puts it into the hospital's folder.
    pub fn store(&self, dir: &HospitalDir) -> Result<()> {
        let (path, text) = (Self::path(dir), toml::to_string(self));
        let text = text.map_err(|error| Error::invalid("token.toml", error.to_string()))?;
        durable::replace(&path, text.as_bytes()).map_err(Error::file("replace", path))
    }

    fn load(dir: &HospitalDir) -> Result<Self> {
        let path = Self::path(dir);
        let refuse = |why: String| Error::invalid(path.display().to_string(), why);
        let Some(bytes) = files::read(&path)? else {
            return Err(refuse(
                "it is missing: it says `form = 1` and `module = \"FILE\"`, the token's PKCS#11 module".to_owned(),
            ));
        };
        let text = String::from_utf8(bytes).map_err(|_| refuse("it is not text".to_owned()))?;
        let config: TokenConfig = toml::from_str(&text).map_err(|error| refuse(error.message().to_owned()))?;
        match config.form {
            FORM => Ok(config),
            form => Err(refuse(format!("its form is {form}, this release reads form {FORM}"))),
        }
    }
}

/// Opens the token that a key file names. The PIN is asked for only once the token is there.
pub fn open(dir: &HospitalDir, pin: &PinArgs, part: &TokenPart) -> Result<Token> {
    let failed = || Error::key_file("open", dir.keyring());
    let module = Module::load(&TokenConfig::load(dir)?.module).map_err(failed())?;
    let facts = module.find_of(part).map_err(failed())?;
    module.log_in(facts, pin.read()?.as_bytes()).map_err(failed())
}
