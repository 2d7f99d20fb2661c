use crate::hall::Hall;
use crate::lab::{good, json, refused, request, text};
use crate::pki::{ca, leaf};
use coffer_auth::cert::{PeerChain, Visitor, handle};
use coffer_auth::token::TtlLimits;
use coffer_types::{Operation, WriteMode};

#[tokio::test]
async fn what_is_not_given_keeps_its_value() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, r#""policies":"a,b","ttl":"1h","max_ttl":7200,"period":"0","bind":"key""#)
        .await;
    good(hall.write("certs/web", r#"{"token_num_uses":3,"allowed_common_names":"web"}"#).await);
    let shown = json(&good(hall.read("certs/web").await));
    assert_eq!(shown["token_policies"], serde_json::json!(["a", "b"]));
    assert_eq!((&shown["token_ttl"], &shown["token_max_ttl"]), (&3600.into(), &7200.into()));
    assert_eq!((&shown["token_num_uses"], &shown["bind"]), (&3.into(), &"key".into()));
    assert_eq!((&shown["display_name"], &shown["token_type"]), (&"web".into(), &"default".into()));
    assert_eq!(shown["certificate"], acme.pem);
    assert_eq!(shown["allowed_common_names"], serde_json::json!(["web"]));
}

#[tokio::test]
async fn a_roles_name_is_the_same_in_any_case() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    assert_eq!(refused(hall.ask(&PeerChain::none(), Operation::List, "certs", "").await).0, 404);
    hall.role("AdMin", &acme.pem, "").await;
    hall.role("web", &acme.pem, "").await;
    assert!(hall.read("certs/ADMIN").await.is_ok());
    let none = PeerChain::none();
    let list = |query: &'static str| hall.ask(&none, Operation::List, query, "");
    assert_eq!(text(&good(list("certs").await)), r#"{"keys":["admin","web"]}"#);
    assert_eq!(text(&good(list("certs?limit=1").await)), r#"{"keys":["admin"]}"#);
    assert_eq!(text(&good(list("certs?after=admin").await)), r#"{"keys":["web"]}"#);
    good(hall.ask(&PeerChain::none(), Operation::Delete, "certs/aDmIn", "").await);
    assert_eq!(refused(hall.read("certs/admin").await).0, 404);
    for name in ["-x", "x-", "a b", "ä", &"x".repeat(129)] {
        let target = format!("certs/{}", name.replace(' ', "%20"));
        assert_eq!(refused(hall.write(&target, "{}").await).0, 400, "{name}");
    }
}

#[tokio::test]
async fn what_would_be_weaker_than_it_reads_is_refused_and_changes_nothing() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, "").await;
    let before = text(&good(hall.read("certs/web").await));
    for body in [
        r#"{"certificate":""}"#,
        r#"{"certificate":"x"}"#,
        r#"{"certificate":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}"#,
        r#"{"certificate":7}"#,
        r#"{"token_policies":"root"}"#,
        r#"{"token_policies":"ROOT"}"#,
        r#"{"policies":["a","Root"]}"#,
        r#"{"token_policies":" root"}"#,
        r#"{"token_policies":["root "]}"#,
        r#"{"token_ttl":"2h","token_max_ttl":"1h"}"#,
        r#"{"token_ttl":-1}"#,
        r#"{"token_type":"batch"}"#,
        r#"{"token_bound_cidrs":"10.0.0.0/8"}"#,
        r#"{"ocsp_enabled":true}"#,
        r#"{"required_extensions":"1.2.3"}"#,
        r#"{"bind":"nothing"}"#,
        r#"{"bind":"Identity"}"#,
        r#"{"login_required":"maybe"}"#,
    ] {
        assert_eq!(refused(hall.write("certs/web", body).await).0, 400, "{body}");
    }
    assert_eq!(text(&good(hall.read("certs/web").await)), before);
    assert_eq!(refused(hall.write("certs/new", r#"{"token_policies":"a"}"#).await).0, 400);
    assert_eq!(refused(hall.read("certs/new").await).0, 404);
}

#[tokio::test]
async fn create_alone_does_not_change_a_role() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    let chain = PeerChain::none();
    let body = format!(r#"{{"certificate":{}}}"#, serde_json::to_string(&acme.pem).unwrap());
    for is_first in [true, false] {
        let visitor = Visitor { chain: &chain, tokens: &hall.tokens, limits: TtlLimits::default() };
        let mut asked = request(Operation::Write, "certs/web", &body);
        asked.write_mode = WriteMode::CreateOnly;
        let outcome = handle(&hall.mounts[0], &hall.lab.room(crate::hall::MOUNT), visitor, asked).await;
        assert_eq!(hall.lab.run(outcome).await.is_ok(), is_first);
    }
}

#[tokio::test]
async fn the_mounts_settings_are_kept() {
    let mut hall = Hall::new().await;
    good(hall.write("config", r#"{"enable_identity_alias_metadata":true}"#).await);
    assert_eq!(refused(hall.write("config", r#"{"disable_binding":true}"#).await).0, 400);
    hall.reopen().await;
    let shown = json(&good(hall.read("config").await));
    assert_eq!(
        (&shown["enable_identity_alias_metadata"], &shown["disable_binding"]),
        (&true.into(), &false.into())
    );
}

#[tokio::test]
async fn what_is_no_route_says_so() {
    let hall = Hall::new().await;
    for (operation, path, status) in [
        (Operation::Read, "nothing", 404),
        (Operation::Read, "certs/a/b", 404),
        (Operation::Read, "login", 405),
        (Operation::Patch, "certs/a", 405),
        (Operation::List, "certs/a", 405),
        (Operation::Write, "certs", 405),
    ] {
        assert_eq!(refused(hall.ask(&PeerChain::none(), operation, path, "").await).0, status, "{path}");
    }
}

#[tokio::test]
async fn a_login_takes_its_walls_from_the_role() {
    let (hall, acme) = (Hall::new().await, ca("acme"));
    hall.role("web", &acme.pem, r#""token_ttl":60,"token_max_ttl":120,"token_num_uses":5,"token_no_default_policy":true,"token_policies":"p","allowed_metadata_extensions":"1.2.3.4.1""#).await;
    let auth = json(&good(hall.login(&acme.peer(&leaf().text(1, "blue").text(2, "no")), "").await));
    assert_eq!((&auth["lease_duration"], &auth["num_uses"]), (&60.into(), &5.into()));
    assert_eq!(auth["policies"], serde_json::json!(["p"]));
    assert_eq!(
        (&auth["metadata"]["1-2-3-4-1"], &auth["metadata"]["1-2-3-4-2"]),
        (&"blue".into(), &serde_json::Value::Null)
    );
}
