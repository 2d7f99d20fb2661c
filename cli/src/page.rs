//! What a command shows: once as text for people, once as JSON for scripts, and the exit code.
//!
//! Text that came from elsewhere is made safe for a terminal before it is shown; colour goes only to a terminal
//! (`anstream` takes it away elsewhere, and where NO_COLOR is set). Raw bytes are written as they are.
use crate::words::{Exit, Failure};
use clap::ValueEnum;
use clap::builder::styling::{AnsiColor, Style};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    /// The `data` of the daemon's answer, where there is one.
    #[value(help = None)]
    Json,
}

/// What a command has to say.
pub(crate) struct Page {
    blocks: Vec<Block>,
    json: Value,
    exit: Exit,
}

enum Block {
    Line(Style, String),
    Fields(Vec<(String, String)>),
    Table(Vec<&'static str>, Vec<Vec<String>>),
    Text(String),
    Raw(Vec<u8>),
}

const PLAIN: Style = Style::new();
const HEAD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const CARE: Style = AnsiColor::Yellow.on_default();

impl Page {
    /// A page that scripts see as `json`.
    pub(crate) fn new(json: Value) -> Self {
        Self { blocks: Vec::new(), json, exit: Exit::Fine }
    }

    /// A page of a command that has written everything already.
    pub(crate) fn silent() -> Self {
        Self::new(Value::Null)
    }

    /// A sentence.
    pub(crate) fn line(self, text: impl Into<String>) -> Self {
        self.block(Block::Line(PLAIN, text.into()))
    }

    /// A sentence that says that all is well.
    pub(crate) fn good(self, text: impl Into<String>) -> Self {
        self.block(Block::Line(GOOD, text.into()))
    }

    /// A sentence that says that something is wrong.
    pub(crate) fn bad(self, text: impl Into<String>) -> Self {
        self.block(Block::Line(BAD, text.into()))
    }

    /// A sentence that wants care, or says what to do next.
    pub(crate) fn note(self, text: impl Into<String>) -> Self {
        self.block(Block::Line(CARE, text.into()))
    }

    /// The server's own sentences.
    pub(crate) fn warnings(self, sentences: Vec<String>) -> Self {
        sentences.into_iter().fold(self, |page, sentence| page.note(format!("The daemon says: {sentence}")))
    }

    /// Names and values, one a line; those without a value are left out.
    pub(crate) fn fields<N: Into<String>>(self, fields: impl IntoIterator<Item = (N, String)>) -> Self {
        let fields = fields.into_iter().map(|(name, value)| (name.into(), value));
        self.block(Block::Fields(fields.filter(|(_, value)| !value.is_empty()).collect()))
    }

    pub(crate) fn table(self, head: &[&'static str], rows: Vec<Vec<String>>) -> Self {
        self.block(Block::Table(head.to_vec(), rows))
    }

    /// A text of several lines, such as a policy.
    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        self.block(Block::Text(text.into()))
    }

    /// Bytes for a pipe, written as they are; on a terminal a newline follows.
    pub(crate) fn raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.block(Block::Raw(bytes.into()))
    }

    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    fn block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// Writes the page to standard output.
    pub(crate) fn print(&self, format: Format) -> ExitCode {
        let written = match format {
            Format::Json if self.json.is_null() && self.blocks.is_empty() => Ok(()),
            Format::Json => {
                let mut out = std::io::stdout().lock();
                serde_json::to_writer_pretty(&mut out, &self.json)
                    .map_err(Into::into)
                    .and_then(|()| writeln!(out))
            }
            Format::Table => self.blocks.iter().try_for_each(print_block),
        };
        match written {
            // Whoever reads us has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => self.exit.into(),
            Err(error) => fail(&Failure::Output(error), format),
            Ok(()) => self.exit.into(),
        }
    }

    /// The page as people read it, without colour.
    #[cfg(test)]
    pub(crate) fn plain(&self) -> String {
        let text = self.blocks.iter().map(rendered).collect::<String>();
        anstream::adapter::strip_str(&text).to_string()
    }

    #[cfg(test)]
    pub(crate) fn exit_code(&self) -> Exit {
        self.exit
    }

    #[cfg(test)]
    pub(crate) fn json(&self) -> &Value {
        &self.json
    }
}

fn print_block(block: &Block) -> std::io::Result<()> {
    let Block::Raw(bytes) = block else {
        return anstream::stdout().lock().write_all(rendered(block).as_bytes());
    };
    // Not through anstream, which would take escape sequences out of somebody's bytes.
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    if out.is_terminal() && !bytes.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn rendered(block: &Block) -> String {
    match block {
        Block::Line(style, text) if *style == PLAIN => format!("{}\n", visible(text, false)),
        Block::Line(style, text) => format!("{style}{}{style:#}\n", visible(text, false)),
        Block::Text(text) => {
            let text = visible(text, true);
            if text.ends_with('\n') { text } else { format!("{text}\n") }
        }
        Block::Raw(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Block::Fields(fields) => {
            columns(None, fields.iter().map(|(name, value)| vec![name.clone(), value.clone()]))
        }
        Block::Table(head, rows) => columns(Some(head), rows.iter().cloned()),
    }
}

fn columns(head: Option<&[&'static str]>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if let Some(head) = head {
        table.set_header(head);
    }
    table.add_rows(rows.map(|row| row.iter().map(|cell| visible(cell.trim_end(), true)).collect::<Vec<_>>()));
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    if table.is_empty() && head.is_none() {
        return String::new();
    }
    let mut out = String::new();
    for (at, line) in table.lines().enumerate() {
        let line = line.trim_end();
        match head {
            Some(_) if at == 0 => out += &format!("{HEAD}{line}{HEAD:#}\n"),
            _ => out += &format!("{line}\n"),
        }
    }
    out
}

/// Text as it may go to a terminal: control characters and marks that turn text around are written out.
fn visible(text: &str, keeps_lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' if keeps_lines => out.push('\n'),
            '\t' if keeps_lines => out.push_str("    "),
            '\r' if keeps_lines => {}
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.extend(character.escape_unicode());
            }
            control if control.is_control() => out.extend(control.escape_default()),
            other => out.push(other),
        }
    }
    out
}

/// Tells what went wrong on standard error: one line, or one line of JSON.
pub(crate) fn fail(failure: &Failure, format: Format) -> ExitCode {
    let (what, next, exit) = (failure.what(), failure.next(), failure.exit());
    match format {
        Format::Json => say(&json!({ "error": what, "next": next, "exit": exit as u8 }).to_string()),
        Format::Table => say(&format!("{BAD}error:{BAD:#} {}", visible(&one_line(&what, &next), false))),
    }
    exit.into()
}

/// What happened and what to do, as sentences in one line.
pub(crate) fn one_line(what: &str, next: &str) -> String {
    let what = what.trim_end_matches('.').replace(['\n', '\r'], " ");
    let stop = if what.ends_with('?') { "" } else { "." };
    if next.is_empty() { what } else { format!("{what}{stop} {next}") }
}

/// A line on standard error, beside the page: progress, and what is being asked.
pub(crate) fn say(line: &str) {
    // There is nobody left to tell when standard error is gone.
    let _ = writeln!(anstream::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_elsewhere_can_not_command_the_terminal() {
        let page = Page::new(Value::Null)
            .line("a\u{1b}]0;owned\u{7}b\nc")
            .fields([("k\u{9b}2J", "v\u{202e}x".into())]);
        assert_eq!(page.plain(), "a\\u{1b}]0;owned\\u{7}b\\nc\nk\\u{9b}2J  v\\u{202e}x\n");
    }

    #[test]
    fn fields_without_a_value_are_left_out_and_tables_have_no_trailing_blanks() {
        let page = Page::new(Value::Null).fields([("a", "1".into()), ("b", String::new())]).table(
            &["NAME", "LONGER"],
            vec![vec!["x".into(), "1".into()], vec!["longer name".into(), "2".into()]],
        );
        assert_eq!(page.plain(), "a  1\nNAME         LONGER\nx            1\nlonger name  2\n");
    }

    #[test]
    fn an_error_is_one_line_whatever_the_daemon_says() {
        assert_eq!(one_line("it broke.\nbadly.", "Do this."), "it broke. badly. Do this.");
    }
}
