//! What a thread leaves behind where it has used a key: pieces in the vector registers, in which keys are copied and
//! ciphers work, and copies on its stack below the frames that are in use. A thread that waits keeps both for as long as
//! it waits, and a core dump shows them.
#![allow(unsafe_code)]

use std::hint::black_box;

/// How much of the stack [`leaving_nothing`] clears, in words of eight bytes: more than anything uses that it runs.
const RARE: usize = 32 * 1024;
/// How much of it [`rest`] clears: a request uses less.
const RESTING: usize = 16 * 1024;

/// Runs `act`, and clears the stack that it used and the vector registers. For what is not done often: it takes some
/// microseconds. The thread must have more than 256 KiB of stack left.
pub fn leaving_nothing<T>(act: impl FnOnce() -> T) -> T {
    let result = below(act);
    clear_stack::<RARE>();
    clear_registers();
    result
}

/// For a thread of a pool that is about to wait: clears 128 KiB of the stack below it, and the vector registers. Takes about
/// one microsecond.
pub fn rest() {
    clear_stack::<RESTING>();
    clear_registers();
}

/// A frame of its own, so that nothing of `act` is in the caller's.
#[inline(never)]
fn below<T>(act: impl FnOnce() -> T) -> T {
    act()
}

/// Its frame lies where that of [`below`] lay.
#[inline(never)]
fn clear_stack<const WORDS: usize>() {
    black_box(&mut [0_u64; WORDS]);
}

/// Clears the vector registers of this thread: for a thread that is about to wait. Takes some nanoseconds.
#[cfg(target_arch = "x86_64")]
pub fn clear_registers() {
    use std::arch::{asm, is_x86_feature_detected};
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: writes vector registers only, all of which the ABI lets a called function overwrite; the processor has them.
        unsafe {
            asm!(
                "vpxord zmm16, zmm16, zmm16",
                "vpxord zmm17, zmm17, zmm17",
                "vpxord zmm18, zmm18, zmm18",
                "vpxord zmm19, zmm19, zmm19",
                "vpxord zmm20, zmm20, zmm20",
                "vpxord zmm21, zmm21, zmm21",
                "vpxord zmm22, zmm22, zmm22",
                "vpxord zmm23, zmm23, zmm23",
                "vpxord zmm24, zmm24, zmm24",
                "vpxord zmm25, zmm25, zmm25",
                "vpxord zmm26, zmm26, zmm26",
                "vpxord zmm27, zmm27, zmm27",
                "vpxord zmm28, zmm28, zmm28",
                "vpxord zmm29, zmm29, zmm29",
                "vpxord zmm30, zmm30, zmm30",
                "vpxord zmm31, zmm31, zmm31",
                "vzeroall",
                clobber_abi("sysv64"),
                options(nomem, nostack),
            );
        }
    } else if is_x86_feature_detected!("avx") {
        // SAFETY: as above.
        unsafe { asm!("vzeroall", clobber_abi("sysv64"), options(nomem, nostack)) }
    } else {
        // SAFETY: as above; every x86-64 has these.
        unsafe {
            asm!(
                "xorps xmm0, xmm0",
                "xorps xmm1, xmm1",
                "xorps xmm2, xmm2",
                "xorps xmm3, xmm3",
                "xorps xmm4, xmm4",
                "xorps xmm5, xmm5",
                "xorps xmm6, xmm6",
                "xorps xmm7, xmm7",
                "xorps xmm8, xmm8",
                "xorps xmm9, xmm9",
                "xorps xmm10, xmm10",
                "xorps xmm11, xmm11",
                "xorps xmm12, xmm12",
                "xorps xmm13, xmm13",
                "xorps xmm14, xmm14",
                "xorps xmm15, xmm15",
                clobber_abi("sysv64"),
                options(nomem, nostack),
            );
        }
    }
}

/// Elsewhere nobody has looked what is left.
#[cfg(not(target_arch = "x86_64"))]
pub fn clear_registers() {}

#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests {
    use super::*;
    use std::arch::asm;

    #[test]
    fn the_registers_are_clear_after_it_and_the_result_is_there() {
        let (low, high): (u64, u64);
        let result = leaving_nothing(|| {
            // SAFETY: writes one register that the ABI lets a called function overwrite.
            unsafe { asm!("movq xmm9, {}", in(reg) 0x5a5a_5a5a_u64, out("xmm9") _) };
            41_u64
        });
        // SAFETY: reads one register.
        unsafe { asm!("movq {}, xmm9", "movq {}, xmm15", out(reg) low, out(reg) high) };
        assert_eq!((result, low, high), (41, 0, 0));
    }

    #[test]
    fn the_stack_below_is_clear_after_it() {
        let mut at = 0;
        leaving_nothing(|| {
            let mut secret = [0x5a_u8; 4096];
            black_box(&mut secret);
            at = secret.as_ptr() as usize;
        });
        // SAFETY: the place lies in this thread's stack, which is mapped; what it holds is of no type.
        let left = unsafe { std::ptr::read_volatile(at as *const [u64; 512]) };
        assert!(left.iter().all(|word| *word != 0x5a5a_5a5a_5a5a_5a5a), "a secret is left on the stack");
    }
}
