//! The house checks itself: who may name whom, and how large a room may be.

use std::fs;
use std::path::{Path, PathBuf};

/// A room of the house: a file or a folder under `src/`, the rooms of the crate that it may name, and the crates
/// that may be named here. A file belongs to the longest room that fits.
struct Room {
    path: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
}

const HALLWAY: &[&str] = &[
    "channel", "close", "config", "limits", "metrics", "peer", "refusal", "report", "tick",
];

/// The table of `docs/architecture.md`. A folder's files may always name each other.
const HOUSE: &[Room] = &[
    Room {
        path: "channel.rs",
        rooms: &[],
        crates: &[],
    },
    Room {
        path: "close.rs",
        rooms: &[],
        crates: &[],
    },
    Room {
        path: "peer.rs",
        rooms: &[],
        crates: &[],
    },
    Room {
        path: "refusal.rs",
        rooms: &[],
        crates: &[],
    },
    Room {
        path: "tick.rs",
        rooms: &[],
        crates: &[],
    },
    Room {
        path: "limits.rs",
        rooms: &[],
        crates: &["thiserror"],
    },
    Room {
        path: "report.rs",
        rooms: &["close", "peer", "refusal"],
        crates: &[],
    },
    Room {
        path: "metrics.rs",
        rooms: &["close", "refusal", "report"],
        crates: &["prometheus_client"],
    },
    Room {
        path: "config",
        rooms: &["limits"],
        crates: &[
            "ipnet",
            "percent_encoding",
            "serde",
            "strsim",
            "thiserror",
            "toml",
        ],
    },
    Room {
        path: "wire/http.rs",
        rooms: &["limits", "refusal", "wire::ws"],
        crates: &["bytes", "httparse", "percent_encoding"],
    },
    Room {
        path: "wire/django",
        rooms: &["config", "limits"],
        crates: &["data_encoding", "flate2", "hmac", "serde", "sha1", "sha2"],
    },
    Room {
        path: "wire/http_client",
        rooms: &["limits", "wire::http"],
        crates: &["bytes", "httparse", "thiserror"],
    },
    Room {
        path: "wire/ws",
        rooms: &["close"],
        crates: &["bytes", "tungstenite"],
    },
    Room {
        path: "wire/resp",
        rooms: &[],
        crates: &["bytes", "redis_protocol", "thiserror"],
    },
    Room {
        path: "wire/order.rs",
        rooms: &["limits", "wire::signature"],
        crates: &["serde", "thiserror"],
    },
    Room {
        path: "wire/signature.rs",
        rooms: &[],
        crates: &["ring", "thiserror"],
    },
    Room {
        path: "wire/mod.rs",
        rooms: &[],
        crates: &[],
    },
    Room {
        path: "hub",
        rooms: &[
            "wire", "channel", "close", "config", "limits", "metrics", "peer", "refusal", "report",
            "tick",
        ],
        crates: &[
            "bytes",
            "fastrand",
            "foldhash",
            "percent_encoding",
            "slab",
            "thiserror",
        ],
    },
    Room {
        path: "hub/access/jwt",
        rooms: &["wire::http", "config", "limits", "refusal"],
        crates: &[
            "base64",
            "jsonwebtoken",
            "percent_encoding",
            "ring",
            "serde",
            "thiserror",
        ],
    },
    Room {
        path: "hub/access/callback",
        rooms: &[
            "wire::http",
            "wire::http_client",
            "hub",
            "channel",
            "config",
            "limits",
            "peer",
            "tick",
        ],
        crates: &[
            "bytes",
            "percent_encoding",
            "serde",
            "serde_json",
            "thiserror",
        ],
    },
    Room {
        path: "hub/access/signed_headers.rs",
        rooms: &["wire::http", "wire::signature", "config"],
        crates: &["thiserror"],
    },
    Room {
        path: "net",
        rooms: &["hub", "close", "config", "peer", "report", "tick"],
        crates: &[
            "fastrand",
            "mio",
            "rustix",
            "signal_hook",
            "signal_hook_mio",
            "socket2",
            "thiserror",
            "tracing",
        ],
    },
    Room {
        path: "bench",
        rooms: &[
            "net::clock",
            "net::socket",
            "wire::http_client",
            "wire::resp",
            "wire::ws",
            "config",
            "limits",
            "peer",
            "tick",
        ],
        crates: &[
            "hdrhistogram",
            "httparse",
            "mio",
            "rustix",
            "serde",
            "socket2",
            "thiserror",
        ],
    },
    Room {
        path: "publisher",
        rooms: &[
            "wire::order",
            "wire::resp",
            "wire::signature",
            "channel",
            "config",
            "limits",
        ],
        crates: &["socket2", "thiserror"],
    },
];

/// Words that must not stand in a room, because they bring in what its floor does without.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "hub",
        &[
            "TcpStream",
            "UnixStream",
            "TcpListener",
            "Instant",
            "SystemTime",
            "thread::",
            "println!",
        ],
    ),
    (
        "wire",
        &["TcpStream", "UnixStream", "Instant", "SystemTime", "PeerId"],
    ),
    (
        "net",
        &["wire::", "Sec-WebSocket", "SUBSCRIBE\"", "Close::Slow"],
    ),
];

const FILE_LINES_MAX: usize = 400;
const COLUMNS_MAX: usize = 120;

#[test]
fn every_room_names_only_the_rooms_and_crates_that_the_table_allows() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let Some(room) = room_of(&path) else { continue };
        let own = room.path.trim_end_matches(".rs").replace('/', "::");
        for name in named_rooms(&text) {
            let allowed = name.starts_with(&own)
                || own.starts_with(&format!("{name}::"))
                || room
                    .rooms
                    .iter()
                    .any(|room| name == *room || name.starts_with(&format!("{room}::")));
            if !allowed {
                faults.push(format!("{path} names crate::{name}"));
            }
        }
        for name in named_crates(&text) {
            if !room.crates.contains(&name.as_str()) {
                faults.push(format!("{path} names the crate {name}"));
            }
        }
        for (floor, words) in FORBIDDEN {
            for word in words
                .iter()
                .filter(|word| path.starts_with(floor) && code(&text).contains(**word))
            {
                faults.push(format!("{path} says {word}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_of_a_floor_has_a_place_in_the_table() {
    let homeless: Vec<String> = sources()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| room_of(path).is_none() && !is_front(path))
        .collect();
    assert!(homeless.is_empty(), "{homeless:?}");
    for name in HALLWAY {
        let exists = Path::new("src").join(format!("{name}.rs")).exists()
            || Path::new("src").join(name).is_dir();
        assert!(exists, "the hallway lost {name}");
    }
}

#[test]
fn no_file_is_longer_than_a_room_should_be_and_none_is_a_drawer() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let lines = text
            .split("#[cfg(test)]\nmod ")
            .next()
            .unwrap_or_default()
            .lines()
            .count();
        if lines > FILE_LINES_MAX {
            faults.push(format!("{path}: {lines} lines before its tests"));
        }
        for (at, line) in text.lines().enumerate() {
            if line.chars().count() > COLUMNS_MAX {
                faults.push(format!(
                    "{path}:{}: wider than {COLUMNS_MAX} columns",
                    at + 1
                ));
            }
        }
        let name = Path::new(&path)
            .file_stem()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if ["util", "utils", "common", "helpers", "types", "misc"].contains(&name) {
            faults.push(format!("{path} is a drawer"));
        }
        if !text.starts_with("//! ") {
            faults.push(format!("{path} does not begin with what it is for"));
        }
        for mark in ["TODO", "FIXME", "XXX", "todo!", "unimplemented!", "dbg!"] {
            if text.contains(mark) {
                faults.push(format!("{path} holds a {mark}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_document_has_one_title() {
    let documents = fs::read_dir("docs")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file());
    for path in documents.chain([PathBuf::from("README.md"), PathBuf::from("CHANGELOG.md")]) {
        let text = fs::read_to_string(&path).unwrap();
        let mut fenced = false;
        let titles = text.lines().filter(|line| {
            fenced ^= line.starts_with("```");
            !fenced && line.starts_with("# ")
        });
        assert_eq!(titles.count(), 1, "{}", path.display());
    }
}

/// The doors of the house: they may name everything.
fn is_front(path: &str) -> bool {
    path == "lib.rs" || path == "main.rs" || path.starts_with("cli")
}

fn room_of(path: &str) -> Option<&'static Room> {
    let fits = |room: &&Room| path == room.path || path.starts_with(&format!("{}/", room.path));
    HOUSE.iter().filter(fits).max_by_key(|room| room.path.len())
}

/// What follows `crate::` in code, as far as it is modules.
fn named_rooms(text: &str) -> Vec<String> {
    let code = code(text);
    let names = code.split("crate::").skip(1).map(|rest| {
        let path: String = rest
            .chars()
            .take_while(|c| c.is_ascii_lowercase() || matches!(c, '_' | ':'))
            .collect();
        path.trim_end_matches(':').to_owned()
    });
    names.filter(|name| !name.is_empty()).collect()
}

/// The first segment of every `use` that is neither ours nor the language's.
fn named_crates(text: &str) -> Vec<String> {
    let code = code(text);
    let known: Vec<&str> = code
        .lines()
        .filter_map(|line| {
            line.trim_start()
                .trim_start_matches("pub ")
                .strip_prefix("use ")
        })
        .map(|rest| rest.split([':', ';', ' ']).next().unwrap_or_default())
        .collect();
    let modules: Vec<&str> = code
        .lines()
        .filter_map(|line| {
            line.split_once("mod ")
                .map(|(_, name)| name.trim_end_matches(';'))
        })
        .collect();
    known
        .into_iter()
        .filter(|name| !["crate", "self", "super", "std", "core", "alloc"].contains(name))
        .filter(|name| {
            !modules.contains(name) && name.chars().next().is_some_and(char::is_lowercase)
        })
        .map(str::to_owned)
        .collect()
}

/// A file without its comments and its tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Every file under `src/`: its path there, and its text.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix("src")
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
