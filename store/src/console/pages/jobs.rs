//! Jobs: what runs and how far it has come, what is due or late, what came of it; starting and stopping them.

use crate::console::Front;
use crate::console::gate::Visit;
use crate::console::page::page;
use crate::console::parts::{
    Mood, badge, done, facts, field, maybe_moment, moment, note, sentence_of, size, table, token,
};
use crate::console::reply::{Reply, json, see};
use crate::console::terms::term;
use crate::console::when::{bytes, grouped};
use crate::error::{Error, Result};
use crate::jobs::{JobKind, JobOptions, JobReport, JobStatus, JobsReport, Outcome, Progress};
use axum::extract::Path;
use maud::{Markup, html};
use serde_json::json as value;
use std::sync::Arc;
use std::time::Duration;

/// Sentences of a report that are shown.
const SENTENCES_MAX: usize = 200;
/// Longest run that may be asked for, in hours.
const HOURS_MAX: u64 = 24 * 31;

/// What came of a job that somebody asked for here.
#[derive(Debug, Clone)]
pub(in crate::console) struct Asked {
    by: String,
    at_ms: u64,
    /// nothing while it runs
    result: Option<Result<JobReport, Arc<Error>>>,
}

/// Every job.
pub(in crate::console) async fn show(visit: Visit) -> Reply {
    let asks = visit.asks(&["done"])?;
    let report = visit.front.vault.jobs().await?;
    let words = visit.words;
    let body = html! {
        (said(&visit, asks.get("done")))
        @if !report.scheduled { (note(Mood::Warn, &html! { p { (words.jobs_not_scheduled) } })) }
        (summary(&visit, &report))
        section.panel aria-labelledby="debt" {
            h2 #debt { (words.scrub_debt) }
            @let debt = &report.scrub;
            (facts(&[
                (words.verify_period, html! { (debt.period_ms / 86_400_000) " " (words.days) }),
                (words.to_verify, size(debt.total_bytes)),
                (words.not_verified_in_time, html! { (badge(if debt.debt_bytes == 0 { Mood::Good } else { Mood::Bad }, &bytes(debt.debt_bytes))) }),
                (words.window, html! { (if report.window_open { words.window_open } else { words.window_closed }) }),
            ]))
        }
    };
    Ok(page(&visit, words.jobs, &body))
}

fn said(visit: &Visit, code: Option<&str>) -> Markup {
    match code {
        Some("started") => done(visit.words.job_started),
        Some("stopping") => done(visit.words.job_stopping),
        Some("idle") => done(visit.words.job_was_idle),
        _ => html! {},
    }
}

/// The table of jobs, which the page's own script keeps fresh.
pub(in crate::console) fn summary(visit: &Visit, report: &JobsReport) -> Markup {
    let words = visit.words;
    let rows: Vec<Markup> = report.jobs.iter().map(|job| row(visit, job)).collect();
    let headings = [words.job, words.state, words.progress, words.last_run, words.next_run, words.actions];
    html! { div data-progress { (table(words.jobs, &headings, &rows, "")) } }
}

fn row(visit: &Visit, job: &JobStatus) -> Markup {
    let (words, name) = (visit.words, job.job.name());
    let running = job.running.is_some();
    let share = job.running.as_ref().and_then(share);
    let state = if job.late_since_ms.is_some() {
        badge(Mood::Bad, words.job_late)
    } else if job.due {
        badge(Mood::Plain, words.job_due)
    } else if job.in_hand {
        badge(Mood::Plain, words.job_in_hand)
    } else {
        badge(Mood::Good, words.job_idle)
    };
    html! {
        tr data-job=(name) {
            th scope="row" { a href=(format!("/jobs/{name}")) { (term(visit.lang, "job", name)) } }
            td {
                span data-while="running" hidden[!running] { (badge(Mood::Plain, words.job_running)) }
                span data-while="idle" hidden[running] { (state) }
            }
            td.wide {
                progress max="1" value=(format!("{:.3}", share.unwrap_or(0.0))) hidden[share.is_none()] aria-label=(words.progress) {}
                span data-text { (progress_text(visit, job.running.as_ref())) }
            }
            td { (last(visit, job)) }
            td { (maybe_moment(visit, job.next_ms)) }
            td { (buttons(visit, job.job, running)) }
        }
    }
}

fn last(visit: &Visit, job: &JobStatus) -> Markup {
    let Some(last) = &job.last else { return html! { span.soft { (visit.words.never) } } };
    let mood = match last.outcome {
        Outcome::Failed | Outcome::Interrupted => Mood::Bad,
        Outcome::Stopped | Outcome::Paused => Mood::Plain,
        Outcome::Done if last.figures.short > 0 || last.figures.findings > 0 => Mood::Warn,
        Outcome::Done => Mood::Good,
    };
    html! {
        (badge(mood, term(visit.lang, "job outcome", last.outcome.name()))) " " (moment(visit, last.ended_ms))
        @if last.figures.findings > 0 { " · " (visit.words.findings) " " (grouped(last.figures.findings)) }
    }
}

fn share(progress: &Progress) -> Option<f64> {
    let total = progress.total_bytes.filter(|total| *total > 0)?;
    Some((progress.done_bytes as f64 / total as f64).clamp(0.0, 1.0))
}

fn progress_text(visit: &Visit, progress: Option<&Progress>) -> String {
    let Some(progress) = progress else { return String::new() };
    let mut text = bytes(progress.done_bytes);
    if let Some(total) = progress.total_bytes {
        text = format!("{text} / {}", bytes(total));
    }
    text = format!("{text} · {}/s", bytes(progress.bytes_per_second));
    if let Some(seconds) = progress.eta_seconds {
        text = format!("{text} · {} {}", visit.words.still, humantime::format_duration(Duration::from_secs(seconds)));
    }
    match progress.findings {
        0 => text,
        findings => format!("{text} · {} {findings}", visit.words.findings),
    }
}

fn buttons(visit: &Visit, kind: JobKind, running: bool) -> Markup {
    let (words, name) = (visit.words, kind.name());
    let job = term(visit.lang, "job", name);
    let form = |action: &str, word: &str, class: &str, dry: bool| {
        html! {
            form.inline method="post" action=(action) {
                (token(visit))
                input type="hidden" name="job" value=(name);
                @if dry { input type="hidden" name="dry_run" value="yes"; }
                button class=(class) aria-label=(format!("{word}: {job}")) { (word) }
            }
        }
    };
    html! {
        @if may_start(visit, kind) {
            span data-while="idle" hidden[running] {
                (form("/jobs/start", words.start, "second", false)) " "
                (form("/jobs/start", words.dry_run, "second", true))
            }
        }
        @if visit.may("/jobs/stop") {
            span data-while="running" hidden[!running] { (form("/jobs/stop", words.stop, "danger", false)) }
        }
    }
}

/// Whether this person may ask for a job of this kind.
fn may_start(visit: &Visit, kind: JobKind) -> bool {
    visit.who.as_ref().is_some_and(|who| who.may_run.contains(&kind))
}

/// How far each job has come, for the page's own script. Words and figures as the page has them.
pub(in crate::console) async fn progress(visit: Visit) -> Reply {
    let control = |kind| visit.front.vault.job_progress(kind);
    let job = |kind: JobKind| {
        let progress = control(kind);
        value!({
            "name": kind.name(),
            "running": progress.is_some(),
            "share": progress.as_ref().and_then(share),
            "text": progress_text(&visit, progress.as_ref()),
        })
    };
    let jobs: Vec<_> = JobKind::ALL.into_iter().map(job).collect();
    Ok(json(&value!({ "jobs": jobs })))
}

fn kind_of(name: &str) -> Result<JobKind> {
    JobKind::parse(name).ok_or_else(|| Error::NotFound { what: "job", id: "of this name".to_owned() })
}

/// One job, with what came of it when somebody asked for it here.
pub(in crate::console) async fn one(visit: Visit, Path(name): Path<String>) -> Reply {
    let asks = visit.asks(&["done"])?;
    let kind = kind_of(&name)?;
    let report = visit.front.vault.jobs().await?;
    let words = visit.words;
    let Some(status) = report.jobs.iter().find(|job| job.job == kind) else {
        return Err(Error::Bug("a job without a state").into());
    };
    let asked = visit.front.asked.lock().get(&kind).cloned();
    let title = term(visit.lang, "job", kind.name());
    let body = html! {
        (said(&visit, asks.get("done")))
        p { (term(visit.lang, "about job", kind.name())) }
        div data-progress { (table(words.state, &[words.job, words.state, words.progress, words.last_run, words.next_run, words.actions], &[row(&visit, status)], "")) }
        @if let Some(last) = &status.last {
            section.panel aria-labelledby="last" {
                h2 #last { (words.last_run) }
                (figures(&visit, (last.started_ms, last.ended_ms), &last.figures))
                @if !last.message.is_empty() { p.soft lang="en" { (last.message) } }
            }
        }
        @if let Some(asked) = &asked { (answer(&visit, asked)) }
        @if may_start(&visit, kind) { (options(&visit, kind).await?) }
        p { a href="/jobs" { (words.back) } }
    };
    Ok(page(&visit, title, &body))
}

fn figures(visit: &Visit, (began_ms, ended_ms): (u64, u64), figures: &crate::jobs::report::Figures) -> Markup {
    let words = visit.words;
    let number = |count: u64| html! { span.number { (grouped(count)) } };
    facts(&[
        (words.began, moment(visit, began_ms)),
        (
            words.took,
            html! { (humantime::format_duration(Duration::from_secs(ended_ms.saturating_sub(began_ms) / 1000))) },
        ),
        (words.items, number(figures.items)),
        (words.units, number(figures.units)),
        (words.read, size(figures.read_bytes)),
        (words.written, size(figures.written_bytes)),
        (words.freed, size(figures.freed_bytes)),
        (words.rebuilt, number(figures.rebuilt)),
        (words.findings, number(figures.findings)),
        (words.left_over, number(figures.short)),
    ])
}

fn answer(visit: &Visit, asked: &Asked) -> Markup {
    let words = visit.words;
    html! {
        section.panel aria-labelledby="asked" {
            h2 #asked { (words.asked_here) }
            p.soft { (asked.by) " · " (moment(visit, asked.at_ms)) }
            @match &asked.result {
                None => p { (badge(Mood::Plain, words.job_running)) },
                Some(Err(error)) => {
                    @let (sentence, detail) = sentence_of(visit.lang, error);
                    div.note.bad { p { (sentence) } @if let Some(detail) = detail { p.soft lang="en" { (detail) } } }
                },
                Some(Ok(report)) => (told(visit, report)),
            }
        }
    }
}

fn told(visit: &Visit, report: &JobReport) -> Markup {
    let words = visit.words;
    html! {
        @if report.dry_run { (note(Mood::Plain, &html! { p { (words.was_dry_run) } })) }
        p { (badge(if report.is_clean() { Mood::Good } else { Mood::Warn }, term(visit.lang, "job outcome", report.outcome.name()))) }
        (figures(visit, (report.started_ms, report.ended_ms), &report.figures))
        @if let Some(error) = &report.error { div.note.bad { p lang="en" { (error) } } }
        @if !report.listed.is_empty() {
            h3 { (words.findings) }
            ul lang="en" { @for finding in report.listed.iter().take(SENTENCES_MAX) { li.break { (finding.message) } } }
        }
        @if !report.done.is_empty() {
            h3 { (if report.dry_run { words.would_be_done } else { words.was_done }) }
            ul lang="en" { @for sentence in report.done.iter().take(SENTENCES_MAX) { li.break { (sentence) } } }
        }
    }
}

async fn options(visit: &Visit, kind: JobKind) -> Result<Markup> {
    let words = visit.words;
    let volumes = visit.at_vault(|vault| Ok(vault.inner.tier.volumes())).await?;
    let volumes: Vec<(String, String)> =
        volumes.into_iter().map(|volume| (volume.id.to_string(), volume.place)).collect();
    Ok(html! {
        section.panel aria-labelledby="start" {
            h2 #start { (words.start_with) }
            form.tall method="post" action="/jobs/start" {
                (token(visit))
                input type="hidden" name="job" value=(kind.name());
                @if !matches!(kind, JobKind::Watcher | JobKind::Forecast | JobKind::Check) {
                    (crate::console::parts::choice("volume", words.only_volume, Some(words.every_volume), &volumes, ""))
                }
                (field("hours", words.at_most_hours, "number", "", Some(words.at_most_hours_hint)))
                (field("mebibytes", words.at_most_rate, "number", "", None))
                @if kind == JobKind::Check {
                    div.tick { input #every_unit name="every_unit" type="checkbox" value="yes"; label for="every_unit" { (words.every_unit) } }
                }
                div.tick { input #dry_run name="dry_run" type="checkbox" value="yes"; label for="dry_run" { (words.dry_run_hint) } }
                p { button { (words.start) } }
            }
        }
    })
}

/// Starts a job, if its own row in the table of permissions allows it.
pub(in crate::console) async fn start(visit: Visit) -> Reply {
    let says = visit.says(&["job", "dry_run", "volume", "hours", "mebibytes", "every_unit"])?;
    let kind = kind_of(says.must("job")?)?;
    let hours: Option<u64> = says.parsed("hours")?;
    if hours.is_some_and(|hours| !(1..=HOURS_MAX).contains(&hours)) {
        return Err(Error::Argument { what: "hours", why: format!("they are 1 to {HOURS_MAX}") }.into());
    }
    let mebibytes: Option<u64> = says.parsed("mebibytes")?;
    let options = JobOptions {
        dry_run: says.is_set("dry_run"),
        volume: says.parsed("volume")?,
        max_duration: hours.map(|hours| Duration::from_secs(hours * 3600)),
        rate: mebibytes.filter(|rate| *rate > 0).map(|rate| rate.saturating_mul(1 << 20)),
        every_unit: says.is_set("every_unit"),
        ..JobOptions::default()
    };
    let who = visit.who()?;
    visit.front.vault.admit_job(&who.caller, kind, &options).await?;
    let asked = Asked { by: who.actor.clone(), at_ms: visit.front.vault.inner.clock.now_ms(), result: None };
    {
        let mut all = visit.front.asked.lock();
        if all.get(&kind).is_some_and(|other| other.result.is_none()) {
            return Err(Error::JobRunning { job: kind.name() }.into());
        }
        all.insert(kind, asked);
    }
    tokio::spawn(run(visit.front.clone(), kind, options));
    Ok(see(&format!("/jobs/{}?done=started", kind.name())))
}

/// Runs a job and keeps what came of it for whoever looks.
async fn run(front: Arc<Front>, kind: JobKind, options: JobOptions) {
    let result = front.vault.run_job(kind, options).await.map_err(Arc::new);
    if let Some(asked) = front.asked.lock().get_mut(&kind) {
        asked.result = Some(result);
    }
}

/// Asks a job to end at its next safe point.
pub(in crate::console) async fn stop(visit: Visit) -> Reply {
    let says = visit.says(&["job"])?;
    let kind = kind_of(says.must("job")?)?;
    let ran = visit.front.vault.cancel_job_for(&visit.who()?.caller, kind).await?;
    Ok(see(&format!("/jobs/{}?done={}", kind.name(), if ran { "stopping" } else { "idle" })))
}
