//! What the documents say, held against the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ws4redis::Config;
use ws4redis::close::Close;
use ws4redis::config::keys::{Group, KEYS, Key, Shown, Taken};
use ws4redis::refusal::Refusal;

#[test]
fn the_protocol_document_lists_every_refusal_with_its_status() {
    let rows: Vec<String> = Refusal::ALL
        .iter()
        .map(|refusal| format!("| `{}` | {} |", refusal.word(), refusal.status().0))
        .collect();
    assert_eq!(first_cells("Refusals"), rows);
}

#[test]
fn the_protocol_document_lists_every_ending_with_its_code() {
    let rows: Vec<String> = Close::ALL
        .iter()
        .map(|close| {
            let code = match close {
                Close::Client(_) => " its own, or none ".to_owned(),
                _ => close
                    .code()
                    .map_or("  ".to_owned(), |code| format!(" {code} ")),
            };
            format!("| `{}` |{code}|", close.word())
        })
        .collect();
    assert_eq!(first_cells("Endings"), rows);
}

#[test]
fn the_configuration_document_has_every_setting_with_its_names_and_default() {
    let text = fs::read_to_string("docs/configuration.md").unwrap();
    for group in Group::ALL {
        let heading = format!("\n## {}\n", group.heading());
        let (_, section) = text.split_once(&heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let settings = KEYS.iter().filter(|key| key.group == group).map(row);
        assert_eq!(
            rows.collect::<Vec<_>>().join("\n"),
            settings.collect::<Vec<_>>().join("\n"),
            "{}",
            group.heading()
        );
    }
}

#[test]
fn every_link_from_a_document_leads_somewhere() {
    let mut faults = Vec::new();
    for document in documents() {
        let text = prose(&document);
        let inline = text.split("](").skip(1).map(|rest| rest.split(')').next());
        let below = text.lines().filter(|line| line.starts_with('['));
        let below = below.map(|line| line.split_once("]: ").map(|(_, target)| target));
        for target in inline.chain(below).flatten() {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => document.clone(),
                _ => document.parent().unwrap().join(path),
            };
            let leads = path.contains("://") || file.exists() && has_heading(&file, heading);
            if !leads {
                faults.push(format!("{}: {target}", document.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_readme_leads_to_every_document() {
    let readme = fs::read_to_string("README.md").unwrap();
    for document in documents().iter().filter(|path| path.starts_with("docs")) {
        let link = format!("]({}", document.display());
        assert!(readme.contains(&link), "{}", document.display());
    }
}

/// What people read, at the root and in `docs/`.
fn documents() -> BTreeSet<PathBuf> {
    let entries = ["docs", "."]
        .into_iter()
        .flat_map(|dir| fs::read_dir(dir).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let documents = paths.filter(|path| path.extension().is_some_and(|end| end == "md"));
    documents
        .map(|path| path.strip_prefix(".").unwrap_or(&path).to_owned())
        .collect()
}

/// A document without what stands between fences, where a bracket means something else.
fn prose(document: &Path) -> String {
    let text = fs::read_to_string(document).unwrap();
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Is there a heading to which this anchor leads? Anchors are headings in lower case, with words joined by hyphens.
fn has_heading(file: &Path, anchor: &str) -> bool {
    let slug = |heading: &str| -> String {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().replace(' ', "-")
    };
    let is_it = |line: &str| line.starts_with('#') && slug(line) == anchor;
    anchor.is_empty() || prose(file).lines().any(is_it)
}

/// What the document says of a setting.
fn row(key: &Key) -> String {
    let default = match key.shown(&Config::default()) {
        Shown::Bare(value) | Shown::Text(value) if !value.is_empty() => format!("`{value}`"),
        Shown::List(values) if !values.is_empty() => format!("`{}`", values.join(",")),
        _ => "none".to_owned(),
    };
    let reload = match key.taken {
        Taken::AtReload => "yes",
        Taken::AtStart => "no",
    };
    let (name, flag, variable) = (key.name_in_file(), key.flag(), key.variable());
    format!(
        "| `{name}` | `--{flag}` | `{variable}` | {default} | {reload} | {} |",
        key.meaning
    )
}

#[test]
fn the_files_in_the_configuration_document_are_files() {
    use ws4redis::config::load::{Sources, load};
    let text = fs::read_to_string("docs/configuration.md").unwrap();
    let blocks: Vec<&str> = text.split("\n```toml\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ws4redis.toml");
        fs::write(&file, block.split("\n```").next().unwrap()).unwrap();
        let sources = Sources {
            file: Some(file),
            ..Sources::default()
        };
        load(sources).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_nginx_document_names_each_of_its_files_and_no_other() {
    let text = fs::read_to_string("docs/nginx.md").unwrap();
    let mut files: Vec<String> = Vec::new();
    for folder in ["nginx", "nginx/snippets"] {
        for entry in fs::read_dir(format!("docs/{folder}")).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            files.extend(name.ends_with(".conf").then(|| format!("{folder}/{name}")));
        }
    }
    let links = text.split("](").skip(1);
    let links = links.map(|rest| rest.split(')').next().unwrap());
    let mut named: Vec<&str> = links.filter(|link| link.ends_with(".conf")).collect();
    files.sort();
    named.sort_unstable();
    assert_eq!(named, files);
}

/// The first two cells of each row of the table under a heading of `docs/protocol.md`.
fn first_cells(heading: &str) -> Vec<String> {
    let text = fs::read_to_string("docs/protocol.md").unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split_inclusive('|').take(3).collect())
        .collect()
}
