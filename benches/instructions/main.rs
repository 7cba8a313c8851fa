//! How many instructions the hot paths execute, held against `benches/instructions.toml`: `make bench-gate`.
//!
//! Nanoseconds on a shared machine are noise; instructions, counted by valgrind, are nearly the same on each run. Each
//! scenario is played so often and twice as often: the difference is what it costs, without what it took to set
//! the world up. Instructions do not tell of cache misses and system calls, which `ws4redis bench` measures.
//!
//! ```text
//! cargo bench --bench instructions               count, compare, fail if a figure is passed
//! cargo bench --bench instructions -- accept     write what was counted into the file
//! cargo bench --bench instructions -- --test     play each scenario once, without counting
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a bench that cannot go on says where; its items are private"
)]

mod counting;
mod figures;
mod scenarios;
#[path = "../world/mod.rs"]
mod world;

use std::process::{Command, ExitCode};

use self::figures::{Figures, Verdict};
use self::scenarios::SCENARIOS;

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => gate(false),
        ["accept"] => gate(true),
        ["--test"] => {
            for scenario in SCENARIOS {
                scenario.play(1);
                println!("{}: played", scenario.name);
            }
            ExitCode::SUCCESS
        }
        ["play", name, times] => {
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
            scenario.expect("its name").play(times.parse().unwrap());
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("instructions: see the top of benches/instructions/main.rs");
            ExitCode::FAILURE
        }
    }
}

fn gate(accept: bool) -> ExitCode {
    let compiler = compiler();
    let mut figures = Figures::read();
    let counted = SCENARIOS.map(|scenario| (scenario, counting::count(&scenario)));
    if accept {
        for (scenario, count) in &counted {
            figures.accept(scenario.name, *count, &compiler);
        }
        figures.write(&compiler);
    }
    println!(
        "\n{:<12} {:>12} {:>12} {:>8}  ",
        "", "counted", "figure", "change"
    );
    let (mut fails, mut is_incomplete) = (false, false);
    for (scenario, count) in &counted {
        let (figure, verdict) = figures.judge(scenario.name, *count);
        fails |= verdict == Verdict::Dearer;
        is_incomplete |= verdict.is_about_the_file();
        println!(
            "{:<12} {count:>12.1} {figure:>12.1} {:>+7.1}%  {}{}",
            scenario.name,
            (count / figure - 1.0) * 100.0,
            scenario.unit,
            verdict.advice()
        );
    }
    for name in figures.strays(&SCENARIOS.map(|scenario| scenario.name)) {
        println!("{name:<12} FAILS: it is not counted any more, and its figure is to go");
        is_incomplete = true;
    }
    if !figures.are_of(&compiler) {
        println!(
            "\nThe figures were taken with {}; this is {compiler}. So they tell nothing about a change, and nothing is too dear.",
            figures.compiler
        );
        fails = false;
    }
    if fails || is_incomplete {
        println!(
            "\nTo raise figures, or take new ones: make bench-gate ACCEPT=1, then say why in {} where the reason is empty.\n\
             Where the instructions went: callgrind_annotate {}/<scenario>",
            figures::PATH,
            counting::PROFILES
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The compiler's version and the machine that it compiles for.
fn compiler() -> String {
    let output = Command::new("rustc").arg("-vV").output();
    let said = String::from_utf8(output.expect("rustc").stdout).unwrap();
    let line = |start: &str| {
        let mut lines = said.lines();
        lines
            .find_map(|line| line.strip_prefix(start))
            .unwrap_or("?")
    };
    format!("rustc {} for {}", line("rustc "), line("host: "))
}
