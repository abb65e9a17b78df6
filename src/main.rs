//! Parses the command line, starts logging, calls the library, sets the exit code.

use clap::Parser;

fn main() -> std::process::ExitCode {
    let cli = cic_gateway::cli::Cli::parse();
    match cic_gateway::cli::run(cli) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
