//! C2: policy injection and escalation. C3 (aliases and entities) asks for an identity store.
use coffer_tests::{Ask, House};
use serde_json::{Value, json};

absent!(cve_2026_5006_metadata_in_a_templated_path, "no templated policies: a path with {{}} is no template");
absent!(cve_2026_71543_globs_in_a_user_name, "no templated policies");
absent!(cve_2025_64761_root_by_identity_group, "no identity groups");
absent!(cve_2024_9180_identity_endpoint_escalates, "no identity store");
absent!(cve_2023_5077_cloud_bindings_rewritten, "no cloud engines");
absent!(cve_2021_41802_merge_of_aliases, "no aliases or entities");
absent!(cve_2021_43998_first_created_alias, "no aliases or entities");
absent!(cve_2022_40186_alias_metadata_overwritten, "no aliases or entities");
absent!(cve_2020_10660_group_membership_kept, "no groups");
absent!(cve_2025_6013_a_second_entity_by_spaces, "no entities");
absent!(cve_2026_47164_sso_links_by_email, "no single sign-on");
absent!(
    cve_2026_43912_rows_of_different_organisations,
    "covered as ids of another environment, see environments.rs"
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2025_5999_no_spelling_of_root_makes_root() {
    let house = House::start().await;
    let root = house.root();
    house.role(&root, "r", json!({ "allowed_common_names": ["nobody"] })).await;
    let mut spellings: Vec<String> = vec![
        "ROOT".into(),
        "Root".into(),
        "rOOt".into(),
        "r\u{43e}ot".into(),
        "ro\u{200b}ot".into(),
        "\u{ff52}oot".into(),
        "root\u{0}".into(),
        "./root".into(),
        "root/".into(),
        "/root".into(),
        "root,default".into(),
        "root\u{301}".into(),
    ];
    for space in [" ", "\t", "\n", "\r", "\u{a0}", "\u{2003}", "\u{feff}", "\u{0}"] {
        for name in ["root", "ROOT"] {
            spellings.extend([
                format!("{space}{name}"),
                format!("{name}{space}"),
                format!("{space}{name}{space}"),
            ]);
        }
    }
    // Someone who may make tokens and roles, but is not root.
    let rules: &[(&str, &[&str])] =
        &[("auth/*", &["create", "read", "update"]), ("sys/policies/*", &["read"])];
    let token = house.token_for(&root, "maker", rules).await;
    let maker = house.with_token(&token);
    let is_root = async |answer: coffer_tests::Asked| {
        if answer.status >= 300 || answer.body["auth"].is_null() {
            return false;
        }
        let made = answer.token();
        house.canaries.add(&made);
        house.with_token(&made).ask("GET", "sys/mounts", Value::Null).await.status == 200
    };
    for name in spellings.iter().map(String::as_str).chain(["root"]) {
        assert!(
            !is_root(maker.ask("POST", "auth/token/create", json!({ "policies": [name] })).await).await,
            "{name:?}"
        );
        assert!(
            !is_root(maker.ask("POST", "auth/token/create", json!({ "policies": name })).await).await,
            "{name:?}"
        );
        assert!(
            !is_root(maker.ask("POST", "auth/token/create-orphan", json!({ "policies": [name] })).await)
                .await,
            "{name:?}"
        );
        let role =
            maker.ask("POST", "auth/token/roles/t", json!({ "allowed_policies": [name, "default"] })).await;
        if role.status < 300 {
            assert!(
                !is_root(maker.ask("POST", "auth/token/create/t", json!({ "policies": [name] })).await).await,
                "{name:?} by a role"
            );
        }
        let role = maker
            .ask(
                "POST",
                "auth/cert/certs/r",
                json!({ "token_policies": [name], "allowed_common_names": ["operator"] }),
            )
            .await;
        if role.status < 300 {
            assert!(
                !is_root(
                    house
                        .client(&house.operator)
                        .ask("POST", "auth/cert/login", json!({ "name": "r" }))
                        .await
                )
                .await,
                "{name:?} by a certificate"
            );
            let status = house.client(&house.operator).ask("GET", "sys/mounts", Value::Null).await.status;
            assert_eq!(status, 403, "{name:?} by a certificate without login");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vault_0_6_4_a_child_is_never_more_than_its_parent() {
    let house = House::start().await;
    let root = house.root();
    for name in ["a", "b", "c"] {
        root.sys().put_policy(name, &format!("path \"sys/policies/acl/{name}\" {{ capabilities = [\"read\"] }}\npath \"auth/token/create\" {{ capabilities = [\"update\"] }}")).await.unwrap();
    }
    for bits in 1..8_u32 {
        for no_default in [false, true] {
            let own: Vec<_> = ["a", "b", "c"]
                .into_iter()
                .enumerate()
                .filter(|(at, _)| bits & 1 << at != 0)
                .map(|(_, name)| name)
                .collect();
            let parent =
                house.token(&root, json!({ "policies": own, "no_default_policy": no_default })).await;
            let parent = house.with_token(&parent);
            for wish in [
                json!({}),
                json!({ "policies": ["a"] }),
                json!({ "policies": ["a", "b", "c"] }),
                json!({ "policies": ["default"] }),
                json!({ "policies": ["root"] }),
                json!({ "no_default_policy": false }),
                json!({ "policies": ["none-such"] }),
            ] {
                let made = parent.ask("POST", "auth/token/create", wish.clone()).await;
                if made.status != 200 {
                    continue;
                }
                house.canaries.add(made.token());
                let got: Vec<String> = serde_json::from_value(made.body["auth"]["policies"].clone()).unwrap();
                for policy in &got {
                    assert!(
                        own.contains(&policy.as_str()) || (policy == "default" && !no_default),
                        "{own:?}, without default: {no_default}, {wish} gave {got:?}"
                    );
                }
            }
            parent.ask("POST", "auth/token/create", json!({ "no_parent": true })).await.refused(400);
            parent.ask("POST", "auth/token/create", json!({ "period": "1h" })).await.refused(400);
            parent.ask("POST", "auth/token/create", json!({ "id": "chosen" })).await.refused(400);
        }
    }
}
