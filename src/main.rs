//! The `tuwen` program: arguments in, exit code out; everything else is in the library.
use std::process::ExitCode;

fn main() -> ExitCode {
    tuwen::cli::main()
}
