//! A file for each page and the actions on it.

pub(super) mod account;
pub(super) mod applicability;
pub(super) mod approvals;
pub(super) mod audit;
pub(super) mod forecast;
pub(super) mod incidents;
pub(super) mod jobs;
pub(super) mod ledger;
pub(super) mod log_on;
pub(super) mod overview;
pub(super) mod people;
pub(super) mod quarantine;
pub(super) mod reports;
pub(super) mod volumes;
