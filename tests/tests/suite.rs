//! Stories told to a running daemon, and what must not happen in them. See `coffer_tests` for the harness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "tests fail by panicking"
)]

/// A row of the published vulnerabilities that asks for a feature which is not here, by name and reason.
macro_rules! absent {
    ($name:ident, $reason:literal) => {
        #[test]
        #[ignore = $reason]
        fn $name() {
            panic!("this feature is here now: send what the advisory describes");
        }
    };
}

mod after_seal;
mod audit_log;
mod backups;
mod bad_input;
mod ceremonies;
mod certificates;
mod clock;
mod coffer_everything;
mod commands;
mod destruction;
mod dev;
mod environments;
mod faults;
mod holders;
mod holders_agree;
mod hvac;
mod kept_checkpoints;
mod kill_storm;
mod many_targets;
mod memory;
mod passwords;
mod put_back;
mod readme;
mod rollback;
mod rule_1_one_path;
mod rule_2_ids;
mod rule_3_authorisation;
mod rule_4_secrets;
mod rule_5_limits;
mod rule_6_and_7;
mod sdk;
mod seal_faults;
mod seal_transit;
mod seals;
mod seals_by_command;
mod seals_of_children;
mod seals_speed;
mod shamir_timing;
mod sheets;
mod stored;
mod stories;
mod terminal;
mod uploads;
mod vuln_c01_paths;
mod vuln_c02_c03_escalation;
mod vuln_c04_certificates;
mod vuln_c05_federated;
mod vuln_c06_limits_of_guessing;
mod vuln_c07_disclosure;
mod vuln_c08_lifetimes;
mod vuln_c09_tenants;
mod vuln_c10_control;
mod vuln_c11_exhaustion;
mod vuln_c12_leaks;
mod vuln_c13_cryptography;
mod vuln_c14_files;
mod vuln_c15_c16_downstream;
mod vuln_c17_pages;
mod vuln_c18_objects;
mod ways_in;
