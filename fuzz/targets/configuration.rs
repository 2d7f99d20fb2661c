//! The configuration: a file that can't be used is refused with a line that it has, in one line of words.
#![no_main]

/// The reader is of three modules of the daemon's binary, taken in here as they stand.
#[allow(dead_code)]
#[path = "../../daemon/src/clock.rs"]
mod clock;
#[allow(dead_code)]
#[path = "../../daemon/src/config.rs"]
mod config;
#[path = "../../daemon/src/seals/mod.rs"]
mod seals;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match config::Config::parse(text) {
        Ok(config) => {
            let limits = config.limits();
            assert!(limits.body_bytes > 0 && limits.connections > 0 && config.cache_bytes() > 0);
        }
        Err((line, what)) => {
            assert!((1..=text.matches('\n').count() + 1).contains(&line), "line {line}");
            assert!(!what.is_empty() && !what.contains('\n'), "{what}");
        }
    }
});
