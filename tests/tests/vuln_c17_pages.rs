//! C17: what a browser or an agent could be led to. There is no page and no agent; answers are JSON or plain text, and
//! nobody may keep them.
use coffer_sdk::Method;
use coffer_tests::House;

absent!(cve_2020_17455_agent_cache_for_any_local_client, "no agent");
absent!(ghsa_8gmq_agent_quits_without_header, "no agent, no redirects");

/// CVE-2023-2121, CVE-2026-33758, CVE-2024-55224, CVE-2024-55226: markup in pages. CVE-2021-38554: kept between sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cve_2023_2121_and_cve_2021_38554_no_answer_is_a_page_or_may_be_kept() {
    let house = House::start().await;
    let markup = "%3Cscript%3Ealert(1)%3C/script%3E";
    for path in [
        "sys/health",
        "sys/seal-status",
        "sys/metrics",
        "sys/mounts",
        "auth/token/lookup-self",
        markup,
        "sys/none",
    ] {
        let answer = house.root().call(Method::GET, path).send_any_status().await.unwrap();
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/json") || kind.starts_with("text/plain"), "{path}: {kind}");
        assert!(!String::from_utf8_lossy(answer.body()).contains("<script"), "{path}");
    }
}
