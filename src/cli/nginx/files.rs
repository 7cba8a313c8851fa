//! A configuration is many files: `include` stands for the contents of others.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::glob;
use super::syntax::{self, Directive, Place, SyntaxError};

/// Includes inside of includes. Two files that include each other would have no end.
const DEPTH_MAX: usize = 8;

/// Files in all. A site for each of a thousand customers is a thousand files.
const FILES_MAX: usize = 10_000;

/// Bytes in all: a device for a file has no end either.
const BYTES_MAX: u64 = 64 << 20;

/// Why the configuration is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("cannot read {}: {error}", .path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{place}: cannot include {word}: {error}")]
    Include {
        place: Place,
        word: String,
        error: io::Error,
    },
    #[error("{place}: includes are more than {DEPTH_MAX} deep: does a file include itself?")]
    Depth { place: Place },
    #[error("{}: there is more than {FILES_MAX} files or 64 MiB in all", .path.display())]
    Size { path: PathBuf },
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
}

/// The directives of a file, and in place of each `include` those of the files that it names.
pub(super) fn read(path: &Path) -> Result<Vec<Directive>, ReadError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut reader = Reader {
        folders: [folder.to_owned(), folder.join("..")],
        files: 0,
        bytes: 0,
    };
    reader.file(path, 0)?.map_err(|error| ReadError::File {
        path: path.to_owned(),
        error,
    })
}

struct Reader {
    /// Where relative names begin. nginx counts from the folder of the main file, which is the first one here,
    /// whoever includes; for a file of `sites-enabled` alone it is the folder above.
    folders: [PathBuf; 2],
    files: usize,
    bytes: u64,
}

impl Reader {
    /// The inner error is that of this file alone, which whoever named it can say best.
    fn file(&mut self, path: &Path, depth: usize) -> Result<io::Result<Vec<Directive>>, ReadError> {
        let bytes = match self.bytes_of(path) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        self.files += 1;
        self.bytes += bytes.len() as u64;
        if self.files > FILES_MAX || self.bytes > BYTES_MAX {
            return Err(ReadError::Size {
                path: path.to_owned(),
            });
        }
        let directives = syntax::parse(&bytes, &Rc::from(path))?;
        self.included(directives, depth).map(Ok)
    }

    fn bytes_of(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Opening a pipe would wait for a writer.
        if path.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !path.metadata()?.is_file() {
            return Err(io::Error::other("is not a file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?
            .take(BYTES_MAX - self.bytes + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn included(
        &mut self,
        directives: Vec<Directive>,
        depth: usize,
    ) -> Result<Vec<Directive>, ReadError> {
        let mut whole = Vec::with_capacity(directives.len());
        for mut directive in directives {
            if directive.name == "include" {
                if depth == DEPTH_MAX {
                    return Err(ReadError::Depth {
                        place: directive.place,
                    });
                }
                self.include(&directive, depth + 1, &mut whole)?;
                continue;
            }
            directive.block = self.included(directive.block, depth)?;
            whole.push(directive);
        }
        Ok(whole)
    }

    fn include(
        &mut self,
        directive: &Directive,
        depth: usize,
        whole: &mut Vec<Directive>,
    ) -> Result<(), ReadError> {
        let word = directive.value();
        for path in self.named(word) {
            match self.file(&path, depth)? {
                Ok(directives) => whole.extend(directives),
                Err(error) => {
                    return Err(ReadError::Include {
                        place: directive.place.clone(),
                        word: word.to_owned(),
                        error,
                    });
                }
            }
        }
        Ok(())
    }

    /// The files that an `include` names. A pattern may name none; a plain name is one file, there or not.
    fn named(&self, word: &str) -> Vec<PathBuf> {
        let [here, above] = self.folders.each_ref().map(|folder| folder.join(word));
        if glob::is_pattern(word) {
            let found = glob::matching(&here);
            return match found.is_empty() {
                true => glob::matching(&above),
                false => found,
            };
        }
        // Where neither is there, the first is the one to complain about.
        match !here.exists() && above.exists() {
            true => vec![above],
            false => vec![here],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    fn names(directives: &[Directive]) -> Vec<String> {
        directives
            .iter()
            .map(|directive| directive.name.clone())
            .collect()
    }

    #[test]
    fn names_are_relative_to_the_main_file_and_patterns_are_in_order() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("nginx.conf", "a; include sites/*.conf; include none/*; z;"),
                ("sites/2.conf", "two { include parts/x; }"),
                ("sites/10.conf", "ten;"),
                ("sites/.hidden.conf", "hidden;"),
                ("sites/3.conf.bak", "backup;"),
                ("parts/x", "x;"),
            ],
        );
        let directives = read(&dir.path().join("nginx.conf")).unwrap();
        assert_eq!(names(&directives), ["a", "ten", "two", "z"]);
        assert_eq!(names(&directives[2].block), ["x"]);
        let place = directives[2].block[0].place.to_string();
        assert!(place.ends_with("/parts/x:1"), "{place}");
        // A site's file alone: its includes count from the folder above.
        let alone = read(&dir.path().join("sites/2.conf")).unwrap();
        assert_eq!(names(&alone[0].block), ["x"]);
    }

    #[test]
    fn what_cannot_be_read_is_said_with_who_wanted_it() {
        let dir = tempfile::tempdir().unwrap();
        write(
            dir.path(),
            &[
                ("missing", "\ninclude nowhere;"),
                ("folder", "include parts;"),
                ("parts/x", ""),
                ("loop", "a { include loop; }"),
                ("broken", "include parts2/y;"),
                ("parts2/y", "\n\na"),
            ],
        );
        for (name, words) in [
            ("nothing", "cannot read "),
            ("missing", "missing:2: cannot include nowhere: "),
            ("folder", "folder:1: cannot include parts: is a directory"),
            ("loop", "loop:1: includes are more than 8 deep"),
            ("broken", "y:3: expected ; or { after `a`"),
        ] {
            let error = read(&dir.path().join(name)).unwrap_err().to_string();
            assert!(error.contains(words), "{name}: {error}");
        }
    }
}
