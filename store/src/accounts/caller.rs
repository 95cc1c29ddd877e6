//! Who asks for something: a user of this machine, as the system tells it, or somebody in a session of the console.

use super::account::OsUser;
use super::id::AccountId;
use super::request::Means;
use crate::actor;

/// Who asks. Nothing that a request says of itself makes one.
#[derive(Debug, Clone)]
pub struct Caller(pub(super) Who);

#[derive(Debug, Clone)]
pub(super) enum Who {
    /// users of this machine that the system names for one process, the most personal one first; never empty
    Users(Vec<OsUser>),
    /// a person whose log-on was checked
    Person(AccountId),
}

impl Caller {
    /// The user at the other end of a socket.
    pub fn user(uid: u32) -> Self {
        Caller(Who::Users(vec![OsUser { uid, name: actor::user(uid) }]))
    }

    /// The user of this process. Who logged on to the machine counts before who was switched to (7.6.14-ID-M3), if the system
    /// remembers it and that user has an account.
    pub fn this_process() -> Self {
        let uids = actor::login_uid().into_iter().chain(actor::process_uid());
        let users: Vec<OsUser> = uids.map(|uid| OsUser { uid, name: actor::user(uid) }).collect();
        match users.is_empty() {
            true => Caller(Who::Users(vec![OsUser { uid: u32::MAX, name: "unknown".to_owned() }])),
            false => Caller(Who::Users(users)),
        }
    }

    /// How an approval by this caller is made.
    pub(super) fn means(&self) -> Means {
        match self.0 {
            Who::Users(_) => Means::Socket,
            Who::Person(_) => Means::Console,
        }
    }

    /// The user that runs the process, where it is one.
    pub(super) fn os_user(&self) -> Option<&OsUser> {
        match &self.0 {
            Who::Users(users) => users.last(),
            Who::Person(_) => None,
        }
    }
}
