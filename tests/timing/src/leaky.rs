//! Multiplication in GF(2⁸) as others have it: by steps that depend on the bits, and by tables.

/// As many steps as the second factor has bits, and branches on each.
#[must_use]
pub fn multiply_by_steps(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 == 1 {
            product ^= a;
        }
        a = a << 1 ^ if a >> 7 == 1 { 0x1b } else { 0 };
        b >>= 1;
    }
    product
}

/// By logarithms to the base 3.
#[must_use]
pub fn multiply_by_tables(a: u8, b: u8) -> u8 {
    let sum = LOGARITHMS[usize::from(a)] as usize + LOGARITHMS[usize::from(b)] as usize;
    let product = POWERS[sum % 255];
    if a == 0 || b == 0 { 0 } else { product }
}

/// `secret + c₁x + c₂x² + …` for every byte, with one of these multiplications; 32 coefficients for each power.
pub fn evaluate(multiply: fn(u8, u8) -> u8, secret: &[u8; 32], coefficients: &[u8], x: u8, y: &mut [u8; 32]) {
    let (powers, _) = coefficients.as_chunks::<32>();
    for coefficients in powers.iter().rev().chain([secret]) {
        for (y, coefficient) in y.iter_mut().zip(coefficients) {
            *y = multiply(x, *y) ^ coefficient;
        }
    }
}

const POWERS: [u8; 255] = {
    let (mut powers, mut at, mut power) = ([0; 255], 0, 1_u8);
    while at < 255 {
        powers[at] = power;
        power ^= power << 1 ^ 0x1b & (power >> 7).wrapping_neg();
        at += 1;
    }
    powers
};

static LOGARITHMS: [u8; 256] = {
    let (mut logarithms, mut at) = ([0; 256], 0);
    while at < 255 {
        logarithms[POWERS[at] as usize] = at as u8;
        at += 1;
    }
    logarithms
};
