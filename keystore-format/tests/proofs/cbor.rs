use ciborium::Value;
use keystore_format::cbor::{Reader, Writer};
use keystore_format::error::{Fault, FormatError};
use proptest::prelude::*;

fn uint_of(bytes: &[u8]) -> Result<u64, FormatError> {
    let mut reader = Reader::new(bytes);
    let value = reader.uint("n")?;
    reader.finish("n")?;
    Ok(value)
}

#[test]
fn numbers_of_rfc_8949_appendix_a_have_the_bytes_that_it_gives() {
    let examples: [(u64, &str); 10] = [
        (0, "00"),
        (10, "0a"),
        (23, "17"),
        (24, "1818"),
        (100, "1864"),
        (1000, "1903e8"),
        (1_000_000, "1a000f4240"),
        (1_000_000_000_000, "1b000000e8d4a51000"),
        (u64::MAX, "1bffffffffffffffff"),
        (255, "18ff"),
    ];
    for (value, expected) in examples {
        let mut writer = Writer::new();
        writer.uint(value);
        let bytes = writer.finish();
        assert_eq!(hex::encode(&bytes), expected);
        assert_eq!(uint_of(&bytes), Ok(value));
    }
}

#[test]
fn a_number_in_a_longer_form_than_it_needs_is_refused() {
    for longer in ["1817", "190017", "1900ff", "1a0000ffff", "1b00000000ffffffff"] {
        let fault = uint_of(&hex::decode(longer).unwrap()).unwrap_err();
        assert_eq!(fault, FormatError::new("n", 0, Fault::NotCanonical), "{longer}");
    }
}

#[test]
fn what_leaves_do_not_use_is_refused() {
    // Negative, indefinite string, indefinite map, tag, float, undefined, break, reserved lengths.
    for foreign in ["20", "5f4100ff", "bf00ff", "c000", "f90000", "f7", "ff", "1c", "1f"] {
        let bytes = hex::decode(foreign).unwrap();
        assert!(uint_of(&bytes).is_err(), "{foreign}");
        assert!(Reader::new(&bytes).bytes("s", 100).is_err(), "{foreign}");
        assert!(Reader::new(&bytes).map("m").is_err(), "{foreign}");
        assert!(Reader::new(&bytes).bool("b").is_err(), "{foreign}");
    }
}

#[test]
fn a_huge_length_is_refused_before_anything_is_taken() {
    let huge = hex::decode("5bffffffffffffffff00").unwrap();
    assert_eq!(Reader::new(&huge).bytes("s", 32), Err(FormatError::new("s", 0, Fault::TooLong)));
    assert_eq!(Reader::new(&huge).bytes("s", usize::MAX).unwrap_err().fault, Fault::Truncated);
    let keys = hex::decode("bbffffffffffffffff").unwrap();
    let mut reader = Reader::new(&keys);
    let mut map = reader.map("m").unwrap();
    assert_eq!(reader.int_key("m", &mut map).unwrap_err().fault, Fault::Truncated);
}

#[test]
fn map_keys_out_of_order_or_repeated_are_refused() {
    let keys = |hex: &str| {
        let bytes = hex::decode(hex).unwrap();
        let mut reader = Reader::new(&bytes);
        let mut map = reader.map("m")?;
        let mut found = Vec::new();
        while let Some(key) = reader.int_key("m", &mut map)? {
            found.push(key);
            assert!(reader.null());
        }
        reader.finish("m").map(|()| found)
    };
    assert_eq!(keys("a300f617f61818f6"), Ok(vec![0, 23, 24]));
    assert_eq!(keys("a217f600f6"), Err(FormatError::new("m", 3, Fault::NotCanonical)));
    assert_eq!(keys("a200f600f6"), Err(FormatError::new("m", 3, Fault::NotCanonical)));
    assert_eq!(keys("a100f6f6"), Err(FormatError::new("m", 3, Fault::TrailingBytes)));
}

#[test]
fn text_that_is_not_utf_8_is_refused() {
    let bytes = hex::decode("62c328").unwrap();
    assert_eq!(Reader::new(&bytes).text("t", 10), Err(FormatError::new("t", 0, Fault::Invalid)));
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same_in_another_implementation(
        number in any::<u64>(), bytes in any::<Vec<u8>>(), text in ".{0,40}", flag in any::<bool>(),
    ) {
        let mut writer = Writer::new();
        writer.array(5);
        writer.uint(number);
        writer.bytes(&bytes);
        writer.text(&text);
        writer.bool(flag);
        writer.null();
        let written = writer.finish();
        let read: Value = ciborium::from_reader(written.as_slice()).unwrap();
        prop_assert_eq!(read, Value::Array(vec![
            Value::Integer(number.into()), Value::Bytes(bytes), Value::Text(text), Value::Bool(flag), Value::Null,
        ]));
    }
}
