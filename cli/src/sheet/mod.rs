//! The sheet of paper that a share is kept on: its text in groups, its QR code, what it opens and where to keep it.
//!
//! A page is laid out once, as texts and one code, in points of a 72nd of an inch from the upper left corner of A4, and
//! drawn twice: as SVG and as PDF.
mod pdf;
mod svg;

use crate::words::{Failure, ShareFault};
use keystore_format::share::{PREFIX, Share};
use qrcode::{EcLevel, QrCode};
use zeroize::Zeroizing;

const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
const LEFT: f32 = 72.0;
/// Side of one module of the code; with its margin of four it is 9 cm wide.
const MODULE: f32 = 5.2;
const CODE_TOP: f32 = 316.0;
const ADVICE_TOP: f32 = 620.0;
/// Where what is said of a name stands.
const COLUMN: f32 = 62.0;
const GROUP: usize = 5;
const GROUPS_IN_A_LINE: usize = 5;

/// What all sheets of a set say.
pub(crate) struct About {
    /// The daemon's own name for itself.
    pub(crate) cluster: String,
    /// The store's id.
    pub(crate) store: String,
    /// As in "the root environment".
    pub(crate) environment: String,
    /// How many shares open it, of how many.
    pub(crate) threshold: u64,
    pub(crate) count: usize,
    /// `2026-11-26`.
    pub(crate) date: String,
}

/// A sheet as a file.
pub(crate) struct Files {
    pub(crate) svg: Zeroizing<Vec<u8>>,
    pub(crate) pdf: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Font {
    Plain,
    Bold,
    /// Courier, bold: its plain strokes are thin on paper.
    Fixed,
}

struct Text {
    x: f32,
    y: f32,
    size: f32,
    font: Font,
    text: Zeroizing<String>,
}

/// The code: its place, and its rows of dark and light modules.
struct Code {
    x: f32,
    y: f32,
    width: usize,
    dark: Zeroizing<Vec<bool>>,
}

struct Layout {
    texts: Vec<Text>,
    code: Code,
}

/// Draws the sheet of a share, which is number `number` of its set.
pub(crate) fn draw(share: &str, number: usize, about: &About) -> Result<Files, Failure> {
    let layout = layout(share, number, about)
        .ok_or(Failure::Share { path: "-".into(), fault: ShareFault::NoShare })?;
    Ok(Files { svg: svg::draw(&layout), pdf: pdf::draw(&layout) })
}

fn layout(share: &str, number: usize, about: &About) -> Option<Layout> {
    let share = Share::parse_any(share).ok()?;
    let text = share.to_text().ok()?;
    let mut texts = Vec::new();
    let mut y = 90.0;
    let mut put = |font, size: f32, gap: f32, parts: &[(f32, &str)]| {
        y += gap;
        let text = |(x, text): &(f32, &str)| Text {
            x: LEFT + x,
            y,
            size,
            font,
            text: Zeroizing::new((*text).to_owned()),
        };
        texts.extend(parts.iter().map(text));
    };
    let (threshold, count) = (about.threshold, about.count);
    put(Font::Bold, 24.0, 0.0, &[(0.0, &format!("Coffer: share {number} of {count}"))]);
    let opens = format!("{} of cluster {}", about.environment, about.cluster);
    let together = format!("any {threshold} of the {count} shares open it; fewer open nothing");
    let set = format!("{}, made on {}", hex(&share.set_id), about.date);
    let rows = [("Opens", &opens), ("Store", &about.store), ("Together", &together), ("Set", &set)];
    for (at, (name, value)) in rows.into_iter().enumerate() {
        put(Font::Plain, 11.0, if at == 0 { 30.0 } else { 16.0 }, &[(0.0, name), (COLUMN, value)]);
    }
    put(Font::Fixed, 17.0, 44.0, &[(0.0, &format!("{PREFIX}1"))]);
    for line in lines(text.get(PREFIX.len() + 1..)?) {
        put(Font::Fixed, 17.0, 24.0, &[(0.0, &line)]);
    }
    put(
        Font::Plain,
        9.0,
        20.0,
        &[(0.0, "Type it with or without the blanks, in small or in capital letters.")],
    );
    for (at, advice) in [
        "Keep this sheet in a safe or a sealed envelope, apart from the other shares and from backups of the store.",
        "Let nobody copy, photograph or scan it. Whoever has enough of these and a copy of the store has everything in it.",
        "To use it:  coffer operator unseal   and type it, or give a picture of the code:  --file PICTURE",
        "After a rekey this sheet opens nothing but older backups: destroy it when those are gone.",
        "Holder: ______________________________    Envelope: __________________    Date: ____________",
    ]
    .into_iter()
    .enumerate()
    {
        let y = ADVICE_TOP + 16.0 * at as f32 + if at == 4 { 24.0 } else { 0.0 };
        texts.push(Text { x: LEFT, y, size: 9.5, font: Font::Plain, text: Zeroizing::new(advice.to_owned()) });
    }
    // In capitals, the code's alphanumeric mode holds it in 41 modules although a third of them may be lost.
    let capitals = Zeroizing::new(text.to_ascii_uppercase());
    let code = QrCode::with_error_correction_level(capitals.as_bytes(), EcLevel::H).ok()?;
    let (width, dark) =
        (code.width(), code.to_colors().into_iter().map(|color| color == qrcode::Color::Dark));
    Some(Layout { code: Code { x: LEFT, y: CODE_TOP, width, dark: Zeroizing::new(dark.collect()) }, texts })
}

/// The characters after the prefix, in groups.
fn lines(characters: &str) -> Vec<String> {
    let groups: Vec<_> = characters.as_bytes().chunks(GROUP).map(String::from_utf8_lossy).collect();
    groups.chunks(GROUPS_IN_A_LINE).map(|line| line.join(" ")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Code {
    /// Dark modules that touch in a row, as place and length.
    fn runs(&self) -> Vec<(f32, f32, f32)> {
        let mut runs = Vec::new();
        for (row, modules) in self.dark.chunks(self.width.max(1)).enumerate() {
            let mut at = 0;
            for run in modules.chunk_by(|one, next| one == next) {
                if run.first() == Some(&true) {
                    let x = self.x + (at + 4) as f32 * MODULE;
                    runs.push((x, self.y + (row + 4) as f32 * MODULE, run.len() as f32 * MODULE));
                }
                at += run.len();
            }
        }
        runs
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::shares::tests::share;

    pub(crate) fn about() -> About {
        About {
            cluster: "coffer <prod> (eu)".into(),
            store: "0f3a6c1d-0000-4000-8000-00000000002a".into(),
            environment: "environment acme/prod".into(),
            threshold: 3,
            count: 5,
            date: "2026-11-26".into(),
        }
    }

    #[test]
    fn the_code_is_of_41_modules_and_holds_the_share_in_capitals() {
        let text = share().to_text().unwrap();
        let layout = layout(&text, 2, &about()).unwrap();
        assert_eq!(layout.code.width, 41);
        let grouped: String = layout
            .texts
            .iter()
            .filter(|text| text.font == Font::Fixed)
            .map(|text| text.text.as_str())
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(grouped.split(' ').map(str::len).collect::<Vec<_>>(), [vec![7], vec![5; 15]].concat());
        assert_eq!(grouped.replace(' ', ""), *text);
        // All of it lies on the page.
        assert!(layout.texts.iter().all(|text| text.y < HEIGHT - 40.0));
        assert!(
            layout
                .code
                .runs()
                .iter()
                .all(|(x, y, width)| x + width < WIDTH && y + MODULE < ADVICE_TOP - 20.0)
        );
    }

    #[test]
    fn what_others_named_can_not_break_out_of_its_text() {
        let text = share().to_text().unwrap();
        let files = draw(&text, 2, &about()).ok().unwrap();
        let svg = String::from_utf8_lossy(&files.svg);
        assert!(svg.contains("cluster coffer &lt;prod&gt; (eu)") && !svg.contains("<prod>"));
        let pdf = String::from_utf8_lossy(&files.pdf);
        assert!(pdf.contains(r"cluster coffer <prod> \(eu\)"));
    }

    #[test]
    fn the_pages_words_are_those_that_people_reviewed() {
        let layout = layout(&share().to_text().unwrap(), 2, &about()).unwrap();
        let words: String = layout.texts.iter().map(|text| format!("{}\n", *text.text)).collect();
        crate::words::golden("sheet.txt", &words);
    }
}
