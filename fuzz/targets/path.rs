//! Paths of URLs and of environments: what passes can be read in one way only, and reads as itself again.
#![no_main]
use coffer_types::{CanonicalPath, EnvironmentPath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = core::str::from_utf8(data) else { return };
    for is_listing in [false, true] {
        let Ok(path) = CanonicalPath::from_url(text, is_listing) else { continue };
        let own = path.as_str();
        assert!(own.len() <= 1024 && !own.chars().any(char::is_control));
        assert!(!own.starts_with('/') && !own.ends_with('/') && !own.contains("//"));
        assert!(path.segments().all(|segment| !matches!(segment, "" | "." | "..") && segment.len() <= 512));
        assert_eq!(CanonicalPath::parse(own).as_ref(), Ok(&path));
        // Spelt as the strictest client would, it is the same path.
        let encoded: String =
            own.bytes().map(|byte| if byte == b'/' { "/".into() } else { format!("%{byte:02X}") }).collect();
        assert_eq!(CanonicalPath::from_url(&encoded, is_listing).as_ref(), Ok(&path));
        for mount in path.segments() {
            if let Some(below) = path.below(mount) {
                assert_eq!(CanonicalPath::parse(below.as_str()), Ok(below));
            }
        }
    }
    let Ok(environment) = EnvironmentPath::parse(text) else { return };
    assert_eq!(EnvironmentPath::parse(environment.as_str()).as_ref(), Ok(&environment));
    assert!(EnvironmentPath::root().contains(&environment) && environment.contains(&environment));
    assert_eq!(environment.parent().is_none(), environment.is_root());
    if let Some(parent) = environment.parent() {
        let name = environment.as_str().rsplit('/').next().unwrap_or_default();
        assert_eq!(parent.child(name).as_ref(), Ok(&environment));
        assert!(parent.contains(&environment) && !environment.contains(&parent));
    }
});
