//! Hospital-side secrets: derivation, sealing, wrapping, key file
