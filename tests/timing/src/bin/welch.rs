//! Does the time of splitting and joining depend on the secret? Welch's t-test over two classes of inputs, one that is
//! always the same and one that is random, after Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?"
//! (2017): `welch [MEASUREMENTS]`.
#![forbid(unsafe_code)]
use coffer_secmem::Key32;
use coffer_timing::{
    leaky,
    shamir::{Point, Threshold, join, split},
};
use std::{
    convert::Infallible,
    hint::black_box,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const SHARES: u64 = 9;
const NEEDED: usize = 5;
/// Inputs that are made before any of them is measured.
const BATCH: usize = 500;
/// How many percentiles the slow measurements are cropped at.
const CROPS: i32 = 100;

fn main() {
    let measurements = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(1_000_000);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
    let mut random = Random(seed);
    println!("t-test of {measurements} measurements each, {NEEDED} of {SHARES}; |t| below 4.5 shows no leak");

    let fixed: [[u8; 32]; NEEDED] = random.arrays();
    report("join", measurements, &mut random, |random, is_fixed| {
        let shares = if is_fixed { fixed } else { random.arrays() };
        let points: Vec<Point> =
            (1..).zip(shares).map(|(x, mut y)| Point { x, y: Key32::from_bytes(&mut y) }).collect();
        move || timed(|| join(&points))
    });

    let Ok(threshold) = Threshold::new(SHARES, NEEDED as u64) else { unreachable!("5 of 9 is allowed") };
    let [fixed] = random.arrays();
    report("split", measurements, &mut random, |random, is_fixed| {
        let [random_secret] = random.arrays();
        let secret = if is_fixed { fixed } else { random_secret };
        let coefficients: [[u8; 32]; NEEDED - 1] = random.arrays();
        move || {
            timed(|| {
                split(&secret, threshold, &mut |into| {
                    into.copy_from_slice(coefficients.as_flattened());
                    Ok::<_, Infallible>(())
                })
            })
        }
    });

    report("split by steps, which leaks", measurements, &mut random, |random, is_fixed| {
        let [random_secret] = random.arrays();
        // All zero stands out: there are no steps to take.
        let secret = if is_fixed { [0; 32] } else { random_secret };
        move || {
            timed(|| {
                let mut y = [0; 32];
                leaky::evaluate(leaky::multiply_by_steps, &[0; 32], &secret, 7, &mut y);
                y
            })
        }
    });
}

fn timed<T>(run: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    let done = black_box(run());
    let taken = begun.elapsed();
    drop(done);
    taken
}

/// Measures inputs of both classes in random order. `prepare` makes an input before its batch is measured.
fn report<M: FnOnce() -> Duration>(
    what: &str,
    measurements: usize,
    random: &mut Random,
    mut prepare: impl FnMut(&mut Random, bool) -> M,
) {
    let mut times: Vec<(bool, f64)> = Vec::with_capacity(measurements + BATCH);
    // The first batch warms up.
    while times.len() < measurements + BATCH {
        let classes: Vec<bool> = (0..BATCH).map(|_| random.next() & 1 == 1).collect();
        let inputs: Vec<M> = classes.iter().map(|is_fixed| prepare(random, *is_fixed)).collect();
        times.extend(classes.into_iter().zip(inputs).map(|(class, run)| (class, run().as_nanos() as f64)));
    }
    times.drain(..BATCH);
    let mut sorted: Vec<f64> = times.iter().map(|(_, time)| *time).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize];
    let cropped = |limit: f64| welch(times.iter().filter(move |(_, time)| *time <= limit));
    // 1 − 0.5^(10 k / 100), as in the paper's program: from 7 % to 99.9 % of the measurements, denser towards the top.
    let limits = (1..=CROPS).map(|crop| at(1.0 - 0.5_f64.powf(10.0 * f64::from(crop) / f64::from(CROPS))));
    let largest = limits.map(|limit| cropped(limit).abs()).fold(0.0, f64::max);
    println!(
        "{what}: |t| {:.2} uncropped, {largest:.2} the largest of {CROPS} crops; p50 {:.1} µs, p99 {:.1} µs, max {:.1} µs",
        cropped(f64::INFINITY).abs(),
        at(0.5) / 1e3,
        at(0.99) / 1e3,
        at(1.0) / 1e3
    );
}

/// Welch's t of the two classes.
fn welch<'t>(times: impl Iterator<Item = &'t (bool, f64)>) -> f64 {
    // Count, mean and sum of squared distances to it, by Welford.
    let mut classes = [(0.0, 0.0, 0.0); 2];
    for (class, time) in times {
        let (count, mean, squares) = &mut classes[usize::from(*class)];
        *count += 1.0;
        let distance = time - *mean;
        *mean += distance / *count;
        *squares += distance * (time - *mean);
    }
    let [(count_a, mean_a, squares_a), (count_b, mean_b, squares_b)] = classes;
    // Too few to say anything: a crop that left next to nothing.
    if count_a < 500.0 || count_b < 500.0 {
        return 0.0;
    }
    let variance = squares_a / (count_a - 1.0) / count_a + squares_b / (count_b - 1.0) / count_b;
    if variance == 0.0 { 0.0 } else { (mean_a - mean_b) / variance.sqrt() }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn arrays<const N: usize>(&mut self) -> [[u8; 32]; N] {
        let mut word = || self.next().to_le_bytes();
        std::array::from_fn(|_| {
            let mut bytes = [0; 32];
            bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&word()));
            bytes
        })
    }
}
