//! Fetching over IMAP.
