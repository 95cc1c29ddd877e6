//! The first page: what is late, how full and how healthy the vault is, and what runs.

use super::jobs;
use crate::accounts::{ApprovalRequest, Moment, RequestState};
use crate::audit::MediaState;
use crate::changes::Registered;
use crate::check::Severity;
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{Mood, badge, bar, day, facts, moment, note, short, size, table};
use crate::console::reply::Reply;
use crate::console::terms::term;
use crate::console::when::grouped;
use crate::error::Result;
use crate::jobs::{JobsReport, Outcome};
use crate::status::{HospitalStatus, Status};
use crate::time_sync::Agreement;
use crate::vault::Vault;
use crate::volumes::Due;
use maud::{Markup, html};
use shosoin_tiers::life::DAY_MS;

/// How long before something is due it is said here.
const SOON_MS: u64 = 90 * DAY_MS;
/// How full the vault is when it is said.
const FULL: f64 = 0.9;

/// What the page is made of.
struct Now {
    status: Status,
    jobs: JobsReport,
    due: Vec<Due>,
    requests: Vec<ApprovalRequest>,
    /// ids of accounts that are locked
    locked: Vec<String>,
    now_ms: u64,
}

impl Now {
    fn of(vault: &Vault, sees_media: bool, sees_people: bool) -> Result<Now> {
        let (inner, accounts) = (&vault.inner, vault.accounts());
        let moment = accounts.now()?;
        let locked = accounts.list().into_iter().filter(|account| sees_people && account.is_locked(&moment));
        Ok(Now {
            status: inner.status(),
            jobs: inner.jobs_report(),
            due: if sees_media { vault.volumes().due() } else { Vec::new() },
            requests: accounts.requests().into_iter().filter(|request| request.is_waiting(&moment)).collect(),
            locked: locked.map(|account| account.id.to_string()).collect(),
            now_ms: inner.clock.now_ms(),
        })
    }
}

/// The page.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let (media, people) = (visit.may("/volumes"), visit.may("/people"));
    let now = visit.at_vault(move |vault| Now::of(vault, media, people)).await?;
    let words = visit.words;
    let late = late(&visit, &now);
    let body = html! {
        (before(&visit)?)
        @if now.status.demo { (note(Mood::Warn, &html! { p { (words.demo) } })) }
        section.panel aria-labelledby="late" {
            h2 #late { (words.late) }
            @if late.is_empty() { p { (badge(Mood::Good, words.good)) " " (words.nothing_late) } }
            @else { ul.late { @for (mood, words) in &late { li { (badge(*mood, mood_word(&visit, *mood))) span { (words) } } } } }
        }
        div.panels {
            section.panel aria-labelledby="capacity" { h2 #capacity { (words.capacity) } (capacity(&visit, &now.status)) }
            section.panel aria-labelledby="health" { h2 #health { (words.health) } (health(&visit, &now)) }
        }
        (jobs::summary(&visit, &now.jobs))
        (hospitals(&visit, &now.status.hospitals))
    };
    Ok(page(&visit, words.overview, &body))
}

fn mood_word(visit: &Visit, mood: Mood) -> &'static str {
    match mood {
        Mood::Bad => visit.words.bad,
        Mood::Warn => visit.words.warn,
        Mood::Good => visit.words.good,
        Mood::Plain => visit.words.to_note,
    }
}

/// When this person was here last, and whether somebody tried since (7.6.14-LOGON-S1).
pub(in crate::console) fn before(visit: &Visit) -> Result<Markup> {
    let (words, before) = (visit.words, visit.who()?.session.before);
    let last = html! {
        (words.last_log_on) " "
        @if before.success_ms == 0 { (words.never) } @else { (moment(visit, before.success_ms)) }
    };
    Ok(match before.failures {
        0 => html! { p.soft { (last) } },
        failures => note(
            Mood::Warn,
            &html! {
                p { (last) }
                p { strong { (words.failed_tries) " " (failures) } " · " (words.last_failure) " " (moment(visit, before.failure_ms)) }
                p { (words.perhaps_not_you) }
            },
        ),
    })
}

type Late = Vec<(Mood, Markup)>;

/// Everything that should have been done or will be soon, the worst first.
fn late(visit: &Visit, now: &Now) -> Late {
    let mut late = Late::new();
    late_of_vault(visit, now, &mut late);
    late_of_jobs(visit, now, &mut late);
    late_of_media(visit, now, &mut late);
    late_of_people(visit, now, &mut late);
    late.sort_by_key(|(mood, _)| *mood != Mood::Bad);
    late
}

fn late_of_vault(visit: &Visit, now: &Now, late: &mut Late) {
    let (words, status) = (visit.words, &now.status);
    if let Some(why) = &now.jobs.clock_in_doubt {
        late.push((Mood::Bad, html! { (words.clock_doubted) " " span.soft lang="en" { (why) } }));
    }
    for finding in status.findings.iter().filter(|finding| finding.severity > Severity::Notice) {
        let mood = if finding.severity == Severity::Damaged { Mood::Bad } else { Mood::Warn };
        late.push((mood, html! { (term(visit.lang, "severity", severity(finding.severity))) ": " span lang="en" { (finding.message) } }));
    }
    for hospital in status.hospitals.iter().filter(|hospital| hospital.read_only.is_some()) {
        late.push((Mood::Bad, html! { (words.hospital) " " (short(&hospital.hospital)) ": " (words.log_read_only) }));
    }
    if status.segments.unreadable > 0 {
        late.push((Mood::Bad, html! { (words.segments_unreadable) " " (status.segments.unreadable) }));
    }
    if let Some(used) = used_share(status).filter(|used| *used >= FULL) {
        late.push((Mood::Warn, html! { (words.nearly_full) " " (format!("{:.0} %", used * 100.0)) }));
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Degraded => "degraded",
        Severity::Damaged => "damaged",
    }
}

fn late_of_jobs(visit: &Visit, now: &Now, late: &mut Late) {
    let words = visit.words;
    for waiting in &now.jobs.repair_queue {
        let mood = if waiting.redundancy_left == 0 { Mood::Bad } else { Mood::Warn };
        let link = html! { a href="/jobs/repair" { (words.repairs_wait) } };
        late.push((
            mood,
            html! { (link) " " (waiting.items) " · " (words.losses_survived) " " (waiting.redundancy_left) },
        ));
    }
    if now.jobs.scrub.alarm {
        let link = html! { a href="/jobs/scrub" { (words.scrub_debt) } };
        late.push((Mood::Bad, html! { (link) " " (size(now.jobs.scrub.debt_bytes)) }));
    }
    for job in &now.jobs.jobs {
        let name = term(visit.lang, "job", job.job.name());
        let link = html! { a href=(format!("/jobs/{}", job.job.name())) { (name) } };
        if let Some(since) = job.late_since_ms {
            late.push((Mood::Warn, html! { (link) ": " (words.late_since) " " (moment(visit, since)) }));
        }
        if job.last.as_ref().is_some_and(|last| last.outcome == Outcome::Failed) {
            late.push((Mood::Bad, html! { (link) ": " (words.job_failed) }));
        }
    }
}

fn late_of_media(visit: &Visit, now: &Now, late: &mut Late) {
    let words = visit.words;
    for place in &now.status.volumes_absent {
        late.push((Mood::Bad, html! { (words.volume_absent) " " code.break { (place) } }));
    }
    for volume in now.status.volumes.iter().filter(|volume| matches!(volume.state, "suspect" | "read-only")) {
        let state = term(visit.lang, "volume state", volume.state);
        late.push((Mood::Bad, html! { (link_to(visit, &volume.id, &volume.place)) ": " (state) }));
    }
    let place = |id: &str| {
        now.status.volumes.iter().find(|volume| volume.id == id).map_or(id.to_owned(), |volume| volume.place.clone())
    };
    for due in now.due.iter().filter(|due| due.state != MediaState::Retired) {
        let link = link_to(visit, &due.volume.to_string(), &place(&due.volume.to_string()));
        for (at_ms, what) in [(due.latest_start_ms, words.move_by), (due.test_due_ms, words.test_due)] {
            if let Some(at_ms) = at_ms.filter(|at_ms| *at_ms < now.now_ms.saturating_add(SOON_MS)) {
                let mood = if at_ms <= now.now_ms { Mood::Bad } else { Mood::Plain };
                late.push((mood, html! { (link) ": " (what) " " (day(visit, Some(at_ms))) }));
            }
        }
    }
}

fn link_to(visit: &Visit, id: &str, place: &str) -> Markup {
    match visit.may("/volumes/{volume}") {
        true => html! { a.break href=(format!("/volumes/{id}")) { (place) } },
        false => html! { span.break { (place) } },
    }
}

fn late_of_people(visit: &Visit, now: &Now, late: &mut Late) {
    let words = visit.words;
    let Some(who) = &visit.who else { return };
    let moment = Moment::at(now.now_ms);
    let mine = now.requests.iter().filter(|request| {
        let may = who.account.may(request.kind.rule().agrees).is_ok();
        may && request.state == RequestState::Open && request.can_be_approved_by(&who.account.id, &moment).is_ok()
    });
    match mine.count() {
        0 => {}
        count => late.push((Mood::Plain, html! { a href="/approvals" { (words.requests_wait) } " " (count) })),
    }
    for id in &now.locked {
        late.push((Mood::Warn, html! { a href="/people" { (words.account_locked) } " " (id) }));
    }
}

/// How much of what there is is used, where media say.
fn used_share(status: &Status) -> Option<f64> {
    let (total, free) = room(status);
    (total > 0).then(|| (total.saturating_sub(free)) as f64 / total as f64)
}

fn room(status: &Status) -> (u64, u64) {
    let known = status.volumes.iter().filter_map(|volume| Some((volume.total_bytes?, volume.free_bytes?)));
    known.fold((0, 0), |(total, free), (more, more_free)| (total + more, free + more_free))
}

fn capacity(visit: &Visit, status: &Status) -> Markup {
    let (words, (total, free)) = (visit.words, room(status));
    let share = used_share(status);
    html! {
        @if let Some(share) = share {
            @let told = format!("{} {:.0} %", words.used, share * 100.0);
            (bar(&told, share, if share >= FULL { Mood::Warn } else { Mood::Plain }, None))
            p { strong { (told) } " · " (words.free) " " (size(free)) " / " (size(total)) }
        }
        (facts(&[
            (words.records_bytes, size(status.segments.payload_bytes)),
            (words.segments, html! { (grouped(status.segments.closed as u64)) " " (words.closed) ", " (grouped(status.segments.open as u64)) " " (words.open) }),
            (words.code_of_segments, html! { (status.code) }),
        ]))
    }
}

fn health(visit: &Visit, now: &Now) -> Markup {
    let (words, status) = (visit.words, &now.status);
    let well = status.volumes.iter().filter(|volume| matches!(volume.state, "writable" | "full")).count();
    let all = status.volumes.len() + status.volumes_absent.len();
    let mood = |good: bool| if good { Mood::Good } else { Mood::Bad };
    let degraded = status.segments.degraded;
    let oldest_days = now.jobs.scrub.oldest_unverified_ms / DAY_MS;
    facts(&[
        (words.volumes_well, badge(mood(well == all), &format!("{well} / {all}"))),
        (words.segments_degraded, badge(if degraded == 0 { Mood::Good } else { Mood::Warn }, &degraded.to_string())),
        (
            words.repair_queue,
            badge(if status.repair_queue == 0 { Mood::Good } else { Mood::Warn }, &status.repair_queue.to_string()),
        ),
        (words.oldest_unverified, badge(mood(!now.jobs.scrub.alarm), &format!("{oldest_days} {}", words.days))),
        (
            words.clock,
            badge(
                mood(now.jobs.clock_in_doubt.is_none()),
                if now.jobs.clock_in_doubt.is_none() { words.trusted } else { words.doubted },
            ),
        ),
        (words.standard_time, standard_time(visit, status)),
        (words.program_and_settings, program_and_settings(visit, status)),
    ])
}

/// Whether the clock agrees with standard time (7.6.12-S1).
fn standard_time(visit: &Visit, status: &Status) -> Markup {
    let agreement = status.time.as_ref().map(|time| &time.agreement);
    let mood = match agreement {
        Some(Agreement::Agrees(_)) => Mood::Good,
        Some(Agreement::NotMeasured { .. }) | None => Mood::Plain,
        Some(_) => Mood::Bad,
    };
    badge(mood, term(visit.lang, "time agreement", agreement.map_or("not-measured", Agreement::state)))
}

/// Whether the vault is what the register of changes says (7.6.1-M6).
fn program_and_settings(visit: &Visit, status: &Status) -> Markup {
    let words = visit.words;
    match &status.itself {
        Some(itself) if itself.unregistered().next().is_some() => badge(Mood::Bad, words.not_registered),
        Some(itself) if itself.program_registered != Registered::Nothing => badge(Mood::Good, words.as_registered),
        _ => badge(Mood::Plain, words.never_registered),
    }
}

fn hospitals(visit: &Visit, hospitals: &[HospitalStatus]) -> Markup {
    let words = visit.words;
    let row = |hospital: &HospitalStatus| {
        let state = match &hospital.read_only {
            None => badge(Mood::Good, words.takes_deposits),
            Some(_) => badge(Mood::Bad, words.log_read_only),
        };
        html! {
            tr {
                th scope="row" { (short(&hospital.hospital)) }
                td { (hospital.suite) }
                td.number { (grouped(hospital.log_size)) }
                td.number { (hospital.waiting) }
                td { (state) }
            }
        }
    };
    let rows: Vec<Markup> = hospitals.iter().map(row).collect();
    table(
        words.hospitals,
        &[words.hospital, words.suite, words.log_entries, words.waiting, words.state],
        &rows,
        words.no_hospital,
    )
}
