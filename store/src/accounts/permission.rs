//! Permissions: what each role may do, and which one each command and each page of the console asks for.
//!
//! Invariants
//! - Every command of the operator and every page has exactly one row in [`TABLE`]. What has none is refused to everybody.
//! - A permission says which roles have it here and nowhere else.

use super::role::Role;
use crate::audit::vocabulary::vocabulary;

vocabulary! {
    /// What somebody may do.
    Permission: u8, "permission" {
        /// see the state of vault and jobs
        SeeStatus = 1 "see-status",
        /// look at media and what becomes of them
        ReadMedia = 2 "read-media",
        /// add, label, move, test media
        ChangeMedia = 3 "change-media",
        /// start and stop jobs
        RunJobs = 4 "run-jobs",
        /// have the vault compared with itself
        Verify = 5 "verify",
        /// let a hospital in
        EnrolHospital = 6 "enrol-hospital",
        /// read the asset ledger
        ReadAssets = 7 "read-assets",
        /// sign what was received and what is held
        Reconcile = 8 "reconcile",
        /// read and verify the audit log
        ReadAudit = 9 "read-audit",
        /// say that the clock is right
        ConfirmClock = 10 "confirm-clock",
        /// measure the statement of applicability
        Statement = 11 "statement",
        /// ask for rights of people, and carry out what was agreed
        ManageAccounts = 12 "manage-accounts",
        /// stop a person at once
        StopAccounts = 13 "stop-accounts",
        /// see who may do what, and review it
        ReadAccounts = 14 "read-accounts",
        /// look after one's own account, and ask for an emergency
        OwnAccount = 15 "own-account",
        /// agree to rights and emergencies
        ApproveRights = 16 "approve-rights",
        /// carry out disposals that were ordered
        RunDisposal = 17 "run-disposal",
        /// agree to disposals
        ApproveDisposal = 18 "approve-disposal",
        /// look at quarantine and ask for its release
        Quarantine = 19 "quarantine",
        /// ask for what a second person must agree to
        RequestWork = 20 "request-work",
        /// be that second person
        ApproveWork = 21 "approve-work",
        /// make and read reports, incidents and notifications
        Hospitals = 22 "hospitals",
        /// write packages of hospitals, and take hospitals over
        HandOver = 23 "hand-over",
        /// draft and read agreements
        ReadAgreements = 24 "read-agreements",
        /// see orders of disposal, and hand agreement to them in
        SeeDisposals = 25 "see-disposals",
        /// say which machines there are, and which may be connected
        ManageMachines = 26 "manage-machines",
        /// say that a machine was looked at
        CheckMachines = 27 "check-machines",
        /// register changes of the service
        RegisterChanges = 28 "register-changes",
    }
}

impl Permission {
    /// The roles that have it.
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Admin, Auditor, DisposalApprover, Keeper, Media};
        match self {
            Permission::SeeStatus | Permission::OwnAccount => &[Keeper, Media, DisposalApprover, Auditor, Admin],
            Permission::ReadMedia | Permission::Verify => &[Keeper, Media, Auditor],
            Permission::ChangeMedia => &[Media],
            Permission::ManageMachines | Permission::RegisterChanges => &[Admin],
            Permission::CheckMachines => &[Keeper, Media],
            Permission::RunJobs | Permission::RequestWork => &[Keeper, Media],
            Permission::EnrolHospital | Permission::ManageAccounts => &[Admin],
            Permission::SeeDisposals => &[Keeper, DisposalApprover, Auditor],
            Permission::ReadAssets | Permission::Reconcile | Permission::Hospitals => &[Keeper, Auditor],
            Permission::ReadAudit | Permission::ConfirmClock | Permission::StopAccounts => &[Auditor, Admin],
            Permission::ReadAccounts | Permission::ApproveRights => &[Auditor, Admin],
            Permission::Statement | Permission::ReadAgreements => &[Keeper, Auditor, Admin],
            Permission::RunDisposal | Permission::Quarantine | Permission::HandOver => &[Keeper],
            Permission::ApproveDisposal => &[DisposalApprover],
            Permission::ApproveWork => &[Keeper, Media, Auditor, Admin],
        }
    }
}

/// Which permission each command of the operator and each page of the console asks for. Pages begin with `/`.
pub const TABLE: &[(&str, Permission)] = &[
    ("vault status", Permission::SeeStatus),
    ("vault check", Permission::Verify),
    ("vault rebuild", Permission::RunJobs),
    ("volume list", Permission::ReadMedia),
    ("volume show", Permission::ReadMedia),
    ("volume what-if", Permission::ReadMedia),
    ("forecast", Permission::ReadMedia),
    ("volume add", Permission::ChangeMedia),
    ("volume label", Permission::ChangeMedia),
    ("volume set-state", Permission::ChangeMedia),
    ("volume test", Permission::ChangeMedia),
    ("volume stocktake", Permission::ChangeMedia),
    ("audit verify", Permission::ReadAudit),
    ("audit show", Permission::ReadAudit),
    ("audit export", Permission::ReadAudit),
    ("audit confirm-clock", Permission::ConfirmClock),
    ("assets list", Permission::ReadAssets),
    ("assets show", Permission::ReadAssets),
    ("assets export", Permission::ReadAssets),
    ("reconcile sign", Permission::Reconcile),
    ("dispose due", Permission::SeeDisposals),
    ("dispose status", Permission::SeeDisposals),
    ("dispose approve", Permission::SeeDisposals),
    ("dispose run", Permission::RunDisposal),
    ("dispose certificate", Permission::SeeDisposals),
    ("applicability", Permission::Statement),
    ("hospital enrol", Permission::EnrolHospital),
    ("notify status", Permission::Hospitals),
    ("notify try", Permission::Hospitals),
    ("report make", Permission::Hospitals),
    ("report show", Permission::Hospitals),
    ("report list", Permission::Hospitals),
    ("/reports", Permission::Hospitals),
    ("/reports/{hospital}/{month}", Permission::Hospitals),
    ("incident state", Permission::Hospitals),
    ("incident list", Permission::Hospitals),
    ("agreement draft", Permission::ReadAgreements),
    ("agreement show", Permission::ReadAgreements),
    ("agreement sign", Permission::EnrolHospital),
    ("intake media list", Permission::SeeStatus),
    ("intake media announce", Permission::Hospitals),
    ("intake media receive", Permission::RunJobs),
    ("intake media take", Permission::RunJobs),
    ("intake media dispose", Permission::RunJobs),
    ("machine list", Permission::SeeStatus),
    ("machine show", Permission::SeeStatus),
    ("machine add", Permission::ManageMachines),
    ("machine change", Permission::ManageMachines),
    ("machine set-state", Permission::ManageMachines),
    ("machine check", Permission::CheckMachines),
    ("change list", Permission::SeeStatus),
    ("change show", Permission::SeeStatus),
    ("change add", Permission::RegisterChanges),
    ("quarantine list", Permission::Quarantine),
    ("quarantine show", Permission::Quarantine),
    ("quarantine release", Permission::Quarantine),
    ("transfer status", Permission::SeeStatus),
    ("transfer reopen", Permission::RequestWork),
    ("handover export", Permission::HandOver),
    ("handover import", Permission::HandOver),
    ("handover reopen", Permission::HandOver),
    ("handover status", Permission::HandOver),
    ("scrub", Permission::RunJobs),
    ("repair", Permission::RunJobs),
    ("copy-forward", Permission::RunJobs),
    ("migrate", Permission::RunJobs),
    ("compact", Permission::RunJobs),
    ("check", Permission::Verify),
    ("watcher", Permission::RunJobs),
    ("jobs", Permission::SeeStatus),
    ("/metrics", Permission::SeeStatus),
    ("account list", Permission::ReadAccounts),
    ("account show", Permission::ReadAccounts),
    ("account review", Permission::ReadAccounts),
    ("account add", Permission::ManageAccounts),
    ("account set-roles", Permission::ManageAccounts),
    ("account set-hours", Permission::ManageAccounts),
    ("account resume", Permission::ManageAccounts),
    ("account close", Permission::ManageAccounts),
    ("account map", Permission::ManageAccounts),
    ("account key", Permission::ManageAccounts),
    ("account password --first", Permission::ManageAccounts),
    ("account totp --forget", Permission::ManageAccounts),
    ("account suspend", Permission::StopAccounts),
    ("account whoami", Permission::OwnAccount),
    ("account password", Permission::OwnAccount),
    ("account totp", Permission::OwnAccount),
    ("account break-glass", Permission::OwnAccount),
    ("account requests", Permission::OwnAccount),
    ("account approve", Permission::OwnAccount),
    ("account turn-down", Permission::OwnAccount),
    ("jobs --cancel", Permission::RunJobs),
    ("/", Permission::SeeStatus),
    ("/account", Permission::OwnAccount),
    ("/account/break-glass", Permission::OwnAccount),
    ("/account/password", Permission::OwnAccount),
    ("/account/second-factor", Permission::OwnAccount),
    ("/account/second-factor/prove", Permission::OwnAccount),
    ("/applicability", Permission::Statement),
    ("/applicability/statement", Permission::Statement),
    ("/approvals", Permission::OwnAccount), // each request has a rule of its own
    ("/approvals/agree", Permission::OwnAccount),
    ("/approvals/refuse", Permission::OwnAccount),
    ("/audit", Permission::ReadAudit),
    ("/audit/verify", Permission::ReadAudit),
    ("/forecast", Permission::ReadMedia),
    ("/incidents", Permission::Hospitals),
    ("/jobs", Permission::SeeStatus),
    ("/jobs/progress", Permission::SeeStatus),
    ("/jobs/start", Permission::SeeStatus), // each job has a row of its own
    ("/jobs/stop", Permission::RunJobs),
    ("/jobs/{job}", Permission::SeeStatus),
    ("/ledger", Permission::ReadAssets),
    ("/ledger/{hospital}/{number}", Permission::ReadAssets),
    ("/people", Permission::ReadAccounts),
    ("/people/suspend", Permission::StopAccounts),
    ("/quarantine", Permission::Quarantine),
    ("/volumes", Permission::ReadMedia),
    ("/volumes/{volume}", Permission::ReadMedia),
];

/// Commands that no account is asked for: those that make or serve a vault, as a service does for whoever owns its folder, the
/// way out where the accounts file is not to be believed, which is the owner's, and those of a station, which has no vault.
pub const SERVICES: &[&str] =
    &["vault init", "vault serve", "account confirm-file", "intake media station", "intake media check"];

/// What a command or page asks for; `None` where it has no row, and nobody may.
pub fn asked_by(work: &str) -> Option<Permission> {
    TABLE.iter().find(|(name, _)| *name == work).map(|(_, permission)| *permission)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_there_once_and_every_permission_has_a_role_7_6_13_m5() {
        let names: BTreeSet<&str> = TABLE.iter().map(|(name, _)| *name).chain(SERVICES.iter().copied()).collect();
        assert_eq!(names.len(), TABLE.len() + SERVICES.len());
        assert!(Permission::ALL.iter().all(|permission| !permission.roles().is_empty()));
        assert_eq!(asked_by("volume destroy-everything"), None);
    }

    #[test]
    fn no_role_has_every_permission() {
        for role in Role::ALL {
            assert!(Permission::ALL.iter().any(|permission| !permission.roles().contains(role)), "{role}");
        }
    }
}
