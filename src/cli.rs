//! The command line: what there is, and who does it.

use crate::commands::{self, Context, Environment};
use crate::console::{Console, WriteError};
use crate::error::{Error, Kind, Result};
use crate::sys;
use clap::{CommandFactory as _, Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// A body camera for privileged shells: sealed, signed recordings of what was done with root
#[derive(Debug, Parser)]
#[command(name = "sealcast", version, max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(commands::run::Args),
    Ls(commands::ls::Args),
    Show(commands::show::Args),
    Search(commands::search::Args),
    Play(commands::play::Args),
    Follow(commands::follow::Args),
    Verify(commands::verify::Args),
    Export(commands::export::Args),
    Keys(commands::keys::Args),
    Config(commands::config::Args),
    Completions(commands::completions::Args),
}

impl Command {
    /// Gives the exit code.
    fn run(&self, context: &Context) -> Result<u8> {
        match self {
            Self::Run(args) => return commands::run::run(context, args),
            Self::Ls(args) => commands::ls::run(context, args),
            Self::Show(args) => commands::show::run(context, args),
            Self::Search(args) => return commands::search::run(context, args),
            Self::Play(args) => commands::play::run(context, args),
            Self::Follow(args) => commands::follow::run(context, args),
            Self::Verify(args) => commands::verify::run(context, args),
            Self::Export(args) => commands::export::run(context, args),
            Self::Keys(args) => commands::keys::run(context, args),
            Self::Config(args) => commands::config::run(context, args),
            Self::Completions(args) => commands::completions::run(context, args, &mut description()),
        }
        .map(|()| 0)
    }
}

/// The description of the whole command line, for completions and for the test that holds the man pages to it.
pub fn description() -> clap::Command {
    Cli::command()
}

/// The whole program: arguments (the program's own name first) and environment in, exit code out.
pub fn main(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_run = arguments.get(1).is_some_and(|word| word == "run");
    if let Err(error) = refuse_lent_rights() {
        error.print(&Console::of_process(!environment.no_color(), environment.is_dumb()));
        return ExitCode::from(error.exit_code(is_run));
    }
    let as_shell = commands::shell::arguments(&arguments);
    let console = Arc::new(Console::of_process(!environment.no_color(), environment.is_dumb()));
    let of_run = !matches!(as_shell, Ok(None)) || is_run;
    let context = Context { console: Arc::clone(&console), environment };
    let done = as_shell.and_then(|as_shell| {
        let arguments = as_shell.unwrap_or(arguments);
        match Cli::try_parse_from(&arguments) {
            Ok(cli) => cli.command.run(&context),
            Err(error) => usage(&console, &error, &arguments).map(|()| 0),
        }
    });
    let done = done.and_then(|code| match console.flush() {
        // What was found out holds, whoever reads it.
        Ok(()) | Err(WriteError::Closed) => Ok(code),
        Err(unwritten) => Err(unwritten.into()),
    });
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print(&console);
            // What was printed before it failed is still owed: that it is lost must not be lost, too, and is told once.
            if error.kind() != Kind::Unwritten
                && let Err(unwritten) = console.flush()
            {
                Error::from(unwritten).print(&console);
            }
            ExitCode::from(error.exit_code(of_run))
        }
    }
}

/// Fails where we have rights that are not the caller's: with them every path that is named would be read and written for
/// somebody who may not.
fn refuse_lent_rights() -> Result<()> {
    use sys::privileges::Lent;
    let (what, hint) = match sys::privileges::lent()? {
        None => return Ok(()),
        Some(Lent::Ids) => (
            "sealcast runs with other rights than whoever called it, and did nothing",
            "take the set-user-id and set-group-id bits from its file (`chmod ug-s`), or let what started it set all ids",
        ),
        Some(Lent::Capabilities) => (
            "sealcast was given capabilities by its file that who called does not have, and did nothing",
            "take them from it (`setcap -r`), and let sudo or doas decide who may be recorded as root",
        ),
    };
    Err(Error::new(Kind::System, what).hint(hint))
}

/// Help and version are answers; anything else that the parser says becomes an error of ours.
fn usage(console: &Console, error: &clap::Error, arguments: &[OsString]) -> Result<()> {
    use clap::error::ErrorKind as K;
    let text = error.render().to_string();
    match error.kind() {
        K::DisplayHelp | K::DisplayVersion => {
            console.raw().write_all(text.as_bytes()).map_err(WriteError::from)?;
            return Ok(());
        }
        K::DisplayHelpOnMissingArgumentOrSubcommand => {
            let usage =
                text.lines().find_map(|line| line.strip_prefix("Usage: ")?.strip_suffix(" <COMMAND>"));
            let of = usage.unwrap_or("sealcast");
            return Err(Error::new(Kind::Usage, "no command was given")
                .hint(format!("`{of} --help` tells which commands there are")));
        }
        _ => {}
    }
    let mut paragraphs = text.split("\n\n");
    let what = paragraphs.next().unwrap_or_default().trim_start_matches("error: ");
    let what: Vec<&str> = what.split_whitespace().collect();
    let mut told = Error::new(Kind::Usage, what.join(" "));
    for line in text.lines() {
        if let Some(tip) = line.trim_start().strip_prefix("tip: ") {
            told = told.hint(tip);
        }
        // Those of `keys` and `config` have words of their own behind them.
        if line == "Usage: sealcast <COMMAND>"
            && let Some(hints) = of_no_command(error)
        {
            told = hints.into_iter().fold(told, Error::hint);
            continue;
        }
        // That of arguments which exclude one another would show them together.
        if let Some(usage) = line.strip_prefix("Usage: ").filter(|_| error.kind() != K::ArgumentConflict) {
            if usage.starts_with("sealcast search") && second_word(error).is_some() {
                if names_identity(arguments) {
                    told = told.hint(commands::search::NO_IDENTITY);
                }
                told = told.hint("a text of several words is one argument: put it in quotes");
            }
            if usage.starts_with("sealcast run")
                && let Some(word) = second_word(error)
            {
                // What stood before it is not repeated.
                let before = if arguments.get(2).is_some_and(|first| first == word) { "" } else { "… " };
                told = told.hint(format!("put -- before the command: sealcast run {before}-- {word}"));
            }
            told = told.hint(format!("usage: {usage}"));
        }
    }
    if error.kind() == K::ArgumentConflict {
        told = told.hint("leave one of them out");
    }
    if told.hints().is_empty() {
        told = told.hint("--help tells what is possible");
    }
    Err(told)
}

/// What to do where the first word is none of our commands: whoever writes it may mean one that is to be recorded.
fn of_no_command(error: &clap::Error) -> Option<[String; 2]> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    match (error.kind(), error.get(ContextKind::InvalidSubcommand)) {
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) if word == "help" => {
            Some(["try --help".to_owned(), "of one command: `sealcast run --help`".to_owned()])
        }
        (ErrorKind::InvalidSubcommand, Some(ContextValue::String(word))) => Some([
            format!("to record a command: sealcast run -- {word} …"),
            "`sealcast --help` tells which commands there are".to_owned(),
        ]),
        _ => None,
    }
}

/// The argument that is one too many, where it is no option.
fn second_word(error: &clap::Error) -> Option<&str> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::UnknownArgument, Some(ContextValue::String(word))) if !word.starts_with('-') => {
            Some(word)
        }
        _ => None,
    }
}

/// Whether a file follows `-i`, which in the other commands that read is an identity.
fn names_identity(arguments: &[OsString]) -> bool {
    arguments.windows(2).any(|pair| matches!(pair, [flag, file] if flag == "-i" && Path::new(file).is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_holds_together() {
        description().debug_assert();
    }

    #[test]
    fn a_text_of_several_words_is_told_to_be_put_in_quotes() {
        let console = Console::new(Default::default(), Box::new(Vec::new()), Box::new(Vec::new()));
        let hints = |words: &[&str]| {
            let parsed = Cli::try_parse_from([&["sealcast"], words].concat()).unwrap_err();
            usage(&console, &parsed, &[]).unwrap_err().hints().join("\n")
        };
        assert!(hints(&["search", "rm", "/etc/shadow"]).contains("in quotes"));
        assert!(!hints(&["search", "rm", "--recursive"]).contains("in quotes"));
        assert!(!hints(&["ls", "rm"]).contains("in quotes"));
    }

    #[test]
    fn a_command_that_is_to_be_recorded_is_told_where_it_goes() {
        let console = Console::new(Default::default(), Box::new(Vec::new()), Box::new(Vec::new()));
        let hints = |words: &str| {
            let words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
            let parsed = Cli::try_parse_from(&words).unwrap_err();
            usage(&console, &parsed, &words).unwrap_err().hints().join("\n")
        };
        for (words, told) in [
            ("sealcast systemctl restart nginx", "to record a command: sealcast run -- systemctl …"),
            ("sealcast run id", "put -- before the command: sealcast run -- id"),
            ("sealcast run ls -l", "put -- before the command: sealcast run -- ls"),
            ("sealcast run -u bob id", "put -- before the command: sealcast run … -- id"),
            ("sealcast help", "try --help"),
        ] {
            assert!(hints(words).contains(told), "{words}: {}", hints(words));
        }
        for words in ["sealcast keys frob", "sealcast config frob", "sealcast run --frob", "sealcast ls x"] {
            assert!(!hints(words).contains("sealcast run --"), "{words}: {}", hints(words));
        }
        assert!(hints("sealcast serch x").contains("'search'"));
    }

    #[test]
    fn arguments_that_exclude_one_another_are_not_shown_together_as_what_to_do() {
        let console = Console::new(Default::default(), Box::new(Vec::new()), Box::new(Vec::new()));
        for words in [
            &["run", "--line", "x", "--", "y"][..],
            &["run", "--ssh", "--", "x"],
            &["run", "--line", "x", "--line", "y"],
            &["search", "-q", "-e", "x"],
        ] {
            let parsed = Cli::try_parse_from([&["sealcast"], words].concat()).unwrap_err();
            let hints = usage(&console, &parsed, &[]).unwrap_err().hints().join("\n");
            assert_eq!(hints, "leave one of them out", "{words:?}");
        }
    }

    #[test]
    fn an_identity_that_was_given_to_a_search_with_i_is_told_what_i_is() {
        let console = Console::new(Default::default(), Box::new(Vec::new()), Box::new(Vec::new()));
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let hints = |words: &[&str]| {
            let words = [&["sealcast"], words].concat();
            let parsed = Cli::try_parse_from(&words).unwrap_err();
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            usage(&console, &parsed, &words).unwrap_err().hints().join("\n")
        };
        for words in [&["search", "between", "-i", path][..], &["search", "-i", path, "between"]] {
            assert!(hints(words).contains("--identity FILE"), "{words:?}");
        }
        for words in [
            &["search", "-i", "between", "no-file"][..],
            &["search", "between", path],
            &["ls", "-i", path, "x", "--nothing"],
        ] {
            assert!(!hints(words).contains("--identity FILE"), "{words:?}");
        }
    }

    #[test]
    fn a_wrong_option_is_one_line_with_hints() {
        let console = Console::new(Default::default(), Box::new(Vec::new()), Box::new(Vec::new()));
        let parsed = Cli::try_parse_from(["sealcast", "keys", "new", "--pasphrase"]).unwrap_err();
        let error = usage(&console, &parsed, &[]).unwrap_err();
        assert_eq!(error.to_string(), "unexpected argument '--pasphrase' found");
        assert!(error.hints().iter().any(|hint| hint.contains("'--passphrase'")), "{:?}", error.hints());
        assert!(
            error.hints().iter().any(|hint| hint.starts_with("usage: sealcast keys new")),
            "{:?}",
            error.hints()
        );
    }
}
