//! Splits or joins what comes on standard input, which memcheck takes for secret (`mark.c`), and writes the result into a
//! file: `marked MODE FILE`. Some modes leak on purpose.
#![forbid(unsafe_code)]
use coffer_secmem::Key32;
use coffer_timing::{
    leaky,
    shamir::{Point, Threshold, join, split},
};
use std::{
    fs::File,
    hint::black_box,
    io::{self, Read, StdinLock, Write as _},
};

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(mode), Some(file)) = (words.next(), words.next()) else {
        return Err(io::Error::other("usage: marked MODE FILE"));
    };
    let mut input = io::stdin().lock();
    let mut out = File::create(file)?;
    match mode.as_str() {
        "split" => {
            for (shares, needed) in [(1, 1), (3, 2), (9, 5), (40, 33)] {
                for point in shares_of(&mut input, shares, needed)? {
                    out.write_all(point.y.expose())?;
                }
            }
        }
        "join" => {
            for needed in [1, 2, 5, 33] {
                out.write_all(joined(&mut input, needed)?.expose())?;
            }
        }
        // Both ends are secret as long as they are not written.
        "split-and-look" => look(&shares_of(&mut input, 9, 5)?[8].y),
        "join-and-look" => look(&joined(&mut input, 5)?),
        "steps" => out.write_all(&leaking(&mut input, leaky::multiply_by_steps)?)?,
        "tables" => out.write_all(&leaking(&mut input, leaky::multiply_by_tables)?)?,
        _ => return Err(io::Error::other("no such mode")),
    }
    Ok(())
}

fn shares_of(input: &mut StdinLock<'_>, shares: u64, needed: u64) -> io::Result<Vec<Point>> {
    let threshold = Threshold::new(shares, needed).map_err(|error| io::Error::other(format!("{error:?}")))?;
    let secret = taken(input)?;
    split(&secret, threshold, &mut |coefficients| input.read_exact(coefficients))
}

fn joined(input: &mut StdinLock<'_>, needed: u8) -> io::Result<Key32> {
    let point = |x| Ok(Point { x, y: Key32::from_bytes(&mut taken(input)?) });
    let points = (1..=needed).map(point).collect::<io::Result<Vec<_>>>()?;
    join(&points).ok_or_else(|| io::Error::other("not joined"))
}

fn leaking(input: &mut StdinLock<'_>, multiply: fn(u8, u8) -> u8) -> io::Result<[u8; 32]> {
    let (secret, coefficients) = (taken(input)?, taken(input)?);
    let mut y = [0; 32];
    leaky::evaluate(black_box(multiply), &secret, &coefficients, 7, &mut y);
    Ok(y)
}

fn taken(input: &mut StdinLock<'_>) -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[inline(never)]
fn look(key: &Key32) {
    if key.expose()[31] == 0 {
        eprintln!("a byte is zero");
    }
}
