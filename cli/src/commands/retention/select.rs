//! Which records a command of the hospital is about.

use crate::error::{Error, Result};
use clap::Args;
use shosoin_client::{Client, Selected, Selection};
use shosoin_protocol::VersionId;

/// Which records: a bucket with a name or a prefix, or ids of versions. Every version of a name is meant, those that a
/// delete took out of view among them.
#[derive(Debug, Clone, Args)]
pub struct SelectArgs {
    /// Bucket
    pub bucket: Option<String>,
    /// Name of the record in it
    #[arg(requires = "bucket")]
    pub name: Option<String>,
    /// Every record whose name begins so
    #[arg(long, value_name = "TEXT", requires = "bucket", conflicts_with = "name")]
    pub prefix: Option<String>,
    /// Only this version of the name, by its id
    #[arg(long, value_name = "ID", requires = "name")]
    pub version: Option<String>,
    /// A version by its id alone; repeat for more
    #[arg(long, value_name = "ID", conflicts_with = "bucket")]
    pub id: Vec<String>,
}

impl SelectArgs {
    /// What is looked for.
    pub fn selection(&self) -> Result<Selection> {
        let id = |text: &String| {
            text.parse::<VersionId>().map_err(|_| Error::invalid("version", format!("{text} has not 32 hex digits")))
        };
        let versions = self.version.iter().chain(&self.id).map(id).collect::<Result<_>>()?;
        if self.bucket.is_none() && self.id.is_empty() {
            return Err(Error::invalid("BUCKET", "name a bucket and a record of it, or give --id"));
        }
        if self.bucket.is_some() && self.name.is_none() && self.prefix.is_none() {
            return Err(Error::invalid("NAME", "give it, or --prefix; --prefix \"\" means every record of the bucket"));
        }
        Ok(Selection { bucket: self.bucket.clone(), name: self.name.clone(), prefix: self.prefix.clone(), versions })
    }

    /// What is found, at least one.
    pub async fn find(&self, client: &Client) -> Result<Vec<Selected>> {
        let found = client.select(&self.selection()?).await.map_err(Error::client("find the records"))?;
        match found.is_empty() {
            true => Err(Error::client("find the records")(shosoin_client::Error::Invalid {
                what: "selection",
                why: "the ledger has no such record",
            })),
            false => Ok(found),
        }
    }
}
