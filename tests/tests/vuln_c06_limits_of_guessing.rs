//! C6: second factors, lockout and rate limits. The rows about lockout are sent in `vuln_c07_disclosure`.
absent!(cve_2025_6014_totp_code_reused_with_a_space, "no TOTP");
absent!(cve_2025_6015_mfa_rate_limit_bypassed, "no MFA");
absent!(cve_2022_30689_mfa_not_enforced_after_restart, "no MFA");
absent!(cve_2026_43914_unprotected_second_factor_mail, "no MFA");
absent!(cve_2026_27801_faulty_limit_of_protected_actions, "no MFA");
absent!(
    cve_2025_12044_json_parsed_before_the_rate_limit,
    "no rate limiter yet; limits before parsing: rule_5_limits"
);
absent!(note_0_10_4_one_authoriser_counted_twice, "no control groups");
