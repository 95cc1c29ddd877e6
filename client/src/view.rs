//! The local view of names.

pub mod list;
pub mod row;
