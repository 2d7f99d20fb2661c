//! Shamir's secret sharing of a 256-bit key, byte by byte over GF(2⁸) modulo x⁸ + x⁴ + x³ + x + 1 (0x11b).
//!
//! Time and memory access depend on the number of shares and on their points, which are public, and never on the key or
//! a share's values: no table, no branch on a secret.
use crate::ThresholdError;
use coffer_secmem::{Key32, SecretBytes};

/// How many shares are handed out, and how many of them are needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threshold {
    shares: u8,
    threshold: u8,
}

impl Threshold {
    /// `shares` from 1 to 255, `threshold` from 1 to `shares`, and 1 only where there is one share.
    ///
    /// # Errors
    /// Whichever rule is broken.
    pub fn new(shares: u64, threshold: u64) -> Result<Self, ThresholdError> {
        let shares = u8::try_from(shares).ok().filter(|shares| *shares > 0).ok_or(ThresholdError::Shares)?;
        if threshold == 0 {
            return Err(ThresholdError::Threshold);
        }
        let threshold = u8::try_from(threshold).map_err(|_| ThresholdError::AboveShares)?;
        match (shares, threshold) {
            _ if threshold > shares => Err(ThresholdError::AboveShares),
            (2.., 1) => Err(ThresholdError::OneOfMany),
            _ => Ok(Self { shares, threshold }),
        }
    }

    /// Shares handed out.
    #[must_use]
    pub const fn shares(self) -> u8 {
        self.shares
    }

    /// Shares that are needed.
    #[must_use]
    pub const fn threshold(self) -> u8 {
        self.threshold
    }
}

/// A share's values: the polynomials at `x`, which is never 0.
pub struct Point {
    /// Public.
    pub x: u8,
    /// Secret.
    pub y: Key32,
}

/// Splits `secret` into points 1, 2, 3, …: `fill` gives the coefficients, which must be uniform, 0 included.
///
/// # Errors
/// What `fill` errs with.
pub fn split<E>(
    secret: &[u8; 32],
    threshold: Threshold,
    fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<Vec<Point>, E> {
    let coefficients = SecretBytes::generate(32 * (usize::from(threshold.threshold) - 1), fill)?;
    let point = |x| Point { x, y: Key32::derive(|y| evaluate(secret, coefficients.expose(), x, y)) };
    Ok((1..=threshold.shares).map(point).collect())
}

/// Joins points into the secret, if they are as many as were needed and all of one split; else into anything.
/// `None` where there is no point, one is 0, or two are the same.
#[must_use]
pub fn join(points: &[Point]) -> Option<Key32> {
    let unique = |(at, point): (usize, &Point)| {
        point.x != 0 && points.iter().skip(at + 1).all(|other| other.x != point.x)
    };
    if points.is_empty() || !points.iter().enumerate().all(unique) {
        return None;
    }
    Some(Key32::derive(|secret| {
        for point in points {
            let weight = weight_at_zero(point.x, points);
            for (byte, y) in secret.iter_mut().zip(point.y.expose()) {
                *byte ^= multiply(*y, weight);
            }
        }
    }))
}

/// `secret + c₁x + c₂x² + …` for every byte, by Horner's rule; 32 coefficients for each power.
fn evaluate(secret: &[u8; 32], coefficients: &[u8], x: u8, y: &mut [u8; 32]) {
    let (powers, _) = coefficients.as_chunks::<32>();
    for coefficients in powers.iter().rev().chain([secret]) {
        for (y, coefficient) in y.iter_mut().zip(coefficients) {
            *y = multiply(*y, x) ^ coefficient;
        }
    }
}

/// The Lagrange basis polynomial of `x`, at 0: the product of xⱼ / (xⱼ − x) over the other points.
fn weight_at_zero(x: u8, points: &[Point]) -> u8 {
    let others = points.iter().map(|point| point.x).filter(|other| *other != x);
    others.fold(1, |weight, other| multiply(weight, multiply(other, invert(other ^ x))))
}

/// Multiplies: eight times the same steps, masks where a table or a branch would stand.
const fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product, mut bit) = (a, 0, 0);
    while bit < 8 {
        product ^= a & (b >> bit & 1).wrapping_neg();
        a = a << 1 ^ 0x1b & (a >> 7).wrapping_neg();
        bit += 1;
    }
    product
}

/// `a²⁵⁴`, which is 1/a, and 0 for 0: squares and products in an order that is always the same.
const fn invert(a: u8) -> u8 {
    let (mut square, mut inverse, mut power) = (a, 1, 0);
    while power < 7 {
        square = multiply(square, square);
        inverse = multiply(inverse, square);
        power += 1;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// SplitMix64.
    fn filling(mut state: u64) -> impl FnMut(&mut [u8]) -> Result<(), Infallible> {
        move |bytes| {
            for byte in bytes {
                state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                *byte = (z >> 56) as u8;
            }
            Ok(())
        }
    }

    fn copy(point: &Point) -> Point {
        Point { x: point.x, y: point.y.duplicate() }
    }

    fn chosen(points: &[Point], set: u32) -> Vec<Point> {
        points.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1).map(|(_, point)| copy(point)).collect()
    }

    #[test]
    fn the_field_is_that_of_0x11b() {
        /// Multiplies as polynomials, then divides by 0x11b: the definition.
        fn defined(a: u8, b: u8) -> u8 {
            let mut product: u16 = 0;
            for bit in 0..8 {
                if b >> bit & 1 == 1 {
                    product ^= u16::from(a) << bit;
                }
            }
            for bit in (8..15).rev() {
                if product >> bit & 1 == 1 {
                    product ^= 0x11b << (bit - 8);
                }
            }
            product as u8
        }
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), defined(a, b), "{a} * {b}");
            }
        }
        // FIPS 197, section 4.2.
        assert_eq!((multiply(0x57, 0x83), multiply(0x57, 0x13)), (0xc1, 0xfe));
    }

    #[test]
    fn every_element_but_zero_has_its_inverse() {
        assert_eq!(invert(0), 0);
        for a in 1..=255 {
            assert_eq!(multiply(a, invert(a)), 1, "{a}");
        }
    }

    #[test]
    fn any_k_of_up_to_eight_shares_join_and_no_fewer_do() {
        let mut fill = filling(1);
        for shares in 1..=8 {
            for needed in 1..=shares {
                let Ok(threshold) = Threshold::new(shares, needed) else {
                    assert!(needed == 1 && shares > 1);
                    continue;
                };
                let mut secret = [0; 32];
                fill(&mut secret).unwrap();
                let points = split(&secret, threshold, &mut fill).unwrap();
                assert_eq!(points.len() as u64, shares);
                for set in 1_u32..1 << shares {
                    let joined = join(&chosen(&points, set)).unwrap();
                    let enough = u64::from(set.count_ones()) >= needed;
                    assert_eq!(*joined.expose() == secret, enough, "{needed} of {shares}, set {set:b}");
                }
            }
        }
    }

    #[test]
    fn the_order_of_shares_does_not_matter_and_255_work() {
        let mut fill = filling(2);
        let secret = [0x42; 32];
        let mut points = split(&secret, Threshold::new(255, 255).unwrap(), &mut fill).unwrap();
        points.reverse();
        assert_eq!(*join(&points).unwrap().expose(), secret);
        points.pop();
        assert_ne!(*join(&points).unwrap().expose(), secret);
    }

    #[test]
    fn fewer_shares_than_needed_say_nothing_at_all() {
        // Whatever one of two shares shows, each secret explains it by exactly one coefficient.
        for x in [1, 2, 77, 255] {
            for secret in [0, 1, 0xa5, 0xff] {
                let mut seen = [0; 256];
                for coefficient in 0..=255 {
                    let mut y = [0; 32];
                    evaluate(&[secret; 32], &[coefficient; 32], x, &mut y);
                    seen[usize::from(y[0])] += 1;
                }
                assert_eq!(seen, [1; 256]);
            }
        }
    }

    #[test]
    fn coefficients_are_used_as_they_come_zero_included() {
        // The highest coefficient of 2 of 2 is (y₁ ^ y₂) / (1 ^ 2); chi-square over 256 values, 255 degrees of freedom.
        let mut fill = filling(3);
        let mut seen = [0_u32; 256];
        let splits = 2000;
        for _ in 0..splits {
            let points = split(&[7; 32], Threshold::new(2, 2).unwrap(), &mut fill).unwrap();
            for (one, two) in points[0].y.expose().iter().zip(points[1].y.expose()) {
                seen[usize::from(multiply(one ^ two, invert(3)))] += 1;
            }
        }
        let expected = f64::from(splits * 32) / 256.0;
        let chi_square: f64 = seen.iter().map(|&n| (f64::from(n) - expected).powi(2) / expected).sum();
        // 0.001 and 0.999 quantiles.
        assert!((190.0..331.0).contains(&chi_square), "{chi_square}");
        assert!(seen[0] > 0);
    }

    #[test]
    fn the_polynomial_is_the_one_that_the_coefficients_say() {
        // 5 + 7x + 9x² at 3, worked out by hand: 7·3 = 9, 3² = 5, 9·5 = 0x2d; 5 ^ 9 ^ 0x2d = 0x21.
        let mut coefficients = [7; 64];
        coefficients[32..].fill(9);
        let mut y = [0; 32];
        evaluate(&[5; 32], &coefficients, 3, &mut y);
        assert_eq!(y, [0x21; 32]);
    }

    #[test]
    fn points_that_are_zero_repeated_or_missing_are_refused() {
        let point = |x| Point { x, y: Key32::derive(|y| y.fill(x)) };
        assert!(join(&[]).is_none());
        assert!(join(&[point(0)]).is_none());
        assert!(join(&[point(1), point(2), point(1)]).is_none());
        assert!(join(&[point(1), point(2)]).is_some());
    }

    #[test]
    fn a_generator_that_fails_makes_no_shares() {
        let threshold = Threshold::new(3, 2).unwrap();
        assert_eq!(
            split(&[1; 32], threshold, &mut |_| Err("no randomness")).map(|_| ()),
            Err("no randomness")
        );
    }

    #[test]
    fn numbers_of_shares_are_checked() {
        for (shares, threshold, error) in [
            (0, 0, ThresholdError::Shares),
            (256, 2, ThresholdError::Shares),
            (u64::MAX, 2, ThresholdError::Shares),
            (5, 0, ThresholdError::Threshold),
            (5, 6, ThresholdError::AboveShares),
            (5, u64::MAX, ThresholdError::AboveShares),
            (2, 1, ThresholdError::OneOfMany),
        ] {
            assert_eq!(Threshold::new(shares, threshold), Err(error), "{threshold} of {shares}");
        }
        assert_eq!(Threshold::new(1, 1), Ok(Threshold { shares: 1, threshold: 1 }));
        assert_eq!(Threshold::new(255, 255), Ok(Threshold { shares: 255, threshold: 255 }));
    }
}
