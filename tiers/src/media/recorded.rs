//! Placeholder
/// A call.
#[derive(Debug)]
pub struct Call;
/// Media that record.
#[derive(Debug)]
pub struct RecordedMedia;
