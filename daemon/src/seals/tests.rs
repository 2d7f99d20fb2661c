//! What a section may say, and what is refused with its line.
use crate::config::Config;

const SMALLEST: &str = "data_dir = \"data\"\n[listener]\naddress = \"127.0.0.1:8200\"\ncertificate = \"c\"\nkey = \"k\"\nclient_ca = \"a\"\n";
const HSM: &str = "name = \"hsm\"\ntype = \"pkcs11\"\nmodule = \"/usr/lib/hsm.so\"\ntoken_label = \"coffer\"\nkey_label = \"root\"\npin_file = \"pin\"\n";
const TPM: &str = "name = \"tpm2\"\ntype = \"tpm2\"\npcrs = \"sha256:7,11\"\n";

const FAR: &str = "name = \"far\"\ntype = \"transit\"\naddress = \"https://keys.example.com:8200\"\nca = \"ca\"\nkey_name = \"root\"\ntoken_file = \"t\"\n";

fn read(sections: &[&str]) -> Result<Config, (usize, String)> {
    Config::parse(&sections.iter().fold(SMALLEST.to_owned(), |all, keys| format!("{all}[[seal]]\n{keys}")))
}

/// The line within the section whose first key stands in line 1, and what is said.
#[track_caller]
fn refused(keys: &str) -> (usize, String) {
    let (line, what) = read(&[keys]).err().unwrap_or_else(|| panic!("taken: {keys}"));
    (line - SMALLEST.lines().count() - 1, what)
}

#[test]
fn each_type_is_taken_with_the_keys_of_its_own() {
    let disk = "name = \"disk\"\ntype = \"file\"\npath = \"key\"\n";
    assert!(read(&[HSM, TPM, FAR, disk]).is_ok());
    let id = "9d2f5c0a8b3e7461f0a9c8d7b6e5f4030211223344556677889900aabbccddee";
    let more = format!(
        "{TPM}root_ids = [\"{id}\"]\nenvironments = [\"root\", \"acme/prod\"]\napproval_index = 0x01c0ff02\ntimeout_seconds = 120\n"
    );
    assert!(read(&[&more]).is_ok());
}

#[test]
fn a_seal_that_can_not_be_is_refused_with_its_line_and_what_would_be_right() {
    let without = |key: &str| -> String {
        HSM.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect()
    };
    let cases: &[(String, usize, &str)] = &[
        (HSM.replace("pkcs11", "hsm"), 2, "'type' must be \"pkcs11\", \"tpm2\", \"transit\" or \"file\""),
        (HSM.replace("\"hsm\"", "\"Hsm\""), 1, "a to z, 0 to 9 and '-'"),
        (HSM.replace("\"hsm\"", "\"shares\""), 1, "neither \"inherit\" nor \"shares\""),
        (HSM.replace("\"hsm\"", "\"-hsm\""), 1, "not at its ends"),
        (without("module"), 2, "a seal of type \"pkcs11\" needs 'module'"),
        (without("token_label"), 2, "needs one of 'token_label' and 'token_serial'"),
        (format!("{HSM}token_serial = \"01\"\n"), 2, "needs one of 'token_label' and 'token_serial'"),
        (without("key_label"), 2, "key"),
        (format!("{HSM}key_id = \"xyz\"\n"), 7, "'key_id' is in hexadecimal"),
        (without("pin_file"), 2, "needs one of 'pin_file', 'pin_env' and 'pin_credential'"),
        (format!("{HSM}pin_env = \"PIN\"\n"), 2, "only one of 'pin_file', 'pin_env' and 'pin_credential'"),
        (format!("{TPM}pin_file = \"a\"\npin_credential = \"b\"\n"), 2, "only one of 'pin_file'"),
        (format!("{HSM}mechanism = \"des\"\n"), 7, "aes-gcm"),
        (format!("{HSM}mechanism = \"aes-gcm\"\noaep_hash = \"sha256\"\n"), 8, "rsa-oaep"),
        (format!("{HSM}path = \"key\"\n"), 7, "'path' belongs to seals of type \"file\""),
        (format!("{TPM}module = \"m\"\n"), 4, "'module' belongs to seals of type \"pkcs11\""),
        (format!("{HSM}pcrs = \"sha256:7\"\n"), 7, "'pcrs' belongs to seals of type \"tpm2\""),
        (
            "name = \"disk\"\ntype = \"file\"\npath = \"key\"\npin_file = \"p\"\n".into(),
            4,
            "'pin_file' belongs to seals of type \"pkcs11\" and \"tpm2\"",
        ),
        (FAR.replace("key_name", "# key_name"), 2, "a seal of type \"transit\" needs 'key_name'"),
        (FAR.replace("ca =", "# ca ="), 2, "a seal of type \"transit\" needs 'ca'"),
        (FAR.replace("https", "http"), 2, "https://"),
        (format!("{FAR}certificate = \"c\"\n"), 2, "'certificate' and 'key' belong together"),
        (
            format!("{FAR}token_env = \"T\"\n"),
            2,
            "only one of 'token_file', 'token_env' and 'token_credential'",
        ),
        (format!("{FAR}pin_file = \"p\"\n"), 7, "'pin_file' belongs to seals of type"),
        (format!("{HSM}key_name = \"k\"\n"), 7, "'key_name' belongs to seals of type \"transit\""),
        ("name = \"disk\"\ntype = \"file\"\n".into(), 2, "a seal of type \"file\" needs 'path'"),
        (TPM.replace("sha256:7,11", "7,11"), 3, "sha256:7,11"),
        (TPM.replace("sha256:7,11", "sha256:24"), 3, "23"),
        (TPM.replace("sha256:7,11", "sha256:"), 3, "sha256:7,11"),
        (format!("{TPM}approval_index = 5\n"), 4, "from 0x01000000 to 0x01ffffff"),
        (format!("{TPM}srk_name = \"000b\"\n"), 4, "68 hexadecimal digits"),
        (format!("{TPM}address = \"\"\n"), 4, "/dev/tpmrm0"),
        (format!("{TPM}timeout_seconds = 0\n"), 4, "'timeout_seconds' must be from 1 to 120"),
        (format!("{HSM}timeout_seconds = 121\n"), 7, "'timeout_seconds' must be from 1 to 120"),
        (format!("{HSM}root_ids = [\"9d2f\"]\n"), 7, "64 hexadecimal digits"),
        (format!("{HSM}root_ids = [\"{}\"]\n", "é".repeat(32)), 7, "64 hexadecimal digits"),
        (format!("{HSM}environments = [\"a//b\"]\n"), 7, "paths as [\"root\", \"acme/prod\"]"),
        (format!("{HSM}label = \"x\"\n"), 7, "unknown field"),
        ("type = \"tpm2\"\n".into(), 0, "missing field `name`"),
    ];
    for (keys, line, what) in cases {
        let (at, said) = refused(keys);
        assert_eq!(at, *line, "{keys}: {said}");
        assert!(said.contains(what), "{keys}: {said}");
    }
}

#[test]
fn two_seals_of_one_name_are_refused_at_the_second() {
    let (line, what) = read(&[HSM, &TPM.replace("\"tpm2\"\nt", "\"hsm\"\nt")]).err().unwrap();
    assert_eq!((line, what.as_str()), (6 + 7 + 2, "two seals can't have one name"));
}
