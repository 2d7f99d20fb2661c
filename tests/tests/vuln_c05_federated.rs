//! C5: identities from elsewhere (JWT, OIDC, clouds, LDAP). None of these methods is here yet; each row waits by its name.
absent!(cve_2024_5798_jwt_audience_not_matched, "no JWT method");
absent!(cosmian_2026_005_race_and_algorithm_confusion_in_jwt, "no JWT method");
absent!(cosmian_2025_005_only_the_first_issuer_evaluated, "no OIDC method");
absent!(cosmian_2025_007_discovery_failure_serves_without_authentication, "no OIDC method");
absent!(cosmian_2025_006_no_pkce, "no OIDC method");
absent!(cosmian_2025_010_jwt_not_forwarded, "nothing is proxied");
absent!(cve_2020_16250_aws_identity_reply_accepted, "no AWS method");
absent!(cve_2020_16251_gce_claims_trusted, "no GCP method");
absent!(cve_2025_3879_azure_bound_location_not_checked, "no Azure method");
absent!(cve_2025_11621_client_cache_without_account, "no AWS method");
absent!(cve_2025_49827_identity_host_redirected, "no AWS method");
absent!(ghsa_6xj8_oidc_login_without_token, "no OIDC method");
absent!(cve_2026_33757_oidc_callback_without_confirmation, "no OIDC method");
absent!(cve_2026_47158_oidc_state_not_bound_to_the_browser, "no OIDC method");
absent!(cve_2024_55225_crafted_authorization_request, "no OIDC method");
absent!(note_1_1_1_oidc_ignored_bound_cidrs, "no OIDC method, no client addresses in roles");
absent!(note_0_9_2_locked_account_renews, "no Okta method");
