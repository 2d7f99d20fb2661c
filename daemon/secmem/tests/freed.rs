//! What is left in memory after a secret is gone. One test, in a process of its own: nothing else may take the place freed.
#![allow(unsafe_code)]

use coffer_secmem::{Key32, SecretBytes};

#[test]
fn freed_slots_are_zero() {
    // Lives to the end, so that the pages of the freed slots stay mapped and can be looked at.
    let neighbour = Key32::from_bytes(&mut [1; 32]);
    let mut source = [0xa5; 32];
    let key = Key32::from_bytes(&mut source);
    assert_eq!(source, [0; 32], "the source is cleared");
    let bytes = SecretBytes::from_vec(vec![0x5a; 777]);
    let places = [(key.expose().as_ptr(), 32), (bytes.expose().as_ptr(), 777)];
    for (start, _) in places {
        assert_ne!(look(start), 0);
        let distance = start.addr().abs_diff(neighbour.expose().as_ptr().addr());
        assert!(distance < 16 * 1024, "the neighbour is in the same chunk");
    }
    drop(key);
    drop(bytes);
    for (start, len) in places {
        for at in 0..len {
            assert_eq!(look(start.wrapping_add(at)), 0, "byte {at} of {len}");
        }
    }

    let failed: Result<Key32, ()> = Key32::generate(&mut |bytes: &mut [u8]| {
        bytes.fill(0xc3);
        Err(())
    });
    assert!(failed.is_err());
    assert_eq!(look(places[0].0), 0, "a key whose making failed is cleared");
    assert_eq!(neighbour.expose(), &[1; 32]);
}

fn look(at: *const u8) -> u8 {
    // SAFETY: a living neighbour keeps the chunk mapped, and this process has no other thread that uses the arena.
    unsafe { at.read_volatile() }
}
