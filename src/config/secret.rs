//! What must not be seen, and where it is kept.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::values::Invalid;

/// A key file is smaller: a JWKS document with a hundred RSA keys has 60 KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Text that must not be seen: it masks itself wherever it is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Keys, read when the configuration is. Never from a command line: everybody on a machine can read those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyMaterial {
    /// The file that they come from; `None` is a variable of the environment.
    pub path: Option<PathBuf>,
    /// The text as it stands there, but for line ends at its end.
    pub text: Secret,
}

impl Secret {
    /// Hides `text`.
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl KeyMaterial {
    /// The keys of a file that has one a line: the first is in use, the others are still honoured. Lines end where
    /// they end: a blank may belong to a key.
    pub fn lines(&self) -> Vec<Secret> {
        let lines = self.text.reveal().lines().filter(|line| !line.is_empty());
        lines.map(|line| Secret::new(line.to_owned())).collect()
    }

    /// Reads a file.
    pub(super) fn read(path: &str) -> Result<KeyMaterial, Invalid> {
        let unusable = |why: &str| Invalid(format!("must be a file with a key, and {path} {why}"));
        let unreadable = |error: std::io::Error| unusable(&format!("cannot be read: {error}"));
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(unusable("is larger than 1 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8"))?;
        KeyMaterial::new(Some(Path::new(path).to_owned()), &text)
            .ok_or_else(|| unusable("is empty"))
    }

    /// What a variable of the environment holds.
    pub(super) fn said(text: &str) -> Result<KeyMaterial, Invalid> {
        KeyMaterial::new(None, text).ok_or_else(|| Invalid("must not be empty".to_owned()))
    }

    fn new(path: Option<PathBuf>, text: &str) -> Option<KeyMaterial> {
        // Editors end the last line, and no key ends with one.
        let text = text.trim_end_matches(['\r', '\n']);
        (!text.is_empty()).then(|| KeyMaterial {
            path,
            text: Secret::new(text.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<KeyMaterial, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        KeyMaterial::read(file.path().to_str().unwrap()).map_err(|Invalid(must)| must)
    }

    #[test]
    fn a_file_has_one_key_a_line_and_its_last_line_may_end() {
        let keys = read(b"first key \r\n\nsecond\n").unwrap();
        let lines = keys.lines();
        let lines: Vec<&str> = lines.iter().map(Secret::reveal).collect();
        assert_eq!(lines, ["first key ", "second"]);
        assert_eq!(keys.text.reveal(), "first key \r\n\nsecond");
        assert!(keys.path.is_some());
    }

    #[test]
    fn a_file_that_holds_no_key_says_why_and_never_what_it_holds() {
        assert!(read(b"\n\r\n").unwrap_err().contains("is empty"));
        assert!(read(b"hunter2\xff").unwrap_err().contains("is not UTF-8"));
        let large = "hunter2".repeat(200_000);
        let error = read(large.as_bytes()).unwrap_err();
        assert!(
            error.contains("larger") && !error.contains("hunter2"),
            "{error}"
        );
        assert!(
            KeyMaterial::read("/nowhere")
                .unwrap_err()
                .0
                .contains("/nowhere")
        );
        assert!(KeyMaterial::said("").is_err());
    }

    #[test]
    fn debugging_shows_no_key() {
        let keys = KeyMaterial::said("hunter2").unwrap();
        assert!(!format!("{keys:?}").contains("hunter2"));
    }
}
