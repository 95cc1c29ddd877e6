//! Placeholder
/// Options.
#[derive(Debug)]
pub struct FileOptions;
/// Media in a folder.
#[derive(Debug)]
pub struct FileMedia;
