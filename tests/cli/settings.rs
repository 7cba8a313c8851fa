//! Settings, from where they stand to what the binary makes of them.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{run, run_in};
use crate::support::gateway::Gateway;
use crate::support::redis::free_port;

/// A file for `--config`, as long as its directory is held.
fn file(text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("ws4redis.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

/// The line of a key in what `check --print` prints, with single blanks.
fn printed(stdout: &str, key: &str) -> String {
    let line = stdout.lines().find(|line| {
        line.trim_start_matches("# ")
            .starts_with(&format!("{key} "))
    });
    line.unwrap()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let (_dir, path) =
        file("expire = 1\nprefix = 'file'\nheartbeat = 'file'\nlisten = ['unix:/f']");
    let environment = [
        ("WS4REDIS_CONFIG", path.as_str()),
        ("WS4REDIS_PREFIX", "environment"),
        ("WS4REDIS_HEARTBEAT", "environment"),
    ];
    let print = run_in(
        &environment,
        &["check", "--print", "--heartbeat", "--flag--"],
    );
    assert_eq!((print.code, print.stderr.as_str()), (0, ""));
    for (key, line) in [
        ("expire", format!("expire = 1 # {path}, line 1")),
        (
            "prefix",
            "prefix = \"environment\" # WS4REDIS_PREFIX".to_owned(),
        ),
        (
            "heartbeat",
            "heartbeat = \"--flag--\" # --heartbeat".to_owned(),
        ),
        (
            "listen",
            format!("listen = [\"unix:/f?mode=0660\"] # {path}, line 4"),
        ),
        (
            "websocket_url",
            "websocket_url = \"/ws/\" # default".to_owned(),
        ),
    ] {
        assert_eq!(printed(&print.stdout, key), line);
    }
}

#[test]
fn what_check_prints_is_a_file_that_says_the_same() {
    let (_dir, rules) = file(
        "[django]\nversion = 2\n[jwt]\nissuer = 'me'\n\
         [[rule]]\nfacility = 'a/\"b\"/*'\nallow = ['subscribe-user']\nrequire = 'group:x'\n\
         [[rule]]\nfacility = '**'\nallow = 'all'\n",
    );
    let arguments = [
        "check",
        "--print",
        "--origin",
        "https://a.example,http://b.example:8080",
        "--trusted",
        "10.0.0.0/8",
        "--heartbeat",
        "say \"hi\"\t",
        "--sessions-max",
        "100",
        "--ping-interval",
        "90s",
        "--log-format",
        "json",
        "--listen",
        "unix:/a,[::1]:9000",
        "--admin",
        "off",
        "--config",
        &rules,
    ];
    let values = |text: &str| {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| {
                line.rsplit_once("  #")
                    .map_or(line, |(value, _)| value)
                    .trim()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    let first = run(&arguments).stdout;
    let (_dir, path) = file(&first);
    let second = run(&["check", "--print", "--config", &path]);
    assert_eq!(second.stderr, "");
    assert_eq!(values(&second.stdout), values(&first));
    assert!(first.contains("sessions_max = 100"));
    let rule = "[[rule]]\nfacility = \"a/\\\"b\\\"/*\"\nallow = [\"subscribe-user\"]\nrequire = \"group:x\"\n";
    assert!(second.stdout.contains(rule), "{}", second.stdout);
}

#[test]
fn the_worst_case_in_memory_is_a_sum_that_follows_the_limits() {
    let sum = |arguments: &[&str]| {
        let stdout = run(&[&["check", "--print"], arguments].concat()).stdout;
        let (_, terms) = stdout.split_once("# Memory").unwrap();
        let mebibytes = |line: &str| {
            let (_, rest) = line.strip_suffix(" MiB")?.rsplit_once(' ')?;
            rest.parse::<f64>().ok()
        };
        let mut amounts: Vec<f64> = terms.lines().filter_map(mebibytes).collect();
        let together = amounts.pop().unwrap();
        assert!(
            (together - amounts.iter().sum::<f64>()).abs() < 1.0,
            "{terms}"
        );
        together
    };
    let usual = sum(&[]);
    assert!(sum(&["--budget-bytes-max", "1GiB"]) > usual + 700.0);
    assert!(sum(&["--embedded"]) > usual);
}

#[test]
fn unknown_names_suggest_the_nearest_wherever_they_stand() {
    let (_dir, path) = file("[limits]\nsesions_max = 5");
    let run = |environment: &[(&str, &str)], arguments: &[&str]| {
        let run = run_in(environment, arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        run.stderr
    };
    assert_eq!(
        run(&[], &["check", "--config", &path]),
        format!(
            "ws4redis: {path}, line 2: unknown key sesions_max in [limits]: did you mean sessions_max in [limits]?\n"
        )
    );
    assert_eq!(
        run(&[("WS4REDIS_EXPIRES", "1")], &["check"]),
        "ws4redis: WS4REDIS_EXPIRES: unknown variable: did you mean WS4REDIS_EXPIRE?\n"
    );
    assert!(run(&[], &["check", "--heartbeet", "x"]).contains("--heartbeat"));
}

#[test]
fn a_value_that_cannot_work_is_refused_before_anything_starts() {
    for (arguments, message) in [
        (
            &["--websocket-url", "ws"][..],
            "--websocket-url must begin and end with a slash",
        ),
        (
            &["--pending-max", "20000"],
            "--pending-max must be at most sessions_max (19000)",
        ),
        (&["--redis", "rediss://h"], "stunnel"),
        (
            &["--embedded", "--redis", "redis://h"],
            "--embedded and --redis contradict each other",
        ),
        (&["--embedded=0.0.0.0:6380"], "loopback"),
        (&["--expire", "250ms"], "whole seconds"),
        (
            &["--admin", "127.0.0.1:8000"],
            "--admin must not be an address of listen",
        ),
    ] {
        let run = run(&[&["serve"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.contains(message), "{}", run.stderr);
    }
}

#[test]
fn no_output_ever_holds_a_password() {
    let port = free_port();
    let url = format!("redis://john:hunter2@127.0.0.1:{port}/1");
    let secret = [("WS4REDIS_CONNECTION", url.as_str())];
    let print = run_in(&secret, &["check", "--print"]);
    let masked = format!("redis://john:***@127.0.0.1:{port}/1");
    assert!(print.stdout.contains(&masked));
    let (_dir, not_toml) = file(&format!("redis = \"{url}\nexpire = 1"));
    let mut runs = vec![
        print,
        run_in(&secret, &["check"]),
        run_in(&secret, &["publish", "f", "m", "--broadcast"]),
        run_in(&secret, &["fetch", "f"]),
        run_in(&secret, &["serve", "--embedded"]),
        run(&["check", "--config", &not_toml]),
    ];
    for wrong in [
        "redis://hunter2@h",
        "redis://:hunter2@h:x",
        "hunter2",
        "redis://h?pass=hunter2",
    ] {
        runs.push(run(&["check", "--redis", wrong]));
        runs.push(run_in(&[("WS4REDIS_CONNECTION", wrong)], &["check"]));
    }
    for run in &runs {
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(!all.is_empty() && !all.contains("hunter2"), "{all}");
    }
    // The gateway's own log, at its most talkative, while its Redis is away.
    let gateway = Gateway::launch(&["--redis", &url, "--log", "trace"]);
    crate::support::wait::until("it says that Redis is away", || {
        gateway
            .log_text()
            .contains("no link to Redis")
            .then_some(())
    });
    assert!(!gateway.log_text().contains("hunter2"));
}

#[test]
fn a_key_is_said_in_a_file_or_in_the_environment_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "hunter2\n").unwrap();
    let key = key.to_str().unwrap();
    let in_file = run(&["check", "--print", "--jwt-key-file", key]);
    let line = format!("key_file = \"{key}\" # --jwt-key-file");
    assert!(in_file.stdout.contains("[jwt]") && printed(&in_file.stdout, "key_file") == line);
    let secret = [
        ("WS4REDIS_JWT_KEY", "hunter2"),
        ("WS4REDIS_DJANGO_SECRET_KEY", "hunter2"),
        ("WS4REDIS_CONTROL_SECRET", "hunter2"),
    ];
    let said = run_in(&secret, &["check", "--print"]);
    assert_eq!(
        printed(&said.stdout, "key_file"),
        "# key_file # WS4REDIS_JWT_KEY"
    );
    assert_eq!(
        printed(&said.stdout, "secret_file"),
        "# secret_file # WS4REDIS_CONTROL_SECRET"
    );
    let missing = run(&["check", "--jwt-key-file", "/nowhere"]);
    assert_eq!(missing.code, 2);
    assert!(
        missing
            .stderr
            .contains("--jwt-key-file must be a file with a key, and /nowhere")
    );
    for run in [in_file, said, missing] {
        assert!(!format!("{}{}", run.stdout, run.stderr).contains("hunter2"));
    }
}

#[test]
fn embedded_mode_says_plainly_what_it_is_and_how_to_leave_it() {
    let gateway = Gateway::start_embedded(&[]);
    let log = gateway.log_text();
    let address = gateway.embedded().to_string();
    let line = log.lines().find(|line| line.contains("EMBEDDED")).unwrap();
    assert!(line.contains(&address), "{line}");
    assert!(line.contains("--redis redis://"), "{line}");
    let page = format!("open http://{}/ in a browser", gateway.address());
    assert!(log.contains(&page), "{log}");
    // The original's openness is said as well.
    assert!(log.contains("every client may subscribe and publish"));
}

#[test]
fn an_address_that_is_taken_is_a_failure_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = run(&[
        "serve",
        "--embedded=127.0.0.1:0",
        "--admin",
        "off",
        "--listen",
        &address,
    ]);
    assert_eq!(run.code, 1);
    let last = run.stderr.lines().last().unwrap();
    assert!(
        last.starts_with("ws4redis: cannot listen on ") && last.contains(&address),
        "{last}"
    );
}
