//! Making a vault: volumes, configuration, keys. The key file comes last: where it is, all is, and where it is not,
//! making the vault again picks up what is there.

use crate::accounts::AccountsConfig;
use crate::assets::AssetsConfig;
use crate::changes::ChangesConfig;
use crate::config::{AuditConfig, Config, FORM, IntakeConfig, VolumeSpec};
use crate::console::ConsoleConfig;
use crate::disposal::DisposalConfig;
use crate::error::{Error, Result};
use crate::identity::{self, Identity};
use crate::jobs::{JobsConfig, MetricsConfig};
use crate::machines::MachinesConfig;
use crate::network::NetworkConfig;
use crate::open::{lock, make_dir};
use crate::stores::Stores;
use crate::time_sync::TimeConfig;
use crate::vault::InitOptions;
use shosoin_protocol::{VaultId, VolumeId};
use shosoin_tiers::layout::SEGMENTS;
use shosoin_tiers::media::Media;
use shosoin_tiers::volume::{MediaClass, TierKind};
use shosoin_tiers::{Clock, Error as MediaError, Random, SystemClock, SystemRandom, Volume, VolumeLabel};
use std::path::Path;
use std::sync::Arc;

/// Makes a vault in `dir`.
pub fn init(dir: &Path, options: &InitOptions) -> Result<()> {
    make_dir(dir)?;
    let folder = lock(dir)?;
    if identity::exists(&folder)? {
        return Err(Error::Exists { path: dir.to_owned() });
    }
    let vault = VaultId(draw()?);
    let config = Config {
        form: FORM,
        vault: vault.to_string(),
        listen: options.listen,
        code: options.code.to_string(),
        demo: options.demo,
        index: options.index,
        assets: AssetsConfig::default(),
        disposal: DisposalConfig::at_first(options.demo),
        accounts: AccountsConfig::default(),
        intake: IntakeConfig { agreement_required: !options.demo, ..IntakeConfig::default() },
        audit: AuditConfig::default(),
        notify: Vec::new(),
        console: ConsoleConfig::default(),
        changes: ChangesConfig::default(),
        machines: MachinesConfig::default(),
        jobs: JobsConfig::default(),
        network: NetworkConfig::default(),
        time: TimeConfig::default(),
        metrics: MetricsConfig::default(),
        volumes: options.volumes.clone(),
        migrate: Vec::new(),
    };
    let stores = Stores::new(dir);
    for spec in &config.volumes {
        if spec.url.is_none() {
            make_dir(&stores.folder(spec))?;
        }
        label(stores.media(spec)?, spec, options.demo)?;
    }
    config.save(&folder, dir)?;
    Identity::create(&folder, vault, &SystemRandom)
}

/// Security label of volumes that are made with a vault: it says that nobody has chosen one yet (7.6.7-M8).
pub const SECURITY_LABEL_DEFAULT: &str = "sealed medical records (default of init)";

/// Labels a volume. One that is labelled already is taken if nothing was ever stored on it.
fn label(media: Arc<dyn Media>, spec: &VolumeSpec, demo: bool) -> Result<()> {
    let (tier, class) = match spec.url {
        None => (TierKind::Hot, MediaClass::Ssd),
        Some(_) => (TierKind::Archive, MediaClass::Cloud),
    };
    let mut label = VolumeLabel::new(VolumeId(draw()?), tier, class, SystemClock.now_ms());
    label.demo = demo;
    label.security_label = SECURITY_LABEL_DEFAULT.to_owned();
    label.domains = spec.domains.clone().into();
    match Volume::create(media.clone(), label) {
        Err(MediaError::VolumeExists { .. }) if media.list(SEGMENTS)?.is_empty() => Ok(()),
        created => Ok(created.map(drop)?),
    }
}

fn draw() -> Result<[u8; 16]> {
    let mut id = [0; 16];
    SystemRandom.fill(&mut id)?;
    Ok(id)
}
