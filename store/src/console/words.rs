//! Every sentence of the console, in both languages, side by side: one that lacks a translation does not compile.
//!
//! Words of closed vocabularies (states, actions, roles) are in `terms`.

macro_rules! words {
    ($($name:ident: $en:literal, $ja:literal;)+) => {
        /// The sentences of one language.
        #[derive(Debug)]
        pub(super) struct Words {
            $(pub(super) $name: &'static str,)+
        }

        /// In English.
        pub(super) static EN: Words = Words { $($name: $en,)+ };
        /// In Japanese.
        pub(super) static JA: Words = Words { $($name: $ja,)+ };

        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $en, $ja),)+];
    };
}

words! {
    own_name: "English", "日本語";
    console: "Operator console", "運用コンソール";
    skip: "Skip to the content", "本文へ";
    ledger_number: "Deposit no.", "台帳番号";
    address: "Address", "接続元";
    menu: "Pages", "ページ一覧";
    vault: "Vault", "保管庫";
    log_on: "Log on", "ログオン";
    log_off: "Log off", "ログオフ";
    back: "Back", "戻る";
    to_the_start: "To the overview", "概要へ";
    not_done: "Not done", "実行できませんでした";
    nothing_changed: "Nothing was changed.", "何も変更していません。";
    nothing_here: "There is nothing at this address.", "このアドレスには何もありません。";
    not_understood: "The request was not understood.", "要求の形式が正しくありません。";
    from_elsewhere: "The request came from a page of another site, or did not say where it came from.", "別のサイトからの要求か、送信元が示されていない要求です。";
    form_is_old: "The form is not of this session any more. Open the page again and repeat it.", "この入力画面は現在のセッションのものではありません。ページを開き直してください。";
    too_many: "Too many requests. Wait a moment, then try again.", "要求が多すぎます。しばらく待ってから再度お試しください。";
    bug: "The vault met a bug of its own. Nothing was changed.", "保管庫の内部で異常が起きました。何も変更していません。";
    logged_off: "The session has ended. Log on again.", "セッションが終了しました。もう一度ログオンしてください。";
    log_on_failed: "Log-on failed. After a wrong try wait a few seconds, after several a while.", "ログオンできませんでした。誤入力の後は数秒、続いた場合はしばらく待ってください。";
    not_your_role: "This is for other duties", "この操作を行える役割ではありません";
    outside_hours: "It is outside the hours of your account, or the clock is in doubt.", "アカウントに許可された時間帯の外か、時計が疑わしい状態です。";
    not_permitted: "Your account may not do this.", "このアカウントには許可されていません。";
    accounts_doubted: "The accounts file is not the one that the audit log knows. Nobody gets anything done until it is put right.", "アカウントファイルが監査ログの記録と一致しません。解消されるまで操作できません。";

    none: "none", "なし";
    any: "any", "すべて";
    yes: "yes", "あり";
    no: "no", "なし";
    never: "never", "なし";
    always: "always", "常時";
    good: "good", "正常";
    warn: "look", "注意";
    bad: "act", "要対応";
    to_note: "note", "確認";
    days: "days", "日";
    hours: "hours", "時間";
    minutes: "Minutes", "分数";
    state: "State", "状態";
    actions: "Actions", "操作";
    details: "Details", "詳細";
    when: "When", "日時";
    what: "What", "内容";
    who: "Who", "実行者";
    by: "By", "実行者";
    since: "since", "開始";
    until: "until", "終了";
    result: "Result", "結果";
    reason: "Reason", "理由";
    number: "Number", "番号";
    name: "Name", "氏名";
    search: "Search", "検索";
    older: "Older records", "これより古い記録";
    next_page: "Next page", "次のページ";
    nothing_found: "Nothing was found.", "該当するものはありません。";
    history: "History", "履歴";
    request: "request", "申請";
    language: "Language", "言語";

    overview: "Overview", "概要";
    late: "Late or soon", "期限切れ・期限間近";
    nothing_late: "Nothing is late.", "期限を過ぎたものはありません。";
    demo: "This vault is a demonstration: its volumes may share one device. Do not keep records here that must last.", "この保管庫は実演用です。ボリュームが一つの装置を共有していることがあり、保存すべき記録を置かないでください。";
    capacity: "Capacity", "容量";
    health: "Health", "健全性";
    used: "Used", "使用";
    free: "Free", "空き";
    records_bytes: "Bytes of records", "記録の容量";
    segments: "Segments", "セグメント";
    segment: "segment", "セグメント";
    closed: "closed", "確定";
    open: "open", "書込中";
    code_of_segments: "Code of new segments", "新しいセグメントの符号";
    volumes_well: "Volumes that are well", "正常なボリューム";
    segments_degraded: "Segments that lack a shard", "断片の欠けたセグメント";
    segments_unreadable: "Segments that cannot be read:", "読み出せないセグメント：";
    repair_queue: "Waiting for repair", "修復待ち";
    oldest_unverified: "Longest unverified", "最長の未検証期間";
    clock: "Clock", "時計";
    trusted: "trusted", "信頼できる";
    doubted: "in doubt", "疑わしい";
    program_and_settings: "Program and settings", "プログラムと設定";
    as_registered: "as registered", "登録どおり";
    not_registered: "changed, and nobody registered it", "未登録の変更あり";
    never_registered: "never registered", "未登録";
    standard_time: "Standard time", "標準時との一致";
    clock_doubted: "The clock is in doubt. Compare it with a good one: shosoin audit confirm-clock.", "時計が疑わしい状態です。正しい時計と照合してください（shosoin audit confirm-clock）。";
    nearly_full: "The volumes are nearly full:", "ボリュームの空きが少なくなっています：";
    volume_absent: "A volume is absent:", "ボリュームがありません：";
    repairs_wait: "Waiting for repair:", "修復待ち：";
    losses_survived: "more losses that are survived:", "あと何台の喪失に耐えるか：";
    late_since: "late since", "遅延の開始";
    job_failed: "its last run failed", "前回の実行が失敗";
    requests_wait: "Requests that wait for you:", "あなたの承認を待つ申請：";
    account_locked: "Locked after wrong tries:", "誤入力により締め出し中：";
    last_log_on: "Last log-on", "前回のログオン";
    last_failure: "Last failure", "前回の失敗";
    failed_tries: "Failed tries since then:", "その後の失敗回数：";
    perhaps_not_you: "If that was not you, somebody may have tried your account: tell an administrator.", "心当たりがなければ、第三者が試みた可能性があります。管理者に連絡してください。";
    hospital: "Hospital", "医療機関";
    hospitals: "Hospitals", "医療機関";
    no_hospital: "No hospital is enrolled.", "登録された医療機関はありません。";
    suite: "Suite", "暗号スイート";
    log_entries: "Entries in its log", "台帳の項目数";
    waiting: "Waiting", "待ち";
    takes_deposits: "takes deposits", "受入可能";
    log_read_only: "its log takes no entries", "台帳への記入停止中";

    jobs: "Jobs", "ジョブ";
    job: "Job", "ジョブ";
    jobs_not_scheduled: "No job starts by itself: [jobs] enabled is false.", "ジョブは自動では始まりません（[jobs] enabled が false）。";
    progress: "Progress", "進み具合";
    last_run: "Last run", "前回の実行";
    next_run: "Next run", "次回の予定";
    still: "still", "残り";
    findings: "Findings", "検出";
    start: "Start", "開始";
    stop: "Stop", "停止";
    dry_run: "Dry run", "試行";
    job_started: "The job was started.", "ジョブを開始しました。";
    job_stopping: "The job was asked to end; it does at its next safe point.", "停止を要求しました。次の安全な区切りで止まります。";
    job_was_idle: "The job was not running.", "ジョブは実行中ではありませんでした。";
    job_running: "running", "実行中";
    job_late: "late", "遅延";
    job_due: "due", "実行時期";
    job_in_hand: "to be continued", "途中";
    job_idle: "waiting", "待機";
    scrub_debt: "Verification debt", "検証の遅れ";
    verify_period: "Every byte is verified within", "全バイトの検証周期";
    to_verify: "To be verified", "検証対象";
    not_verified_in_time: "Not verified in time", "期限内に未検証";
    window: "Window for long work", "長時間作業の時間帯";
    window_open: "open now", "現在は時間内";
    window_closed: "closed now", "現在は時間外";
    began: "Began", "開始日時";
    took: "Took", "所要時間";
    items: "Items", "件数";
    units: "Units verified", "検証したユニット";
    read: "Read", "読取量";
    written: "Written", "書込量";
    freed: "Freed", "解放量";
    rebuilt: "Rebuilt", "再構成";
    left_over: "Could not be done", "未了";
    asked_here: "Asked for here", "この画面からの実行";
    was_dry_run: "A dry run: nothing was changed. What follows would be done.", "試行のため何も変更していません。実行すれば次のとおりになります。";
    would_be_done: "Would be done", "実行する内容";
    was_done: "Was done", "実行した内容";
    start_with: "Start with limits", "条件を付けて開始";
    only_volume: "Volume", "ボリューム";
    every_volume: "every one", "すべて";
    at_most_hours: "At most, in hours", "最長時間（時間）";
    at_most_hours_hint: "It ends at the next safe point after that, and goes on later.", "その後の安全な区切りで止まり、後で続きから再開します。";
    at_most_rate: "At most, in MiB a second", "最大速度（MiB/秒）";
    every_unit: "read every unit too", "全ユニットも読み出す";
    dry_run_hint: "dry run: say what would be done, and do nothing", "試行：実行する内容を示すだけで、何も変更しない";

    volumes: "Volumes", "ボリューム";
    volume: "Volume", "ボリューム";
    volumes_in_use: "Volumes in use", "使用中のボリューム";
    volumes_gone: "Volumes that are gone", "使用を終えたボリューム";
    no_volume: "There is no volume.", "ボリュームはありません。";
    life: "Life", "寿命";
    of_life_over: "of its life is over", "経過";
    no_end: "no rated end", "寿命の定めなし";
    ends: "ends", "寿命の終わり";
    move_by: "Begin to move by", "移行開始の期限";
    test_due: "Test by", "検査の期限";
    not_there: "not there", "不在";
    old_image: "old image", "古い複製";
    now: "Now", "現在";
    label_says: "What its label says", "ラベルの記載";
    shards: "Shards", "断片";
    shelf: "Shelf", "保管棚";
    power_on_hours: "Power-on hours", "通電時間";
    passes: "Passes", "走行回数";
    last_tour: "Last tour", "前回の巡回検証";
    media_class: "Class and tier", "種別と階層";
    maker: "Maker and model", "製造者・型式";
    serial: "Serial number", "製造番号";
    lot: "Lot", "ロット";
    firmware: "Firmware", "ファームウェア";
    first_use: "First use", "使用開始";
    rated_life: "Rated life", "定格寿命";
    security_label: "Security label", "機密区分";
    site: "Site", "拠点";
    rack: "Rack", "ラック";
    power: "Power feed", "電源系統";
    host: "Machine", "装置";
    tests: "Tests", "検査";
    test: "Test", "検査";
    value: "Value", "値";
    passed: "passed", "合格";
    failed: "failed", "不合格";

    forecast: "Forecast", "予測";
    months: "Months", "月数";
    month: "Month", "月";
    mib_per_second: "MiB a second", "速度（MiB/秒）";
    hours_per_week: "Hours a week", "週あたり時間";
    drives: "Drives", "ドライブ数";
    growth: "Growth each month", "月ごとの増加";
    growth_gib: "Growth each month, GiB", "月ごとの増加（GiB）";
    growth_guessed: "guessed from what is held", "保有量からの推定";
    reckon: "Reckon", "計算";
    everything_fits: "Everything fits.", "すべて収まります。";
    does_not_fit: "What must move does not fit from this month on:", "次の月から移行が間に合いません：";
    reckoned_with: "Reckoned with", "計算の前提";
    rate: "Rate", "速度";
    margin: "Margin before the end of a life", "寿命の終わりまでの余裕";
    volumes_expiring: "Volumes whose life ends in this time", "期間内に寿命を迎えるボリューム";
    none_expires: "None.", "ありません。";
    to_move: "To move", "移行量";
    figures_by_month: "Figures by month", "月ごとの数値";
    hours_needed: "Hours needed", "必要時間";
    hours_available: "Hours there are", "使える時間";
    fits: "fits", "可";
    misfit: "does not fit", "不可";
    chart_title: "Drive-hours needed by month", "月ごとに必要なドライブ時間";
    chart_needed: "needed", "必要";
    chart_misfit: "needed, does not fit", "必要だが間に合わない";
    chart_available: "available", "使える時間";
    chart_begin: "Volumes that begin to move", "移行を始めるボリューム数";

    ledger: "Asset ledger", "資産台帳";
    ledger_notice: "Names and contents are sealed with keys that only the hospital has. There is nothing of either here, and every look is recorded.", "名称と内容は医療機関だけが持つ鍵で封緘されており、ここには表示されません。閲覧はすべて記録されます。";
    record_type: "Record type", "記録の種類";
    label: "Label", "機密区分";
    retention: "Retention", "保存期間";
    accepted_from: "Accepted from", "受入日（から）";
    accepted_until: "Accepted until", "受入日（まで）";
    device: "Device", "署名装置";
    from_number: "From number", "番号（から）";
    order: "Order", "並び順";
    descending: "largest first", "降順";
    deposits: "Deposits", "受入記録";
    deposit: "Deposit", "受入記録";
    accepted: "Accepted", "受入日時";
    claimed: "Signed, by the hospital's clock", "署名日時（医療機関の時計）";
    sealed_bytes: "Sealed size", "封緘後の容量";
    retention_ends: "Retention ends", "保存期限";
    start_unknown: "start not known", "起算日未確定";
    matched: "Entries found:", "該当件数：";
    keeping: "Keeping", "保管";
    version: "Version", "版";
    name_token: "Token of its name", "名称の符号";
    records: "Records", "記録数";
    content_rights: "Who here reads its content", "ここで内容を読める者";
    nobody_here_reads: "nobody: it is sealed, and the keys are the hospital's", "なし（封緘されており、鍵は医療機関のもの）";
    term: "Term", "保存年限";
    term_starts: "Term starts", "起算日";
    manager: "Responsible", "管理責任者";
    sites: "Sites", "保管拠点";
    media_that_hold: "Media that hold it", "保管している媒体";
    record: "Record", "記録番号";

    audit: "Audit log", "監査ログ";
    from_day: "From day", "開始日";
    until_day: "Until day", "終了日";
    records_newest_first: "Records, newest first", "記録（新しい順）";
    verify_log: "Verify the whole log", "ログ全体を検証";
    log_whole: "The log is whole: each record follows from the one before it.", "ログは完全です。各記録が直前の記録とつながっています。";
    log_damaged: "The log is damaged.", "ログが損なわれています。";
    copies_compared: "Copies on volumes compared", "照合したボリューム上の写し";
    newest_record: "Newest record", "最新の記録";
    head_digest: "Its digest", "そのダイジェスト";
    remember_head: "Write number and digest down elsewhere: whoever remembers them can tell later that nothing before was changed.", "番号とダイジェストを別の場所に控えておくと、それ以前が変更されていないことを後で確かめられます。";

    approvals: "Approvals", "承認";
    approvals_notice: "What needs two people waits here for the second. Nobody agrees to their own request, to one about themselves, or twice.", "二人の関与を要する操作は、ここで二人目を待ちます。自分の申請や自分に関する申請は承認できず、承認は一人一回です。";
    requests_waiting: "Requests that wait", "承認待ちの申請";
    requests_over: "Requests that are over", "終了した申請";
    nothing_waits: "Nothing waits.", "承認待ちはありません。";
    asked_by: "Asked by", "申請者";
    agreed: "Agreed", "承認";
    expires: "Expires", "期限";
    digest: "digest", "ダイジェスト";
    agree: "Agree", "承認する";
    refuse: "Refuse", "却下する";
    take_back: "Take back", "取り下げる";
    you_agreed: "You agreed.", "承認しました。";
    you_refused: "The request is over.", "申請を終了しました。";

    account: "Account", "アカウント";
    account_id: "Account id", "アカウントID";
    password: "Password", "パスワード";
    code: "One-time code", "ワンタイムコード";
    code_hint: "Leave it empty if you have no second factor yet.", "二要素目をまだ登録していない場合は空欄のままにします。";
    log_on_notice: "For people who run this vault. Every try is recorded.", "保管庫の運用担当者専用です。試行はすべて記録されます。";
    roles: "Duties", "役割";
    hours_allowed: "Hours", "利用できる時間";
    password_expires: "Password expires", "パスワードの期限";
    session_since: "Logged on since", "ログオン日時";
    session_ends: "Session ends after", "自動ログオフ";
    minutes_unused: "minutes without use", "分間操作がないとき";
    change_password: "Change the password", "パスワードの変更";
    password_in_use: "Password in use", "現在のパスワード";
    new_password: "New password", "新しいパスワード";
    new_password_again: "New password again", "新しいパスワード（再入力）";
    password_rules: "At least 8 characters with a letter, a digit and a symbol; nothing of your id or name in it.", "8文字以上で英字・数字・記号を含み、IDや氏名を含まないもの。";
    passwords_differ: "The two new passwords differ.", "新しいパスワードが一致しません。";
    password_changed: "The password was changed.", "パスワードを変更しました。";
    first_password_notice: "Choose a password of your own first. Nothing else is possible before.", "まず自分のパスワードを設定してください。それまで他の操作はできません。";
    first_factor_notice: "Enrol a second factor now. Nothing else is possible before.", "次に二要素目を登録してください。それまで他の操作はできません。";
    second_factor: "Second factor", "二要素目";
    factor_in_use: "A second factor is in use. Another one takes its place once its first code is proved.", "二要素目が有効です。新しいものは最初のコードの確認後に置き換わります。";
    factor_missing: "An authenticator app or a token shows a code that changes every 30 seconds.", "認証アプリまたはトークンが、30秒ごとに変わるコードを表示します。";
    factor_enrol: "Enrol a second factor", "二要素目を登録する";
    factor_anew: "Enrol another one", "別のものを登録する";
    code_of_old_factor: "Code of the one in use", "現在のもののコード";
    factor_scan: "Scan this with an authenticator app. It is shown once.", "認証アプリで読み取ってください。表示は一度だけです。";
    factor_qr: "QR code of the second factor", "二要素目のQRコード";
    factor_type: "Or type this key:", "または次の鍵を入力します：";
    code_of_new_factor: "Code that it shows", "表示されたコード";
    factor_prove: "Prove it", "確認する";
    factor_proved: "The second factor is proved. From now on every log-on asks for a code.", "二要素目を確認しました。以後のログオンではコードが必要です。";
    break_glass: "Emergency", "緊急時の権限";
    break_glass_notice: "More duties, or all hours, for a while. A second person must agree, everybody sees it, and it ends by itself.", "一定時間だけ役割や時間帯を広げます。別の人の承認が必要で、全員に見え、自動的に終わります。";
    more_roles: "Duties", "役割";
    more_roles_hint: "None: your own duties at any hour.", "選ばない場合は、自分の役割を時間帯の制限なく使えます。";
    ask: "Ask", "申請する";
    request_made: "The request waits for a second person.", "申請しました。二人目の承認を待っています。";

    people: "People", "担当者";
    people_notice: "Accounts are made and changed with shosoin account, by an administrator and a second person.", "アカウントの作成と変更は、管理者と別の一人が shosoin account で行います。";
    logged_on_now: "Logged on now", "ログオン中";
    from_where: "From", "接続元";
    used_last: "Used last", "最終操作";
    locked: "locked", "締め出し中";
    suspend: "Suspend", "停止する";
    suspended: "The account is suspended, and its sessions ended.", "アカウントを停止し、セッションを終了しました。";

    reports: "Reports", "報告書";
    reports_notice: "The report of a month is made once, with shosoin report make, and never changed.", "月次報告書は shosoin report make で一度だけ作成し、後から変更しません。";
    no_report: "No report was made yet.", "報告書はまだありません。";
    report_month: "Month", "対象月";
    incidents: "Incidents", "事故";
    incidents_notice: "What hospitals were told at once, as it stands in their ledgers.", "医療機関へ直ちに知らせた事柄を、各台帳の記載どおりに示します。";
    no_incident: "There is none.", "ありません。";
    quarantine: "Quarantine", "隔離";
    quarantine_notice: "What came and intake found suspicious. It is kept apart as evidence and read by nobody; two people let it out, with shosoin quarantine release, as the hospital decided.", "受入れ時に疑わしいと判定したものです。証拠として別に保管し、誰も読みません。医療機関の判断に従い、二名の承認により shosoin quarantine release で取り出すか破棄します。";
    nothing_in_quarantine: "Nothing is in quarantine.", "隔離中のものはありません。";
    why: "Why", "理由";
    size: "Size", "大きさ";
    came: "Came", "受領日時";
    decide_until: "To be decided until", "判断の期限";
    left_out: "Not kept, records:", "保管しなかった記録数:";
    severity: "Severity", "重大度";
    noticed: "Noticed", "発見日時";
    told: "Told", "通知";
    leaf: "leaf", "台帳番号";
    scene: "Scene preserved", "保全した現場";

    applicability: "Applicability", "適用宣言書";
    applicability_notice: "Every control of the guideline with its state and the evidence, measured on this vault at the moment you ask. The page prints as a document to hand to an auditor.", "指針の全管理策について、状態と根拠をその時点でこの保管庫に対して測定します。そのまま印刷し、監査人に渡せる文書になります。";
    applicability_takes: "Measuring takes some seconds and is recorded.", "測定には数秒かかり、記録に残ります。";
    every_hospital: "every one", "すべて";
    measure: "Measure and show", "測定して表示";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Whether it has a letter of one of the Japanese scripts.
    fn is_japanese(text: &str) -> bool {
        text.chars().any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}'))
    }

    #[test]
    fn every_sentence_is_in_both_languages_and_in_the_right_one() {
        for (name, en, ja) in ALL {
            assert!(!en.trim().is_empty() && is_japanese(ja), "{name}");
            assert!(en.is_ascii() && !is_japanese(en), "{name}: {en}");
        }
        let names: BTreeSet<&str> = ALL.iter().map(|(name, _, _)| *name).collect();
        assert_eq!(names.len(), ALL.len());
        assert_eq!((EN.overview, JA.overview), ("Overview", "概要"));
    }
}
