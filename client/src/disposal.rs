//! Disposal, as the hospital orders it: what is meant, signed by the person who asks and by a device, and taken back while it has
//! not begun.
//!
//! Invariants
//! - An order names entries by place and hash, as this client read them under a head that it verified.
//! - With the last version of a name go its markers, tags and withdrawals: they say the name too.

use crate::clock::{fresh_version, now_ms};
use crate::{Client, Error, Result, Selected, Selection, Stated};
use shosoin_protocol::act::{ActKind, Cancel, DisposalReason, DisposalStep, Document, Order, OrderItem, Scope};
use shosoin_protocol::entry::Body;
use shosoin_protocol::limits::ORDER_ITEMS_MAX;
use shosoin_protocol::manifest::Summary;
use shosoin_protocol::retention::{DAY_MS, End};
use shosoin_protocol::sign::SigningKey;
use shosoin_protocol::{NameToken, VersionId};
use std::collections::{BTreeMap, BTreeSet};

/// How an order is made.
pub struct OrderOptions<'a> {
    /// why
    pub reason: DisposalReason,
    /// days that must pass between the last approval and the end
    pub cool_down_days: u16,
    /// days that it stands
    pub stands_days: u16,
    /// key of the person who asks
    pub requester: &'a SigningKey,
}

/// An order in the ledger.
#[derive(Debug)]
pub struct OrderStated {
    /// its act
    pub stated: Stated,
    /// entries it names
    pub entries: u64,
    /// deposits among them
    pub deposits: u64,
}

/// What became of an order, as the ledger has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStanding {
    /// it waits
    Ordered,
    /// it was taken back
    Cancelled,
    /// its end has begun, at this moment by the vault's clock
    Begun(u64),
    /// the newest certificate says that so many copies are pending
    Certified(u64),
}

impl Client {
    /// Orders the disposal of what a selection means; with `due_only` of that only what has expired and is not on hold. More
    /// entries than one order names are several orders.
    pub async fn order_disposal(
        &self,
        selection: &Selection,
        due_only: bool,
        options: &OrderOptions<'_>,
    ) -> Result<Vec<OrderStated>> {
        let mut selected = self.select(selection).await?;
        let now = now_ms();
        let is_due = |one: &Selected| one.keeping.is_over(now) && !(due_only && one.keeping.end() == End::Never);
        if due_only {
            selected.retain(is_due);
        } else if let Some(kept) = selected.iter().find(|one| !is_due(one)) {
            return Err(Error::StillKept { version: kept.keeping.version });
        }
        if selected.is_empty() {
            return Err(Error::Invalid { what: "selection", why: "it means no record that may be disposed of" });
        }
        let items = self.with_changes(&selected).await?;
        let mut stated = Vec::new();
        for part in items.chunks(ORDER_ITEMS_MAX) {
            let scope = Scope::These(part.to_vec());
            let deposits =
                part.iter().filter(|item| selected.iter().any(|one| one.leaf_index == item.leaf_index)).count();
            let act = self.state_order(scope, options).await?;
            stated.push(OrderStated { stated: act, entries: part.len() as u64, deposits: deposits as u64 });
        }
        Ok(stated)
    }

    /// Orders the end of everything, at the end of the contract; `hand_over` is the act by which the hospital confirmed that all
    /// of it was handed over.
    pub async fn order_exit(&self, hand_over: Option<VersionId>, options: &OrderOptions<'_>) -> Result<OrderStated> {
        let mut deposits = 0;
        let log_size = self
            .walk(&mut |_, item| {
                deposits += u64::from(matches!(item.placed.entry.body(), Body::Deposit(_)));
                Ok(())
            })
            .await?;
        let head = self.inner.ledger.head().filter(|head| head.size() == log_size);
        let head = head.ok_or(Error::Invalid { what: "order", why: "the ledger grew meanwhile; ask again" })?;
        let log_root = head.checkpoint().root;
        let stated = self.state_order(Scope::Everything { log_size, log_root, hand_over }, options).await?;
        Ok(OrderStated { stated, entries: log_size, deposits })
    }

    /// Takes an order back, as long as its end has not begun.
    pub async fn cancel_disposal(&self, order: VersionId) -> Result<Stated> {
        match self.disposal_standing(order)? {
            None => Err(Error::Invalid { what: "order", why: "the ledger has no disposal order of that id" }),
            Some(OrderStanding::Ordered) => self.state(None, Document::DisposalCancelled(Cancel { order })).await,
            Some(OrderStanding::Cancelled) => Err(Error::Invalid { what: "order", why: "it was taken back already" }),
            Some(_) => Err(Error::Invalid { what: "order", why: "its end has begun, and cannot be undone" }),
        }
    }

    /// How far an order has come; nothing where the ledger has none of that id.
    pub fn disposal_standing(&self, order: VersionId) -> Result<Option<OrderStanding>> {
        let kinds = [ActKind::DisposalOrder, ActKind::DisposalCancelled, ActKind::Disposed];
        let mut standing = None;
        for act in self.inner.view.acts(&kinds)? {
            match act.document {
                Document::DisposalOrder(_) if act.id == order => standing = Some(OrderStanding::Ordered),
                Document::DisposalCancelled(cancel) if cancel.order == order => {
                    standing = Some(OrderStanding::Cancelled);
                }
                Document::Disposed(disposed) if disposed.order == order => {
                    standing = Some(match disposed.step {
                        DisposalStep::Begun { .. } => OrderStanding::Begun(act.accepted_ms),
                        DisposalStep::Certified { pending, .. } => OrderStanding::Certified(pending),
                    });
                }
                _ => {}
            }
        }
        Ok(standing)
    }

    /// Every disposal order in the ledger, in its order.
    pub fn disposal_orders(&self) -> Result<Vec<(VersionId, u64, Order)>> {
        let acts = self.inner.view.acts(&[ActKind::DisposalOrder])?;
        let orders = acts.into_iter().filter_map(|act| match act.document {
            Document::DisposalOrder(order) => Some((act.id, act.accepted_ms, order)),
            _ => None,
        });
        Ok(orders.collect())
    }

    async fn state_order(&self, scope: Scope, options: &OrderOptions<'_>) -> Result<Stated> {
        let (id, now) = (fresh_version(now_ms())?, now_ms());
        let expires_ms = now.saturating_add(u64::from(options.stands_days) * DAY_MS);
        let log = self.inner.ledger.identity().log;
        let (reason, days) = (options.reason, options.cool_down_days);
        let order = Order::sign((log, id), reason, scope, days, expires_ms, options.requester);
        self.state_as(id, None, Document::DisposalOrder(order), Vec::new()).await
    }

    /// The items of an order: what was selected, and the changes of names of which nothing else is left.
    async fn with_changes(&self, selected: &[Selected]) -> Result<Vec<OrderItem>> {
        let going: BTreeSet<u64> = selected.iter().map(|one| one.leaf_index).collect();
        let mut lives: BTreeSet<NameToken> = BTreeSet::new();
        let mut goes: BTreeSet<NameToken> = BTreeSet::new();
        let mut changes: BTreeMap<u64, (NameToken, OrderItem)> = BTreeMap::new();
        let mut items: BTreeMap<u64, OrderItem> = BTreeMap::new();
        self.walk(&mut |leaf_index, item| {
            let entry = &item.placed.entry;
            let leaf = entry.leaf_hash();
            match entry.body() {
                Body::Deposit(deposit) if going.contains(&leaf_index) => {
                    goes.insert(deposit.name_token);
                    items.insert(leaf_index, OrderItem { leaf_index, version: deposit.version, leaf });
                }
                // one whose summary is gone has ended before
                Body::Deposit(deposit) if !item.attachment.is_empty() => drop(lives.insert(deposit.name_token)),
                Body::Marker(change) | Body::Policy(change) if !item.attachment.is_empty() => {
                    let opened = self.inner.keyring.open_summary(change.version, &item.attachment);
                    let summary = opened.map_err(|source| Error::Keyring { what: "summary", source })?;
                    if !matches!(summary, Summary::Bucket(_)) {
                        let item = OrderItem { leaf_index, version: change.version, leaf };
                        changes.insert(leaf_index, (change.name_token, item));
                    }
                }
                _ => {}
            }
            Ok(())
        })
        .await?;
        if items.len() != going.len() {
            return Err(Error::Invalid { what: "selection", why: "the ledger changed meanwhile; ask again" });
        }
        let of_ended = |(token, _): &&(NameToken, OrderItem)| goes.contains(token) && !lives.contains(token);
        items.extend(changes.values().filter(of_ended).map(|(_, item)| (item.leaf_index, *item)));
        Ok(items.into_values().collect())
    }
}
