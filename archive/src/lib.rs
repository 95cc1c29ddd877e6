//! Volumes in object stores.
