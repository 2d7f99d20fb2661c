//! AES by its definition (FIPS 197), for what a key leaves in memory: its schedule, that for decryption, and what GCM and
//! XAES derive.
use std::sync::LazyLock;

pub(super) type Block = [u8; 16];

static SBOX: LazyLock<[u8; 256]> = LazyLock::new(|| {
    let substitute = |value: u8| {
        // The inverse is the 254th power, 0 of 0.
        let inverse = (0..254).fold(1, |power, _| multiply(power, value));
        (0..5).fold(0x63, |sum, turn| sum ^ inverse.rotate_left(turn))
    };
    std::array::from_fn(|value| substitute(u8::try_from(value).unwrap()))
});

fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        product ^= if b & 1 == 1 { a } else { 0 };
        a = a << 1 ^ if a & 0x80 == 0 { 0 } else { 0x1b };
        b >>= 1;
    }
    product
}

/// The round keys of a key of 16 or 32 bytes, the first of which are the key.
pub(super) fn schedule(key: &[u8]) -> Vec<Block> {
    let length = key.len() / 4;
    let mut words: Vec<[u8; 4]> = key.chunks(4).map(|word| word.try_into().unwrap()).collect();
    let mut round = 1;
    for at in length..4 * (length + 7) {
        let mut word = words[at - 1];
        if at % length == 0 {
            word.rotate_left(1);
        }
        if at % length == 0 || (length == 8 && at % length == 4) {
            word = word.map(|byte| SBOX[usize::from(byte)]);
        }
        if at % length == 0 {
            word[0] ^= round;
            round = multiply(round, 2);
        }
        words.push(std::array::from_fn(|byte| word[byte] ^ words[at - length][byte]));
    }
    words.chunks(4).map(|block| block.concat().try_into().unwrap()).collect()
}

/// The round keys of the equivalent inverse cipher that differ from those of [`schedule`].
pub(super) fn inverse_schedule(key: &[u8]) -> Vec<Block> {
    let keys = schedule(key);
    keys[1..keys.len() - 1].iter().map(|key| mixed(key, [14, 11, 13, 9])).collect()
}

fn mixed(block: &Block, by: [u8; 4]) -> Block {
    std::array::from_fn(|at| {
        let column = &block[at / 4 * 4..][..4];
        (0..4).fold(0, |sum, row| sum ^ multiply(column[row], by[(row + 4 - at % 4) % 4]))
    })
}

pub(super) fn encrypt(keys: &[Block], block: &Block) -> Block {
    let added = |block: &Block, key: &Block| std::array::from_fn(|at| block[at] ^ key[at]);
    let mut state: Block = added(block, &keys[0]);
    for (round, key) in keys.iter().enumerate().skip(1) {
        let shifted: Block = std::array::from_fn(|at| SBOX[usize::from(state[(at + 4 * (at % 4)) % 16])]);
        let is_last = round == keys.len() - 1;
        state = added(&if is_last { shifted } else { mixed(&shifted, [2, 3, 1, 1]) }, key);
    }
    state
}

/// The forms in which the key of GHASH (SP 800-38D, 6.4) is held: as it is, in the other byte order, and as POLYVAL takes
/// it (RFC 8452, appendix A), in both.
pub(super) fn ghash_keys(key: &[u8]) -> Vec<Block> {
    let plain = encrypt(&schedule(key), &[0; 16]);
    let value = u128::from_be_bytes(plain);
    let turned = times_x(value);
    vec![plain, value.to_le_bytes(), turned.to_le_bytes(), turned.to_be_bytes()]
}

fn times_x(value: u128) -> u128 {
    value << 1 ^ if value >> 127 == 1 { 0xc2 << 120 | 1 } else { 0 }
}

/// The key that XAES-256-GCM takes for a message with this nonce (C2SP).
pub(super) fn xaes_key(keys: &[Block], nonce: &[u8; 24]) -> [u8; 32] {
    let zeroes = u128::from_be_bytes(encrypt(keys, &[0; 16]));
    let subkey = (zeroes << 1 ^ if zeroes >> 127 == 1 { 0x87 } else { 0 }).to_be_bytes();
    let half = |number: u8| {
        let mut block = [0, number, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        block[4..].copy_from_slice(&nonce[..12]);
        encrypt(keys, &std::array::from_fn(|at| block[at] ^ subkey[at]))
    };
    [half(1), half(2)].concat().try_into().unwrap()
}

#[test]
fn aes_is_that_of_the_standard() {
    // FIPS 197, A.3 and C.3; A.1 for 128 bits.
    let key = hex::decode("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").unwrap();
    let keys = schedule(&key);
    assert_eq!((keys.len(), hex::encode(keys[2])), (15, "9ba354118e6925afa51a8b5f2067fcde".to_owned()));
    assert_eq!(hex::encode(keys[14]), "fe4890d1e6188d0b046df344706c631e");
    let short = schedule(&hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap());
    assert_eq!((short.len(), hex::encode(short[10])), (11, "d014f9a8c9ee2589e13f0cc8b6630ca6".to_owned()));
    let counting: Vec<u8> = (0..32).collect();
    let block = std::array::from_fn(|at| u8::try_from(at * 17).unwrap());
    assert_eq!(hex::encode(encrypt(&schedule(&counting), &block)), "8ea2b7ca516745bfeafc49904b496089");
    // C.3, round 1 of the equivalent inverse cipher: `ik_sch` of the last but one.
    let inverse = inverse_schedule(&counting);
    assert_eq!(hex::encode(inverse[12]), "34f1d1ffbfceaa2ffce9e25f2558016e");
}

#[test]
fn what_gcm_and_xaes_derive_is_that_of_the_standards() {
    // The GCM specification of McGrew and Viega, test case 13.
    assert_eq!(hex::encode(ghash_keys(&[0; 32])[0]), "dc95c078a2408989ad48a21492842087");
    // RFC 8452, appendix A: mulX_POLYVAL.
    let value =
        u128::from_le_bytes(hex::decode("9c98c04df9387ded828175a92ba652d8").unwrap().try_into().unwrap());
    assert_eq!(hex::encode(times_x(value).to_le_bytes()), "3931819bf271fada0503eb52574ca572");
    // C2SP XAES-256-GCM, the first test vector: key of 0x01, nonce of ASCII.
    let key = xaes_key(&schedule(&[1; 32]), b"ABCDEFGHIJKLMNOPQRSTUVWX");
    assert_eq!(hex::encode(key), "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b");
}
