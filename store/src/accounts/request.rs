//! The two-person rule: what one person asks for, and others agree to before it is done.
//!
//! Invariants
//! - Nobody agrees to their own request, to one about themselves, or twice.
//! - Who agrees must have the permission then, and still when it is done: an approval of somebody who was stopped since counts
//!   no more.
//! - A request is for one kind and one subject, lasts a while, and is done once.
//!
//! Source: guideline 7.6.13-M3, 7.6.14-LOGON-S4, 8.2-R6.

use super::change::Change;
use super::id::AccountId;
use super::moment::Moment;
use super::permission::Permission;
use crate::audit::vocabulary::vocabulary;
use serde::Serialize;
use shosoin_protocol::Digest;
use shosoin_tiers::life::DAY_MS;

/// Longest subject, in bytes: ids and codes, no free text.
pub const SUBJECT_BYTES_MAX: usize = 200;
/// People who agree to one request, at most.
pub const APPROVALS_MAX: usize = 8;

vocabulary! {
    /// What needs a second person.
    RequestKind: u16, "kind of request" {
        /// rights of people
        Rights = 1 "rights",
        /// more rights or other hours for a while
        BreakGlass = 2 "break-glass",
        /// the end of records
        Disposal = 3 "disposal",
        /// an edit of the asset ledger
        LedgerEdit = 4 "ledger-edit",
        /// letting something out of quarantine
        QuarantineRelease = 5 "quarantine-release",
        /// giving a medium or device away, or destroying it
        MediumRemoval = 6 "medium-removal",
        /// a key or certificate that others are measured by
        TrustAnchor = 7 "trust-anchor",
        /// communication with a hospital that was stopped goes on
        Reopening = 8 "reopening",
        /// a change of the service
        Change = 9 "change",
    }
}

/// Who asks for a kind, who agrees, and how long that may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// may ask
    pub asks: Permission,
    /// may agree
    pub agrees: Permission,
    /// people who must agree, besides the one who asked
    pub approvals: u8,
    /// days after which it is too old
    pub days: u64,
    /// whether one duty may hold both permissions: the rule of distinct persons keeps them apart then
    pub among_peers: bool,
}

impl RequestKind {
    /// Its rule.
    pub fn rule(self) -> Rule {
        use Permission as P;
        let rule = |asks, agrees| Rule { asks, agrees, approvals: 1, days: 7, among_peers: true };
        match self {
            RequestKind::Rights => rule(P::ManageAccounts, P::ApproveRights),
            RequestKind::BreakGlass => Rule { days: 1, ..rule(P::OwnAccount, P::ApproveRights) },
            RequestKind::Disposal => {
                let rule = rule(P::RunDisposal, P::ApproveDisposal);
                Rule { approvals: 2, days: 30, among_peers: false, ..rule }
            }
            RequestKind::LedgerEdit | RequestKind::Reopening => rule(P::RequestWork, P::ApproveWork),
            RequestKind::Change => rule(P::RegisterChanges, P::ApproveWork),
            RequestKind::QuarantineRelease => rule(P::Quarantine, P::ApproveWork),
            RequestKind::MediumRemoval => rule(P::ChangeMedia, P::ApproveWork),
            RequestKind::TrustAnchor => rule(P::EnrolHospital, P::ApproveRights),
        }
    }
}

vocabulary! {
    /// What became of a request.
    RequestState: u8, "state of a request" {
        /// it waits for people to agree
        Open = 1 "open",
        /// enough agreed; it waits to be done
        Approved = 2 "approved",
        /// it was done
        Used = 3 "used",
        /// somebody turned it down
        TurnedDown = 4 "turned-down",
        /// nobody agreed in time, or it was not done in time
        Expired = 5 "expired",
    }
}

/// How somebody agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// as a user of this machine, over the administration socket
    Socket,
    /// in a session of the console
    Console,
    /// by a signature made outside the vault
    Signature,
}

impl Means {
    /// Number on disk.
    pub(super) const fn code(self) -> u8 {
        match self {
            Means::Socket => 1,
            Means::Console => 2,
            Means::Signature => 3,
        }
    }

    pub(super) fn from_code(code: u8) -> shosoin_protocol::Result<Self> {
        let all = [Means::Socket, Means::Console, Means::Signature];
        let unknown = shosoin_protocol::Error::Invalid { what: "means of approval", why: "no such code" };
        all.into_iter().find(|means| means.code() == code).ok_or(unknown)
    }
}

/// One person's agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approval {
    /// who
    pub by: AccountId,
    /// when, in milliseconds since 1970
    pub at_ms: u64,
    /// how
    pub means: Means,
}

/// What somebody asked for. Times in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// its number, never used again
    pub number: u64,
    /// what it is about
    pub kind: RequestKind,
    /// on what: an id of the kind's own
    pub subject: String,
    /// digest of exactly what is agreed to; zeros where the subject says it all
    pub what: Digest,
    /// who asked
    pub requested_by: AccountId,
    /// when
    pub requested_ms: u64,
    /// too old from then on
    pub expires_ms: u64,
    /// who agreed
    pub approvals: Vec<Approval>,
    /// what became of it
    pub state: RequestState,
    /// when that was said
    pub state_ms: u64,
    /// change of accounts that is made when enough agreed
    pub change: Option<Change>,
    /// the account that it is about, if it is about one
    pub about: Option<AccountId>,
}

/// Why somebody cannot agree to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotApproved {
    /// it is their own
    OwnRequest,
    /// it is about themselves
    AboutThemselves,
    /// they agreed before
    Twice,
    /// it is no longer open
    NotOpen(RequestState),
    /// it is too old
    Expired,
}

impl std::fmt::Display for NotApproved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotApproved::OwnRequest => f.write_str("nobody agrees to their own request"),
            NotApproved::AboutThemselves => f.write_str("nobody agrees to a request about themselves"),
            NotApproved::Twice => f.write_str("one person agrees once"),
            NotApproved::NotOpen(state) => write!(f, "it is {state}"),
            NotApproved::Expired => f.write_str("it is too old; somebody must ask anew"),
        }
    }
}

impl ApprovalRequest {
    /// A request made now.
    pub fn new(number: u64, kind: RequestKind, subject: String, requested_by: AccountId, moment: &Moment) -> Self {
        let expires_ms = moment.ms().saturating_add(kind.rule().days * DAY_MS);
        let requested_ms = moment.ms();
        ApprovalRequest {
            number,
            kind,
            subject,
            what: Digest([0; 32]),
            requested_by,
            requested_ms,
            expires_ms,
            approvals: Vec::new(),
            state: RequestState::Open,
            state_ms: requested_ms,
            change: None,
            about: None,
        }
    }

    /// Whether it waits for somebody and is not too old.
    pub fn is_waiting(&self, moment: &Moment) -> bool {
        matches!(self.state, RequestState::Open | RequestState::Approved) && !moment.may_be_past(self.expires_ms)
    }

    /// Whether this person could agree now, their permission aside.
    pub fn can_be_approved_by(&self, by: &AccountId, moment: &Moment) -> Result<(), NotApproved> {
        if self.state != RequestState::Open {
            return Err(NotApproved::NotOpen(self.state));
        }
        if moment.may_be_past(self.expires_ms) {
            return Err(NotApproved::Expired);
        }
        if self.requested_by == *by {
            return Err(NotApproved::OwnRequest);
        }
        if self.about.as_ref() == Some(by) {
            return Err(NotApproved::AboutThemselves);
        }
        match self.approvals.iter().any(|approval| approval.by == *by) {
            true => Err(NotApproved::Twice),
            false => Ok(()),
        }
    }

    /// Notes that this person agreed; enough of them make it approved.
    pub(super) fn approve(&mut self, by: &AccountId, means: Means, moment: &Moment) {
        self.approvals.push(Approval { by: by.clone(), at_ms: moment.ms(), means });
        if self.approvals.len() >= usize::from(self.kind.rule().approvals) {
            self.end(RequestState::Approved, moment);
        }
    }

    /// Its state changes now.
    pub(super) fn end(&mut self, state: RequestState, moment: &Moment) {
        (self.state, self.state_ms) = (state, moment.ms());
    }
}

/// That enough people agreed, all of whom still may. Only the accounts give one, once for each request.
#[derive(Debug, PartialEq, Eq)]
pub struct Approved {
    pub(super) number: u64,
    pub(super) requested_by: AccountId,
    pub(super) by: Vec<AccountId>,
}

impl Approved {
    /// Number of the request.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Who asked.
    pub fn requested_by(&self) -> &AccountId {
        &self.requested_by
    }

    /// Who agreed.
    pub fn by(&self) -> &[AccountId] {
        &self.by
    }
}

#[cfg(test)]
mod tests {
    use super::super::role::{Role, Roles};
    use super::*;

    #[test]
    fn no_combination_of_roles_both_asks_and_agrees_but_among_peers() {
        let combinations = (0..32).filter_map(|bits| Roles::from_bits(bits).ok());
        for roles in combinations {
            for kind in RequestKind::ALL.iter().filter(|kind| !kind.rule().among_peers) {
                let rule = kind.rule();
                let both = roles.has_any(rule.asks.roles()) && roles.has_any(rule.agrees.roles());
                assert!(!both, "{roles} asks for {kind} and agrees to it");
            }
        }
    }

    /// T19: an absence of one of three must not stop what needs two.
    #[test]
    fn three_people_can_do_everything_and_agree_to_everything() {
        let people = [
            Roles::of(&[Role::Keeper, Role::Media]).unwrap(),
            Roles::of(&[Role::Admin, Role::DisposalApprover]).unwrap(),
            Roles::of(&[Role::Auditor, Role::DisposalApprover]).unwrap(),
        ];
        for permission in Permission::ALL {
            assert!(people.iter().any(|roles| roles.has_any(permission.roles())), "{permission}");
        }
        for kind in RequestKind::ALL {
            let rule = kind.rule();
            for (no, asks) in people.iter().enumerate().filter(|(_, roles)| roles.has_any(rule.asks.roles())) {
                let others = people
                    .iter()
                    .enumerate()
                    .filter(|(other, roles)| *other != no && roles.has_any(rule.agrees.roles()));
                assert!(others.count() >= usize::from(rule.approvals), "{kind} asked by {asks}");
            }
        }
    }
}
