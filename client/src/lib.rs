//! The key-holding client: chunk, seal, upload, fetch, verify, local view of names
