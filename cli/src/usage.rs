//! Reading the command line, and saying in one line what is wrong with it.
use crate::args::Cli;
use crate::page::{Format, fail};
use crate::words::Failure;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Parser};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// What is shown in place of running a command.
pub(crate) enum Shown {
    Help(clap::Error),
    Mistake(Failure, Format),
}

impl Shown {
    pub(crate) fn print(self) -> ExitCode {
        match self {
            Self::Help(help) => {
                // A reader that is gone needs no help.
                let _ = write!(anstream::stdout(), "{}", help.render().ansi());
                ExitCode::SUCCESS
            }
            Self::Mistake(failure, format) => fail(&failure, format),
        }
    }
}

pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, Shown> {
    Cli::try_parse_from(arguments).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Shown::Help(error),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if arguments.len() < 2 => Shown::Help(error),
        _ => {
            let (help, does_it_alone) = help(arguments);
            Shown::Mistake(Failure::Usage { what: mistake(&error, does_it_alone), help }, wanted(arguments))
        }
    })
}

/// Clients of this API are used to long options with one dash: `-field=x` is taken for `--field=x`.
pub(crate) fn with_two_dashes(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut known = BTreeSet::new();
    long_names(&Cli::command(), &mut known);
    let mut is_over = false;
    let mend = |argument: OsString| {
        is_over |= argument == "--";
        let Some(text) = argument.to_str().filter(|_| !is_over) else { return argument };
        let name = text.strip_prefix('-').unwrap_or_default().split('=').next().unwrap_or_default();
        if name.len() > 1 && known.contains(name) { format!("-{text}").into() } else { argument }
    };
    arguments.map(mend).collect()
}

fn long_names(command: &Command, names: &mut BTreeSet<String>) {
    names.extend(command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned));
    names.extend(["help".to_owned(), "version".to_owned()]);
    command.get_subcommands().for_each(|below| long_names(below, names));
}

/// Never repeats what could be a secret: of what was typed, only options and the names of commands.
fn mistake(error: &clap::Error, does_it_alone: bool) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    let near = |kind| context(kind).map(|names| format!("; did you mean {names}?")).unwrap_or_default();
    match error.kind() {
        // What stands after a command that needs no other may have been meant for it, and be a share.
        ErrorKind::InvalidSubcommand if does_it_alone => {
            format!("there is no such command here{}", near(ContextKind::SuggestedSubcommand))
        }
        ErrorKind::InvalidSubcommand => {
            let typed = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("there is no command '{typed}'{}", near(ContextKind::SuggestedSubcommand))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let name = argument.split('=').next().unwrap_or_default();
            format!("there is no option '{name}' here{}", near(ContextKind::SuggestedArg))
        }
        ErrorKind::UnknownArgument => "there is an argument too many".to_owned(),
        ErrorKind::MissingRequiredArgument => format!("{argument} is missing"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let reason = match context(ContextKind::ValidValue) {
                Some(valid) => format!("must be one of: {valid}"),
                None => error.source_text().map_or_else(
                    || "has a value that it can't have".to_owned(),
                    |why| format!("can't be that: {why}"),
                ),
            };
            format!("{argument} {reason}")
        }
        ErrorKind::ArgumentConflict => {
            format!(
                "{argument} can't be used together with {}",
                context(ContextKind::PriorArg).unwrap_or_default()
            )
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "say what to do".to_owned()
        }
        ErrorKind::InvalidUtf8 => "the arguments are not UTF-8 text".to_owned(),
        _ => "the command can't be read".to_owned(),
    }
}

trait SourceText {
    fn source_text(&self) -> Option<String>;
}

impl SourceText for clap::Error {
    /// Our own parsers' sentences, which carry no value.
    fn source_text(&self) -> Option<String> {
        let source = std::error::Error::source(self)?;
        let is_number = source.is::<std::num::ParseIntError>();
        Some(if is_number { "it is a whole number".to_owned() } else { source.to_string() })
    }
}

/// The help of the innermost command that was named, and whether that does something without another below it.
fn help(arguments: &[OsString]) -> (String, bool) {
    let mut command = &Cli::command();
    let mut path = "coffer".to_owned();
    let mut is_value_possible = false;
    for argument in arguments.iter().skip(1).filter_map(|argument| argument.to_str()) {
        if let Some(below) = command.find_subcommand(argument) {
            path = format!("{path} {}", below.get_name());
            command = below;
        } else if !argument.starts_with('-') && !is_value_possible {
            break;
        }
        is_value_possible = argument.starts_with('-') && !argument.contains('=');
    }
    (format!("{path} --help"), !command.is_subcommand_required_set())
}

/// The format that was asked for, although the command line could not be read.
fn wanted(arguments: &[OsString]) -> Format {
    let is_json = |pair: &[OsString]| matches!(pair, [name, value] if name == "--format" && value == "json");
    if arguments.windows(2).any(is_json) || arguments.iter().any(|argument| argument == "--format=json") {
        Format::Json
    } else {
        Format::Table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let arguments = with_two_dashes(line.split(' ').map(OsString::from));
        match parse(&arguments) {
            Err(Shown::Mistake(failure, _)) => crate::page::one_line(&failure.what(), &failure.next()),
            _ => panic!("{line} is no mistake"),
        }
    }

    #[test]
    fn the_commands_hang_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_mistake_is_told_in_one_line_that_says_what_to_do() {
        let lines = [
            "coffer operater status",
            "coffer operator",
            "coffer kv get",
            "coffer kv get secret/a --fild x",
            "coffer --format yaml status",
            "coffer operator init --shares many",
            "coffer kv undelete secret/a --versions 1,x",
        ];
        let told = lines.map(|line| format!("$ {line}\n{}\n", said(line))).concat();
        crate::words::golden("usage.txt", &told);
    }

    #[test]
    fn what_was_typed_in_the_wrong_place_is_not_repeated() {
        assert!(!said("coffer operator seal hunter2").contains("hunter2"));
        assert!(!said("coffer operator seal --tokn=hunter2").contains("hunter2"));
        assert!(!said("coffer operator init --shares hunter2").contains("hunter2"));
    }

    #[test]
    fn long_options_with_one_dash_are_understood_where_they_exist() {
        let mended = |line: &str| with_two_dashes(line.split(' ').map(OsString::from)).join(" ".as_ref());
        assert_eq!(mended("coffer kv get -field=a -n prod"), "coffer kv get --field=a -n prod");
        assert_eq!(
            mended("coffer kv put a -unknown=b -- -field=c"),
            "coffer kv put a -unknown=b -- -field=c"
        );
    }
}
