//! `check`, against real Redises in all their moods.

use std::process::Command;
use std::thread::available_parallelism;

use super::{Run, finish, run, run_in};
use crate::support::redis::{Redis, free_port};
use crate::support::resp::Reply;

fn check(url: &str, more: &[&str]) -> Run {
    run_in(
        &[("WS4REDIS_CONNECTION", url)],
        &[&["check"], more].concat(),
    )
}

/// The lines that begin with this word.
fn lines<'a>(run: &'a Run, level: &str) -> Vec<&'a str> {
    run.stdout
        .lines()
        .filter(|line| line.starts_with(level))
        .collect()
}

#[test]
fn a_redis_in_order_is_ok_and_has_nothing_done_to_it() {
    let redis = Redis::start();
    let run = check(&redis.unix_url(), &[]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    assert_eq!(lines(&run, "FAIL").len(), 0);
    // The one warning that everybody gets.
    let warnings = lines(&run, "warn");
    assert!(
        matches!(warnings[..], [line] if line.contains("every client may subscribe and publish"))
    );
    assert!(run.stdout.contains("as user default"));
    assert_eq!(redis.call(&["DBSIZE"]), Reply::Integer(0));
    let Reply::Bulk(statistics) = redis.call(&["INFO", "commandstats"]) else {
        panic!("no statistics");
    };
    let statistics = String::from_utf8(statistics).unwrap();
    for command in ["publish", "setex", "subscribe", "get"] {
        assert!(
            !statistics.contains(&format!("cmdstat_{command}:")),
            "{statistics}"
        );
    }
}

#[test]
fn rights_that_lack_are_named_and_the_rule_that_is_recommended_is_enough() {
    let redis = Redis::start();
    let user = [
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">hunter2",
        "~shop:broadcast:*",
        "+select",
        "+multi",
        "+get",
    ];
    redis.call(&user);
    let url = format!("unix://app:hunter2@{}", redis.socket());
    let run = check(&url, &["--prefix", "shop"]);
    assert_eq!(run.code, 1, "{}", run.stdout);
    let faults = lines(&run, "FAIL").join("\n");
    for word in [
        "SUBSCRIBE",
        "PUBLISH",
        "SETEX",
        "EXEC",
        "GET shop:user:check:ws4redis-check",
        "probe",
    ] {
        assert!(faults.contains(word), "{word} is not in {faults}");
    }
    assert!(!faults.contains("GET shop:broadcast"), "{faults}");
    let rule = run
        .stdout
        .lines()
        .find_map(|line| line.split_once("ACL SETUSER "));
    let (_, rule) = rule.expect("a rule");
    let words = [
        &["ACL", "SETUSER"][..],
        &rule.split(' ').collect::<Vec<_>>(),
    ]
    .concat();
    assert_eq!(redis.call(&words), Reply::Simple("OK".to_owned()));
    let run = check(&url, &["--prefix", "shop"]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    // It was not even allowed to DISCARD the questions, and still nothing was done.
    assert_eq!(redis.call(&["DBSIZE"]), Reply::Integer(0));
}

#[test]
fn the_recommended_rule_is_enough_for_the_gateway_and_its_clients() {
    use crate::support::gateway::Gateway;
    let redis = Redis::start();
    redis.call(&["ACL", "SETUSER", "app", "on", ">hunter2"]);
    let url = format!("unix://app:hunter2@{}", redis.socket());
    let run = check(&url, &[]);
    // Without +multi nothing can be asked, and so nothing recommended: the error names what is missing.
    assert!(lines(&run, "FAIL")[0].contains("+multi"), "{}", run.stdout);
    redis.call(&["ACL", "SETUSER", "app", "+multi"]);
    let run = check(&url, &[]);
    let rule = run
        .stdout
        .lines()
        .find_map(|line| line.split_once("ACL SETUSER "));
    let (_, rule) = rule.expect("a rule");
    redis.call(
        &[
            &["ACL", "SETUSER"][..],
            &rule.split(' ').collect::<Vec<_>>(),
        ]
        .concat(),
    );
    let gateway = Gateway::launch(&["--redis", &url]);
    gateway.wait_ready();
    let mut client = gateway.client("f?subscribe-broadcast&publish-broadcast&echo");
    client.send("hello");
    client.expect("hello");
}

#[test]
fn the_recommended_rule_lets_the_gateway_read_sessions_where_it_looks_for_them_and_nothing_near() {
    use crate::support::gateway::Gateway;
    let redis = Redis::start();
    redis.call(&["ACL", "SETUSER", "app", "on", ">hunter2", "+multi", "+get"]);
    let url = format!("unix://app:hunter2@{}", redis.socket());
    let django = [
        "--identity=django",
        "--django-engine=cache",
        "--django-key-prefix=site",
        "--origin-required-with-cookie=off",
    ];
    let run = check(&url, &django);
    assert!(run.stdout.contains(" site:1:django"), "{}", run.stdout);
    let rule = run
        .stdout
        .lines()
        .find_map(|line| line.split_once("ACL SETUSER "));
    let (_, rule) = rule.expect("a rule");
    assert!(rule.contains(" ~site:1:django.contrib.sessions.cache* "));
    let words: Vec<&str> = rule.split(' ').collect();
    redis.call(&[&["ACL", "SETUSER"][..], &words].concat());
    assert_eq!(check(&url, &django).code, 0);

    let place = "site:1:django.contrib.sessions.cachek3y0f3ss10n";
    redis.call(&["SET", place, r#"{"ws4redis:username":"john"}"#]);
    let gateway = Gateway::launch(&[&["--redis", &url][..], &django].concat());
    gateway.wait_ready();
    let cookie = [("Cookie", "sessionid=k3y0f3ss10n")];
    let mut john = gateway.client_with("f?subscribe-user", &cookie).unwrap();
    assert_eq!(redis.publish("user:john:f", "hello"), 1);
    john.expect("hello");
}

#[test]
fn a_redis_of_sessions_is_checked_too_and_a_replica_will_do() {
    let messages = Redis::start();
    let nowhere = format!("127.0.0.1 {}", free_port());
    let sessions = Redis::start_with(&["--replicaof", &nowhere]);
    sessions.call(&["ACL", "SETUSER", "app", "on", ">hunter2"]);
    let checked = |url: &str| {
        let redis = [
            "--identity=django",
            "--django-key-prefix=site",
            "--django-redis",
            url,
        ];
        check(&messages.unix_url(), &redis)
    };
    let url = format!("unix://app:hunter2@{}", sessions.socket());
    let run = checked(&url);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{}", run.stdout);
    let faults = lines(&run, "FAIL").join("\n");
    assert!(
        faults.contains("sessions: GET site:") && faults.contains("sessions: PING"),
        "{faults}"
    );
    let rule = run
        .stdout
        .lines()
        .find_map(|line| line.split_once("ACL SETUSER "));
    let (_, rule) = rule.expect("a rule");
    let words: Vec<&str> = rule.split(' ').collect();
    sessions.call(&[&["ACL", "SETUSER"][..], &words].concat());
    let run = checked(&url);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stdout.contains("ok    sessions: unix://app:***@"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("ok    sessions: GET and PING"),
        "{}",
        run.stdout
    );
    // What is read there needs no right where the messages are.
    assert!(!run.stdout.contains("GET site:"), "{}", run.stdout);

    let away = checked(&format!("redis://127.0.0.1:{}", free_port()));
    let faults = lines(&away, "FAIL");
    assert!(
        matches!(faults[..], [line] if line.contains("sessions: ") && line.contains("--django-redis")),
        "{faults:?}"
    );
    let same = checked(&messages.unix_url());
    assert!(!same.stdout.contains("sessions: "), "{}", same.stdout);
}

#[test]
fn keys_that_cannot_be_used_are_told_by_check_and_at_start() {
    use crate::support::gateway::Gateway;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "short").unwrap();
    let path = path.to_str().unwrap();
    let arguments = [
        "--embedded=127.0.0.1:0",
        "--identity=jwt",
        "--jwt-key-file",
        path,
        "--jwt-algorithms=HS256",
    ];
    let told = format!("the keys of [jwt], {path}: the secret has 5 bytes");
    let run = run(&[&["check"], &arguments[..]].concat());
    assert!(
        run.code == 1 && run.stdout.contains(&told),
        "{}",
        run.stdout
    );
    assert!(Gateway::refused(&arguments).contains(&told));
}

#[test]
fn what_is_wrong_with_a_redis_is_said_with_what_to_change() {
    let redis = Redis::start_with(&["--requirepass", "hunter2"]);
    let replica_of = format!("127.0.0.1 {}", free_port());
    let replica = Redis::start_with(&["--replicaof", &replica_of]);
    let socket = redis.socket();
    for (url, words) in [
        (redis.unix_url(), &["NOAUTH", "give a password"][..]),
        (
            format!("unix://:wrong@{socket}"),
            &["WRONGPASS", "check user and password"],
        ),
        (
            format!("unix://:hunter2@{socket}?db=99"),
            &["out of range", "another database"],
        ),
        (
            replica.unix_url(),
            &["read-only replica", "name the master"],
        ),
        (
            format!("redis://127.0.0.1:{}", free_port()),
            &["refused", "is Redis running"],
        ),
    ] {
        let run = check(&url, &[]);
        assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{url}");
        let faults = lines(&run, "FAIL").join("\n");
        for word in words {
            assert!(faults.contains(word), "{url}: {faults}");
        }
    }
    let run = check(&format!("unix://:hunter2@{socket}?db=3"), &[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
}

#[test]
fn what_answers_and_is_no_redis_is_said_to_be_none() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let http = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 64];
        let _ = stream.read(&mut request).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
    });
    let run = check(&url, &[]);
    http.join().unwrap();
    assert_eq!(run.code, 1);
    assert!(
        lines(&run, "FAIL")[0].contains("does not speak as Redis"),
        "{}",
        run.stdout
    );
}

#[test]
fn the_embedded_redis_needs_no_checking() {
    let run = run(&["check", "--embedded"]);
    assert_eq!(run.code, 0);
    assert!(
        run.stdout
            .contains("ok    redis: the embedded one, on 127.0.0.1:6380"),
        "{}",
        run.stdout
    );
}

/// With so many open files allowed.
fn check_with_descriptors(limit: u32, arguments: &[&str]) -> Run {
    let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_ws4redis"), "check"]);
    let command = command.args(["--embedded=127.0.0.1:0"]).args(arguments);
    finish(command.output().unwrap())
}

#[test]
fn files_are_enough_if_those_that_are_no_sessions_fit_in_too() {
    for (sessions, more, is_enough) in [
        ("744", &[][..], true),
        ("745", &[], false),
        ("728", &["--workers=2"], true),
        ("729", &["--workers=2"], false),
        ("734", &["--callback-url=http://localhost/"], false),
    ] {
        let arguments = [&["--sessions-max", sessions], more].concat();
        let run = check_with_descriptors(1_000, &arguments);
        assert_eq!(run.stdout.contains("files: enough for"), is_enough);
        let warnings = lines(&run, "warn");
        let is_warned = warnings.iter().any(|line| line.contains("ulimit -Hn"));
        assert_ne!(is_warned, is_enough, "{sessions}: {warnings:?}");
    }
}

#[test]
fn more_workers_than_cores_are_a_warning() {
    let cores = available_parallelism().unwrap().get();
    for workers in [1, cores, cores + 1].map(|workers| workers.min(64)) {
        let run = run(&[
            "check",
            "--embedded=127.0.0.1:0",
            &format!("--workers={workers}"),
        ]);
        let warnings = lines(&run, "warn");
        let is_warned = warnings.iter().any(|line| line.contains("workers: "));
        assert_eq!(is_warned, workers > cores, "{warnings:?}");
    }
}
