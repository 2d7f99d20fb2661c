//! Which route a path takes, and which page of a listing is asked for.
#![no_main]
use coffer_auth::{cert, token, userpass};
use coffer_engines::Engine;
use coffer_environments::SysRoute;
use coffer_types::CanonicalPath;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    coffer_engines::fuzz(data);
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(path) = CanonicalPath::parse(text) else { return };
    let segments: Vec<&str> = path.segments().collect();

    // The pattern with what its variable stands for is the path again: nothing of it is lost or counted twice.
    if let Some((route, argument)) = SysRoute::find(&segments) {
        let pattern = route.pattern().strip_prefix("sys/").expect("below sys/");
        let filled: Vec<&str> =
            pattern.split('/').map(|part| if part.starts_with(':') { &argument } else { part }).collect();
        assert_eq!(filled.join("/"), path.as_str());
        assert!(pattern.contains(':') || argument.is_empty());
        assert!(coffer_environments::routes().any(|known| known == route.pattern()));
    }

    let known = |found: Option<&str>, routes: &[&str]| {
        let Some(found) = found else { return };
        assert!(routes.contains(&found), "{found} is not declared");
        // `engine/first segment/…`, but for KV without versions, which has one route for all paths.
        let words: Vec<&str> = found.split('/').collect();
        assert!(found == "kv1/secret" || words[1] == segments[0], "{found} for {segments:?}");
    };
    for engine in [Engine::KvV1, Engine::KvV2, Engine::Transit] {
        known(engine.route(&path), engine.routes());
    }
    known(cert::route(&path), cert::routes());
    known(userpass::route(&path), userpass::routes());
    let _ = token::route(&path).map(|found| assert!(token::routes().contains(&found)));
});
