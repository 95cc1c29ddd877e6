//! Placeholder
/// A fault.
#[derive(Debug)]
pub struct Fault;
/// Media that fail.
#[derive(Debug)]
pub struct FaultyMedia;
