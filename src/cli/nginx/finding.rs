//! What is said of a configuration: what is wrong and where, what comes of it, and what to write.

use std::fmt;

use ws4redis::config::Listen;

use super::super::check::Level;

/// One thing that is wrong, or could be better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// A fault breaks something; a hint does not.
    pub(super) level: Level,
    place: String,
    what: String,
    because: String,
    write: Vec<String>,
}

impl Finding {
    /// Something is broken, or open.
    pub(super) fn fault(place: &impl fmt::Display, what: &str, because: &str) -> Finding {
        Finding::new(Level::Fail, place, what, because)
    }

    /// It works, and may not be what was meant.
    pub(super) fn warning(place: &impl fmt::Display, what: &str, because: &str) -> Finding {
        Finding::new(Level::Warn, place, what, because)
    }

    /// It works, and could be better.
    pub(super) fn hint(place: &impl fmt::Display, what: &str, because: &str) -> Finding {
        Finding::new(Level::Hint, place, what, because)
    }

    fn new(level: Level, place: &impl fmt::Display, what: &str, because: &str) -> Finding {
        Finding {
            level,
            place: place.to_string(),
            what: what.to_owned(),
            because: because.to_owned(),
            write: Vec::new(),
        }
    }

    /// With a line that would be right.
    pub(super) fn write(mut self, line: &str) -> Finding {
        self.write.push(line.to_owned());
        self
    }

    /// Does it break something?
    pub(super) fn is_fault(&self) -> bool {
        self.level == Level::Fail
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)?;
        write!(f, "\n      {}", self.because)?;
        for line in &self.write {
            write!(f, "\n      write: {line}")?;
        }
        Ok(())
    }
}

/// How nginx is told to pass requests to this listener.
pub(super) fn proxy_pass(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => format!("proxy_pass http://{address};"),
        Listen::Unix { path, .. } => format!("proxy_pass http://unix:{};", path.display()),
    }
}
