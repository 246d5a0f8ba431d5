//! The command line.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, Sources};
use crate::plan::Plan;
use crate::{EXIT_HOPELESS, control, dataplane, doctor, logging, supervise, turn, video};

/// Plenum, a meeting server.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default); prints one JSON line once it takes calls.
    Serve(Serve),
    /// Check this machine and the settings, and say what to do about what is wrong.
    Doctor {
        #[command(flatten)]
        sources: SourceOptions,
    },
    /// Say what the TURN server of the data folder does; switch draining on or off.
    TurnStatus {
        #[command(flatten)]
        sources: SourceOptions,
        /// Send new clients elsewhere (turn.alternate); those who are there stay.
        #[arg(long, conflicts_with = "undrain")]
        drain: bool,
        /// Take new clients again.
        #[arg(long)]
        undrain: bool,
        /// List the allocations.
        #[arg(long)]
        allocations: bool,
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
    /// The process that handles packets; started by `serve`.
    #[command(hide = true)]
    Dataplane,
    /// The process that decodes and makes pictures; started by `serve`.
    #[command(hide = true)]
    Video,
    /// The process that handles SIP and REST; started by `serve`.
    #[command(hide = true)]
    Control,
    /// The process that relays packets of TURN clients; started by `serve`.
    #[command(hide = true)]
    Turn,
}

#[derive(Args, Debug)]
struct Serve {
    #[command(flatten)]
    sources: SourceOptions,
    /// What to be: a meeting server, or a TURN server alone.
    #[arg(long, value_enum, default_value_t = ServeRole::Meeting)]
    role: ServeRole,
    /// Print every setting with its value, meaning and origin, and end.
    #[arg(long)]
    print_config: bool,
}

/// What `serve` is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum ServeRole {
    /// Everything; TURN as the setting turn.serve says.
    Meeting,
    /// TURN and nothing else.
    Turn,
}

#[derive(Args, Debug)]
struct SourceOptions {
    /// Settings file (TOML); also PLENUM_CONFIG.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Folder for the database, the certificate and the first-run credentials.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl SourceOptions {
    fn load(self) -> Result<Config, ExitCode> {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let sources = Sources {
            file: self.config,
            data_dir: self.data,
            variables,
        };
        Config::load(&sources).map_err(|error| fail(&error, EXIT_HOPELESS))
    }
}

/// Says why on standard error; the log may not have begun.
fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "plenum: {error}");
    ExitCode::from(code)
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(options) => serve(options),
        Command::Doctor { sources } => match sources.load() {
            Ok(config) => doctor::run(&config),
            Err(code) => code,
        },
        Command::TurnStatus {
            sources,
            drain,
            undrain,
            allocations,
            json,
        } => {
            let wish = turn::command::Wish {
                drain: (drain || undrain).then_some(drain),
                allocations,
                json,
            };
            turn_status(sources, wish)
        }
        Command::Dataplane => match dataplane::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("dataplane: {error}"), 1),
        },
        Command::Video => match video::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("video: {error}"), 1),
        },
        Command::Control => match control::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("control: {error}"), 1),
        },
        Command::Turn => match turn::process::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("turn: {error}"), 1),
        },
    }
}

fn turn_status(sources: SourceOptions, wish: turn::command::Wish) -> ExitCode {
    let config = match sources.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    let folder = &config.settings.general.data_dir;
    match turn::command::run(folder, wish) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let folder = folder.display();
            fail(&format!("no TURN server answers in {folder}: {error}"), 1)
        }
    }
}

fn serve(options: Serve) -> ExitCode {
    let config = match options.sources.load() {
        Ok(config) => config,
        Err(code) => return code,
    };
    if options.print_config {
        let _ = io::stdout().write_all(config.to_toml().as_bytes());
        return ExitCode::SUCCESS;
    }
    logging::start(&config.settings, "serve");
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let plan = match Plan::make(&config.settings) {
        Ok(plan) => plan,
        Err(error) => return fail(&format!("profile: {error}"), EXIT_HOPELESS),
    };
    let outcome = match options.role {
        ServeRole::Meeting => supervise::serve(&config, &plan),
        ServeRole::Turn => supervise::serve_turn(&config, &plan),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, error.exit_code()),
    }
}
