//! What is printed: one line a server and workload, and the ratio of the two.
use crate::load::Done;
use crate::server::Memory;
use std::time::Duration;

/// What one server did under one workload, over all rounds.
pub(crate) struct Row {
    name: String,
    micros: Vec<u32>,
    time: Duration,
    cpu: Duration,
    client_cpu: Duration,
    pub(crate) memory: Memory,
}

/// The columns.
pub(crate) fn head() -> String {
    format!(
        "{:<16} {:<8} {:>10} {:>9} {:>9} {:>12} {:>12} {:>8} {:>8}",
        "workload",
        "server",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "CPU µs/req",
        "client µs",
        "RSS MiB",
        "PSS MiB"
    )
}

impl Row {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            micros: Vec::new(),
            time: Duration::ZERO,
            cpu: Duration::ZERO,
            client_cpu: Duration::ZERO,
            memory: Memory::default(),
        }
    }

    pub(crate) fn add(&mut self, mut done: Done, cpu: Duration, client_cpu: Duration) {
        self.micros.append(&mut done.micros);
        self.micros.sort_unstable();
        self.time += done.time;
        self.cpu += cpu;
        self.client_cpu += client_cpu;
    }

    pub(crate) fn line(&self, workload: &str) -> String {
        let proportional = self.memory.proportional.map_or("-".into(), |bytes| format!("{:.1}", mib(bytes)));
        format!(
            "{workload:<16} {:<8} {:>10.0} {:>9.2} {:>9.2} {:>12.1} {:>12.1} {:>8.1} {proportional:>8}",
            self.name,
            self.per_second(),
            self.percentile_ms(50),
            self.percentile_ms(99),
            self.each(self.cpu),
            self.each(self.client_cpu),
            mib(self.memory.resident),
        )
    }

    /// This row against another's.
    pub(crate) fn ratio(&self, other: &Self) -> String {
        let proportional = match (self.memory.proportional, other.memory.proportional) {
            (Some(own), Some(others)) => format!("{:.3}", mib(own) / mib(others)),
            _ => "-".into(),
        };
        format!(
            "{:<16} {:<8} {:>9.2}x {:>8.3}x {:>8.3}x {:>11.3}x {:>12} {:>7.3}x {proportional:>7}x",
            "",
            "ratio",
            self.per_second() / other.per_second(),
            self.percentile_ms(50) / other.percentile_ms(50),
            self.percentile_ms(99) / other.percentile_ms(99),
            self.each(self.cpu) / other.each(other.cpu),
            "",
            mib(self.memory.resident) / mib(other.memory.resident),
        )
    }

    fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.time.as_secs_f64()
    }

    fn each(&self, cpu: Duration) -> f64 {
        cpu.as_secs_f64() * 1e6 / self.micros.len() as f64
    }

    fn percentile_ms(&self, percent: usize) -> f64 {
        let at = self.micros.len() * percent / 100;
        self.micros.get(at).map_or(f64::NAN, |micros| f64::from(*micros) / 1e3)
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
