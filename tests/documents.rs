//! What the documents say, held against the code.

use std::fs;

use ws4redis::close::Close;
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

/// The first two cells of each row of the table under a heading of `docs/protocol.md`.
fn first_cells(heading: &str) -> Vec<String> {
    let text = fs::read_to_string("docs/protocol.md").unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split_inclusive('|').take(3).collect())
        .collect()
}
