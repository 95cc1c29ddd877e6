//! Words of closed vocabularies as people read them. Programs have the names that commands and the audit log use; a word that has
//! no translation yet is shown by that name.

use super::language::Lang;

/// Codes of record types, in the order of the guideline's tables.
pub(super) const RECORD_TYPES: [&str; 18] = [
    "O-00", "T4-01", "T4-02", "T4-03", "T4-04", "T4-05", "T4-06", "T4-07", "T4-08", "T4-09", "T4-10", "T4-11", "T4-12",
    "T4-13", "T5-01", "T5-02", "T5-03", "T5-04",
];

/// Vocabulary, name, English where the name itself does not say it, Japanese.
#[rustfmt::skip]
const TERMS: &[(&str, &str, &str, &str)] = &[
    ("job", "repair", "", "修復"),
    ("job", "copy-forward", "", "媒体移行"),
    ("job", "migrate", "", "階層移動"),
    ("job", "compact", "", "整理"),
    ("job", "scrub", "", "巡回検証"),
    ("job", "check", "", "整合性検査"),
    ("job", "watcher", "", "新着監視"),
    ("job", "forecast", "", "予測"),
    ("about job", "repair", "Rebuilds what lost redundancy, fewest losses left first, and reads back what it wrote.", "冗長性を失ったものを、余裕の少ない順に再構成し、書いたものを読み戻して確かめます。"),
    ("about job", "copy-forward", "Moves everything off volumes that near their end, verifies it there, then retires them.", "寿命の近いボリュームからすべてを移し、移行先で検証してから退役させます。"),
    ("about job", "migrate", "Moves closed segments to the tier that their policy names.", "確定したセグメントを方針の定める階層へ移します。"),
    ("about job", "compact", "Rewrites what lives in sparse segments, and removes what no entry has named for as long as an upload may take.", "空きの多いセグメントの有効な記録を書き直し、期限内に台帳に載らなかったものを取り除きます。"),
    ("about job", "scrub", "Reads and verifies every unit of every volume; changes nothing.", "全ボリュームの全ユニットを読み出して検証します。何も変更しません。"),
    ("about job", "check", "Compares index, ledgers and media, both ways.", "索引、台帳、媒体を双方向に照合します。"),
    ("about job", "watcher", "Reads a sample of fresh records again, from a minute to a month old.", "受入から1分〜1か月の記録を抜き取って読み直します。"),
    ("about job", "forecast", "Works out which media expire when, and whether what must move fits.", "どの媒体がいつ寿命を迎え、移行が間に合うかを計算します。"),
    ("job outcome", "done", "", "完了"),
    ("job outcome", "stopped", "", "停止"),
    ("job outcome", "paused", "", "一時停止"),
    ("job outcome", "interrupted", "", "中断"),
    ("job outcome", "failed", "", "失敗"),

    ("volume state", "writable", "", "書込可"),
    ("volume state", "full", "", "満杯"),
    ("volume state", "read-only", "", "読取専用"),
    ("volume state", "draining", "", "移行中"),
    ("volume state", "suspect", "", "異常の疑い"),
    ("volume state", "away", "", "不在"),
    ("media state", "new", "", "新規"),
    ("media state", "active", "", "使用中"),
    ("media state", "suspect", "", "異常の疑い"),
    ("media state", "draining", "", "移行中"),
    ("media state", "retired", "", "退役"),
    ("media state", "sanitised", "", "消去済み"),
    ("media state", "destroyed", "", "破壊済み"),
    ("media state", "on-shelf", "on the shelf", "保管棚"),
    ("media state", "lost", "", "紛失"),
    ("media class", "ssd", "SSD", "SSD（半導体）"),
    ("media class", "hdd", "hard disk", "ハードディスク"),
    ("media class", "tape", "", "テープ"),
    ("media class", "optical", "", "光ディスク"),
    ("media class", "cloud", "", "クラウド"),
    ("tier", "hot", "", "オンライン"),
    ("tier", "archive", "", "アーカイブ"),
    ("test", "optical-error-rate", "optical error rate", "光ディスクのエラー率"),
    ("test", "smart-health", "SMART health", "SMART診断"),
    ("test", "surface", "surface", "表面検査"),
    ("test", "tape-error-rate", "tape error rate", "テープのエラー率"),
    ("test", "maker", "maker's test", "製造者の検査"),
    ("severity", "notice", "", "通知"),
    ("severity", "degraded", "", "冗長性の低下"),
    ("severity", "damaged", "", "損傷"),

    ("asset state", "held", "", "保管中"),
    ("asset state", "given-out", "given out", "引渡し済み"),
    ("asset state", "disposed", "", "廃棄済み"),
    ("label", "ordinary", "", "通常"),
    ("label", "sensitive", "", "要配慮"),
    ("label", "restricted", "", "厳秘"),
    ("retention", "none", "none set", "定めなし"),
    ("retention", "start-unknown", "start not known", "起算日未確定"),
    ("retention", "running", "not over yet", "期限内"),
    ("retention", "over", "", "期限経過"),
    ("order", "number", "", "番号"),
    ("order", "bytes", "size", "容量"),
    ("order", "type", "record type", "記録の種類"),
    ("order", "label", "", "機密区分"),
    ("order", "device", "", "署名装置"),
    ("order", "retention-end", "end of retention", "保存期限"),
    ("record type", "O-00", "other documents entrusted for like handling", "その他の受託文書"),
    ("record type", "T4-01", "doctor's treatment record", "診療録（医師）"),
    ("record type", "T4-02", "dentist's treatment record", "診療録（歯科医師）"),
    ("record type", "T4-03", "midwifery record", "助産録"),
    ("record type", "T4-04", "medical corporation papers", "医療法人の書類"),
    ("record type", "T4-05", "clinical and hospital management records", "診療諸記録・病院の管理運営諸記録"),
    ("record type", "T4-06", "dental technician's instruction", "歯科技工指示書"),
    ("record type", "T4-07", "treatment record, foreign doctors in clinical training", "診療録（臨床修練外国医師）"),
    ("record type", "T4-08", "emergency life-saving treatment record", "救急救命処置録"),
    ("record type", "T4-09", "registers of X-ray and similar equipment", "エックス線装置等の帳簿"),
    ("record type", "T4-10", "records of insurance institutions", "保険医療機関等の記録"),
    ("record type", "T4-11", "clinical laboratory documents", "衛生検査所の書類"),
    ("record type", "T4-12", "dental hygienist's work record", "歯科衛生士業務記録"),
    ("record type", "T4-13", "radiation exposure record", "照射録"),
    ("record type", "T5-01", "narcotics books and the like", "麻薬帳簿等"),
    ("record type", "T5-02", "document past its statutory term", "法定期間を過ぎた文書"),
    ("record type", "T5-03", "reference images and records", "参考の画像・記録"),
    ("record type", "T5-04", "documents needed to calculate fees", "診療報酬の算定に要する文書"),

    ("role", "keeper", "", "保管担当"),
    ("role", "media", "", "媒体担当"),
    ("role", "disposal-approver", "disposal approver", "廃棄承認者"),
    ("role", "auditor", "", "監査人"),
    ("role", "admin", "administrator", "管理者"),
    ("standing", "invited", "", "未使用"),
    ("standing", "active", "", "有効"),
    ("standing", "suspended", "", "停止中"),
    ("standing", "closed", "", "廃止"),
    ("request", "rights", "rights of people", "権限の変更"),
    ("request", "break-glass", "emergency", "緊急時の権限"),
    ("request", "disposal", "", "廃棄"),
    ("request", "ledger-edit", "edit of the ledger", "台帳の訂正"),
    ("request", "quarantine-release", "release from quarantine", "隔離の解除"),
    ("request", "medium-removal", "removal of a medium", "媒体の搬出・破壊"),
    ("request", "trust-anchor", "trust anchor", "信頼の起点"),
    ("request", "reopening", "communication goes on", "通信の再開"),
    ("request", "change", "change of the service", "サービスの変更"),
    ("time agreement", "agrees", "", "一致"),
    ("time agreement", "beyond", "beyond the limit", "許容差を超過"),
    ("time agreement", "unsynchronised", "not synchronised", "非同期"),
    ("time agreement", "not-measured", "not measured", "未測定"),
    ("request state", "open", "waits", "承認待ち"),
    ("request state", "approved", "agreed, not done yet", "承認済み・未実行"),
    ("request state", "used", "done", "実行済み"),
    ("request state", "turned-down", "refused", "却下・取下げ"),
    ("request state", "expired", "too old", "期限切れ"),
    ("change", "account add", "new account", "アカウントの追加"),
    ("change", "account set-roles", "duties", "役割の変更"),
    ("change", "account resume", "may act again", "停止の解除"),
    ("change", "account map", "user of the machine", "装置の利用者との対応"),
    ("change", "account key", "approval key", "承認鍵の変更"),
    ("change", "account set-hours", "hours", "時間帯の変更"),
    ("change", "account totp --forget", "second factor anew", "二要素目の再登録"),
    ("change", "account break-glass", "for a while", "緊急時の権限"),

    ("incident", "loss", "records lost", "記録の喪失"),
    ("incident", "medium-lost", "medium lost or stolen", "媒体の紛失・盗難"),
    ("incident", "access", "wrongful access", "不正な接近"),
    ("incident", "malware", "", "不正プログラム"),
    ("incident", "outage", "", "停止"),
    ("incident", "tampering", "", "改変"),
    ("incident", "other", "", "その他"),
    ("incident severity", "notice", "", "通知"),
    ("incident severity", "serious", "", "重大"),
    ("incident severity", "grave", "", "深刻"),

    ("quarantine reason", "malware-report", "malware report does not verify", "検査報告の不備"),
    ("quarantine reason", "infected", "", "不正プログラムの検出"),
    ("quarantine reason", "signature", "not signed by its device", "署名の不一致"),
    ("quarantine reason", "digest", "other bytes than its address says", "内容とアドレスの不一致"),
    ("quarantine reason", "misdirected", "of another hospital", "宛先違い"),
    ("quarantine thing", "deposit", "", "寄託"),
    ("quarantine thing", "chunk", "", "断片"),
    ("quarantine state", "held", "", "保管中"),
    ("quarantine state", "handed-out", "handed out", "引渡し済み"),
    ("quarantine state", "destroyed", "", "破棄済み"),

    ("alarm", "damage", "", "損傷"),
    ("alarm", "volume", "", "媒体の異常"),
    ("alarm", "work-failed", "", "作業の失敗"),
    ("alarm", "guessing", "", "推測による試行"),
    ("alarm", "refused", "", "許可のない操作"),
    ("alarm", "emergency", "", "緊急時の権限"),
    ("alarm", "people", "", "担当者に関する異常"),
    ("alarm", "clock", "", "時計の異常"),
    ("alarm", "log", "", "監査ログの異常"),
    ("alarm", "log-space", "", "監査ログの空き不足"),
    ("alarm", "changed", "", "設定・プログラムの変更"),
    ("alarm", "incident", "", "事故"),
    ("alarm", "undelivered", "", "届かない通知"),
    ("alarm", "quarantine", "", "隔離"),
    ("alarm", "machine", "", "未登録・未検査の装置"),
    ("alarm", "line", "", "通信の障害・停止"),
    ("alarm", "trial", "", "試験の通知"),
    ("outcome", "begun", "", "開始"),
    ("outcome", "done", "", "完了"),
    ("outcome", "refused", "", "拒否"),
    ("outcome", "failed", "", "失敗"),
    ("outcome", "stopped", "", "停止"),
    ("outcome", "findings", "", "検出あり"),
    ("action", "stored", "", "受入"),
    ("action", "vault-started", "", "保管庫の開始"),
    ("action", "vault-stopped", "", "保管庫の終了"),
    ("action", "log-restored", "", "ログの復元"),
    ("action", "clock-jumped", "", "時計の飛び"),
    ("action", "log-started", "", "記録の開始"),
    ("action", "log-stopped", "", "記録の終了"),
    ("action", "log-space", "", "記録領域の残量"),
    ("action", "log-read", "", "監査ログの閲覧"),
    ("action", "settings-changed", "", "設定の変更"),
    ("action", "program-changed", "", "プログラムの更新"),
    ("action", "libraries-changed", "", "ライブラリの更新"),
    ("action", "self-checked", "", "自己検査"),
    ("action", "change-registered", "", "変更の登録"),
    ("action", "time-agreement", "", "標準時との一致"),
    ("action", "connected", "", "接続"),
    ("action", "connection-refused", "", "接続の拒否"),
    ("action", "records-read", "", "封印済み記録の読出し"),
    ("action", "page-asked", "", "画面の利用"),
    ("action", "notice-sent", "", "通知の送信"),
    ("action", "notice-failed", "", "通知の失敗"),
    ("action", "notice-tried", "", "通知の試行"),
    ("action", "incident-stated", "", "事故の通知"),
    ("action", "report-made", "", "月次報告書の作成"),
    ("action", "hospital-enrolled", "", "医療機関の登録"),
    ("action", "check", "", "整合性検査"),
    ("action", "scrub", "", "巡回検証"),
    ("action", "watch", "", "新着監視"),
    ("action", "repair", "", "修復"),
    ("action", "copy-forward", "", "媒体移行"),
    ("action", "migrate", "", "階層移動"),
    ("action", "compact", "", "整理"),
    ("action", "release", "", "旧い写しの解放"),
    ("action", "rebuild", "", "索引の再構築"),
    ("action", "job-setting", "", "ジョブの設定・停止"),
    ("action", "volume-adopted", "", "未知の媒体の検出"),
    ("action", "volume-added", "", "媒体の追加"),
    ("action", "volume-relabelled", "", "ラベルの書換え"),
    ("action", "volume-state", "", "媒体の状態変更"),
    ("action", "volume-tested", "", "媒体の検査"),
    ("action", "volume-wear", "", "媒体の使用量"),
    ("action", "volume-environment", "", "保管環境の記録"),
    ("action", "volume-toured", "", "媒体の巡回完了"),
    ("action", "volume-placed", "", "媒体の移設"),
    ("action", "volume-shelved", "", "保管棚の記録"),
    ("action", "volume-stale", "", "古い複製の検出"),
    ("action", "stocktake", "", "棚卸し"),
    ("action", "assets-read", "", "資産台帳の閲覧"),
    ("action", "reconciled", "", "残高の照合"),
    ("action", "disposal-refused", "", "廃棄の拒否"),
    ("action", "applicability", "", "適用宣言書の測定"),
    ("action", "agreement-signed", "", "合意書の署名"),
    ("action", "handover-exported", "", "引継ぎ資料の出力"),
    ("action", "quarantined", "", "隔離"),
    ("action", "quarantine-released", "", "隔離の解除"),
    ("action", "shipment-announced", "", "媒体搬入の予告"),
    ("action", "shipment-received", "", "搬入媒体の受領"),
    ("action", "medium-taken", "", "搬入媒体の取込み"),
    ("action", "courier-medium-disposed", "", "搬入媒体の廃棄"),
    ("action", "machine-added", "", "装置の登録"),
    ("action", "machine-changed", "", "装置の登録内容の変更"),
    ("action", "machine-state", "", "装置の状態変更"),
    ("action", "machine-checked", "", "装置の接続前検査"),
    ("action", "machine-unknown", "", "未登録・未検査の装置"),
    ("action", "share-given", "", "共有記録の交付"),
    ("action", "transfer-failed", "", "転送の失敗"),
    ("action", "communication-stopped", "", "通信の停止"),
    ("action", "communication-reopened", "", "通信の再開"),
    ("action", "handover-imported", "", "引継ぎ資料の受入"),
    ("action", "handover-reopened", "", "引継ぎの差戻し"),
    ("action", "disposal-approved", "", "廃棄の承認"),
    ("action", "disposed", "", "廃棄"),
    ("action", "disposal-segment", "", "廃棄に伴う整理"),
    ("action", "shard-erased", "", "断片の消去"),
    ("action", "disposal-certified", "", "廃棄証明の発行"),
    ("action", "account-added", "", "アカウントの追加"),
    ("action", "account-roles", "", "役割の変更"),
    ("action", "account-suspended", "", "アカウントの停止"),
    ("action", "account-resumed", "", "停止の解除"),
    ("action", "account-closed", "", "アカウントの廃止"),
    ("action", "account-mapped", "", "装置の利用者との対応"),
    ("action", "account-password", "", "パスワードの変更"),
    ("action", "account-second-factor", "", "二要素目の変更"),
    ("action", "account-key", "", "承認鍵の変更"),
    ("action", "account-hours", "", "時間帯の変更"),
    ("action", "logged-on", "", "ログオン"),
    ("action", "log-on-refused", "", "ログオンの拒否"),
    ("action", "account-locked", "", "アカウントの締め出し"),
    ("action", "logged-off", "", "ログオフ"),
    ("action", "command-refused", "", "操作の拒否"),
    ("action", "approval-requested", "", "承認の申請"),
    ("action", "approval-given", "", "承認"),
    ("action", "approval-used", "", "承認済み操作の実行"),
    ("action", "approval-ended", "", "申請の終了"),
    ("action", "break-glass", "", "緊急時の権限"),
    ("action", "break-glass-ended", "", "緊急時の権限の終了"),
    ("action", "accounts-reviewed", "", "権限の見直し"),
    ("action", "suspicion-verified", "", "停止者の影響の検証"),
    ("action", "accounts-confirmed", "", "アカウントファイルの確認"),

    ("error", "io", "", "ファイルまたは装置の読み書きに失敗しました。"),
    ("error", "config", "", "設定ファイルを利用できません。"),
    ("error", "media", "", "媒体が拒否したか、失敗しました。"),
    ("error", "malformed", "", "形式が正しくありません。"),
    ("error", "invalid", "", "入力が規則に合いません。"),
    ("error", "unknown-volume", "", "媒体台帳にないボリュームです。"),
    ("error", "volume-state", "", "ボリュームの状態により受け付けられません。"),
    ("error", "audit-log", "", "監査ログを利用できません。"),
    ("error", "audit-full", "", "監査ログの空き容量が足りないため、新しい作業を始められません。"),
    ("error", "accounts", "", "アカウントファイルを利用できません。"),
    ("error", "account-state", "", "現在の状態では受け付けられません。"),
    ("error", "not-found", "", "見つかりません。"),
    ("error", "unknown-hospital", "", "登録のない医療機関です。"),
    ("error", "read-only", "", "台帳への記入が停止しています。"),
    ("error", "log-unseen", "", "台帳の全体を確認できません。"),
    ("error", "on-shelf", "", "必要な媒体が保管棚にあります。"),
    ("error", "index", "", "索引に異常があります。開き直すと再構築されます。"),
    ("error", "unreadable", "", "保管した内容に異常があります。"),
    ("error", "not-allowed", "", "許可されていません。"),
    ("error", "closing", "", "保管庫を終了しています。"),
    ("error", "job-running", "", "同じ系列のジョブが、担当者の指示ですでに実行中です。"),
    ("error", "bug", "", "内部で異常が起きました。何も変更していません。"),
];

/// Sentences about accounts and forms that people meet often, in the library's words and in Japanese.
#[rustfmt::skip]
const PHRASES: &[(&str, &str)] = &[
    ("it is another", "現在のパスワードが違います。"),
    ("it has fewer than 8 characters", "8文字以上にしてください。"),
    ("it is over 256 bytes long", "長すぎます（256バイトまで）。"),
    ("it has control characters", "制御文字は使えません。"),
    ("it needs a letter, a digit and a symbol", "英字、数字、記号をすべて含めてください。"),
    ("the id or the name is in it", "IDまたは氏名が含まれています。"),
    ("a character stands four times in a row in it", "同じ文字が四つ続いています。"),
    ("it is the one in use, or one of the last", "現在のもの、または以前に使ったパスワードです。"),
    ("takes no change of password now", "誤入力が続いたため、しばらく変更を受け付けません。"),
    ("it has six digits", "コードは6桁の数字です。"),
    ("it is wrong, was used before, or came too soon after a wrong one", "コードが違うか、使用済みか、誤入力の直後です。"),
    ("has no second factor yet", "二要素目がまだ登録されていません。"),
    ("nobody agrees to their own request", "自分の申請は承認できません。"),
    ("nobody agrees to a request about themselves", "自分に関する申請は承認できません。"),
    ("one person agrees once", "承認は一人一回です。"),
    ("it is too old; somebody must ask anew", "申請の期限が切れています。申請し直してください。"),
    ("asks for the same and waits already", "同じ申請がすでに承認を待っています。"),
    ("is your own; somebody else stops it", "自分のアカウントは停止できません。別の人が停止します。"),
    ("was changed meanwhile; try again", "その間に変更されました。もう一度お試しください。"),
    ("it is missing", "入力されていない項目があります。"),
    ("it is not what is asked for", "入力の形式が正しくありません。"),
    ("there is no such", "選択肢にない値です。"),
    ("it is a day, as in 2026-04-01", "日付は 2026-04-01 の形で入力します。"),
    ("it lasts from a minute to 12 hours", "1分から12時間までです。"),
    ("a form has too many fields", "項目が多すぎます。"),
];

/// A word of a vocabulary.
pub(super) fn term<'a>(lang: Lang, vocabulary: &str, name: &'a str) -> &'a str {
    let found = TERMS.iter().find(|(of, other, _, _)| *of == vocabulary && *other == name);
    match (lang, found) {
        (Lang::Ja, Some((_, _, _, ja))) => ja,
        (Lang::En, Some((_, _, en, _))) if !en.is_empty() => en,
        _ => name,
    }
}

/// A sentence of the library in Japanese, if it is one of those.
pub(super) fn phrase(sentence: &str) -> Option<&'static str> {
    PHRASES.iter().find(|(en, _)| sentence.starts_with(en)).map(|(_, ja)| *ja)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{RequestKind, RequestState, Role, Standing};
    use crate::assets::AssetState;
    use crate::audit::{Action, MediaState, Outcome, TestKind};
    use crate::jobs::JobKind;
    use shosoin_protocol::act::{IncidentClass, QuarantineOutcome, QuarantineReason, QuarantinedThing, Severity};
    use shosoin_protocol::policy::RecordType;
    use std::collections::BTreeSet;

    #[test]
    fn no_word_is_there_twice() {
        let words: BTreeSet<(&str, &str)> = TERMS.iter().map(|(of, name, _, _)| (*of, *name)).collect();
        assert_eq!(words.len(), TERMS.len());
    }

    #[test]
    fn every_word_that_a_page_may_meet_has_a_translation() {
        let names = |of: &'static str, names: Vec<&'static str>| names.into_iter().map(move |name| (of, name));
        let all = names("job", JobKind::ALL.map(JobKind::name).to_vec())
            .chain(names("about job", JobKind::ALL.map(JobKind::name).to_vec()))
            .chain(names("media state", MediaState::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("test", TestKind::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("role", Role::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("standing", Standing::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("request", RequestKind::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("time agreement", crate::time_sync::Agreement::STATES.to_vec()))
            .chain(names("request state", RequestState::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("outcome", Outcome::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("action", Action::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("alarm", crate::notify::Alarm::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("incident", IncidentClass::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("incident severity", Severity::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("quarantine reason", QuarantineReason::ALL.iter().map(|word| word.name()).collect()))
            .chain(names("quarantine thing", QuarantinedThing::ALL.iter().map(|word| word.name()).collect()))
            .chain(names(
                "quarantine state",
                QuarantineOutcome::ALL.iter().map(|word| word.name()).chain(["held"]).collect(),
            ))
            .chain(names("record type", RECORD_TYPES.to_vec()))
            .chain(names(
                "asset state",
                [AssetState::Held, AssetState::GivenOut, AssetState::Disposed].map(AssetState::name).to_vec(),
            ));
        let missing: Vec<_> = all.filter(|(of, name)| term(Lang::Ja, of, name) == *name).collect();
        assert_eq!(missing, [], "store/src/console/terms.rs needs a row for each");
    }

    #[test]
    fn every_record_type_that_is_taken_can_be_searched_for() {
        let codes: Vec<&str> =
            (0..=u16::MAX).filter_map(|number| RecordType::from_number(number).ok()).map(RecordType::code).collect();
        assert_eq!(codes, RECORD_TYPES);
    }
}
