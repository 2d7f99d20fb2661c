//! Every command of `coffer` against a daemon: once as a person reads it, once as a script does.
use coffer_tests::{House, Output, Setup, TPM_OWNER, Tpm};
use serde_json::{Value, json};

/// Who types the commands, and what was typed so far.
struct Told {
    house: House,
    /// The TPM of the daemon's machine.
    tpm: Tpm,
    environment: &'static str,
    is_script: bool,
    typed: Vec<Vec<String>>,
}

/// What a command said.
struct Said {
    text: String,
    json: Value,
}

impl Told {
    fn run(&mut self, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
        self.typed.push(arguments.iter().map(|word| (*word).to_owned()).collect());
        let format = if self.is_script { "json" } else { "table" };
        let all = [arguments, &["--format", format]].concat();
        self.house.coffer_with(self.environment, &all, input)
    }

    /// Runs a command that must succeed and say this: a person in a line or part of one, a script as a member's value
    /// (null for any).
    #[track_caller]
    fn says(&mut self, arguments: &[&str], part: &str, member: (&str, Value)) -> Said {
        self.says_to(arguments, "", part, member)
    }

    /// The same, with this on standard input.
    #[track_caller]
    fn says_to(
        &mut self,
        arguments: &[&str],
        input: impl AsRef<[u8]>,
        part: &str,
        (member, value): (&str, Value),
    ) -> Said {
        let text = self.run(arguments, input).ok();
        if !self.is_script {
            assert!(text.contains(part), "{arguments:?} does not say {part:?} but:\n{text}");
            return Said { text, json: Value::Null };
        }
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{arguments:?}: {text}"));
        let found = json.pointer(member).unwrap_or_else(|| panic!("{arguments:?}: no {member} in {json}"));
        assert!(value.is_null() || *found == value, "{arguments:?}: {member} is {found}");
        Said { text, json }
    }

    /// The names of all commands, from the help: those below which there are no others.
    fn commands(&self, above: &[String], all: &mut Vec<Vec<String>>) {
        let mut arguments: Vec<&str> = above.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = self.house.coffer("", &arguments).ok();
        let lines =
            help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names: Vec<_> = lines
            .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .collect();
        for name in &names {
            self.commands(&[above, &[(*name).to_owned()]].concat(), all);
        }
        if names.is_empty() {
            all.push(above.to_vec());
        }
    }
}

impl Said {
    /// A value that is shown under this name, and to scripts as this member.
    #[track_caller]
    fn value(&self, name: &str, member: &str) -> String {
        if let Some(value) = self.json.pointer(member) {
            return value.as_str().unwrap().to_owned();
        }
        let line = self.text.lines().find(|line| line.starts_with(name)).expect("a line of this name");
        line.split_whitespace().last().unwrap().to_owned()
    }
}

async fn told(is_script: bool) -> Told {
    let (mut setup, tpm) = (Setup::default(), Tpm::new());
    tpm.configure(&mut setup, "tpm2", "counter_index = 0x01500001");
    for name in ["disk", "spare"] {
        setup.sections += &format!("[[seal]]\nname = \"{name}\"\ntype = \"file\"\npath = \"{name}.key\"\n");
    }
    let house = House::empty(setup).await;
    let mut told = Told { house, tpm, environment: "", is_script, typed: Vec::new() };
    let init = ["operator", "init", "--shares", "3", "--threshold", "2"];
    let made = told.says(&init, "Initialised.", ("/shares/2", Value::Null));
    for number in 1..=3 {
        let share = made.value(&format!("Share {number} "), &format!("/shares/{}", number - 1));
        told.house.canaries.add(&share);
        told.house.shares.push(share);
    }
    told.house.root_token = made.value("Root token ", "/root_token");
    told.house.canaries.add(&told.house.root_token);
    unseal(&mut told);
    told
}

fn unseal(told: &mut Told) {
    let shares = told.house.shares[1..].join("\n");
    told.says_to(
        &["operator", "unseal"],
        shares,
        "Open: the daemon serves requests.",
        ("/sealed", json!(false)),
    );
}

async fn every_command(is_script: bool) {
    let mut told = told(is_script).await;
    told.says(&["status"], "open\n", ("/sealed", json!(false)));
    told.says(&["operator", "status"], "open\n", ("/n", json!(3)));
    told.says(
        &["env", "create", "prod"],
        "Environment prod is there, with keys of its own.",
        ("/path", json!("prod/")),
    );
    told.says(&["env", "list"], "\nprod ", ("/keys", json!(["prod/"])));
    told.says(&["env", "show", "prod"], "State        active", ("/state", json!("active")));
    told.environment = "prod";
    engines(&mut told);
    kv(&mut told);
    transit(&mut told);
    access(&mut told);
    told.says(&["operator", "key-status"], "Epoch        1", ("/term", json!(1)));
    told.says(&["operator", "rotate"], "Rotated: new records of environment prod", ("/term", json!(2)));
    audit(&mut told);
    told.environment = "";
    told.says(
        &["env", "delete", "prod", "--yes"],
        "Environment prod: destroyed.",
        ("/state", json!("destroyed")),
    );
    alone(&mut told);
    backup(&mut told).await;
    rekey(&mut told);
    generate_root(&mut told);
    seals(&mut told);
    told.says(&["operator", "seal"], "Sealed: ", ("/sealed", json!(true)));
    assert_eq!(told.run(&["status"], "").code, 2);
    unseal(&mut told);
    by_pin(&mut told);
    told.tpm.end();

    let mut commands = Vec::new();
    told.commands(&[], &mut commands);
    assert!(commands.len() > 50, "the help shows {} commands", commands.len());
    commands.retain(|command| !told.typed.iter().any(|typed| typed.starts_with(command)));
    assert_eq!(commands, Vec::<Vec<String>>::new(), "no test runs these");
}

fn engines(told: &mut Told) {
    told.says(
        &["secrets", "enable", "kv-v2", "--path", "deep/kv"],
        "The secrets engine kv-v2 hangs at deep/kv/ in environment prod.",
        ("/path", json!("deep/kv/")),
    );
    told.says(&["secrets", "enable", "kv", "--path", "old"], "hangs at old/", ("/path", json!("old/")));
    told.says(&["secrets", "enable", "transit"], "hangs at transit/", ("/path", json!("transit/")));
    told.says(&["secrets", "list"], "deep/kv/  kv (version 2)", ("/deep~1kv~1/options/version", json!("2")));
    let tune = ["secrets", "tune", "old", "--default-lease-ttl", "1h"];
    told.says(&tune, "Default lease  1h", ("/default_lease_ttl", json!(3600)));
    told.says(&["kv", "put", "old/a", "k=v"], "Written: old/a.", ("/path", json!("old/a")));
    told.says(&["kv", "get", "old/a"], "k    v", ("/k", json!("v")));
    told.says(&["secrets", "disable", "old", "--yes"], "at old/ is gone", ("/path", json!("old/")));
    assert_eq!(told.run(&["kv", "get", "old/a"], "").code, 1);
}

fn kv(told: &mut Told) {
    let secret = told.house.canaries.plant("value");
    let put = ["kv", "put", "deep/kv/app/db", "user=app", "password=-"];
    told.says_to(
        &put,
        format!("{secret}\n"),
        "Written: version 1 of deep/kv/app/db.",
        ("/version", json!(1)),
    );
    told.says(&["kv", "get", "deep/kv/app/db"], &secret, ("/data/password", json!(secret)));
    let field = told.run(&["kv", "get", "--field", "password", "deep/kv/app/db"], "");
    // Alone, and to a script as JSON.
    assert_eq!(field.stdout.trim_end(), if told.is_script { json!(secret).to_string() } else { secret });
    told.says(&["kv", "patch", "deep/kv/app/db", "user=new"], "Written: version 2 ", ("/version", json!(2)));
    let stale = told.run(&["kv", "put", "deep/kv/app/db", "a=b", "--cas", "1"], "");
    assert!(stale.code == 1 && stale.stderr.contains("kv get"), "{stale:?}");
    told.says(&["kv", "list", "deep/kv"], "app/", ("/keys", json!(["app/"])));
    told.says(&["kv", "delete", "deep/kv/app/db"], "Deleted: the newest version", ("/versions", json!([])));
    let gone = told.run(&["kv", "get", "deep/kv/app/db"], "");
    assert!(gone.code == 1 && gone.stderr.contains("--versions 2` brings it back"), "{gone:?}");
    let undelete = ["kv", "undelete", "deep/kv/app/db", "--versions", "2"];
    told.says(&undelete, "Back, unless it was destroyed: version 2 ", ("/versions", json!([2])));
    told.says(&["kv", "get", "deep/kv/app/db"], "new", ("/data/user", json!("new")));
    let destroy = ["kv", "destroy", "deep/kv/app/db", "--versions", "1"];
    let unsure = told.run(&destroy, "");
    assert!(unsure.code == 1 && unsure.stderr.contains("--yes"), "{unsure:?}");
    told.says(&[&destroy[..], &["--yes"]].concat(), "Destroyed: version 1 ", ("/versions", json!([1])));
    let lost = told.run(&["kv", "get", "deep/kv/app/db", "--version", "1"], "");
    assert!(lost.code == 1 && lost.stderr.contains("for good"), "{lost:?}");
    let settings = ["kv", "metadata", "put", "deep/kv/app/db", "--max-versions", "7"];
    told.says(&settings, "7 versions", ("/max_versions", json!(7)));
    told.says(
        &["kv", "metadata", "get", "deep/kv/app/db"],
        "7 versions",
        ("/versions/1/destroyed", json!(true)),
    );
    let delete = ["kv", "metadata", "delete", "deep/kv/app/db", "--yes"];
    told.says(&delete, "Gone: deep/kv/app/db with all its versions.", ("/path", json!("deep/kv/app/db")));
    let nowhere = told.run(&["kv", "get", "nowhere/at/all"], "");
    assert!(nowhere.code == 1 && nowhere.stderr.contains("no mount that you may use"), "{nowhere:?}");
}

fn transit(told: &mut Told) {
    let bytes: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    told.says(&["transit", "keys", "create", "k"], "aes256-gcm96", ("/type", json!("aes256-gcm96")));
    let sign = ["transit", "keys", "create", "s", "--type", "ed25519"];
    told.says(&sign, "PUBLIC KEY", ("/keys/1/public_key", Value::Null));
    told.says(&["transit", "keys", "list"], "KEY\nk\ns\n", ("/keys", json!(["k", "s"])));
    let encrypt = ["transit", "encrypt", "k", "--associated", "a"];
    let sealed = told.says_to(&encrypt, &bytes, "vault:v1:", ("/ciphertext", Value::Null));
    let sealed = sealed.value("vault:v1:", "/ciphertext");
    told.says(&["transit", "keys", "rotate", "k"], "uses version 2", ("/latest_version", json!(2)));
    told.says(
        &["transit", "keys", "read", "k"],
        "Newest version              2",
        ("/latest_version", json!(2)),
    );
    let rewrap = ["transit", "rewrap", "k", "--associated", "a"];
    let rewrapped = told.says_to(&rewrap, &sealed, "vault:v2:", ("/ciphertext", Value::Null));
    let rewrapped = rewrapped.value("vault:v2:", "/ciphertext");
    assert!(rewrapped.starts_with("vault:v2:"));
    let decrypt = ["transit", "decrypt", "k", "--associated", "a"];
    let opened = told.run(&decrypt, &rewrapped);
    assert_eq!(opened.code, 0);
    if told.is_script {
        // Base64 of bytes that are not text.
        let json: Value = serde_json::from_str(&opened.stdout).unwrap();
        assert!(json["plaintext"].as_str().unwrap().starts_with("AAECAwQFBgcICQoLDA0ODxAR"));
    } else {
        assert_eq!(opened.bytes, bytes);
    }
    let out = [&decrypt[..], &["--out", "opened"]].concat();
    told.says_to(&out, &rewrapped, "Written to opened.", ("/file", json!("opened")));
    assert_eq!(std::fs::read(told.house.at("opened")).unwrap(), bytes);
    told.says(&["transit", "datakey", "k"], "Wrapped  vault:v2:", ("/ciphertext", Value::Null));
    let signature = told.says_to(&["transit", "sign", "s"], &bytes, "vault:v1:", ("/signature", Value::Null));
    let signature = signature.value("vault:v1:", "/signature");
    let verify = ["transit", "verify", "s", "--signature", &signature];
    told.says_to(&verify, &bytes, "Valid: key s signed exactly this.", ("/valid", json!(true)));
    assert_eq!(told.run(&verify, b"other").code, 4);
    let config = ["transit", "keys", "config", "s", "--deletion-allowed", "true"];
    told.says(&config, "May be deleted              yes", ("/deletion_allowed", json!(true)));
    told.says(&["transit", "keys", "delete", "s", "--yes"], "Key s is gone.", ("/name", json!("s")));
    assert_eq!(told.run(&["transit", "keys", "delete", "k", "--yes"], "").code, 1, "guarded");
}

fn access(told: &mut Told) {
    let text = "path \"deep/kv/data/*\" { capabilities = [\"read\"] }\n";
    let write = ["policy", "write", "reader", "-"];
    told.says_to(&write, text, "Policy reader is in force in environment prod.", ("/name", json!("reader")));
    told.says(&["policy", "list"], "reader\n", ("/keys", Value::Null));
    told.says(&["policy", "read", "reader"], text.trim(), ("/policy", json!(text)));
    told.says(&["kv", "put", "deep/kv/a", "k=v"], "Written: version 1 ", ("/version", json!(1)));

    let create = ["token", "create", "--policy", "reader", "--ttl", "5m", "--out", "token"];
    let made = told.says(&create, "default, reader", ("/policies", json!(["default", "reader"])));
    let accessor = made.value("Accessor ", "/accessor");
    told.house.canaries.add(std::fs::read_to_string(told.house.at("token")).unwrap());
    let of = |command: &'static str| ["token", command, "--accessor", accessor.as_str()];
    told.says(&["token", "list-accessors"], &accessor, ("/keys", Value::Null));
    told.says(&of("lookup"), "default, reader", ("/policies", json!(["default", "reader"])));
    told.says(&of("renew"), "Renewed: it lives for ", ("/accessor", json!(accessor)));
    let capabilities = ["capabilities", "deep/kv/data/a", "--accessor", &accessor];
    told.says(&capabilities, "deep/kv/data/a  read", ("/deep~1kv~1data~1a", json!(["read"])));
    // With the token itself, which names itself nowhere.
    let with = ["--token-file", "token"];
    let own =
        told.says(&[&["token", "lookup"], &with[..]].concat(), &accessor, ("/accessor", json!(accessor)));
    assert!(own.json.get("id").is_none(), "the token itself is shown");
    told.says(&[&["kv", "get", "deep/kv/a"], &with[..]].concat(), "k    v", ("/data/k", json!("v")));
    let refused = told.run(&[&["kv", "put", "deep/kv/a", "k=w"], &with[..]].concat(), "");
    assert!(
        refused.code == 1 && refused.stderr.contains("coffer capabilities deep/kv/data/a"),
        "{refused:?}"
    );
    told.says(&of("revoke"), "Revoked, with every token that was made with it.", ("/revoked", json!(true)));
    assert_eq!(told.run(&[&["kv", "get", "deep/kv/a"], &with[..]].concat(), "").code, 1);

    told.says(&["auth", "enable", "cert"], "The auth method cert hangs at cert/", ("/path", json!("cert/")));
    told.says(&["auth", "list"], "cert/", ("/cert~1/type", json!("cert")));
    let tune = ["auth", "tune", "cert", "--description", "people"];
    told.says(&tune, "Description    people", ("/description", json!("people")));
    let role = [
        "auth",
        "cert-role",
        "write",
        "op",
        "certificate=@ca.pem",
        "allowed_common_names=operator",
        "token_policies=reader",
    ];
    told.says(&role, "Role op is in force in environment prod.", ("/name", json!("op")));
    told.says(&["auth", "cert-role", "list"], "op\n", ("/keys", json!(["op"])));
    told.says(
        &["auth", "cert-role", "read", "op"],
        "operator",
        ("/allowed_common_names", json!(["operator"])),
    );
    let came = told.says(&["login"], "default, reader", ("/policies", json!(["default", "reader"])));
    told.house.canaries.add(came.value("Token ", "/client_token"));
    told.says(&["auth", "cert-role", "delete", "op", "--yes"], "Role op is gone", ("/name", json!("op")));
    assert_eq!(told.run(&["login"], "").code, 1);
    told.says(&["auth", "disable", "cert", "--yes"], "at cert/ is gone", ("/path", json!("cert/")));
    told.says(&["policy", "delete", "reader", "--yes"], "Policy reader is gone", ("/name", json!("reader")));
    assert_eq!(told.run(&["policy", "read", "reader"], "").code, 1);
}

fn audit(told: &mut Told) {
    let log = told.house.audit().display().to_string();
    told.says(&["audit", "verify", &log], "Whole: ", ("/whole", json!(true)));
    // Lines of JSON for both.
    let shown = told.run(&["audit", "show", &log, "--limit", "3"], "").ok();
    assert!(
        shown.lines().count() == 3 && shown.lines().all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    told.says(&["audit", "checkpoint"], "Kept: the log of", ("/leaves", Value::Null));
    let disclose = ["audit", "disclose", "3", "path", "--out", "disclosed"];
    told.says(&disclose, "Field path of leaf 3 of environment prod", ("/field", json!("path")));
    let check = ["audit", "check-disclosure", "disclosed", "--log", &log];
    told.says(&check, "Holds: leaf 3 ", ("/holds", json!(true)));
}

fn rekey(told: &mut Told) {
    told.says(&["operator", "rotate-root"], "has a new root key.", ("/rotated", json!(true)));
    told.says(
        &["operator", "rekey", "status"],
        "No rekey of the root environment",
        ("/started", json!(false)),
    );
    let begin = ["operator", "rekey", "begin", "--shares", "3", "--threshold", "2"];
    told.says(&begin, "Nothing has changed yet.", ("/verification_required", json!(true)));
    told.says(
        &["operator", "rekey", "cancel"],
        "Cancelled: nothing has changed",
        ("/cancelled", json!(true)),
    );
    let nonce = told.says(&begin, "any 2 of which open it", ("/t", json!(2))).value("Nonce ", "/nonce");
    told.says(&["operator", "rekey", "status"], &nonce, ("/nonce", json!(nonce)));
    let give = ["operator", "rekey", "give", "--nonce", &nonce];
    let old = told.house.shares.clone();
    told.says_to(&give, &old[0], "Taken: 1 of 2 present shares", ("/progress", json!(1)));
    told.says_to(&give, &old[0], "was given already: 1 of 2", ("/progress", json!(1)));
    let made = told.says_to(&give, &old[1], "The OLD shares are still", ("/complete", json!(true)));
    for number in 0..3 {
        let new = made.value(&format!("New share {} ", number + 1), &format!("/shares/{number}"));
        told.house.canaries.add(&new);
        told.house.shares[number] = new;
    }
    let new = told.house.shares.clone();
    let verify = ["operator", "rekey", "verify", "--yes"];
    told.says_to(&verify, &new[0], "Shown: 1 of 2 new shares.", ("/progress", json!(1)));
    told.says_to(&verify, &new[1], "with the new shares, and with them alone", ("/complete", json!(true)));
}

fn generate_root(told: &mut Told) {
    let status = ["operator", "generate-root", "status"];
    told.says(&status, "No root token of the root environment", ("/started", json!(false)));
    let begin = |pad: &'static str| ["operator", "generate-root", "begin", "--pad", pad];
    told.says(&begin("first.pad"), "Pad in        first.pad", ("/pad_file", json!("first.pad")));
    let cancel = ["operator", "generate-root", "cancel"];
    told.says(&cancel, "Cancelled: no token was made", ("/cancelled", json!(true)));
    told.says(&cancel, "there is nothing to cancel", ("/cancelled", json!(false)));
    let begun = told.says(&begin("token.pad"), "Given so far  0 of 2 shares", ("/progress", json!(0)));
    let nonce = begun.value("Nonce ", "/nonce");
    told.says(&status, &nonce, ("/nonce", json!(nonce)));
    let give = ["operator", "generate-root", "give", "--nonce", &nonce];
    let shares = told.house.shares.clone();
    told.says_to(&give, &shares[0], "Taken: 1 of 2 shares", ("/progress", json!(1)));
    let done = told.says_to(&give, &shares[2], "has a new root token.", ("/complete", json!(true)));
    let encoded = done.value("Encoded token ", "/encoded_token");
    let decode = ["operator", "generate-root", "decode", "--pad", "token.pad"];
    let shown = told.says_to(&decode, &encoded, "coffer token revoke --self", ("/token", Value::Null));
    told.house.canaries.add(shown.value("Root token ", "/token"));
}

async fn backup(told: &mut Told) {
    told.says(&["operator", "fsck"], "Whole: ", ("/whole", json!(true)));
    told.says(&["operator", "snapshot", "save", "backup"], "Saved ", ("/size_bytes", Value::Null));
    told.says(&["operator", "snapshot", "inspect", "backup"], "2 of 3 shares", ("/records", Value::Null));
    // The same words typed at another, new daemon.
    let file = told.house.at("backup").display().to_string();
    let shares = told.house.shares[..2].join("\n");
    let other = House::empty(Setup::default()).await;
    let old = std::mem::replace(&mut told.house, other);
    let restore = ["operator", "snapshot", "restore", &file];
    told.says_to(&restore, shares, "Open: the daemon serves requests.", ("/sealed", json!(false)));
    let other = std::mem::replace(&mut told.house, old);
    assert!(!other.client(&other.operator).sys().seal_status().await.unwrap().sealed);
}

/// An environment with shares of its own, sealed and opened alone.
fn alone(told: &mut Told) {
    let made = told.says(
        &["env", "create", "acme", "--shares", "2", "--threshold", "2"],
        "These shares are shown now and never again",
        ("/key_threshold", json!(2)),
    );
    let shares: Vec<_> = (1..=2)
        .map(|number| made.value(&format!("Share {number} "), &format!("/shares/{}", number - 1)))
        .collect();
    shares.iter().for_each(|share| told.house.canaries.add(share));
    told.says(&["env", "seal", "acme"], "Sealed: the keys of acme", ("/sealed", json!(true)));
    let half = told.run(&["env", "unseal", "acme"], &shares[0]);
    assert!(half.code == 2, "{half:?}");
    told.says_to(
        &["env", "unseal", "acme"],
        &shares[1],
        "Open: acme serves requests.",
        ("/sealed", json!(false)),
    );
    told.says(
        &["env", "delete", "acme", "--yes"],
        "Environment acme: destroyed.",
        ("/state", json!("destroyed")),
    );
}

const PIN: &str = "pin-of-the-tpm";

fn seals(told: &mut Told) {
    [PIN, TPM_OWNER].iter().for_each(|secret| told.house.canaries.add(secret));
    let shares = told.house.shares[..2].join("\n");
    let seal = |words: &[&'static str]| [&["operator", "seal"], words].concat();
    told.says(
        &seal(&["list"]),
        "Configured and not in use: tpm2, disk, spare.",
        ("/available", json!(["tpm2", "disk", "spare"])),
    );
    let begun = told.says_to(
        &seal(&["add", "disk"]),
        told.house.shares[0].clone(),
        "To add disk: 1 of 2 shares are given.",
        ("/progress", json!(1)),
    );
    let nonce = begun.value("Nonce ", "/nonce");
    let second = told.house.shares[1].clone();
    told.says_to(
        &["operator", "seal", "share", "--nonce", &nonce],
        second,
        "Done: seal disk is in force for the root environment.",
        ("/complete", json!(true)),
    );
    let tpm = seal(&["add", "tpm2", "--pin", "--pcrs", "sha256:7,11", "--owner-password"]);
    let typed = format!("{PIN}\n{TPM_OWNER}\n");
    told.says_to(&tpm, &typed, "To add tpm2: 0 of 2 shares are given.", ("/progress", json!(0)));
    told.says(&seal(&["cancel"]), "Cancelled: ", ("/cancelled", json!(true)));
    let waits = "`coffer operator unseal --pin tpm2`";
    told.says_to(&tpm, typed + &shares, waits, ("/complete", json!(true)));
    told.says_to(
        &seal(&["verify", "tpm2", "--pin"]),
        PIN,
        "Seal tpm2 opens: it gave the root key",
        ("/opens", json!(true)),
    );
    told.says_to(
        &seal(&["approve", "tpm2"]),
        TPM_OWNER,
        "Approved: seal tpm2 opens",
        ("/approved", json!(true)),
    );
    told.says_to(&seal(&["counter"]), TPM_OWNER, "The TPM counts, from ", ("/counter", Value::Null));
    told.says(&seal(&["counter", "--end"]), "no longer held against", ("/counter", json!(0)));
    // Its section says that it counts, so the store must know of it at the next start.
    told.says_to(&seal(&["counter"]), TPM_OWNER, "The TPM counts, from ", ("/counter", Value::Null));
    told.says_to(
        &seal(&["migrate", "disk", "spare"]),
        &shares,
        "Done: seal spare has taken the place of disk",
        ("/remove", json!("disk")),
    );
    let unsure = told.run(&seal(&["remove", "spare"]), &shares);
    assert!(unsure.code == 1 && unsure.stderr.contains("--yes"), "{unsure:?}");
    told.says_to(
        &seal(&["remove", "spare", "--yes"]),
        &shares,
        "Done: seal spare of the root environment is gone.",
        ("/remove", json!("spare")),
    );
    told.says(
        &seal(&["list"]),
        "tpm2    tpm2    a PIN that an operator gives  well",
        ("/weakest", Value::Null),
    );
}

fn by_pin(told: &mut Told) {
    told.says(&["operator", "seal"], "Sealed: ", ("/sealed", json!(true)));
    let sealed = told.run(&["status"], "");
    assert!(sealed.code == 2 && sealed.stdout.contains("tpm2"), "{sealed:?}");
    told.says_to(
        &["operator", "unseal", "--pin", "tpm2"],
        PIN,
        "Open, by seal tpm2: the daemon serves requests.",
        ("/sealed", json!(false)),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_coffer_does_its_work_and_tells_a_person() {
    every_command(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_coffer_does_its_work_and_tells_a_script() {
    every_command(true).await;
}
