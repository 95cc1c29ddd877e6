//! Reach: what somebody could do, from when until when, and everything the audit log says they did (7.7-M3). Whatever they were,
//! no operator can open a record: what they could do is to lose or alter sealed bytes, which scrubs, checks and proofs find.

use super::account::Account;
use super::permission::{Permission, TABLE};
use super::role::Roles;
use super::{AccountId, Accounts};
use crate::audit::{Action, AuditQuery, AuditRecord, Detail, Outcome};
use crate::error::Result;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Records that are listed; all are counted.
const RECORDS_LISTED: usize = 1000;

/// A time in which somebody had the same roles. Times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tenure {
    /// from when
    pub from_ms: u64,
    /// until when; missing where it goes on
    pub until_ms: Option<u64>,
    /// roles, what was granted for a while included
    pub roles: Roles,
    /// what they gave
    pub permissions: Vec<Permission>,
}

/// What somebody did, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Did {
    /// what
    pub action: Action,
    /// how it ended
    pub outcome: Outcome,
    /// how often
    pub count: u64,
    /// first
    pub first_ms: u64,
    /// last
    pub last_ms: u64,
}

/// Everything that somebody could reach, and did.
#[derive(Debug, Clone, Serialize)]
pub struct Reach {
    /// whose
    pub account: AccountId,
    /// roles over time
    pub tenures: Vec<Tenure>,
    /// commands and pages that any of them gave
    pub could: Vec<&'static str>,
    /// what they did, counted
    pub did: Vec<Did>,
    /// the newest records of it, oldest first
    pub records: Vec<AuditRecord>,
    /// records in all
    pub records_in_all: u64,
}

impl Accounts {
    /// What somebody could reach and did, from the whole audit log.
    pub fn reach(&self, account: &Account) -> Result<Reach> {
        let mut gathered = Gathered::default();
        let os_name = account.os_user.as_ref().map(|user| user.name.as_str());
        self.media.audit().for_each(&AuditQuery::default(), &mut |record| {
            gathered.take(record, &account.id, os_name);
        })?;
        let Gathered { tenures, did, records, in_all, .. } = gathered;
        let permissions: Vec<Permission> = tenures.iter().flat_map(|tenure| tenure.permissions.clone()).collect();
        let could = TABLE.iter().filter(|(_, needs)| permissions.contains(needs)).map(|(work, _)| *work).collect();
        let did = did.into_iter().map(|((action, outcome), (count, first_ms, last_ms))| Did {
            action,
            outcome,
            count,
            first_ms,
            last_ms,
        });
        Ok(Reach {
            account: account.id.clone(),
            tenures,
            could,
            did: did.collect(),
            records: records.into(),
            records_in_all: in_all,
        })
    }
}

/// Roles give these.
pub(super) fn permissions(roles: Roles) -> Vec<Permission> {
    Permission::ALL.iter().copied().filter(|permission| roles.has_any(permission.roles())).collect()
}

#[derive(Default)]
struct Gathered {
    tenures: Vec<Tenure>,
    did: BTreeMap<(Action, Outcome), (u64, u64, u64)>,
    records: VecDeque<AuditRecord>,
    in_all: u64,
    /// whether there were accounts yet: before, people are in the log as users of the machine
    accounts: bool,
}

impl Gathered {
    fn take(&mut self, record: AuditRecord, id: &AccountId, os_name: Option<&str>) {
        let event = &record.event;
        if let Detail::Account { account, roles, .. } = &event.detail {
            self.accounts = true;
            if account == id.as_str() && self.tenures.last().is_none_or(|last| last.roles != *roles) {
                self.begin(*roles, event.at_ms);
            }
        }
        let theirs = event.actor == id.as_str() || (!self.accounts && Some(event.actor.as_str()) == os_name);
        if !theirs {
            return;
        }
        let counted = self.did.entry((event.action, event.outcome)).or_insert((0, event.at_ms, event.at_ms));
        (counted.0, counted.2) = (counted.0 + 1, event.at_ms);
        self.in_all += 1;
        self.records.push_back(record);
        if self.records.len() > RECORDS_LISTED {
            self.records.pop_front();
        }
    }

    fn begin(&mut self, roles: Roles, at_ms: u64) {
        if let Some(last) = self.tenures.last_mut() {
            last.until_ms = Some(at_ms);
        }
        self.tenures.push(Tenure { from_ms: at_ms, until_ms: None, roles, permissions: permissions(roles) });
    }
}
