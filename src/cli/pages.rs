//! Completions and manual pages, made from the arguments themselves.

use std::io::{Write, stdout};
use std::path::PathBuf;

use clap_complete::Shell;

use super::{Failure, arguments};

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    // clap_complete panics if it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "ws4redis", &mut script);
    stdout().write_all(&script).map_err(Failure::output)
}

/// Prints the manual page, or writes all of them into a directory.
pub(super) fn man(directory: Option<PathBuf>) -> Result<(), Failure> {
    let command = arguments::command();
    match directory {
        None => clap_mangen::Man::new(command)
            .render(&mut stdout())
            .map_err(Failure::output),
        Some(directory) => clap_mangen::generate_to(command, &directory).map_err(|error| {
            Failure::Failed(format!(
                "cannot write manual pages into {}: {error}",
                directory.display()
            ))
        }),
    }
}
