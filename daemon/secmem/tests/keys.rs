//! Keys as their users meet them.

use std::io;
use std::os::unix::fs::FileExt;

use coffer_secmem::{Backing, Key32, Key64, SecretBytes, backing, mapped_bytes};
use subtle_eq::equal;

/// `subtle` by the trait that the crate implements.
mod subtle_eq {
    pub(crate) fn equal<T: subtle::ConstantTimeEq>(a: &T, b: &T) -> bool {
        a.ct_eq(b).into()
    }
}

#[test]
fn thousands_of_keys_of_many_threads_keep_their_values() {
    let threads: Vec<_> = (0..8u32)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut kept = Vec::new();
                for round in 0..3000u32 {
                    let word = (thread << 16 | round).to_be_bytes();
                    kept.push((
                        word,
                        Key32::derive(|key| key.chunks_mut(4).for_each(|c| c.copy_from_slice(&word))),
                    ));
                    if round % 3 == 0 {
                        kept.swap_remove((round as usize * 7919) % kept.len());
                    }
                }
                for (word, key) in &kept {
                    assert!(key.expose().chunks(4).all(|chunk| chunk == word));
                }
                kept.len()
            })
        })
        .collect();
    let kept: usize = threads.into_iter().map(|thread| thread.join().expect("thread")).sum();
    assert_eq!(kept, 16_000);
}

#[test]
fn the_arena_grows_by_pages_and_packs_keys_tightly() {
    let before = mapped_bytes();
    let keys: Vec<_> = (0..4096).map(|_| Key32::from_bytes(&mut [7; 32])).collect();
    let grown = mapped_bytes() - before;
    assert!(grown >= 4096 * 32 - 32 * 1024, "{grown}");
    // Other tests of this process may hold keys at the same time: their share is well below this.
    assert!(grown <= 4096 * 32 + 1024 * 1024, "{grown}");
    assert!(keys.iter().all(|key| key.expose() == &[7; 32]));
}

#[test]
fn long_secrets_have_pages_of_their_own_and_give_them_back() {
    for len in [0, 1, 31, 2048, 2049, 4096, 100_000] {
        let mut source = vec![0x77; len];
        let secret = SecretBytes::from_bytes(&mut source);
        assert_eq!(source, vec![0; len]);
        assert_eq!(secret.expose(), vec![0x77; len]);
        assert_eq!((secret.len(), secret.is_empty()), (len, len == 0));
        assert!(equal(&secret, &secret.duplicate()));
    }
}

#[test]
fn keys_are_equal_by_value_only() {
    let mut next = 0u8;
    let mut counting = |bytes: &mut [u8]| -> Result<(), ()> {
        bytes.fill_with(|| {
            next = next.wrapping_add(1);
            next
        });
        Ok(())
    };
    let (a, b) = (Key64::generate(&mut counting).expect("a"), Key64::generate(&mut counting).expect("b"));
    assert!(equal(&a, &a.duplicate()));
    assert!(!equal(&a, &b));
    let (short, long) = (SecretBytes::from_bytes(&mut [1; 4]), SecretBytes::from_bytes(&mut [1; 5]));
    assert!(!equal(&short, &long));
}

#[test]
fn a_generator_that_fails_makes_no_key() {
    let failed = Key32::generate(&mut |_: &mut [u8]| Err(io::ErrorKind::Other));
    assert_eq!(failed.err(), Some(io::ErrorKind::Other));
}

#[test]
fn a_secret_page_is_not_readable_through_the_process_file() {
    if backing() != Backing::MemfdSecret {
        return;
    }
    let memory = std::fs::File::open("/proc/self/mem").expect("own memory");
    let mut seen = [0; 32];

    let ordinary = Box::new([0x3c; 32]);
    memory.read_exact_at(&mut seen, ordinary.as_ptr().addr() as u64).expect("the heap is readable so");
    assert_eq!(seen, *ordinary);

    let key = Key32::from_bytes(&mut [0x3c; 32]);
    let refused = memory.read_exact_at(&mut seen, key.expose().as_ptr().addr() as u64);
    assert_eq!(refused.expect_err("hidden").raw_os_error(), Some(5), "EIO");
}
