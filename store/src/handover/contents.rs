//! What an entry of the ledger needs beside it: the records it names, in the order in which they are needed to read it.

use crate::disposal::ended::Ended;
use crate::error::{Error, Result};
use bytes::Bytes;
use shosoin_protocol::Address;
use shosoin_protocol::act::Document;
use shosoin_protocol::entry::{Body, Deposit};
use shosoin_protocol::manifest::AddressList;

/// The records that the entry at a leaf names, but those that disposals ended; what only a record of its own names is read from
/// that with `read`. What cannot be read is given to `read` alone: what it names is not known then.
pub fn named(
    leaf: u64,
    body: &Body,
    ended: &Ended,
    read: &mut dyn FnMut(&Address) -> Result<Option<Bytes>>,
) -> Result<Vec<Address>> {
    if ended.is(leaf) && body.name_change().is_some() {
        return Ok(Vec::new());
    }
    let mut addresses: Vec<Address> = body.attachment().into_iter().collect();
    match body {
        Body::Deposit(deposit) => {
            addresses.extend([deposit.wrap, deposit.manifest, deposit.address_list].into_iter().chain(deposit.report));
            if let Some(bytes) = read(&deposit.address_list)? {
                addresses.extend(list(deposit, &bytes)?.addresses());
            }
        }
        Body::Act(act) => {
            if let Some(bytes) = read(&act.document)? {
                let document = Document::decode(act.kind, &bytes);
                let document = document.map_err(|error| damaged("document", act.document)(error.to_string()))?;
                addresses.extend(ended.names(&document));
            }
        }
        _ => {}
    }
    Ok(addresses)
}

/// An address list, which must be the one that the entry commits to.
fn list(deposit: &Deposit, bytes: &[u8]) -> Result<AddressList> {
    let damaged = damaged("address list", deposit.address_list);
    match AddressList::decode(bytes) {
        Ok(list) if list.root() == deposit.address_root => Ok(list),
        Ok(_) => Err(damaged("it is not the one that the entry commits to".to_owned())),
        Err(error) => Err(damaged(error.to_string())),
    }
}

fn damaged(what: &'static str, address: Address) -> impl Fn(String) -> Error {
    move |why| Error::Damaged { what, id: address.to_string(), why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shosoin_protocol::entry::Expected;
    use shosoin_protocol::policy::DepositPolicy;
    use shosoin_protocol::{Digest, NameToken, VersionId};

    #[test]
    fn everything_that_is_a_versions_own_travels_with_it_its_malware_report_too() {
        let deposit = Deposit {
            version: VersionId([1; 16]),
            expected: Expected::Any,
            name_token: NameToken([2; 32]),
            manifest: Address([3; 32]),
            address_root: Digest([4; 32]),
            address_list: Address([5; 32]),
            address_count: 0,
            stored_bytes: 6,
            dek_commit: Digest([7; 32]),
            wrap: Address([8; 32]),
            summary: Address([9; 32]),
            policy: DepositPolicy::default(),
            report: Some(Address([10; 32])),
        };
        let mut own = deposit.own_records();
        let mut found = named(0, &Body::Deposit(Box::new(deposit)), &Ended::default(), &mut |_| Ok(None)).unwrap();
        own.sort();
        found.sort();
        assert_eq!(found, own);
    }
}
