//! A vault in memory, its people and a hospital, for disposals; and the commands about them.

use super::*;

pub(super) const DAY_MS: u64 = 86_400_000;

/// User numbers of this machine that nobody has.
pub(super) const ADMIN: u32 = 4_100_001;
pub(super) const KEEPER: u32 = 4_100_002;

/// A person's key, by a number.
pub(super) fn person(number: u8) -> SigningKey {
    key(Suite::Default, 200 + number)
}

pub(super) fn id(name: &str) -> AccountId {
    name.parse().unwrap()
}

/// A vault in memory whose people can carry out disposals, and a hospital.
pub(super) struct Stage {
    pub(super) site: Site,
    pub(super) media: Vec<MemoryMedia>,
    pub(super) hospital: Hospital,
}

impl Stage {
    pub(super) async fn new(suite: Suite) -> (Stage, Vault) {
        Stage::on(memory_volumes(6), suite).await
    }

    pub(super) async fn on(media: Vec<MemoryMedia>, suite: Suite) -> (Stage, Vault) {
        let mut site = Site::on_media(IndexKind::Fjall, as_media(&media)).await;
        site.options.segment_bytes_max = Some(120_000);
        let mut config = shosoin_store::config::Config::load(&site.path()).unwrap();
        config.disposal.cool_down_days = 7;
        std::fs::write(site.path().join("vault.toml"), toml::to_string(&config).unwrap()).unwrap();
        let vault = site.open().await;
        let hospital = enrolled(&vault, suite, 7).await;
        people(&vault);
        (Stage { site, media, hospital }, vault)
    }

    /// A volume is taken out, given up, and shredded elsewhere. Gives the vault without it, after what its certificate says at
    /// each step.
    pub(super) async fn destroyed(&mut self, vault: Vault, no: usize, order: &ApprovedOrder) -> (Vault, [Value; 2]) {
        vault.close().await.unwrap();
        drop(vault);
        let mut others: Vec<MemoryMedia> =
            self.media.iter().enumerate().filter(|(at, _)| *at != no).map(|(_, media)| media.clone()).collect();
        others.extend(hard_disks(7).pop()); // what is taken out is replaced
        self.site.options.media = Some(as_media(&others));
        let vault = self.site.open().await;
        let mut said = Vec::new();
        for (state, why) in [(MediaState::Lost, "taken out"), (MediaState::Destroyed, "certificate 2026-031, shredded")]
        {
            let (volumes, id) = (vault.volumes().clone(), VolumeId([u8::try_from(no + 1).unwrap(); 16]).to_string());
            volumes.set_state(&id, state, why, false, "taro").unwrap();
            let certificate = DisposalCommand::Certificate { order: order.order.to_string() };
            said.push(command(&vault, certificate).await.unwrap());
        }
        (vault, said.try_into().unwrap())
    }

    pub(super) async fn deposit(&mut self, vault: &Vault, name: &str, chunks: &[Bytes]) -> (Parcel, OrderItem) {
        let parcel = self.hospital.parcel(name, chunks);
        let request = self.hospital.send(&parcel);
        let leaf = Entry::decode(&request.entry).unwrap().leaf_hash();
        let receipt = accept(vault, &mut self.hospital, [request]).await.remove(0);
        (parcel.clone(), OrderItem { leaf_index: receipt.inclusion.index, version: parcel.deposit.version, leaf })
    }

    pub(super) async fn state(&mut self, vault: &Vault, document: &Document, subject: Option<VersionId>) -> VersionId {
        let (id, request) = self.hospital.act(subject, document);
        accept(vault, &mut self.hospital, [request]).await;
        id
    }

    /// An order as the next act would be, asked for by person 0.
    pub(super) fn order(&self, id: VersionId, scope: Scope) -> Order {
        let days = NOW_MS + 200 * DAY_MS;
        Order::sign((self.hospital.log, id), DisposalReason::RetentionEnded, scope, 0, days, &person(0))
    }

    pub(super) async fn ordered(&mut self, vault: &Vault, items: &[OrderItem]) -> ApprovedOrder {
        self.ordered_in(vault, Scope::These(items.to_vec())).await
    }

    pub(super) async fn ordered_in(&mut self, vault: &Vault, scope: Scope) -> ApprovedOrder {
        let (id, request, document) = self.order_request(scope);
        let leaf = Entry::decode(&request.entry).unwrap().leaf_hash();
        accept(vault, &mut self.hospital, [request]).await;
        ApprovedOrder { log: self.hospital.log, order: id, leaf, document: self.hospital.suite.address(&document) }
    }

    pub(super) fn order_request(&mut self, scope: Scope) -> (VersionId, shosoin_protocol::api::DepositRequest, Bytes) {
        let id = self.hospital.fresh_version();
        let document = Document::DisposalOrder(self.order(id, scope));
        let bytes = Bytes::from(document.encode());
        (id, self.hospital.act_as(id, None, &document), bytes)
    }

    pub(super) async fn approved(&self, vault: &Vault, order: &ApprovedOrder) {
        for number in [1, 2] {
            approve(vault, order, number).await.unwrap();
        }
    }

    pub(super) fn pass_days(&self, days: u64) {
        self.site.clock.advance(days * DAY_MS);
    }

    pub(super) fn pass_cool_down(&self) {
        self.pass_days(7);
    }

    /// Whether bytes of a chunk are anywhere on the media.
    pub(super) fn is_on_media(&self, chunk: &Bytes) -> bool {
        is_on(&self.media, chunk)
    }

    /// The same vault, which is closed, on media and in a folder of its own.
    pub(super) fn fork(&self) -> Fork {
        let media: Vec<MemoryMedia> = self
            .media
            .iter()
            .map(|media| {
                let copy = MemoryMedia::new(&media.place());
                media.image().iter().for_each(|(path, bytes)| write_file(&copy, path, bytes));
                copy
            })
            .collect();
        let dir = tempfile::tempdir().unwrap();
        copy_folder(&self.site.path(), &dir.path().join("vault"));
        let options = OpenOptions { media: Some(as_media(&media)), ..self.site.options.clone() };
        Fork { media, site: Site { dir, clock: self.site.clock.clone(), options } }
    }
}

/// A copy of a vault.
pub(super) struct Fork {
    pub(super) media: Vec<MemoryMedia>,
    pub(super) site: Site,
}

impl Fork {
    pub(super) fn is_on_media(&self, chunk: &Bytes) -> bool {
        is_on(&self.media, chunk)
    }

    pub(super) async fn open_through(&self, faults: &Arc<Faults>) -> Result<Vault> {
        let faulty = |media: &MemoryMedia| FaultyMedia::new(Arc::new(media.clone()), faults.clone());
        let media = self.media.iter().map(|media| Arc::new(faulty(media)) as Arc<dyn Media>).collect();
        let options = OpenOptions { media: Some(media), ..self.site.options.clone() };
        Vault::open(&self.site.path(), options).await
    }
}

/// Volumes that can be overwritten where they lie.
pub(super) fn hard_disks(count: u8) -> Vec<MemoryMedia> {
    let disk = |no: u8| {
        let media = MemoryMedia::new(&format!("v{no:02}"));
        let label = VolumeLabel::new(VolumeId([no; 16]), TierKind::Hot, MediaClass::Hdd, 0);
        Volume::create(Arc::new(media.clone()), label).unwrap();
        media
    };
    (1..=count).map(disk).collect()
}

pub(super) fn is_on(media: &[MemoryMedia], chunk: &Bytes) -> bool {
    let needle = &chunk[chunk.len() / 2..chunk.len() / 2 + 64];
    let mut files = media.iter().flat_map(|media| media.image().into_values());
    files.any(|file| file.windows(needle.len()).any(|window| window == needle))
}

pub(super) fn write_file(media: &MemoryMedia, path: &str, bytes: &[u8]) {
    let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
    media.make_dir(dir).unwrap();
    let file = media.create(path, WriteUnit::Bytes).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
    media.sync_dir(dir).unwrap();
}

pub(super) fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), &target).unwrap()),
        }
    }
}

/// Puts shards of an earlier image of a medium back that are gone from it.
pub(super) fn restore_shards(media: &MemoryMedia, old: &BTreeMap<String, Vec<u8>>) {
    let there = media.image();
    for (path, bytes) in old.iter().filter(|(path, _)| path.ends_with(".shard") && !there.contains_key(*path)) {
        write_file(media, path, bytes);
    }
}

/// An administrator, a keeper who runs disposals, and three who approve; the third is suspended.
pub(super) fn people(vault: &Vault) {
    let add = |by: &Caller, name: &str, roles: &[Role], uid: Option<u32>| {
        let os_user = uid.map(|uid| OsUser { uid, name: actor::user(uid) });
        let (id, roles, name) = (id(name), Roles::of(roles).unwrap(), name.to_owned());
        vault.accounts().propose(by, Change::Add { id, name, roles, os_user, hours: Hours::default() }, "").unwrap();
    };
    add(&Caller::this_process(), "admin-one", &[Role::Admin], Some(ADMIN));
    let admin = Caller::user(ADMIN);
    add(&admin, "keeper-one", &[Role::Keeper], Some(KEEPER));
    for (number, name) in [(1, "approver-one"), (2, "approver-two"), (3, "approver-three")] {
        add(&admin, name, &[Role::DisposalApprover], None);
        let change = Change::SetKey { id: id(name), key: Some(person(number).public()) };
        vault.accounts().propose(&admin, change, "").unwrap();
    }
    // whoever asks has an account too, and might try to agree
    add(&admin, "manager-one", &[Role::DisposalApprover], None);
    let change = Change::SetKey { id: id("manager-one"), key: Some(person(0).public()) };
    vault.accounts().propose(&admin, change, "").unwrap();
    vault.accounts().suspend(&admin, &id("approver-three"), "on leave").unwrap();
}

pub(super) async fn command(vault: &Vault, command: DisposalCommand) -> Result<Value> {
    vault.disposal_command(command, Caller::user(KEEPER)).await
}

pub(super) async fn approve(vault: &Vault, order: &ApprovedOrder, number: u8) -> Result<Value> {
    let approval = Approval::sign(order, NOW_MS, &person(number));
    hand_in(vault, ApprovalFile { order: *order, approval }).await
}

pub(super) async fn hand_in(vault: &Vault, file: ApprovalFile) -> Result<Value> {
    command(vault, DisposalCommand::Approve { approval: hex::encode(file.encode()) }).await
}

pub(super) async fn run(vault: &Vault, order: &ApprovedOrder) -> Result<Value> {
    command(vault, DisposalCommand::Run { order: order.order.to_string(), dry_run: false }).await
}

pub(super) async fn dry_run(vault: &Vault, order: &ApprovedOrder) -> Value {
    command(vault, DisposalCommand::Run { order: order.order.to_string(), dry_run: true }).await.unwrap()
}

pub(super) fn certificate(report: &Value) -> Vec<u8> {
    std::fs::read(report["file"].as_str().unwrap()).unwrap()
}

pub(super) async fn states(vault: &Vault) -> Vec<AssetState> {
    let page = AssetCommand::List(Box::default());
    let page = vault.asset_command(page, Caller::user(KEEPER)).await.unwrap();
    let state = |asset: &Value| serde_json::from_value(asset["state"].clone()).unwrap();
    page["assets"].as_array().unwrap().iter().map(state).collect()
}
