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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Same,
    Cheaper,
    Dearer,
    /// A figure was raised, or is new, and nobody has said why.
    Unexplained,
    /// There is no figure.
    Missing,
}

impl Verdict {
    pub fn advice(self) -> &'static str {
        match self {
            Verdict::Same => "",
            Verdict::Cheaper => "  cheaper: make bench-gate ACCEPT=1 keeps it so",
            Verdict::Dearer => "  FAILS: more than 3 % dearer",
            Verdict::Unexplained => "  FAILS: no reason is given",
            Verdict::Missing => "  FAILS: no figure",
        }
    }

    /// Does it count whatever the figures were taken with?
    pub fn is_about_the_file(self) -> bool {
        matches!(self, Verdict::Unexplained | Verdict::Missing)
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
        let Some(figure) = self.figure(name) else {
            return (f64::NAN, Verdict::Missing);
        };
        let reason = self.of(name, "reason");
        let verdict = match count / figure - 1.0 {
            _ if reason.is_none_or(|reason| reason == "\"\"") => Verdict::Unexplained,
            change if change > TOLERANCE => Verdict::Dearer,
            change if change < -TOLERANCE => Verdict::Cheaper,
            _ => Verdict::Same,
        };
        (figure, verdict)
    }

    /// Makes this count the figure. One that is new, or raised by more than is tolerated, has no reason: a person gives
    /// one. One that is the same stays, or the figures would creep, a tolerance each time, and nobody be asked why.
    pub fn accept(&mut self, name: &str, count: f64, compiler: &str) {
        let verdict = self.judge(name, count).1;
        if verdict == Verdict::Same && self.are_of(compiler) {
            return;
        }
        if verdict == Verdict::Missing && self.of(name, "instructions").is_none() {
            self.text += &format!("\n[{name}]\ninstructions = {count:.1}\nreason = \"\"\n");
            return;
        }
        let mut here = false;
        let lines = self.text.lines().map(|line| {
            if line.starts_with('[') {
                here = line == format!("[{name}]");
            }
            match line.split_once(" = ") {
                Some(("instructions", _)) if here => format!("instructions = {count:.1}"),
                Some(("reason", _))
                    if here && matches!(verdict, Verdict::Dearer | Verdict::Missing) =>
                {
                    "reason = \"\"".to_owned()
                }
                _ => line.to_owned(),
            }
        });
        self.text = lines.collect::<Vec<_>>().join("\n") + "\n";
    }

    /// Whose figures nobody counts any more.
    pub fn strays(&self, names: &[&str]) -> Vec<&str> {
        let headings = self.text.lines().filter_map(|line| line.strip_prefix('['));
        let named = headings.map(|heading| heading.trim_end_matches(']'));
        named.filter(|name| !names.contains(name)).collect()
    }

    pub fn write(&mut self, compiler: &str) {
        let old = format!("compiler = \"{}\"", self.compiler);
        let text = self
            .text
            .replace(&old, &format!("compiler = \"{compiler}\""));
        fs::write(PATH, &text).unwrap();
        *self = Figures::parse(text);
    }

    pub fn parse(text: String) -> Figures {
        let compiler = value(text.lines(), "compiler").expect("whose figures they are");
        let compiler = compiler.trim_matches('"').to_owned();
        Figures { text, compiler }
    }

    fn figure(&self, name: &str) -> Option<f64> {
        let figure: f64 = self.of(name, "instructions")?.parse().ok()?;
        // With any other nothing would ever be dearer.
        (figure.is_finite() && figure > 0.0).then_some(figure)
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
