//! Checks of the networks: what the vault reaches, who connected, and what it does not speak.

use super::Measure;
use crate::VolumeSpec;
use crate::applicability::Measures;
use crate::audit::{Action, AuditQuery, Outcome};
use crate::notify::ChannelConfig;
use crate::vault::Inner;

/// Records of connections that are looked through.
const RECORDS_LOOKED_AT: usize = 10_000;

/// Records that a log server may lack while they are on their way, this measurement's own among them.
const LOG_SERVER_BEHIND_MAX: u64 = 100;

/// Every check of networks.
pub fn all(inner: &Inner) -> Measures {
    Measures::from([
        ("connection-log", connection_log(inner)),
        ("log-server", log_server(inner)),
        ("no-ftp", no_ftp()),
        ("outward", outward(inner)),
    ])
}

fn connection_log(inner: &Inner) -> Measure {
    let actions = vec![Action::Connected, Action::ConnectionRefused];
    let query = AuditQuery { actions, newest: Some(RECORDS_LOOKED_AT), ..AuditQuery::default() };
    let records = inner.media.audit().read(&query).unwrap_or_default();
    let let_in = records.iter().filter(|record| record.event.outcome == Outcome::Begun).count();
    let refused = records.iter().filter(|record| record.event.outcome == Outcome::Refused).count();
    if let_in == 0 {
        return Measure::nothing("nobody connected yet", "まだ接続がない");
    }
    let without = records.iter().filter(|record| record.event.actor.is_empty()).count();
    Measure::judged(
        without == 0,
        format!(
            "{let_in} connections on record, each with device or console, address and time before it was answered, and how often within the \
             hour after; {refused} records of those that were turned away, with the reason"
        ),
        format!(
            "接続の記録 {let_in} 件（端末・アドレス・時刻、応答の前に記録し、以後 1 時間の回数も）。拒否の記録 {refused} 件（理由つき）"
        ),
    )
}

/// Addresses of FTP, offered now to everything that takes an address.
fn no_ftp() -> Measure {
    let volume = VolumeSpec::in_store("ftp://archive.example/v07").address().is_err();
    let channel: Result<ChannelConfig, _> = toml::from_str("name = 'desk'\nurl = 'ftp://alarm.example/x'");
    let channel = channel.is_ok_and(|channel| channel.check().is_err());
    Measure::judged(
        volume && channel,
        format!(
            "the product has no FTP: hospitals transfer over HTTP in TLS 1.3 alone; an address of FTP offered now was refused as a volume: \
             {volume}, as a channel: {channel}"
        ),
        format!(
            "FTP は持たない。転送は TLS 1.3 の HTTP のみ。FTP の宛先を今試し、拒否：媒体 {volume}、通知先 {channel}"
        ),
    )
}

fn outward(inner: &Inner) -> Measure {
    let reached = inner.config.outward();
    let Some(declared) = &inner.config.network.outward else {
        return Measure::nothing(
            "vault.toml declares no outward servers ([network] outward)",
            "外向きの接続先が vault.toml に宣言されていない（[network] outward）",
        );
    };
    let undeclared = reached.iter().filter(|reached| !declared.contains(&reached.server)).count();
    let names = reached.iter().map(|reached| reached.server.as_str()).collect::<Vec<_>>().join(", ");
    let (count, listed) = (reached.len(), declared.len());
    Measure::judged(
        undeclared == 0,
        format!(
            "{listed} servers declared; the configuration makes the vault reach {count} [{names}], for alarms and archive volumes alone; \
             undeclared {undeclared}; a configuration that names another one is refused"
        ),
        format!(
            "宣言した接続先 {listed}。設定により接続する先 {count}［{names}］（警報・保管媒体のみ）。未宣言 {undeclared}。未宣言の接続先を含む設定は拒否"
        ),
    )
}

/// Whether a log server has what the audit log has.
fn log_server(inner: &Inner) -> Measure {
    let servers: Vec<&str> =
        inner.config.notify.iter().filter(|channel| channel.records).map(|channel| channel.name.as_str()).collect();
    if servers.is_empty() {
        return Measure::nothing(
            "vault.toml names no log server ([[notify]] records)",
            "ログサーバーが vault.toml に指定されていない（[[notify]] records）",
        );
    }
    let (head, standings) = (inner.media.audit().head().0, inner.standings.list());
    let behind = |name: &&str| standings.get(*name).map(|standing| head.saturating_sub(standing.told));
    let worst = servers.iter().map(behind).max_by_key(|behind| behind.unwrap_or(u64::MAX)).flatten();
    let (count, told) = (servers.len(), worst.map_or_else(|| "-".to_owned(), |behind| behind.to_string()));
    Measure::judged(
        worst.is_some_and(|behind| behind <= LOG_SERVER_BEHIND_MAX),
        format!("{count} log servers get every record of {head}; the one that is furthest behind lacks {told}"),
        format!("ログサーバー {count} 台に全記録（{head} 件）を送信。最も遅れたものの未送信 {told} 件"),
    )
}
