//! Sheets of shares for printing: what other people's programs draw of them is read back, by theirs and by ours.
use crate::terminal::{at_terminal, coffer};
use coffer_tests::{House, Setup, find, run, skip};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn tool(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    run(command, "").ok()
}

/// Draws a sheet's two files at so many dots an inch; gives the pictures.
fn drawn(house: &House, base: &str, dots: &str) -> Vec<PathBuf> {
    let at = |kind: &str| house.at(&format!("{base}.{kind}")).display().to_string();
    let (pdf, svg) = (house.at(&format!("{base}-{dots}-pdf")), house.at(&format!("{base}-{dots}-svg.png")));
    tool("pdftoppm", &["-png", "-singlefile", "-r", dots, &at("pdf"), pdf.to_str().unwrap()]);
    let zoom = (dots.parse::<f32>().unwrap() / 96.0).to_string();
    tool("rsvg-convert", &["--zoom", &zoom, "--output", svg.to_str().unwrap(), &at("svg")]);
    vec![pdf.with_extension("png"), svg]
}

/// The share that stands on a sheet as text, whatever stands around it.
fn typed(pdf: &Path) -> String {
    let page = tool("pdftotext", &["-layout", pdf.to_str().unwrap(), "-"]);
    let lines: Vec<_> = page.lines().map(str::trim).collect();
    let first = lines.iter().position(|line| *line == "coffer1").expect("a line with the prefix");
    let has_groups = |line: &str| line.split(' ').all(|group| group.len() == 5);
    let rest = lines[first + 1..].iter().filter(|line| !line.is_empty()).take_while(|line| has_groups(line));
    format!("coffer1{}", rest.map(|line| line.replace(' ', "")).collect::<String>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sheets_are_read_by_people_by_other_programs_and_by_coffer() {
    for program in ["pdftoppm", "pdftotext", "rsvg-convert", "zbarimg"] {
        if find(program).is_none() {
            return skip(&format!("{program} is not installed"));
        }
    }
    let mut house = House::empty(Setup::default()).await;
    let init = ["operator", "init", "--shares", "3", "--threshold", "2", "--root-token-out", "root-token"];
    let to_sheets = [&init[..], &["--sheets", "sheets", "--format", "json"]].concat();
    // Nothing is made where a sheet is in the way.
    std::fs::create_dir(house.at("sheets")).unwrap();
    std::fs::write(house.at("sheets/share-3-of-3.pdf"), "older").unwrap();
    let refused = house.coffer("", &to_sheets);
    assert!(refused.code == 1 && refused.stderr.contains("share-3-of-3.pdf is there already"), "{refused:?}");
    assert!(!house.client(&house.operator).sys().seal_status().await.unwrap().initialized);
    std::fs::remove_dir_all(house.at("sheets")).unwrap();
    let made = house.coffer("", &to_sheets);
    assert!(!made.stdout.contains("coffer1"), "a share is shown");
    let made: Value = serde_json::from_str(&made.ok()).unwrap();
    assert_eq!(made["sheets"][1]["pdf"], "sheets/share-2-of-3.pdf");
    assert_eq!(made["shares"], Value::Array(vec![]));
    house.root_token = std::fs::read_to_string(house.at("root-token")).unwrap().trim().to_owned();
    house.canaries.add(&house.root_token);
    assert_eq!(
        (mode(&house.at("sheets")), std::fs::read_dir(house.at("sheets")).unwrap().count()),
        (0o700, 6)
    );

    let mut pictures = Vec::new();
    for number in 1..=3 {
        let base = format!("sheets/share-{number}-of-3");
        let pdf = house.at(&format!("{base}.pdf"));
        assert_eq!(mode(&pdf), 0o600);
        let share = typed(&pdf);
        assert_eq!(share.len(), 82);
        house.canaries.add(&share);
        house.shares.push(share.clone());
        for picture in ["75", "150"].map(|dots| drawn(&house, &base, dots)).concat() {
            let read = tool("zbarimg", &["--quiet", "--raw", picture.to_str().unwrap()]);
            assert_eq!(read.trim().to_ascii_lowercase(), share, "{}", picture.display());
            pictures.push(picture);
        }
        let page = tool("pdftotext", &["-layout", pdf.to_str().unwrap(), "-"]);
        for said in
            [&format!("share {number} of 3"), "the root environment of cluster", "any 2 of the 3 shares"]
        {
            assert!(page.contains(said), "{said}: {page}");
        }
        assert!(tool("pdfinfo", &[pdf.to_str().unwrap()]).contains("Pages:           1\n"));
    }
    // Each picture gives `coffer` its share: the PDF of the first sheet and the SVG of the second, coarse and fine.
    for (one, two) in [(0, 5), (2, 7)] {
        let unseal = |at: usize| {
            house.coffer("", &["operator", "unseal", "--file", pictures[at].to_str().unwrap()]).code
        };
        assert_eq!((unseal(one), unseal(two)), (2, 0));
        house.root().sys().seal().await.unwrap();
    }
    house.unseal().await;

    // The sheets of a rekey.
    let rekey = |arguments: &[&str], input: &str| {
        let all = [&["operator", "rekey"], arguments, &["--format", "json"]].concat();
        serde_json::from_str::<Value>(&house.coffer_with("", &all, input).ok()).unwrap()
    };
    rekey(&["begin", "--shares", "2", "--threshold", "2"], "");
    rekey(&["give", "--yes", "--sheets", "new"], &house.shares[0]);
    assert!(!house.at("new").exists(), "only the last one gets sheets");
    let handed = rekey(&["give", "--yes", "--sheets", "new"], &house.shares[1]);
    assert_eq!(
        (&handed["shares"], &handed["sheets"][1]["svg"]),
        (&Value::Array(vec![]), &Value::from("new/share-2-of-2.svg"))
    );
    for number in 1..=2 {
        house.canaries.add(typed(&house.at(&format!("new/share-{number}-of-2.pdf"))));
        let picture = drawn(&house, &format!("new/share-{number}-of-2"), "100").remove(1);
        let shown = rekey(&["verify", "--yes", "--file", picture.to_str().unwrap()], "");
        assert_eq!(shown["complete"] == true, number == 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_shares_beside_a_device_and_those_of_an_environment_come_on_sheets_too() {
    for program in ["pdftotext", "rsvg-convert", "pdftoppm", "python3"] {
        if find(program).is_none() {
            return skip(&format!("{program} is not installed"));
        }
    }
    let mut setup = Setup::default();
    setup.sections += "[[seal]]\nname = \"disk\"\ntype = \"file\"\npath = \"disk.key\"\n";
    let house = House::with(setup).await;
    let both = house.shares[..2].join("\n");
    house.coffer_with("", &["operator", "seal", "migrate", "shares", "disk", "--i-accept-loss"], &both).ok();
    let whole = |words: &[&str]| {
        let numbers = ["--shares", "2", "--threshold", "2", "--format", "json"];
        house.coffer("", &[words, &numbers].concat())
    };
    let sheet = |base: &str| {
        let pdf = house.at(&format!("{base}.pdf"));
        assert_eq!(mode(&pdf), 0o600);
        let share = typed(&pdf);
        house.canaries.add(&share);
        (share, tool("pdftotext", &["-layout", pdf.to_str().unwrap(), "-"]))
    };

    // A sheet that is in the way is found before there are shares.
    let add = ["operator", "seal", "add", "shares", "--sheets", "new"];
    std::fs::create_dir(house.at("new")).unwrap();
    std::fs::write(house.at("new/share-1-of-2.svg"), "older").unwrap();
    let refused = whole(&add);
    assert!(refused.code == 1 && refused.stderr.contains("share-1-of-2.svg is there already"), "{refused:?}");
    assert!(house.coffer("", &["operator", "seal", "cancel"]).ok().contains("No change"));
    std::fs::remove_dir_all(house.at("new")).unwrap();
    // At a terminal the same command asks for them: it shows where they are, and whoever has not printed them stops.
    let at_once =
        ["operator", "seal", "add", "shares", "--shares", "2", "--threshold", "2", "--sheets", "first"];
    let screen = at_terminal(&coffer(&house, &at_once), &[("New share 1 of 2: ", "\n")]);
    for said in ["New share 2: first/share-2-of-2.pdf", "Print each sheet for its holder"] {
        assert!(screen.code == 0 && screen.stdout.contains(said), "{screen:?}");
    }
    assert!(!screen.stdout.contains("coffer1"), "a share is shown");
    assert!(house.coffer("", &["operator", "seal", "cancel"]).ok().contains("Cancelled"));
    let said = whole(&add);
    let made: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&made["shares"], &made["sheets"][1]["pdf"]), (&json!([]), &json!("new/share-2-of-2.pdf")));
    for number in 1..=2 {
        let (share, page) = sheet(&format!("new/share-{number}-of-2"));
        assert!(page.contains("the root environment of cluster"), "{page}");
        let shown = house.coffer_with("", &["operator", "seal", "share", "--yes"], &share).ok();
        assert_eq!(shown.contains("seal shares is in force"), number == 2, "{shown}");
    }
    let refused = house.coffer("", &["operator", "seal", "add", "disk", "--sheets", "more"]);
    assert!(refused.code == 1 && refused.stderr.contains("for `seal add shares`"), "{refused:?}");

    let made = whole(&["env", "create", "acme", "--sheets", "acme"]);
    let shown = format!("{}{}{}{}", said.stdout, said.stderr, made.stdout, made.stderr);
    let told: Value = serde_json::from_str(&made.stdout).unwrap();
    assert_eq!((&told["shares"], &told["sheets"][0]["svg"]), (&json!([]), &json!("acme/share-1-of-2.svg")));
    assert!(told.get("key_shares").is_none(), "{told}");
    let (one, page) = sheet("acme/share-1-of-2");
    assert!(page.contains("environment acme of cluster") && page.contains("any 2 of the 2 shares"), "{page}");
    sheet("acme/share-2-of-2");
    assert!(house.canaries.found_in(shown.as_bytes()).is_empty(), "a share is shown");
    house.coffer("", &["env", "seal", "acme"]).ok();
    assert_eq!(house.coffer_with("", &["env", "unseal", "acme"], &one).code, 2);
    let picture = drawn(&house, "acme/share-2-of-2", "100").remove(1);
    house.coffer("", &["env", "unseal", "acme", "--file", picture.to_str().unwrap()]).ok();
}
