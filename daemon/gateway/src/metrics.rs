//! Counters for Prometheus, in its text format. Labels are fixed words, and the names that the configuration gives seals: no
//! path, no value.
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the door counts.
#[derive(Default)]
pub struct Metrics {
    pub(crate) connections: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    /// By hundreds of the status: 1xx to 5xx.
    answers: [AtomicU64; 6],
    /// Microseconds from the end of the header to the answer, summed.
    request_micros: AtomicU64,
    pub(crate) unrecorded: AtomicU64,
}

impl Metrics {
    pub(crate) fn answered(&self, status: u16, micros: u64) {
        if let Some(counter) = self.answers.get(usize::from(status / 100)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        self.request_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// All of it; of each configured seal its name, its type and whether it is well.
    pub(crate) fn text(&self, is_initialized: bool, is_sealed: bool, seals: &[(&str, &str, bool)]) -> String {
        let mut text = String::with_capacity(1024);
        let mut gauge = |name: &str, help: &str, value: u64| {
            // Writing to a String can't fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
        };
        gauge("coffer_initialized", "1 where the daemon is initialised", is_initialized.into());
        gauge("coffer_sealed", "1 where the daemon is sealed", is_sealed.into());
        gauge("coffer_connections_open", "Open TLS connections", self.connections.load(Ordering::Relaxed));
        if !seals.is_empty() {
            let _ = writeln!(
                text,
                "# HELP coffer_seal_healthy 1 where the seal's device can be used\n# TYPE coffer_seal_healthy gauge"
            );
        }
        for (name, kind, is_well) in seals {
            let is_well = u8::from(*is_well);
            let _ = writeln!(text, "coffer_seal_healthy{{seal=\"{name}\",type=\"{kind}\"}} {is_well}");
        }
        let _ = writeln!(
            text,
            "# HELP coffer_requests_total Answers by status class\n# TYPE coffer_requests_total counter"
        );
        for (class, counter) in self.answers.iter().enumerate().skip(2) {
            let _ = writeln!(
                text,
                "coffer_requests_total{{status=\"{class}xx\"}} {}",
                counter.load(Ordering::Relaxed)
            );
        }
        let mut counter = |name: &str, help: &str, value: u64| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
        };
        counter(
            "coffer_request_microseconds_total",
            "Time to answer, summed",
            self.request_micros.load(Ordering::Relaxed),
        );
        counter(
            "coffer_handshakes_failed_total",
            "Connections without a valid handshake",
            self.handshakes_failed.load(Ordering::Relaxed),
        );
        counter(
            "coffer_unrecorded_total",
            "Requests refused because the audit log can't be written",
            self.unrecorded.load(Ordering::Relaxed),
        );
        text
    }
}
