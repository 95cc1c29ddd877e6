//! Figures in the text form of Prometheus: one look at the vault for each scrape, and the latencies of its clients.
//!
//! `docs/monitoring/` has a dashboard and alert rules; a test holds them to the names that are shown here.

use crate::accounts::{Mode, Standing};
use crate::changes::{ChangeKind, SelfStatus};
use crate::error::{Error, Result};
use crate::jobs::report::Outcome;
use crate::jobs::{JobKind, JobsReport};
use crate::machines::{HostStanding, MachineState};
use crate::network::TurnedAway;
use crate::status::Status;
use crate::time_sync::Agreement;
use crate::vault::{Inner, Vault, blocking};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;
type Counters = Family<Labels, Counter>;

impl Vault {
    /// The figures of this moment.
    pub async fn metrics(&self) -> Result<String> {
        let inner = self.inner.clone();
        blocking(move || inner.metrics()).await
    }

    /// Where figures are shown to whoever asks, if anywhere.
    pub fn metrics_listen(&self) -> Option<SocketAddr> {
        self.inner.config.metrics.listen
    }
}

impl Inner {
    fn metrics(self: &Arc<Self>) -> Result<String> {
        let (status, jobs) = (self.status(), self.jobs_report());
        let mut page = Page(Registry::with_prefix("shosoin"));
        page.volumes(&status);
        page.records(self, &status);
        page.jobs(self, &jobs);
        page.verification(self, &jobs);
        page.clients(self);
        page.people(self);
        page.audit(self);
        page.machines(self);
        page.itself(&status);
        page.network(&status);
        page.time(self.config.time.error_ms_max, &status);
        let mut text = String::new();
        encode(&mut text, &page.0).map_err(|_| Error::Bug("figures could not be written as text"))?;
        Ok(text)
    }
}

/// One page of figures.
struct Page(Registry);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        let gauges = Gauges::default();
        for (labels, value) in values {
            gauges.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, gauges);
    }

    fn counter(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let counters = Counters::default();
        for (labels, value) in values {
            counters.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, counters);
    }

    fn volumes(&mut self, status: &Status) {
        let volumes = &status.volumes;
        let of = |id: &str| vec![("volume", id.to_owned())];
        let states =
            volumes.iter().map(|volume| volume.state).fold(std::collections::BTreeMap::new(), |mut by, state| {
                *by.entry(state.to_owned()).or_insert(0.0) += 1.0;
                by
            });
        let mut states: Vec<_> = states.into_iter().map(|(state, count)| (vec![("state", state)], count)).collect();
        states.push((vec![("state", "absent".to_owned())], status.volumes_absent.len() as f64));
        self.gauge("volumes", "Volumes by state", states);
        let bytes = |value: Option<u64>| value.map(|value| value as f64);
        let total = volumes.iter().filter_map(|volume| Some((of(&volume.id), bytes(volume.total_bytes)?)));
        self.gauge("volume_bytes", "Bytes a volume holds when empty", total);
        let free = volumes.iter().filter_map(|volume| Some((of(&volume.id), bytes(volume.free_bytes)?)));
        self.gauge("volume_free_bytes", "Bytes that can still be written to a volume", free);
        let shards = volumes.iter().map(|volume| (of(&volume.id), f64::from(volume.shards)));
        self.gauge("volume_shards", "Shards on a volume", shards);
        let errors = volumes.iter().map(|volume| (of(&volume.id), volume.read_errors));
        self.counter("volume_read_errors", "Failed reads of a volume", errors);
    }

    fn records(&mut self, inner: &Inner, status: &Status) {
        let segments = &status.segments;
        let counts = [
            ("open", segments.open),
            ("closed", segments.closed),
            ("unreadable", segments.unreadable),
            ("degraded", segments.degraded),
        ];
        let counts = counts.map(|(state, count)| (vec![("state", state.to_owned())], count as f64));
        self.gauge("segments", "Segments by state; degraded ones are among the others too", counts);
        self.gauge("payload_bytes", "Bytes of records", [(Vec::new(), segments.payload_bytes as f64)]);
        let counters = status.counters;
        self.counter("deposits", "Ledger entries accepted", [(Vec::new(), counters.deposits)]);
        self.counter("records", "Records made durable", [(Vec::new(), counters.records)]);
        self.counter("groups", "Groups committed", [(Vec::new(), counters.groups)]);
        self.counter("syncs", "Syncs of shard files", [(Vec::new(), counters.syncs)]);
        let rebuilt = inner.tier.counters().rebuilt_reads;
        self.counter("rebuilt_reads", "Reads that needed other units than their own", [(Vec::new(), rebuilt)]);
        let set_aside = |pick: fn(&crate::quarantine::QuarantineStatus) -> f64| {
            [(Vec::new(), status.hospitals.iter().filter_map(|hospital| hospital.quarantine.as_ref()).map(pick).sum())]
        };
        self.gauge("quarantine_items", "Things in quarantine", set_aside(|held| held.items as f64));
        self.gauge("quarantine_bytes", "Bytes of evidence in quarantine", set_aside(|held| held.bytes as f64));
        let overdue = set_aside(|held| held.overdue as f64);
        self.gauge("quarantine_overdue", "Things in quarantine that nobody has decided on within their term", overdue);
        let lines = || status.hospitals.iter().filter_map(|hospital| hospital.line.as_ref());
        let stopped = lines().filter(|line| line.stopped_ms.is_some()).count();
        let stopped_help = "Hospitals with which communication is stopped because transfers failed";
        self.gauge("communication_stopped", stopped_help, [(Vec::new(), stopped as f64)]);
        let failures: usize = lines().map(|line| line.failures).sum();
        self.gauge("transfer_failures", "Failed transfers that count now", [(Vec::new(), failures as f64)]);
        let abandoned = status.hospitals.iter().filter_map(|hospital| hospital.abandoned).map(|left| left.bytes);
        let abandoned_help = "Bytes that uploads brought and no deposit named";
        self.gauge("abandoned_bytes", abandoned_help, [(Vec::new(), abandoned.sum::<u64>() as f64)]);
        let canaries = || status.hospitals.iter().filter_map(|hospital| hospital.canary);
        let loose = canaries().filter(|canary| !canary.sound).count();
        let loose_help = "Hospitals whose canary the guard of disposal let through, or that lost it";
        self.gauge("canaries_loose", loose_help, [(Vec::new(), loose as f64)]);
        self.gauge("canaries_tried", "Hospitals whose canary was tried", [(Vec::new(), canaries().count() as f64)]);
        let read_only = status.hospitals.iter().filter(|hospital| hospital.read_only.is_some()).count();
        self.gauge("hospitals_read_only", "Hospitals whose log takes no entries", [(Vec::new(), read_only as f64)]);
        self.gauge("hospitals", "Hospitals enrolled", [(Vec::new(), status.hospitals.len() as f64)]);
    }

    fn jobs(&mut self, inner: &Inner, report: &JobsReport) {
        // `job` is what Prometheus itself calls the group of what it scrapes; a label of that name would be renamed there.
        let of = |kind: JobKind| vec![("kind", kind.name().to_owned())];
        let jobs = &report.jobs;
        let flag = |yes: bool| f64::from(u8::from(yes));
        let seconds = |at_ms: u64| at_ms as f64 / 1e3;
        self.gauge(
            "job_running",
            "Whether a job runs",
            jobs.iter().map(|job| (of(job.job), flag(job.running.is_some()))),
        );
        self.gauge("job_due", "Whether a job should run", jobs.iter().map(|job| (of(job.job), flag(job.due))));
        let late = |since: Option<u64>| since.map_or(0.0, |since| seconds(report.now_ms.saturating_sub(since)));
        self.gauge(
            "job_late_seconds",
            "For how long a job is late",
            jobs.iter().map(|job| (of(job.job), late(job.late_since_ms))),
        );
        let ended = jobs.iter().filter_map(|job| Some((of(job.job), seconds(job.last.as_ref()?.ended_ms))));
        self.gauge("job_last_end_timestamp_seconds", "When the last run of a job ended", ended);
        let next = jobs.iter().filter_map(|job| Some((of(job.job), seconds(job.next_ms?))));
        self.gauge("job_next_start_timestamp_seconds", "When a job starts next", next);
        let failed =
            |job: &crate::jobs::JobStatus| flag(job.last.as_ref().is_some_and(|last| last.outcome == Outcome::Failed));
        let failing = jobs.iter().map(|job| (of(job.job), failed(job)));
        self.gauge("job_failing", "Whether the last run of a job failed", failing);
        let totals: Vec<_> = JobKind::ALL.into_iter().map(|kind| (kind, inner.jobs.totals(kind))).collect();
        let runs = totals.iter().flat_map(|(kind, totals)| {
            let name = kind.name().to_owned();
            totals
                .runs
                .iter()
                .map(move |(outcome, runs)| (vec![("kind", name.clone()), ("outcome", (*outcome).to_owned())], *runs))
        });
        self.counter("job_runs", "Runs that ended", runs);
        let figures = |pick: fn(&crate::jobs::report::Figures) -> u64| {
            totals.iter().map(|(kind, totals)| (of(*kind), pick(&totals.figures))).collect::<Vec<_>>()
        };
        self.counter("job_read_bytes", "Bytes jobs read from media", figures(|figures| figures.read_bytes));
        self.counter("job_written_bytes", "Bytes jobs wrote to media", figures(|figures| figures.written_bytes));
        self.counter("job_reread_bytes", "Bytes jobs read back after writing", figures(|figures| figures.reread_bytes));
        self.counter("job_freed_bytes", "Bytes jobs freed", figures(|figures| figures.freed_bytes));
        self.counter("job_units", "Units jobs verified", figures(|figures| figures.units));
        self.counter("job_rebuilt", "Shards and units jobs rebuilt", figures(|figures| figures.rebuilt));
        self.counter(
            "job_findings",
            "What jobs found that is not as it should be",
            figures(|figures| figures.findings),
        );
        let sparse = *inner.jobs.sparse.lock();
        let sparse = sparse.into_iter().flat_map(|left| {
            let states = [("live", left.live_bytes), ("dead", left.dead_bytes), ("waiting", left.waiting_bytes)];
            states.map(|(state, bytes)| (vec![("state", state.to_owned())], bytes as f64))
        });
        self.gauge(
            "compaction_bytes",
            "Bytes the last compaction left in closed segments; waiting ones live too",
            sparse,
        );
        self.gauge("clock_in_doubt", "Whether the clock jumped", [(Vec::new(), flag(report.clock_in_doubt.is_some()))]);
    }

    fn verification(&mut self, inner: &Inner, report: &JobsReport) {
        let debt = &report.scrub;
        let of = |id: &str| vec![("volume", id.to_owned())];
        let by_volume = debt.volumes.iter().map(|volume| (of(&volume.volume), volume.debt_bytes as f64));
        self.gauge("scrub_debt_bytes", "Bytes not verified within the period", by_volume);
        let age = debt.volumes.iter().map(|volume| (of(&volume.volume), volume.oldest_unverified_ms as f64 / 1e3));
        self.gauge("oldest_unverified_seconds", "The longest any byte has gone unverified", age);
        self.gauge("scrub_period_seconds", "The period", [(Vec::new(), debt.period_ms as f64 / 1e3)]);
        let alarm = inner.config.jobs.scrub_debt_alarm_bytes.max(1) as f64;
        self.gauge("scrub_debt_alarm_bytes", "Debt at which the alarm is raised", [(Vec::new(), alarm)]);
        let mut waiting: Vec<(Labels, f64)> =
            (0..=inner.tier.code().m()).map(|left| (vec![("redundancy_left", left.to_string())], 0.0)).collect();
        let found = report.repair_queue.iter();
        waiting.extend(
            found.map(|found| (vec![("redundancy_left", found.redundancy_left.to_string())], found.items as f64)),
        );
        self.gauge("repair_queue", "Items waiting for repair, by losses that are still survived", waiting);
    }

    fn people(&mut self, inner: &Inner) {
        let accounts = &inner.accounts;
        let states = Standing::ALL.iter().map(|standing| {
            let count = accounts.list().iter().filter(|account| account.standing == *standing).count();
            (vec![("state", standing.name().to_owned())], count as f64)
        });
        self.gauge("accounts", "People with an account, by state", states);
        let doubted = f64::from(u8::from(matches!(accounts.mode(), Mode::Doubted(_))));
        self.gauge(
            "accounts_doubted",
            "Whether the accounts file is not the one the log knows",
            [(Vec::new(), doubted)],
        );
        let (locks, sessions) = accounts.figures();
        self.counter("accounts_locked", "Locks after wrong tries to log on", [(Vec::new(), locks)]);
        self.gauge("sessions", "People logged on to the console", [(Vec::new(), sessions as f64)]);
        let (requests, grants) = accounts.waiting();
        self.gauge("approvals_waiting", "Requests that wait for a second person", [(Vec::new(), requests as f64)]);
        self.gauge("break_glass", "Grants for a while that are in force", [(Vec::new(), grants as f64)]);
    }

    fn audit(&mut self, inner: &Inner) {
        let log = inner.media.audit();
        let room = log.room().ok();
        self.gauge("audit_records", "Records of the audit log", [(Vec::new(), log.head().0 as f64)]);
        let free = room.iter().map(|room| (Vec::new(), room.free_bytes as f64));
        self.gauge("audit_free_bytes", "Bytes free where the audit log is", free);
        let reserve = room.iter().map(|room| (Vec::new(), room.reserve_bytes as f64));
        self.gauge("audit_reserve_bytes", "Bytes below which nothing new is begun", reserve);
    }

    fn machines(&mut self, inner: &Inner) {
        let machines = inner.media.machines();
        let states = MachineState::ALL.iter().map(|state| {
            let count = machines.list().filter(|machine| machine.state == *state).count();
            (vec![("state", state.name().to_owned())], count as f64)
        });
        self.gauge("machines", "Registered processing devices by state", states);
        let (now_ms, days) = (inner.clock.now_ms(), inner.config.machines.check_days);
        let active = machines.list().filter(|machine| machine.state == MachineState::Active);
        let late = active.filter(|machine| machine.obstacle(now_ms, days).is_some()).count() as f64;
        self.gauge("machines_unchecked", "Active ones whose checks are old or did not pass", [(Vec::new(), late)]);
        let unknown = f64::from(u8::from(matches!(inner.host_standing(), HostStanding::Unknown { .. })));
        let help = "Whether the vault is on a host that the register of machines does not let";
        self.gauge("host_unknown", help, [(Vec::new(), unknown)]);
    }

    fn itself(&mut self, status: &Status) {
        let itself = status.itself.as_ref();
        let unregistered: Vec<ChangeKind> = itself.into_iter().flat_map(SelfStatus::unregistered).collect();
        let of = |kind: ChangeKind| vec![("what", kind.name().to_owned())];
        let values = [ChangeKind::Program, ChangeKind::Settings]
            .map(|kind| (of(kind), f64::from(u8::from(unregistered.contains(&kind)))));
        self.gauge(
            "unregistered_change",
            "Whether program or settings are not as the register of changes says",
            values,
        );
        let looked = itself.map_or(0.0, |itself| itself.looked_ms as f64 / 1e3);
        let help = "When the vault looked at its own program and settings last";
        self.gauge("self_check_timestamp_seconds", help, [(Vec::new(), looked)]);
    }

    fn network(&mut self, status: &Status) {
        let Some(network) = &status.network else { return };
        let help = "Connections of devices and browsers that were answered";
        self.counter("connections", help, [(Vec::new(), network.connections)]);
        let refused = TurnedAway::ALL.map(|why| {
            let count = network.turned_away.get(&why).copied().unwrap_or(0);
            (vec![("why", why.name().to_owned())], count)
        });
        self.counter("connections_refused", "Connections that were turned away, by reason", refused);
        let lines = network.lines.len() as f64;
        self.gauge("lines_declared", "Lines of hospitals that are declared", [(Vec::new(), lines)]);
    }

    fn time(&mut self, limit_ms: u32, status: &Status) {
        let time = status.time.as_ref();
        let now = time.map(|time| time.agreement.state());
        let states = Agreement::STATES.map(|state| {
            let is = now.unwrap_or("not-measured") == state;
            (vec![("state", state.to_owned())], f64::from(u8::from(is)))
        });
        self.gauge("time_agreement", "Whether the clock agrees with standard time, by state", states);
        let error = time.and_then(|time| time.agreement.measured()).map(|measured| measured.error_us as f64 / 1e6);
        let error = error.map(|seconds| (Vec::new(), seconds));
        self.gauge("time_error_seconds", "How far the clock may be from standard time, where that is known", error);
        self.gauge("time_limit_seconds", "The limit of that", [(Vec::new(), f64::from(limit_ms) / 1e3)]);
    }

    fn clients(&mut self, inner: &Inner) {
        let in_flight = inner.clients.in_flight() as f64;
        self.gauge("requests_in_flight", "Requests of clients being answered", [(Vec::new(), in_flight)]);
        self.0.register("request_seconds", "How long requests of clients took", inner.clients.latencies());
    }
}
