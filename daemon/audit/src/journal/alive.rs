//! The mark that the journal is open: it lies there from the start to a proper stop, so who finds it finds a crash.
//!
//! `<boot id> <0 or 1>`: the id of the kernel's run, and whether answers waited until their leaves were durable. A crash
//! under the same kernel loses nothing that was written; nor does a power cut where answers waited.
use super::Durability;

/// The mark of a journal that opens.
pub(super) fn mark(boot_id: &str, durability: Durability) -> String {
    format!("{} {}\n", boot_id.trim(), u8::from(durability == Durability::Fsync))
}

/// Whether the machine stopped since this mark was written, with leaves not yet durable that had been answered.
/// What is no whole mark promises nothing.
pub(super) fn may_have_lost_power(mark: &str, boot_id: &str) -> bool {
    let mut words = mark.split_whitespace();
    let same_boot = words.next().is_some_and(|boot| boot == boot_id.trim());
    let was_durable = words.next() == Some("1");
    !same_boot && !was_durable
}

/// Reads `bytes` as a mark of another boot, and as a boot's id.
pub(super) fn fuzz(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    const HERE: &str = "5f3c7a52-0000-4000-8000-6d1d3a4f9a10";
    let _ = may_have_lost_power(text, HERE);
    if text.trim().is_empty() || text.trim().contains(char::is_whitespace) {
        return;
    }
    for (durability, is_safe) in [(Durability::Checkpoint, false), (Durability::Fsync, true)] {
        let own = mark(text, durability);
        assert!(!may_have_lost_power(&own, text));
        assert_eq!(may_have_lost_power(&own, HERE), !is_safe && text.trim() != HERE);
        // Torn before the word that promises, it promises nothing.
        let torn = own.split_whitespace().next().unwrap_or_default();
        assert!(torn == HERE || may_have_lost_power(torn, HERE));
    }
}
