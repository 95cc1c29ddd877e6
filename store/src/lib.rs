//! The operator's vault: intake, index, ledger, HTTP API
