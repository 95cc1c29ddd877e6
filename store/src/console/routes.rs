//! Which page is where, and how far somebody must have come to see it.

use super::gate::gate;
use super::pages::{
    account, applicability, approvals, audit, forecast, incidents, jobs, ledger, log_on, overview, people, quarantine,
    reports, volumes,
};
use super::{Front, page, reply};
use axum::Router;
use axum::extract::Extension;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::StatusCode;
use std::sync::Arc;

/// How far somebody must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// nowhere: the log-on form
    Open,
    /// logged on, even with a first password and without a second factor
    FirstSteps,
    /// logged on, with nothing to do first
    Inside,
    /// the same, for what a page asks by itself: no use of the session
    Look,
    /// on the way out, which everybody may take at any hour
    Leaving,
}

const DOORS: [(&str, Door); 7] = [
    ("/log-on", Door::Open),
    ("/log-off", Door::Leaving),
    ("/account", Door::FirstSteps),
    ("/account/password", Door::FirstSteps),
    ("/account/second-factor", Door::FirstSteps),
    ("/account/second-factor/prove", Door::FirstSteps),
    ("/jobs/progress", Door::Look),
];

/// Every page and action that needs a permission: each has a row in the table of permissions.
pub const PATHS: &[&str] = &[
    "/",
    "/account",
    "/account/break-glass",
    "/account/password",
    "/account/second-factor",
    "/account/second-factor/prove",
    "/applicability",
    "/applicability/statement",
    "/approvals",
    "/approvals/agree",
    "/approvals/refuse",
    "/audit",
    "/audit/verify",
    "/forecast",
    "/incidents",
    "/jobs",
    "/jobs/progress",
    "/jobs/start",
    "/jobs/stop",
    "/jobs/{job}",
    "/ledger",
    "/ledger/{hospital}/{number}",
    "/people",
    "/people/suspend",
    "/quarantine",
    "/reports",
    "/reports/{hospital}/{month}",
    "/volumes",
    "/volumes/{volume}",
];

/// What stands in front of a path; nothing where there is no such.
pub(super) fn door(path: &str) -> Option<Door> {
    let special = DOORS.iter().find(|(other, _)| *other == path).map(|(_, door)| *door);
    special.or_else(|| PATHS.contains(&path).then_some(Door::Inside))
}

/// The pages.
pub(super) fn router(front: Arc<Front>) -> Router {
    let gated = Router::new()
        .route("/", get(overview::show))
        .route("/log-on", get(log_on::show).post(log_on::enter))
        .route("/log-off", post(log_on::leave))
        .route("/account", get(account::show))
        .route("/account/password", post(account::password))
        .route("/account/second-factor", post(account::second_factor))
        .route("/account/second-factor/prove", post(account::prove))
        .route("/account/break-glass", post(account::break_glass))
        .route("/applicability", get(applicability::show))
        .route("/applicability/statement", get(applicability::statement))
        .route("/approvals", get(approvals::show))
        .route("/approvals/agree", post(approvals::agree))
        .route("/approvals/refuse", post(approvals::refuse))
        .route("/audit", get(audit::show))
        .route("/audit/verify", post(audit::verify))
        .route("/forecast", get(forecast::show))
        .route("/incidents", get(incidents::show))
        .route("/jobs", get(jobs::show))
        .route("/jobs/progress", get(jobs::progress))
        .route("/jobs/start", post(jobs::start))
        .route("/jobs/stop", post(jobs::stop))
        .route("/jobs/{job}", get(jobs::one))
        .route("/ledger", get(ledger::show))
        .route("/ledger/{hospital}/{number}", get(ledger::one))
        .route("/people", get(people::show))
        .route("/people/suspend", post(people::suspend))
        .route("/quarantine", get(quarantine::show))
        .route("/reports", get(reports::show))
        .route("/reports/{hospital}/{month}", get(reports::one))
        .route("/volumes", get(volumes::show))
        .route("/volumes/{volume}", get(volumes::one))
        .route_layer(from_fn_with_state(front, gate));
    gated
        .route("/console.css", get(async || reply::file("text/css; charset=utf-8", include_str!("assets/console.css"))))
        .route(
            "/console.js",
            get(async || reply::file("text/javascript; charset=utf-8", include_str!("assets/console.js"))),
        )
        .route("/icon.svg", get(async || reply::file("image/svg+xml", include_str!("assets/icon.svg"))))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
}

async fn nowhere(Extension(arrived): Extension<super::gate::Arrived>) -> http::Response<axum::body::Body> {
    page::bare(arrived.lang(), StatusCode::NOT_FOUND, arrived.lang().words().nothing_here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Permission, asked_by};

    #[test]
    fn every_page_and_action_has_a_row_in_the_table_of_permissions_and_a_door() {
        for path in PATHS {
            assert!(asked_by(path).is_some(), "{path} has no row: nobody may");
            assert!(door(path).is_some_and(|door| door != Door::Open), "{path}");
        }
        for (path, door) in DOORS {
            let asks = asked_by(path);
            match door {
                Door::Open | Door::Leaving => assert_eq!(asks, None, "{path}"),
                Door::FirstSteps => {
                    assert_eq!(asks, Some(Permission::OwnAccount), "{path}: who has a first password may do it")
                }
                Door::Inside | Door::Look => assert!(asks.is_some()),
            }
        }
        assert_eq!(door("/etc/passwd"), None);
    }

    #[test]
    fn every_row_of_the_table_for_a_page_is_one_that_is_there() {
        let rows = crate::accounts::TABLE.iter().map(|(work, _)| *work).filter(|work| work.starts_with('/'));
        for row in rows.filter(|row| *row != "/metrics") {
            assert!(PATHS.contains(&row), "{row} is no page");
        }
    }
}
