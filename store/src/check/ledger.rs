//! One ledger, from its first entry to its head: signatures, chains of devices, hashes, and that every record an entry
//! names has a row.

use crate::check::walk::{Terms, Walk};
use crate::check::{CheckReport, Finding};
use crate::desk::Desk;
use crate::disposal::ended::Ended;
use crate::disposal::standing::ended_by;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::rows::{self, EpochRow, LeafIndex, LeafRow, RecordRow, RoleRow, Rows, SuitePolicyRow, WrapRow};
use shosoin_protocol::act::{Act, Document};
use shosoin_protocol::checkpoint::Checkpoint;
use shosoin_protocol::entry::{Body, Deposit, PlacedEntry};
use shosoin_protocol::manifest::AddressList;
use shosoin_protocol::merkle::Frontier;
use shosoin_protocol::{Address, Digest};

/// Checks the ledger of one desk.
pub fn check(desk: &Desk, index: &dyn Index, report: &mut CheckReport) -> Result<()> {
    let info = desk.info();
    let terms = Terms {
        hospital: info.hospital,
        suite: info.suite,
        hospital_key: info.hospital_key.clone(),
        lineage: desk.lineage()?.clone(),
    };
    LedgerCheck { desk, index, walk: Walk::begin(terms), frontier: Frontier::default(), report }.run()
}

struct LedgerCheck<'a> {
    desk: &'a Desk,
    index: &'a dyn Index,
    walk: Walk,
    frontier: Frontier,
    report: &'a mut CheckReport,
}

impl LedgerCheck<'_> {
    fn run(&mut self) -> Result<()> {
        let head = self.desk.ledger().head();
        if let Some(why) = self.desk.ledger().broken() {
            self.damaged("ledger-broken", why.to_owned());
        }
        for index in 0..head.size {
            self.leaf(index)?;
        }
        if self.frontier.size() == head.size && self.frontier.root() != head.root {
            self.damaged("ledger-root", format!("its entries have root {}, not {}", self.frontier.root(), head.root));
        }
        match Checkpoint::verify(&head.checkpoint, self.desk.ledger().public_key()) {
            Ok(checkpoint) if checkpoint.size == head.size && checkpoint.root == head.root => Ok(()),
            _ => {
                self.damaged("ledger-head", "its newest checkpoint is not one of this head".into());
                Ok(())
            }
        }
    }

    fn leaf(&mut self, index: u64) -> Result<()> {
        let row = self.index.row::<LeafRow>(&rows::leaf_key(self.desk.info().hospital, index))?;
        let leaf = match self.desk.ledger().entry(index) {
            Ok(placed) => {
                let leaf = placed.entry.leaf_hash();
                self.entry(&placed, leaf)?;
                if row.is_some_and(|row| row.leaf != leaf) {
                    self.index_wrong("leaf-row", format!("row of leaf {index} has another hash than its entry"));
                }
                Some(leaf)
            }
            Err(error) => {
                self.damaged("entry-unreadable", error.problem().message);
                row.map(|row| row.leaf)
            }
        };
        match leaf {
            // without this leaf no later node can be computed: the finding above says so, and the root is not compared
            Some(leaf) if self.frontier.size() == index => self.grow(leaf),
            _ => Ok(()),
        }
    }

    fn grow(&mut self, leaf: Digest) -> Result<()> {
        let mut completed = Vec::new();
        self.frontier.push(leaf, |node, hash| completed.push((node, hash)));
        for (node, hash) in completed.into_iter().filter(|(node, _)| node.level > 0) {
            let row = self.index.row::<Digest>(&rows::node_key(self.desk.info().hospital, node))?;
            if row != Some(hash) {
                self.index_wrong("node-row", format!("row of {node:?} is not the hash of its leaves"));
            }
        }
        Ok(())
    }

    fn entry(&mut self, placed: &PlacedEntry, leaf: Digest) -> Result<()> {
        self.report.entries += 1;
        let root = self.frontier.root();
        for (code, why) in self.walk.step(placed, leaf, root) {
            self.damaged(code, why);
        }
        if let Some(version) = placed.entry.body().id() {
            let row = self.index.row::<LeafIndex>(&rows::version_key(self.desk.info().hospital, version))?;
            if row != Some(LeafIndex(placed.index)) {
                self.index_wrong(
                    "version-row",
                    format!("row of version {version} does not lead to leaf {}", placed.index),
                );
            }
        }
        self.records(placed)
    }

    /// Every record the entry names has a row. That rows lead to their records is checked for all of them at once.
    fn records(&mut self, placed: &PlacedEntry) -> Result<()> {
        if self.desk.has_ended(placed)? {
            return Ok(()); // what it named was disposed of, and the entry stays
        }
        let mut named: Vec<Address> = placed.entry.body().attachment().into_iter().collect();
        if let Body::Deposit(deposit) = placed.entry.body() {
            named.extend(deposit.own_records().into_iter().filter(|address| *address != deposit.summary));
            named.extend(self.listed(placed.index, deposit)?);
        }
        if let Body::Act(act) = placed.entry.body() {
            named.extend(self.documented(placed.index, act)?);
        }
        for address in named {
            if self.index.row::<RecordRow>(&rows::record_key(self.desk.info().hospital, &address))?.is_none() {
                self.damaged("record-missing", format!("record {address}, named at leaf {}, has no row", placed.index));
            }
        }
        Ok(())
    }

    /// What the document of an act names.
    fn documented(&mut self, index: u64, act: &Act) -> Result<Vec<Address>> {
        let document = match self.desk.record(&act.document) {
            Ok(bytes) => Document::decode(act.kind, &bytes).map_err(|error| error.to_string()),
            Err(error @ Error::Index { .. }) => return Err(error),
            Err(error) => Err(error.problem().message),
        };
        match document {
            Ok(document) => {
                self.document_rows(index, &document)?;
                self.kept_by(&document)
            }
            Err(why) => {
                self.damaged("document", format!("leaf {index}: document of its act: {why}"));
                Ok(Vec::new())
            }
        }
    }

    /// What a document keeps alive: wraps of what was disposed of went with it, and snapshots made before.
    fn kept_by(&self, document: &Document) -> Result<Vec<Address>> {
        let rewrap = match document {
            Document::Rewrap(rewrap) => rewrap,
            Document::Snapshot(_) => return Ok(Ended::at(self.index, self.desk)?.names(document)),
            _ => return Ok(document.names()),
        };
        let mut kept = Vec::new();
        for (version, wrap) in rewrap.wraps() {
            if ended_by(self.index, self.desk.info().hospital, *version, 0)?.is_none() {
                kept.push(*wrap);
            }
        }
        Ok(kept)
    }

    /// The rows say what the document of the act at leaf `index` says, or what a later one does.
    fn document_rows(&mut self, index: u64, document: &Document) -> Result<()> {
        let hospital = self.desk.info().hospital;
        match document {
            Document::Epoch(epoch) => {
                let newest = self.index.row::<EpochRow>(&rows::epoch_key(hospital))?.unwrap_or_default();
                if newest.0 < epoch.number {
                    self.index_wrong("epoch-row", format!("epoch {} of leaf {index} is not known", epoch.number));
                }
            }
            Document::SuitePolicy(_) => {
                let row = self.index.row::<SuitePolicyRow>(&rows::suite_policy_key(hospital))?;
                if row.is_none_or(|row| row.leaf < index) {
                    self.index_wrong("suite-policy-row", format!("the suite policy of leaf {index} is not known"));
                }
            }
            Document::DeviceRole(stated) => {
                let row = self.index.row::<RoleRow>(&rows::role_key(hospital, stated.device))?;
                if row.is_none_or(|row| row.leaf > index) {
                    self.index_wrong("role-row", format!("the role of a device at leaf {index} is not known"));
                }
            }
            Document::Rewrap(rewrap) => {
                for (version, _) in rewrap.wraps() {
                    let row = self.index.row::<WrapRow>(&rows::wrap_key(hospital, *version))?;
                    if row.is_none_or(|row| (row.epoch, row.leaf) < (rewrap.epoch(), index)) {
                        self.index_wrong("wrap-row", format!("wrap of version {version} at leaf {index} is not known"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn listed(&mut self, index: u64, deposit: &Deposit) -> Result<Vec<Address>> {
        let list = match self.desk.record(&deposit.address_list) {
            Ok(bytes) => AddressList::decode(&bytes),
            Err(error @ Error::Index { .. }) => return Err(error),
            Err(error) => {
                self.damaged("address-list", format!("leaf {index}: {}", error.problem().message));
                return Ok(Vec::new());
            }
        };
        match list {
            Ok(list) if list.root() == deposit.address_root => Ok(list.addresses().to_vec()),
            _ => {
                self.damaged("address-list", format!("leaf {index}: its address list is not the one it commits to"));
                Ok(Vec::new())
            }
        }
    }

    fn damaged(&mut self, code: &'static str, why: String) {
        let message = format!("ledger of hospital {}: {why}", self.desk.info().hospital);
        self.report.findings.push(Finding::damaged(code, message));
    }

    fn index_wrong(&mut self, code: &'static str, why: String) {
        let message = format!("index of hospital {}: {why}", self.desk.info().hospital);
        self.report.findings.push(Finding::index(code, message));
    }
}
