//! A sheet as PDF 1.4 (ISO 32000): one page, three of the fourteen fonts that every reader has, nothing compressed.
//!
//! By hand, since that is all that a sheet needs, and a writer of documents is no small dependency (decision 0095).
use super::{Font, HEIGHT, Layout, MODULE, WIDTH};
use std::fmt::Write;
use zeroize::Zeroizing;

const FONTS: [&str; 3] = ["Helvetica", "Helvetica-Bold", "Courier-Bold"];

pub(super) fn draw(layout: &Layout) -> Zeroizing<Vec<u8>> {
    let content = content(layout);
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] /Contents 4 0 R /Resources << /Font << /F0 5 0 R /F1 6 0 R /F2 7 0 R >> >> >>"
        ),
        format!("<< /Length {} >>\nstream\n{}\nendstream", content.len(), *content),
    ];
    objects.extend(FONTS.map(|name| {
        format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>")
    }));
    let mut out = Zeroizing::new(String::with_capacity(128 << 10));
    out.push_str("%PDF-1.4\n");
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (at, object) in objects.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = writeln!(table, "{:010} 00000 n ", out.len());
        let _ = write!(out, "{} 0 obj\n{object}\nendobj\n", at + 1);
    }
    let start = out.len();
    let _ = write!(
        out,
        "{table}trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n",
        objects.len() + 1
    );
    Zeroizing::new(out.as_bytes().to_vec())
}

/// What is drawn on the page; its y grows upwards.
fn content(layout: &Layout) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(64 << 10));
    for text in &layout.texts {
        let font = match text.font {
            Font::Plain => 0,
            Font::Bold => 1,
            Font::Fixed => 2,
        };
        let _ = write!(out, "BT /F{font} {} Tf {} {} Td (", text.size, text.x, HEIGHT - text.y);
        text.text.chars().for_each(|character| push(&mut out, character));
        out.push_str(") Tj ET\n");
    }
    for (x, y, width) in layout.code.runs() {
        let _ = writeln!(out, "{x:.2} {:.2} {width:.2} {MODULE} re", HEIGHT - y - MODULE);
    }
    out.push('f');
    out
}

/// A character of a string: ASCII, the Latin letters of WinAnsiEncoding, or a question mark.
fn push(out: &mut String, character: char) {
    match character {
        '(' | ')' | '\\' => {
            out.push('\\');
            out.push(character);
        }
        ' '..='~' => out.push(character),
        '\u{a0}'..='\u{ff}' => {
            let _ = write!(out, "\\{:03o}", u32::from(character));
        }
        _ => out.push('?'),
    }
}
