//! Tests that run the daemon as a process, with real clients.
