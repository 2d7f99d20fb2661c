//! A sheet as SVG: text that can be searched, and the code as one path.
use super::{Font, HEIGHT, Layout, MODULE, WIDTH};
use std::fmt::Write;
use zeroize::Zeroizing;

pub(super) fn draw(layout: &Layout) -> Zeroizing<Vec<u8>> {
    let mut out = String::with_capacity(64 << 10);
    // Writing to a String does not fail.
    let _ = write_all(&mut out, layout);
    Zeroizing::new(out.into_bytes())
}

fn write_all(out: &mut String, layout: &Layout) -> std::fmt::Result {
    writeln!(
        out,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="210mm" height="297mm" viewBox="0 0 {WIDTH} {HEIGHT}">"#
    )?;
    writeln!(out, r#"<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>"#)?;
    for text in &layout.texts {
        let (family, weight) = match text.font {
            Font::Plain => ("Helvetica, Arial, sans-serif", "normal"),
            Font::Bold => ("Helvetica, Arial, sans-serif", "bold"),
            Font::Fixed => ("Courier, monospace", "bold"),
        };
        write!(
            out,
            r#"<text x="{}" y="{}" font-family="{family}" font-weight="{weight}" font-size="{}" xml:space="preserve">"#,
            text.x, text.y, text.size
        )?;
        for character in text.text.chars().filter(|character| !character.is_control()) {
            match character {
                '<' => out.write_str("&lt;")?,
                '>' => out.write_str("&gt;")?,
                '&' => out.write_str("&amp;")?,
                other => out.write_char(other)?,
            }
        }
        out.write_str("</text>\n")?;
    }
    out.write_str(r#"<path fill="black" shape-rendering="crispEdges" d=""#)?;
    for (x, y, width) in layout.code.runs() {
        write!(out, "M{x:.2} {y:.2}h{width:.2}v{MODULE}h-{width:.2}z")?;
    }
    out.write_str("\"/>\n</svg>\n")
}
