use super::{bytes, changed, refused};
use hex::encode as hex;
use keystore_format::tpm_wrap::{NAME_LEN, PcrBank, PcrSelection, TpmBlob, TpmParameters};
use serde_json::{Value, json};

fn small() -> TpmParameters {
    let mut srk_name: [u8; NAME_LEN] = bytes(0x0e);
    srk_name[..2].copy_from_slice(&[0, 0x0b]);
    let pcrs = Some(PcrSelection { bank: PcrBank::Sha256, mask: [0x80, 0x08, 0] });
    TpmParameters { srk_name, pin: true, pcrs, approval_index: 0x01c0_ff01 }
}

fn blob() -> TpmBlob {
    TpmBlob { public: bytes::<78>(0x10).to_vec(), private: bytes::<158>(0x80).to_vec() }
}

pub(crate) fn vectors() -> Vec<Value> {
    let without_pin = TpmParameters {
        pin: false,
        pcrs: Some(PcrSelection { bank: PcrBank::Sha512, mask: [0xff; 3] }),
        approval_index: 0x01ff_ffff,
        ..small()
    };
    let sha384 = Some(PcrSelection { bank: PcrBank::Sha384, mask: [0x01, 0, 0] });
    let mut vectors = vec![
        parameters("parameters_with_registers_7_and_11_and_a_pin", small()),
        parameters("parameters_with_every_register_and_no_pin", without_pin),
        parameters("parameters_with_a_pin_only", TpmParameters { pcrs: None, ..small() }),
        parameters("parameters_with_register_0_of_sha384", TpmParameters { pcrs: sha384, ..small() }),
    ];
    vectors.extend(refused_parameters());
    vectors.push(blob_of("blob_of_a_sealed_object", &blob()));
    let longest = TpmBlob { public: vec![1; 1024], private: vec![2; 1024] };
    vectors.push(blob_of("blob_with_the_longest_areas", &longest));
    vectors.push(blob_of("blob_with_the_shortest_areas", &TpmBlob { public: vec![1], private: vec![2] }));
    vectors.extend(refused_blobs());
    vectors
}

fn parameters(name: &str, parameters: TpmParameters) -> Value {
    let bytes = parameters.encode().unwrap();
    assert_eq!(TpmParameters::decode(&bytes).unwrap(), parameters);
    json!({
        "name": name, "srk_name": hex(parameters.srk_name), "pin": parameters.pin,
        "pcr_bank": parameters.pcrs.map_or(0, |pcrs| pcrs.bank as u16),
        "pcrs": (0..24).filter(|n| parameters.pcrs.is_some_and(|pcrs| pcrs.mask[n / 8] >> (n % 8) & 1 == 1))
            .collect::<Vec<_>>(),
        "approval_index": parameters.approval_index, "parameters": hex(bytes),
    })
}

fn blob_of(name: &str, blob: &TpmBlob) -> Value {
    let bytes = blob.encode().unwrap();
    assert_eq!(&TpmBlob::decode(&bytes).unwrap(), blob);
    json!({ "name": name, "public": hex(&blob.public), "private": hex(&blob.private), "blob": hex(bytes) })
}

fn refused_parameters() -> Vec<Value> {
    let right = small().encode().unwrap();
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        let bytes = changed(&right, change);
        let error = refused(TpmParameters::decode(&bytes), field, offset, fault);
        json!({ "name": name, "parameters": hex(bytes), "error": error })
    };
    vec![
        case("parameters_that_are_empty", &|p| p.clear(), "version", 0, "Truncated"),
        case("parameters_of_an_unknown_version", &|p| p[0] = 2, "version", 0, "UnknownVersion"),
        case("parameters_cut_in_the_srk_name", &|p| p.truncate(34), "SRK name", 1, "Truncated"),
        case("parameters_with_a_name_by_sha1", &|p| p[2] = 4, "SRK name", 1, "UnknownAlgorithm"),
        case("parameters_cut_before_the_pin", &|p| p.truncate(35), "PIN", 35, "Truncated"),
        case("parameters_with_a_pin_of_2", &|p| p[35] = 2, "PIN", 35, "Invalid"),
        case("parameters_cut_in_the_bank", &|p| p.truncate(37), "PCR bank", 36, "Truncated"),
        case("parameters_with_the_bank_of_sha1", &|p| p[37] = 4, "PCR bank", 36, "UnknownAlgorithm"),
        case("parameters_cut_in_the_mask", &|p| p.truncate(40), "PCR mask", 38, "Truncated"),
        case("parameters_with_registers_of_no_bank", &|p| p[37] = 0, "PCR mask", 38, "Invalid"),
        case("parameters_with_a_bank_without_registers", &|p| p[38..41].fill(0), "PCR mask", 38, "Invalid"),
        case("parameters_with_neither_registers_nor_pin", &|p| p[35..41].fill(0), "PIN", 35, "Invalid"),
        case("parameters_cut_in_the_index", &|p| p.truncate(44), "approval index", 41, "Truncated"),
        case("parameters_with_an_index_that_is_a_key", &|p| p[41] = 0x81, "approval index", 41, "Invalid"),
        case("parameters_with_a_byte_too_many", &|p| p.push(0), "wrap parameters", 45, "TrailingBytes"),
    ]
}

fn refused_blobs() -> Vec<Value> {
    let right = blob().encode().unwrap();
    let case = |name: &str, change: &dyn Fn(&mut Vec<u8>), field, offset, fault| {
        let bytes = changed(&right, change);
        let error = refused(TpmBlob::decode(&bytes), field, offset, fault);
        json!({ "name": name, "blob": hex(bytes), "error": error })
    };
    const PRIVATE: usize = 1 + 2 + 78;
    vec![
        case("blob_that_is_empty", &|b| b.clear(), "version", 0, "Truncated"),
        case("blob_of_an_unknown_version", &|b| b[0] = 2, "version", 0, "UnknownVersion"),
        case("blob_cut_in_the_public_length", &|b| b.truncate(2), "public area length", 1, "Truncated"),
        case("blob_with_an_empty_public_area", &|b| b[2] = 0, "public area length", 1, "Invalid"),
        case(
            "blob_with_a_public_area_of_1025_bytes",
            &|b| b[1..3].copy_from_slice(&[4, 1]),
            "public area length",
            1,
            "TooLong",
        ),
        case("blob_cut_in_the_public_area", &|b| b.truncate(PRIVATE - 1), "public area", 3, "Truncated"),
        case(
            "blob_cut_in_the_private_length",
            &|b| b.truncate(PRIVATE),
            "private area length",
            PRIVATE,
            "Truncated",
        ),
        case(
            "blob_with_an_empty_private_area",
            &|b| b[PRIVATE + 1] = 0,
            "private area length",
            PRIVATE,
            "Invalid",
        ),
        case(
            "blob_with_a_private_area_of_65535_bytes",
            &|b| b[PRIVATE..PRIVATE + 2].fill(0xff),
            "private area length",
            PRIVATE,
            "TooLong",
        ),
        case(
            "blob_cut_by_one_byte",
            &|b| b.truncate(PRIVATE + 2 + 157),
            "private area",
            PRIVATE + 2,
            "Truncated",
        ),
        case("blob_with_a_byte_too_many", &|b| b.push(0), "wrap blob", PRIVATE + 2 + 158, "TrailingBytes"),
    ]
}
