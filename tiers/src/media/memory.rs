//! Placeholder
/// Media in memory.
#[derive(Debug)]
pub struct MemoryMedia;
