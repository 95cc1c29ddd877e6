//! A certificate for people: one page without anything from outside, in Japanese and English, made from the signed form alone, so
//! that whoever has that can make the page again and compare.

use shosoin_protocol::act::{Document, Scope};
use shosoin_protocol::certificate::{Caveat, Certificate, CopyFacts, CopyState};
use shosoin_protocol::suite::sha256;
use std::fmt::Write as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The page of a certificate, whose signed file has these bytes.
pub fn page(certificate: &Certificate, signed: &[u8]) -> String {
    let mut out = String::with_capacity(16 * 1024);
    let complete = certificate.is_complete();
    let (state_ja, state_en) = match (complete, certificate.pending()) {
        (true, _) => ("すべての複製を消去しました", "Every copy is gone"),
        (false, 0) => (
            "複製は消去済み。以前の複製の残りがありうる媒体が残っています",
            "Every copy is gone; remains of earlier copies may be on the media named below",
        ),
        (false, _) => ("未消去の複製が残っています", "Copies are pending"),
    };
    out.push_str(HEAD);
    let _ = write!(
        out,
        "<h1>廃棄証明書<span>Certificate of disposal</span></h1><p class=\"state {}\">{state_ja} <span>{state_en}</span></p>",
        if complete { "good" } else { "open" }
    );
    facts(&mut out, certificate, signed);
    order(&mut out, certificate);
    copies(&mut out, certificate);
    earlier(&mut out, certificate);
    out.push_str(TAIL);
    out
}

const HEAD: &str = "<!DOCTYPE html><html lang=\"ja\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>廃棄証明書 Certificate of disposal</title><style>\
body{font:15px/1.6 \"Hiragino Kaku Gothic ProN\",\"Noto Sans CJK JP\",\"Yu Gothic\",sans-serif;max-width:72em;margin:2em auto;padding:0 1em;color:#111}\
h1 span,h2 span,th span,td span,p span{color:#555;font-size:.85em;font-weight:normal;margin-left:.6em}\
table{border-collapse:collapse;width:100%;margin:.6em 0 1.6em}th,td{border:1px solid #bbb;padding:.35em .6em;text-align:left;vertical-align:top}\
th{background:#f3f3f3;font-weight:600}td.id{font-family:monospace;font-size:.85em;word-break:break-all}\
.state{padding:.6em 1em;border:2px solid}.good{border-color:#176b2c}.open{border-color:#a33c00}\
@media print{body{margin:0;max-width:none}}</style></head><body>";

const TAIL: &str = "<p>この頁は署名済みの証明書から作られたものです。<code>shosoin dispose verify</code> で署名と台帳上の位置を確認できます。\
<span>This page was made from the signed certificate. <code>shosoin dispose verify</code> checks its signatures and its place in the ledger.</span></p></body></html>\n";

/// A time in both forms people use.
fn moment(at_ms: u64) -> String {
    let seconds = i64::try_from(at_ms / 1000).unwrap_or(i64::MAX);
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|at| at.format(&Rfc3339).ok());
    match at_ms {
        0 => "-".to_owned(),
        _ => at.unwrap_or_else(|| format!("{at_ms} ms")),
    }
}

fn text(raw: &str) -> String {
    raw.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn row(out: &mut String, ja: &str, en: &str, value: &str, id: bool) {
    let class = if id { " class=\"id\"" } else { "" };
    let _ = write!(out, "<tr><th>{ja}<span>{en}</span></th><td{class}>{}</td></tr>", text(value));
}

fn facts(out: &mut String, certificate: &Certificate, signed: &[u8]) {
    let ended = &certificate.ended;
    out.push_str("<h2>概要<span>In short</span></h2><table>");
    row(out, "病院", "Hospital", &certificate.hospital.to_string(), true);
    row(out, "保管庫", "Vault", &certificate.vault.to_string(), true);
    row(out, "証明書番号", "Serial for this order", &certificate.serial.to_string(), false);
    row(out, "発行日時", "Issued", &moment(certificate.issued_ms), false);
    row(out, "対象項目", "Entries", &ended.entries.to_string(), false);
    row(out, "廃棄した記録", "Records ended", &format!("{} ({} bytes)", ended.records, ended.bytes), false);
    row(
        out,
        "他の記録と共有のため残したもの",
        "Kept because other records name them",
        &ended.shared.to_string(),
        false,
    );
    row(out, "事前に照合した記録", "Read and verified before", &ended.verified.to_string(), false);
    row(out, "照合できなかった記録", "Could not be read before", &ended.unverified.to_string(), false);
    row(out, "廃棄開始", "Begun", &moment(ended.began_ms), false);
    row(out, "最後の作業", "Newest work", &moment(ended.ended_ms), false);
    row(out, "署名済み証明書の要約値", "SHA-256 of the signed form", &sha256(&[signed]).to_string(), true);
    row(out, "保管庫の鍵", "Key of the vault", &certificate.vault_key.fingerprint(), true);
    out.push_str("</table>");
}

fn order(out: &mut String, certificate: &Certificate) {
    out.push_str("<h2>指示と承認<span>Order and approvals</span></h2><table>");
    row(out, "指示（台帳の位置）", "Order (place in the ledger)", &certificate.ordered.index.to_string(), false);
    row(out, "指示の受理", "Accepted", &moment(certificate.ordered.accepted_ms), false);
    if let Ok(Document::DisposalOrder(order)) =
        Document::decode(shosoin_protocol::act::ActKind::DisposalOrder, &certificate.order_document)
    {
        let scope = match &order.scope {
            Scope::These(items) => format!("{} entries", items.len()),
            Scope::Everything { log_size, .. } => format!("everything / 全件 ({log_size})"),
        };
        row(out, "範囲", "Scope", &scope, false);
        row(out, "理由", "Reason", order.reason.name(), false);
        row(out, "指示者の鍵", "Key of who asked", &order.requester.fingerprint(), true);
    }
    if let Ok(Document::Disposed(disposed)) =
        Document::decode(shosoin_protocol::act::ActKind::Disposed, &certificate.begun_document)
        && let shosoin_protocol::act::DisposalStep::Begun { approvals, .. } = disposed.step
    {
        for approval in approvals {
            let value = format!("{}  {}", approval.key.fingerprint(), moment(approval.decided_ms));
            row(out, "承認", "Approval", &value, true);
        }
    }
    row(out, "廃棄開始（台帳の位置）", "End begun (place in the ledger)", &certificate.begun.index.to_string(), false);
    out.push_str("</table>");
}

fn state(copy: &CopyFacts) -> String {
    let words = match copy.state {
        CopyState::Erased => format!("{} 回上書きし読み戻して確認<span>overwritten {} times, read back</span>", copy.passes, copy.passes),
        CopyState::Removed => "削除。媒体は上書き不可、破壊待ち<span>removed; its medium does not overwrite in place: pending until it is destroyed</span>".into(),
        CopyState::There => "未消去（棚または不在）<span>still there: on a shelf or away</span>".into(),
        CopyState::Sanitised => "媒体ごと消去済み<span>its medium was erased as a whole</span>".into(),
        CopyState::Destroyed => "媒体を破壊済み<span>its medium was destroyed</span>".into(),
        CopyState::Lost => "媒体が所在不明<span>its medium is lost</span>".into(),
    };
    match copy.caveat {
        Caveat::None => words,
        Caveat::ToDestroy => {
            words + "<br>契約により媒体の破壊待ち<span>pending: the agreement has its medium destroyed</span>"
        }
        Caveat::Flash => {
            words
                + "<br>半導体媒体: 退避領域は媒体の消去または破壊まで残りうる<span>flash: remapped cells may keep it until the medium is erased or destroyed</span>"
        }
    }
}

fn copies(out: &mut String, certificate: &Certificate) {
    out.push_str(
        "<h2>複製ごとの状態<span>Copies</span></h2><table><tr><th>管理番号<span>control number</span></th>\
         <th>機器<span>device</span></th><th>区分<span>segment, part</span></th><th>状態<span>state</span></th>\
         <th>日時<span>time</span></th><th>作業者<span>worker</span></th><th>監査記録<span>audit record</span></th></tr>",
    );
    for copy in &certificate.copies {
        let device = certificate.media.iter().find(|medium| medium.volume == copy.volume).map_or_else(
            || "-".to_owned(),
            |medium| format!("{} {} {} {}", medium.class, medium.vendor, medium.model, medium.serial),
        );
        let _ = write!(
            out,
            "<tr><td class=\"id\">{}</td><td>{}</td><td class=\"id\">{} / {}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            copy.volume,
            text(device.trim()),
            copy.segment,
            copy.shard,
            state(copy),
            moment(copy.at_ms),
            text(&copy.worker),
            copy.audit
        );
    }
    out.push_str("</table>");
}

fn earlier(out: &mut String, certificate: &Certificate) {
    if certificate.earlier.is_empty() {
        return;
    }
    out.push_str(
        "<h2>以前の複製の残りがありうる媒体<span>Media that may have remains of earlier copies</span></h2>\
         <p>以前の移動や整理で、上書きせずに削除された複製がありました。次の媒体は消去または破壊されるまで残りがありえます。\
         <span>Copies that were moved or compacted before were removed without being overwritten. Remains may be on these media until \
         they are erased or destroyed.</span></p><table>",
    );
    for volume in &certificate.earlier {
        row(out, "媒体", "Medium", &volume.to_string(), true);
    }
    out.push_str("</table>");
}
