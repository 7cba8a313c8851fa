//! The figures that are checked in, and what is to be said of a count.
//!
//! The file is TOML of the plainest kind, one `key = value` a line, so that it can be rewritten in place.

use std::fs;

pub const PATH: &str = "benches/instructions.toml";
/// As a part of the figure.
const TOLERANCE: f64 = 0.03;

/// The file.
pub struct Figures {
    text: String,
    /// What they were taken with.
    pub compiler: String,
}

/// What a count is, beside its figure.
#[derive(Clone, Copy)]
pub enum Verdict {
    Same,
    Cheaper,
    Dearer,
    /// A figure was raised, or is new, and nobody has said why.
    Unexplained,
}

impl Verdict {
    pub fn advice(self) -> &'static str {
        match self {
            Verdict::Same => "",
            Verdict::Cheaper => "  cheaper: make bench-gate ACCEPT=1 keeps it so",
            Verdict::Dearer => "  FAILS: more than 3 % dearer",
            Verdict::Unexplained => "  FAILS: no reason is given",
        }
    }
}

impl Figures {
    pub fn read() -> Figures {
        Figures::parse(fs::read_to_string(PATH).expect(PATH))
    }

    pub fn are_of(&self, compiler: &str) -> bool {
        self.compiler == compiler
    }

    /// The figure of a scenario, and what to say of this count.
    pub fn judge(&self, name: &str, count: f64) -> (f64, Verdict) {
        let figure = self.figure(name);
        let reason = self.of(name, "reason");
        let verdict = match count / figure - 1.0 {
            _ if reason.is_none_or(|reason| reason == "\"\"") => Verdict::Unexplained,
            change if change > TOLERANCE => Verdict::Dearer,
            change if change < -TOLERANCE => Verdict::Cheaper,
            _ => Verdict::Same,
        };
        (figure, verdict)
    }

    /// Makes this count the figure. One that is raised by more than is tolerated loses its reason: a person gives another.
    pub fn accept(&mut self, name: &str, count: f64) {
        let raised = count / self.figure(name) - 1.0 > TOLERANCE;
        let mut here = false;
        let lines = self.text.lines().map(|line| {
            if line.starts_with('[') {
                here = line == format!("[{name}]");
            }
            match line.split_once(" = ") {
                Some(("instructions", _)) if here => format!("instructions = {count:.1}"),
                Some(("reason", _)) if here && raised => "reason = \"\"".to_owned(),
                _ => line.to_owned(),
            }
        });
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        *self = Figures::parse(text);
    }

    pub fn write(&mut self, compiler: &str) {
        let old = format!("compiler = \"{}\"", self.compiler);
        let text = self
            .text
            .replace(&old, &format!("compiler = \"{compiler}\""));
        fs::write(PATH, &text).unwrap();
        *self = Figures::parse(text);
    }

    fn parse(text: String) -> Figures {
        let compiler = value(text.lines(), "compiler").expect("whose figures they are");
        let compiler = compiler.trim_matches('"').to_owned();
        Figures { text, compiler }
    }

    fn figure(&self, name: &str) -> f64 {
        let figure = self.of(name, "instructions");
        let figure = figure.and_then(|figure| figure.parse().ok());
        figure.unwrap_or_else(|| panic!("{PATH} has no instructions of [{name}]"))
    }

    fn of(&self, name: &str, key: &str) -> Option<&str> {
        let heading = format!("[{name}]");
        let section = self.text.lines().skip_while(|line| *line != heading);
        value(
            section.skip(1).take_while(|line| !line.starts_with('[')),
            key,
        )
    }
}

fn value<'a>(mut lines: impl Iterator<Item = &'a str>, key: &str) -> Option<&'a str> {
    lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
}
