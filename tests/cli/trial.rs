//! `check --url`: what a client would get.

use super::{Run, run, run_in};

const RULES: &str = "\
facilities = ['chat/**', 'news']
allowed_channels = ['subscribe-broadcast', 'subscribe-session']
[[rule]]
facility = 'chat/staff'
require = 'group:staff'
[[rule]]
facility = 'chat/*'
allow = ['subscribe-user', 'subscribe-group', 'publish-user']
";

fn check(arguments: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ws4redis.toml");
    std::fs::write(&path, RULES).unwrap();
    let file = [("WS4REDIS_CONFIG", path.to_str().unwrap())];
    run_in(&file, &[&["check"], arguments].concat())
}

#[test]
fn it_shows_the_rule_the_flags_and_the_channels() {
    let url =
        "/ws/chat/1?subscribe-user&subscribe-group&publish-user&publish-broadcast&echo&colour";
    let client = [
        "--as",
        "john",
        "--groups",
        "chatters,staff",
        "--session",
        "k",
        "--url",
        url,
    ];
    let run = check(&client);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(
        run.stdout.lines().collect::<Vec<_>>(),
        [
            "ok    client: user john, groups chatters,staff, session k",
            "ok    facility: chat/1: rule 2, chat/*",
            "ok    flags: subscribe-user subscribe-group publish-user echo",
            "warn  flags: not allowed, and discarded: publish-broadcast",
            "warn  flags: mean nothing: colour",
            "ok    hears: group:chatters:chat/1 group:staff:chat/1 user:john:chat/1",
            "ok    speaks to: user:john:chat/1",
        ]
    );
}

#[test]
fn where_no_rule_matches_it_says_so_and_who_is_nobody_hears_nothing_of_a_user() {
    let run = check(&[
        "--prefix",
        "p",
        "--url",
        "wss://site.example/ws/news?subscribe-broadcast&subscribe-session",
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for line in [
        "ok    client: nobody, no groups, no session",
        "ok    facility: news: no rule is for it; allowed_channels counts",
        "ok    hears: p:broadcast:news\n",
        "ok    speaks to: none",
    ] {
        assert!(run.stdout.contains(line), "{}", run.stdout);
    }
}

#[test]
fn a_refusal_is_told_with_its_status_and_reason_and_is_a_negative_answer() {
    let long = format!("/ws/chat/{}", "x".repeat(300));
    for (url, line) in [
        (
            "/ws/chat/staff",
            "FAIL  refused: 403 forbidden: the rule requires group:staff",
        ),
        (
            "/ws/weather",
            "FAIL  refused: 404 not_found: `facilities` does not list it",
        ),
        (
            "/chat/1",
            "FAIL  refused: 404 not_found: the path does not begin with websocket_url, which is /ws/",
        ),
        (&long, "FAIL  refused: 400 bad_facility"),
    ] {
        let run = check(&["--as", "john", "--url", url]);
        assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{url}");
        assert!(run.stdout.contains(line), "{url}: {}", run.stdout);
    }
}

#[test]
fn what_belongs_together_must_be_said_together() {
    for (arguments, hint) in [
        (&["check", "--as", "john"][..], "--url"),
        (&["check", "--url", "chat?x"], "/ws/chat/1?subscribe-user"),
        (&["check", "--print", "--url", "/ws/x"], "--print"),
    ] {
        let run = run(arguments);
        assert_eq!(run.code, 2, "{arguments:?}");
        assert!(run.stderr.contains(hint), "{}", run.stderr);
    }
}
