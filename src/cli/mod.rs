//! The command line: subcommands, exit codes, colour, progress. stdout is data, stderr is talk.
//!
//! Exit codes: 0 fine; 1 the program has errors, or its run is not the plaintext's; 2 usage, files, devices, peers.

mod bench;
mod build;
mod check;
mod compile;
mod cost;
mod debug;
mod device;
mod explain;
mod fmt;
mod html;
mod inputs;
mod lsp;
mod machine;
mod output;
mod party;
mod prepare;
mod profile;
mod results;
mod run;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::error::ContextKind;
use clap::{Args, ColorChoice, Parser, Subcommand, ValueEnum};

use crate::diag::{self, Diagnostic};
use crate::span::Sources;

/// The compiler for private neural networks.
///
/// A model file (.sml) says the network, who owns what goes in, who learns what comes out, and how precise the numbers are.
/// smlc turns it into a three-party protocol and runs it.
#[derive(Debug, Parser)]
#[command(name = "smlc", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    talk: Talk,
    #[command(subcommand)]
    command: Command,
}

/// How smlc talks.
#[derive(Clone, Copy, Debug, Args)]
struct Talk {
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// How diagnostics are written
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    message_format: MessageFormat,
}

/// How diagnostics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MessageFormat {
    /// With the source lines
    Human,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a program; say who learns what
    Check(check::Check),
    /// Compile to a plan, or show a stage on the way
    Build(build::Build),
    /// Count rounds, bytes, multiply-adds and memory, by line; predict seconds
    Cost(cost::CostCommand),
    /// Measure a network with made-up data, or this machine for predictions
    Bench(bench::Bench),
    /// Run the three parties on this machine
    Run(run::Run),
    /// Run the three parties beside the plaintext; say where they part
    ///
    /// Every intermediate value is opened on this machine and compared with 64-bit floating point that rounds nothing: for
    /// data that you hold alone.
    ///
    /// Numbers part when they are off by more than 64 units in the last place and by more than the tolerance; whole numbers
    /// when they differ. The exit code is 1 when something parts, and 0 when values leave the number format but nothing parts.
    Debug(debug::Debug),
    /// Run one party of a plan, to be joined by the others (TCP, this machine only)
    Party(party::PartyCommand),
    /// Format a program
    Fmt(fmt::Fmt),
    /// Answer an editor: a language server on stdin and stdout
    Lsp(lsp::LspCommand),
    /// Explain a diagnostic code
    Explain(explain::Explain),
    /// List the compiler's passes
    Passes,
}

/// Why a command ends without success.
enum Failure {
    /// The program has errors.
    Program(Vec<Diagnostic>, Sources),
    /// Files and inputs, told as diagnostics.
    Data(Vec<Diagnostic>, Sources),
    /// Everything else that is not the program's fault.
    Other(anyhow::Error),
    /// The command said itself what is wrong.
    Said(u8),
    /// Who read stdout has gone, as `head` does: the command ends early and without complaint.
    Unread,
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Other(error.into())
    }
}

type Outcome = Result<(), Failure>;

impl Talk {
    /// Whether stderr gets colour.
    fn colored(self) -> bool {
        match self.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        }
    }

    fn diagnostics(self, diags: &[Diagnostic], sources: &Sources) {
        if diags.is_empty() {
            return;
        }
        match self.message_format {
            MessageFormat::Human => output::say(diag::render::render(diags, sources, self.colored()).trim_end()),
            MessageFormat::Json => output::say(diag::json::json(diags, sources).trim_end()),
        }
    }

    /// Tells a failure; the exit code.
    fn failure(self, failure: &Failure) -> u8 {
        match failure {
            Failure::Program(diags, sources) => {
                self.diagnostics(diags, sources);
                1
            }
            Failure::Data(diags, sources) => {
                self.diagnostics(diags, sources);
                2
            }
            Failure::Other(error) => {
                self.error(error);
                2
            }
            Failure::Said(code) => *code,
            Failure::Unread => 0,
        }
    }

    /// Says something that is no fault, on stderr.
    fn note(self, text: &str) {
        match self.message_format {
            MessageFormat::Json => output::say(serde_json::json!({ "severity": "note", "message": text })),
            MessageFormat::Human => output::say(format_args!("note: {text}")),
        }
    }

    fn error(self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        match (self.message_format, self.colored()) {
            (MessageFormat::Json, _) => output::say(serde_json::json!({ "severity": "error", "message": text })),
            (MessageFormat::Human, true) => output::say(format_args!("\u{1b}[31merror:\u{1b}[0m {text}")),
            (MessageFormat::Human, false) => output::say(format_args!("error: {text}")),
        }
    }
}

/// Says what is wrong with a command line, or prints the help asked for.
fn misused(error: &clap::Error) -> ! {
    let given = error.get(ContextKind::InvalidSubcommand).map(ToString::to_string);
    if let Some(program) = given.filter(|name| name.ends_with(".sml")) {
        output::say(format_args!("error: `{program}` is a program, not a command; try `smlc check {program}`"));
        std::process::exit(2);
    }
    // The format that was asked for is not known yet: the command line was not understood.
    let as_json = |args: &[String]| matches!(args, [flag, value] if flag == "--message-format" && value == "json");
    let args: Vec<String> = std::env::args().collect();
    if error.use_stderr() && (args.windows(2).any(as_json) || args.iter().any(|a| a == "--message-format=json")) {
        let text = error.to_string();
        let message = text.trim().trim_start_matches("error: ");
        output::say(serde_json::json!({ "severity": "error", "message": message }));
        std::process::exit(2);
    }
    error.exit()
}

/// Runs the command line and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    crate::run::memory::keep_large_apart();
    let cli = Cli::try_parse().unwrap_or_else(|error| misused(&error));
    let talk = cli.talk;
    let outcome = match cli.command {
        Command::Check(command) => command.run(talk),
        Command::Build(command) => command.run(talk),
        Command::Cost(command) => command.run(talk),
        Command::Bench(command) => command.run(talk),
        Command::Run(command) => command.run(talk),
        Command::Debug(command) => command.run(talk),
        Command::Party(command) => command.run(talk),
        Command::Fmt(command) => command.run(talk),
        Command::Lsp(command) => command.run(talk),
        Command::Explain(command) => command.run(),
        Command::Passes => crate::pass::PASSES
            .iter()
            .try_for_each(|pass| output::line(format_args!("{:16} {}", pass.name, pass.about))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(talk.failure(&failure)),
    }
}
