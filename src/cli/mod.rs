//! What did the user ask? One command per file; the only room that prints, reads the environment and exits.

mod analyze;
mod check;
mod classify;
mod compare;
mod console;
mod dataset_args;
mod device;
mod diff;
mod encode;
mod export;
mod failure;
mod doctor;
mod find_lr;
mod gc;
mod library_log;
mod model;
mod open_release;
mod plan;
mod preview;
mod publish;
mod quarantine;
mod releases;
mod report;
mod run;
mod runs;
mod schema;
mod score;
mod search;
mod serve;
mod setup;
mod shard;
mod show;
mod telemetry;
mod verify;

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};

use crate::data::ErrorClass;
use console::{Console, LogFormat};
use failure::Failure;
use library_log::LogLevel;

use crate::data::conceal;
use crate::model::keep_freed_memory;

/// From raw Chinese image-text pairs to a measured, searchable, published index.
#[derive(Debug, Parser)]
#[command(name = "tuwen", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
struct Global {
    /// Print one JSON object as the last line of stdout.
    #[arg(long, global = true, env = "TUWEN_JSON")]
    json: bool,
    /// Say nothing on stderr but errors.
    #[arg(long, short, global = true, env = "TUWEN_QUIET")]
    quiet: bool,
    /// How progress and messages look on stderr.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Auto, env = "TUWEN_LOG_FORMAT")]
    log_format: LogFormat,
    /// Show what happens below, up to this level, a line for each event [default: nothing of it].
    #[arg(long, global = true, value_enum, env = "TUWEN_LOG_LEVEL")]
    log_level: Option<LogLevel>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a pipeline: make what is missing, publish the result.
    Run(run::RunArgs),
    /// Make the shards of one stage, apart from the run that joins them.
    Shard(shard::ShardArgs),
    /// Check a pipeline file; reports every problem at once, reads nothing else.
    Check(check::CheckArgs),
    /// Say what a run would do, and why.
    Plan(plan::PlanArgs),
    /// Draw originals and augmentations of a fine-tuning stage on one sheet.
    Preview(preview::PreviewArgs),
    /// Try learning rates on a fine-tuning stage and draw the loss over them.
    FindLr(find_lr::FindLrArgs),
    /// Search the images or texts of the newest published index by text or image.
    Search(search::SearchArgs),
    /// Say where the report of a release is, or serve it with a live search.
    Report(report::ReportArgs),
    /// Show how a text is cut into terms.
    Analyze(analyze::AnalyzeArgs),
    /// Describe a data set in numbers and with a contact sheet.
    Show(show::ShowArgs),
    /// Say what changed between two versions of a data set.
    Diff(diff::DiffArgs),
    /// List the rows that could not be used.
    Quarantine(quarantine::QuarantineArgs),
    /// Write a data set in the formats of others.
    Export(export::ExportArgs),
    /// Say what is published and how the newest runs ended.
    Status(runs::StatusArgs),
    /// List runs and how they ended.
    Runs(runs::RunsArgs),
    /// List, show, compare and name releases; go back to an older one.
    Releases(releases::ReleasesArgs),
    /// Publish what earlier runs made.
    Publish(publish::PublishArgs),
    /// Score ranked lists, from this program or another.
    Score(score::ScoreArgs),
    /// Say what changed between two models or releases, and whether it is noise.
    Compare(compare::CompareArgs),
    /// Check every byte, row and vector of a release.
    Verify(verify::VerifyArgs),
    /// Remove what no release, tag or recent run names.
    Gc(gc::GcArgs),
    /// Check the machine and the store.
    Doctor(doctor::DoctorArgs),
    /// List architectures; show, import and export checkpoints.
    Model(model::ModelArgs),
    /// Encode images and texts into feature files.
    Encode(encode::EncodeArgs),
    /// Classify images by the names of their classes.
    Classify(classify::ClassifyArgs),
    /// List devices, compare them with the CPU, and time them.
    Device(device::DeviceCommandArgs),
    /// Write the JSON Schemas of the pipeline file and of all tables.
    Schema(schema::SchemaArgs),
}

/// What a command prints: words for people, an object for programs.
struct Output {
    text: String,
    json: Value,
}

/// Runs the program.
pub fn main() -> u8 {
    let cli = Cli::parse();
    if matches!(cli.command, Command::Run(_) | Command::Shard(_) | Command::FindLr(_)) {
        keep_freed_memory();
    }
    telemetry::conceal_environment();
    let console = Console::new(cli.global.log_format, cli.global.quiet, cli.global.log_level);
    setup::let_file_size_limits_be_errors();
    let mut code = 0;
    let result = match cli.command {
        Command::Run(args) => run::run(&args, &console).map(|(output, exit_code)| {
            code = exit_code;
            output
        }),
        Command::Shard(args) => shard::run(&args, &console),
        Command::Check(args) => check::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Preview(args) => preview::run(&args, &console),
        Command::FindLr(args) => find_lr::run(&args, &console),
        Command::Search(args) => search::run(&args),
        Command::Report(args) => report::run(&args, &console, cli.global.json),
        Command::Analyze(args) => analyze::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Quarantine(args) => quarantine::run(&args),
        Command::Export(args) => export::run(&args, &console),
        Command::Status(args) => runs::status(&args),
        Command::Runs(args) => runs::list(&args),
        Command::Releases(args) => releases::run(&args),
        Command::Publish(args) => publish::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Verify(args) => verify::run(&args, &console),
        Command::Gc(args) => gc::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Encode(args) => encode::run(&args, &console),
        Command::Classify(args) => classify::run(&args, &console),
        Command::Device(args) => device::run(&args),
        Command::Schema(args) => schema::run(&args),
    };
    console.close();
    match result {
        Ok(output) => match print(&output, cli.global.json) {
            Ok(()) => code,
            Err(error) => {
                let failure = Failure::new(
                    ErrorClass::LocalIo,
                    format!("the work is done, but its result could not be written to stdout: {error}"),
                );
                console.error(&failure);
                failure.class.exit_code()
            }
        },
        Err(failure) => {
            if cli.global.json {
                let json = json!({ "error": conceal(&failure.message), "exit_code": failure.class.exit_code(), "diagnostics": failure.diagnostics });
                // The exit code and stderr tell the failure itself.
                let _ = print(&Output { text: String::new(), json }, true);
            }
            console.error(&failure);
            failure.class.exit_code()
        }
    }
}

/// The result goes to stdout, and only here.
fn print(output: &Output, json: bool) -> std::io::Result<()> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    let text = if json { output.json.to_string() } else { output.text.clone() };
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
