//! C15 and C16: injection into what lies behind, calls to elsewhere, and issuing certificates. Coffer calls nobody and
//! issues nothing yet; each row waits by its name.
absent!(cve_2026_39946_schema_name_unquoted, "no database engine");
absent!(cve_2026_55770_ldap_injection, "no LDAP");
absent!(cve_2023_0620_sql_injection_through_storage_configuration, "no SQL store");
absent!(cve_2026_5052_acme_challenge_ssrf, "no outgoing calls");
absent!(cve_2026_47160_ssrf_by_decimal_address, "no outgoing calls");
absent!(cve_2026_105818_acme_issues_unvalidated_names, "no PKI engine");
absent!(ghsa_g892_ip_sans_of_a_csr, "no PKI engine");
absent!(cve_2022_25243_wildcard_without_subdomains, "no PKI engine");
absent!(cve_2024_7594_ssh_certificate_for_any_user, "no SSH engine");
absent!(cve_2023_0665_issuer_metadata_without_right, "no PKI engine");
absent!(cve_2020_24359_otp_for_the_whole_subnet, "no SSH engine");
absent!(note_0_7_0_exclude_cn_skips_its_check, "no PKI engine");
absent!(cosmian_2025_002_negative_serials, "no PKI engine");
