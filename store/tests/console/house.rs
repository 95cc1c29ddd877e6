//! A vault with people, and its console.

use super::browser::{Answer, Browser};
use super::common::{NOW_MS, Site};
use shosoin_store::accounts::{AccountId, Caller, Change, Hours, OsUser, Role, Roles};
use shosoin_store::audit::{Action, AuditQuery, AuditRecord};
use shosoin_store::console::Console;
use shosoin_store::{IndexKind, Vault, actor};
use shosoin_tiers::Clock as _;
use std::net::SocketAddr;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const PASSWORD: &str = "tr4ctor-blue";
pub const MINUTE: u64 = 60_000;

pub struct House {
    pub site: Site,
    pub vault: Vault,
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl House {
    /// With an administrator, who is the user of this process, and a console.
    pub async fn new() -> House {
        House::changed(|_| {}).await
    }

    /// The same, with `vault.toml` changed before it is opened.
    pub async fn changed(change: impl FnOnce(&mut shosoin_store::Config)) -> House {
        let site = Site::on_disk(IndexKind::Memory).await;
        let mut config = shosoin_store::Config::load(&site.path()).unwrap();
        change(&mut config);
        let folder = shosoin_tiers::media::FileMedia::open(&site.path(), Default::default()).unwrap();
        config.save(&folder, &site.path()).unwrap();
        drop(folder);
        let vault = site.open().await;
        let uid = actor::process_uid().unwrap();
        let change = Change::Add {
            id: id("chief"),
            name: String::new(),
            roles: Roles::of(&[Role::Admin]).unwrap(),
            os_user: Some(OsUser { uid, name: actor::user(uid) }),
            hours: Hours::default(),
        };
        vault.accounts().propose(&Caller::this_process(), change, "").unwrap();
        let console = Console::bind(&vault, "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = console.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(console.run(async { stopped.await.unwrap_or_default() }));
        House { site, vault, address, stop, running }
    }

    pub fn browser(&self) -> Browser {
        Browser::at(self.address)
    }

    /// A new person, with a first password that is given back.
    pub fn invite(&self, name: &str, roles: &[Role]) -> String {
        let roles = Roles::of(roles).unwrap();
        let change = Change::Add { id: id(name), name: String::new(), roles, os_user: None, hours: Hours::default() };
        let chief = Caller::this_process();
        self.vault.accounts().propose(&chief, change, "").unwrap();
        self.vault.accounts().give_first_password(&chief, &id(name)).unwrap().to_string()
    }

    /// A person who has been through the first steps, logged on.
    pub async fn person(&self, name: &str, roles: &[Role]) -> Browser {
        let first = self.invite(name, roles);
        let mut browser = self.browser();
        assert_eq!(self.log_on(&mut browser, name, &first, "").await.header("location"), "/account");
        browser.get("/account").await;
        let chosen = [("old", first.as_str()), ("new", PASSWORD), ("again", PASSWORD)];
        assert_eq!(browser.post("/account/password", &chosen).await.header("location"), "/account?done=password");
        assert_eq!(browser.post("/account/second-factor", &[]).await.status, 200);
        let code = self.code(name);
        let proved = browser.post("/account/second-factor/prove", &[("code", &code)]).await;
        assert_eq!(proved.header("location"), "/account?done=factor");
        self.later(MINUTE); // the code of this half minute is used up
        browser
    }

    pub async fn log_on(&self, browser: &mut Browser, name: &str, password: &str, code: &str) -> Answer {
        browser.get("/log-on").await;
        browser.post("/log-on", &[("id", name), ("password", password), ("code", code)]).await
    }

    /// The code that this person's authenticator shows now.
    pub fn code(&self, name: &str) -> String {
        let factor = self.vault.accounts().get(&id(name)).unwrap().second_factor.unwrap();
        factor.code(self.site.clock.now_ms() / 30_000).to_string()
    }

    pub fn later(&self, ms: u64) {
        self.site.clock.advance(ms);
    }

    pub fn records(&self, action: Action) -> Vec<AuditRecord> {
        let query = AuditQuery { actions: vec![action], since_ms: Some(NOW_MS), ..AuditQuery::default() };
        self.vault.audit().read(&query).unwrap()
    }

    pub async fn end(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
        self.vault.close().await.unwrap();
    }
}

pub fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}
