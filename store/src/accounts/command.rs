//! The operator's commands about people, as values: a running vault takes them through its administration socket and a stopped
//! one in the process that asks.

use super::account::OsUser;
use super::caller::Caller;
use super::change::Change;
use super::hours::Hours;
use super::id::AccountId;
use super::rights::Proposed;
use super::role::{Role, Roles};
use super::two_person::Wants;
use super::view::RequestView;
use super::{Accounts, Mode, TotpHash};
use crate::actor;
use crate::error::{Error, Result};
use crate::jobs::window::Window;
use crate::vault::{Vault, blocking};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Something typed that nobody else is to see.
#[derive(Clone, Default)]
pub struct Typed(Zeroizing<String>);

impl Serialize for Typed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Typed(Zeroizing::new(text)))
    }
}

impl Typed {
    /// What was typed.
    pub fn new(text: Zeroizing<String>) -> Self {
        Typed(text)
    }
}

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Typed(..)")
    }
}

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AccountCommand {
    /// the caller's own account, and what they may do
    Whoami,
    /// everybody
    List,
    /// one account, with what it gives
    Show {
        /// whose
        id: AccountId,
    },
    /// a new account
    Add {
        /// whose
        id: AccountId,
        /// the person's name
        name: String,
        /// duties
        roles: Vec<Role>,
        /// user of this machine
        os_user: Option<String>,
        /// when the person may act; always, where there are none
        hours: Vec<Window>,
        /// why
        reason: String,
    },
    /// other duties
    SetRoles {
        /// whose
        id: AccountId,
        /// all of them
        roles: Vec<Role>,
        /// why
        reason: String,
    },
    /// other hours
    SetHours {
        /// whose
        id: AccountId,
        /// all of them; always, where there are none
        hours: Vec<Window>,
        /// why
        reason: String,
    },
    /// stop somebody at once
    Suspend {
        /// whom
        id: AccountId,
        /// why
        reason: String,
    },
    /// let somebody act again, or end a lock
    Resume {
        /// whom
        id: AccountId,
        /// why
        reason: String,
    },
    /// end an account for ever
    Close {
        /// whose
        id: AccountId,
        /// why
        reason: String,
    },
    /// another user of this machine, or none
    Map {
        /// whose
        id: AccountId,
        /// which
        os_user: Option<String>,
        /// why
        reason: String,
    },
    /// another key for approvals, or none
    Key {
        /// whose
        id: AccountId,
        /// which, in hex
        key: Option<String>,
        /// why
        reason: String,
    },
    /// choose a password of one's own
    Password {
        /// the one in use
        old: Typed,
        /// the one from now on
        new: Typed,
    },
    /// draw a first password for somebody
    FirstPassword {
        /// whom
        id: AccountId,
    },
    /// draw a second factor of one's own
    EnrolSecondFactor {
        /// how its codes are computed
        hash: TotpHash,
        /// a code of the one in use, if there is one
        code: String,
    },
    /// prove it by a code
    ProveSecondFactor {
        /// the code
        code: String,
    },
    /// somebody's second factor is forgotten
    ForgetSecondFactor {
        /// whose
        id: AccountId,
        /// why
        reason: String,
    },
    /// see who may do what, and say that it was looked at
    Review {
        /// remark; without one nothing is put on record
        reason: Option<String>,
    },
    /// verify what a stopped person could reach
    ReviewSuspended {
        /// who
        id: AccountId,
    },
    /// ask for more roles, or other hours, for a while
    BreakGlass {
        /// roles besides one's own
        roles: Vec<Role>,
        /// for how long
        minutes: u32,
        /// why
        reason: String,
    },
    /// requests that the caller may see
    Requests {
        /// ended ones too
        all: bool,
    },
    /// agree to a request
    Approve {
        /// which
        number: u64,
    },
    /// turn a request down, or take it back
    TurnDown {
        /// which
        number: u64,
        /// why
        reason: String,
    },
    /// the owner stands up for the accounts file
    ConfirmFile {
        /// why
        reason: String,
    },
}

impl Vault {
    /// Does what a command says, for `caller`, and answers in JSON. `serving` says that work may go on in the background.
    pub async fn account_command(&self, command: AccountCommand, caller: Caller, serving: bool) -> Result<Value> {
        match command {
            AccountCommand::ReviewSuspended { id } => Ok(json!(self.verify_suspicion(&caller, &id, serving).await?)),
            AccountCommand::Suspend { id, reason } => {
                let accounts = self.accounts().clone();
                blocking(move || accounts.suspend_and_tell(&caller, &id, &reason)).await
            }
            other => {
                let accounts = self.accounts().clone();
                blocking(move || run(&accounts, other, &caller)).await
            }
        }
    }
}

fn run(accounts: &Accounts, command: AccountCommand, caller: &Caller) -> Result<Value> {
    let done = || json!({ "done": true });
    Ok(match command {
        AccountCommand::Whoami => accounts.whoami(caller)?,
        AccountCommand::List => {
            accounts.admit(caller, "account list")?;
            let moment = accounts.now()?;
            let views: Vec<_> = accounts.list().iter().map(|account| accounts.view(account, &moment)).collect();
            json!({ "accounts": views, "rights_are_confirmed": accounts.rights_are_confirmed() })
        }
        AccountCommand::Show { id } => {
            accounts.admit(caller, "account show")?;
            let account = accounts.get(&id).ok_or_else(|| Error::NotFound { what: "account", id: id.to_string() })?;
            json!({ "account": accounts.view(&account, &accounts.now()?), "reach": accounts.reach(&account)? })
        }
        AccountCommand::Add { id, name, roles, os_user, hours, reason } => {
            let os_user = accounts.user_to_map(os_user, caller)?;
            let hours = hours_of(hours)?;
            let change = Change::Add { id, name, roles: Roles::of(&roles)?, os_user, hours };
            answer(&accounts.propose(caller, change, &reason)?)
        }
        AccountCommand::SetRoles { id, roles, reason } => {
            answer(&accounts.propose(caller, Change::SetRoles { id, roles: Roles::of(&roles)? }, &reason)?)
        }
        AccountCommand::SetHours { id, hours, reason } => {
            answer(&accounts.propose(caller, Change::SetHours { id, hours: hours_of(hours)? }, &reason)?)
        }
        AccountCommand::Resume { id, reason } => answer(&accounts.propose(caller, Change::Resume { id }, &reason)?),
        AccountCommand::Map { id, os_user, reason } => {
            let os_user = os_user.map(|name| os_user_called(&name)).transpose()?;
            answer(&accounts.propose(caller, Change::Map { id, os_user }, &reason)?)
        }
        AccountCommand::Key { id, key, reason } => {
            let wrong = |error: shosoin_protocol::Error| Error::Argument { what: "key", why: error.to_string() };
            let key = key.map(|text| text.parse().map_err(wrong)).transpose()?;
            answer(&accounts.propose(caller, Change::SetKey { id, key }, &reason)?)
        }
        AccountCommand::ForgetSecondFactor { id, reason } => {
            answer(&accounts.propose(caller, Change::ForgetSecondFactor { id }, &reason)?)
        }
        AccountCommand::BreakGlass { roles, minutes, reason } => {
            let id = accounts.own_id(caller)?;
            let change = Change::BreakGlass { id, roles: Roles::of(&roles)?, minutes };
            answer(&accounts.propose(caller, change, &reason)?)
        }
        AccountCommand::Close { id, reason } => accounts.close(caller, &id, &reason).map(|()| done())?,
        AccountCommand::Password { old, new } => accounts.change_password(caller, &old.0, &new.0).map(|()| done())?,
        AccountCommand::FirstPassword { id } => {
            json!({ "id": id, "first_password": *accounts.give_first_password(caller, &id)? })
        }
        AccountCommand::EnrolSecondFactor { hash, code } => {
            json!({ "uri": *accounts.enrol_second_factor(caller, hash, &code)? })
        }
        AccountCommand::ProveSecondFactor { code } => accounts.prove_second_factor(caller, &code).map(|()| done())?,
        AccountCommand::Review { reason } => json!(accounts.review(caller, reason.as_deref())?),
        AccountCommand::Requests { all } => json!({ "requests": accounts.requests_for(caller, all)? }),
        AccountCommand::Approve { number } => json!(RequestView::from(&accounts.approve(caller, number)?)),
        AccountCommand::TurnDown { number, reason } => {
            json!(RequestView::from(&accounts.turn_down(caller, number, &reason)?))
        }
        AccountCommand::ConfirmFile { reason } => accounts.confirm_file(caller, &reason).map(|()| done())?,
        AccountCommand::ReviewSuspended { .. } | AccountCommand::Suspend { .. } => {
            return Err(Error::Bug("a command about people took the wrong way"));
        }
    })
}

impl Accounts {
    fn whoami(&self, caller: &Caller) -> Result<Value> {
        let admitted = self.admit(caller, "account whoami")?;
        let moment = self.now()?;
        let account = admitted.account.and_then(|id| self.get(&id));
        let permissions = account.as_ref().map(|account| super::reach::permissions(account.roles));
        let view = account.map(|account| self.view(&account, &moment));
        Ok(json!({ "actor": admitted.actor, "account": view, "permissions": permissions }))
    }

    /// Stops somebody, and gives everything they could reach.
    fn suspend_and_tell(&self, caller: &Caller, id: &AccountId, reason: &str) -> Result<Value> {
        self.suspend(caller, id, reason)?;
        let account = self.get(id).ok_or(Error::Bug("an account vanished"))?;
        Ok(json!({ "id": id, "state": account.standing, "reach": self.reach(&account)? }))
    }

    /// The id of who calls.
    fn own_id(&self, caller: &Caller) -> Result<AccountId> {
        let moment = self.now()?;
        let kind = super::RequestKind::BreakGlass;
        self.person(&mut self.state.lock(), caller, Wants::to_ask(kind, "account break-glass"), &moment)
    }

    fn requests_for(&self, caller: &Caller, all: bool) -> Result<Vec<RequestView>> {
        let moment = self.now()?;
        let mut state = self.state.lock();
        let by = self.person(&mut state, caller, Wants::to("account requests"), &moment)?;
        let account = super::rights::account(&state.book, &by)?;
        let wanted = state.book.requests.values().filter(|request| all || request.is_waiting(&moment));
        Ok(wanted.filter(|request| self.may_see(account, request)).map(RequestView::from).collect())
    }

    /// The user that a new account is to be. The very first account is whoever makes it, unless they say somebody else.
    fn user_to_map(&self, name: Option<String>, caller: &Caller) -> Result<Option<OsUser>> {
        match name {
            Some(name) => os_user_called(&name).map(Some),
            None if self.mode() == Mode::NoAccounts => Ok(caller.os_user().cloned()),
            None => Ok(None),
        }
    }
}

/// A user of this machine by name.
fn os_user_called(name: &str) -> Result<OsUser> {
    let unknown = || Error::NotFound { what: "user of this machine called", id: name.to_owned() };
    let uid = actor::uid_of(name).ok_or_else(unknown)?;
    Ok(OsUser { uid, name: actor::user(uid) })
}

fn hours_of(windows: Vec<Window>) -> Result<Hours> {
    Hours::of(windows).map_err(|why| Error::Argument { what: "hours", why })
}

fn answer(proposed: &Proposed) -> Value {
    match proposed {
        Proposed::Done => json!({ "done": true }),
        Proposed::Waiting(number) => json!({ "done": false, "request": number }),
    }
}
