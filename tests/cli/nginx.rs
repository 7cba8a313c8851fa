//! `check --nginx`: the files of docs/nginx are right, and what is taken out of them is missed. `tests/nginx.rs` runs
//! the same files.

use std::fs;
use std::path::Path;

use super::{Run, run};

const UNIX: &str = "unix:/run/ws4redis/ws4redis.sock";

/// Each file, and how its gateway is started.
const SITES: [(&str, &[&str]); 7] = [
    ("unix.conf", &["--listen", UNIX]),
    (
        "plain.conf",
        &["--listen", "127.0.0.1:8000", "--trusted", "127.0.0.1"],
    ),
    ("tls.conf", &["--listen", UNIX]),
    ("auth_request.conf", &["--listen", UNIX]),
    ("limit_conn.conf", &["--listen", UNIX]),
    ("upstream.conf", &["--listen", "unix:/run/ws4redis/1.sock"]),
    ("operator.conf", &["--listen", UNIX]),
];

fn check(file: &Path, arguments: &[&str]) -> Run {
    let file = file.to_str().unwrap();
    run(&[&["check", "--nginx", file], arguments].concat())
}

/// What is wrong with this text as a site, beside the snippet.
fn check_text(site: &str, arguments: &[&str]) -> Run {
    let snippet = fs::read_to_string("docs/nginx/snippets/ws4redis.conf").unwrap();
    check_with(site, &snippet, arguments)
}

fn check_with(site: &str, snippet: &str, arguments: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("snippets")).unwrap();
    fs::write(dir.path().join("snippets/ws4redis.conf"), snippet).unwrap();
    let file = dir.path().join("site.conf");
    fs::write(&file, site).unwrap();
    check(&file, arguments)
}

fn unix_conf() -> String {
    fs::read_to_string("docs/nginx/unix.conf").unwrap()
}

/// The findings of this level, each with what comes of it and what to write.
fn findings<'a>(run: &'a Run, level: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = run.stdout.as_str();
    while !rest.is_empty() {
        let next = rest.match_indices('\n').map(|(at, _)| at + 1);
        let is_start = |at: &usize| !rest[*at..].starts_with(' ');
        let end = next.into_iter().find(is_start).unwrap_or(rest.len());
        found.extend(Some(&rest[..end]).filter(|finding| finding.starts_with(level)));
        rest = &rest[end..];
    }
    found
}

#[test]
fn the_files_of_the_documentation_are_right() {
    for (file, arguments) in SITES {
        let run = check(&Path::new("docs/nginx").join(file), arguments);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
        let is_ok = run.stdout.starts_with(&format!("ok    docs/nginx/{file}:"));
        assert!(is_ok, "{}", run.stdout);
        for level in ["FAIL", "warn"] {
            assert_eq!(findings(&run, level), [""; 0], "{file}");
        }
    }
}

#[test]
fn without_its_snippet_none_of_them_is_right() {
    for (file, arguments) in SITES {
        let site = fs::read_to_string(format!("docs/nginx/{file}")).unwrap();
        let run = check_text(
            &site.replace("include snippets/ws4redis.conf;", ""),
            arguments,
        );
        assert_eq!(run.code, 1, "{file}");
        for word in [
            "HTTP/1.0",
            "Upgrade $http_upgrade;",
            "Connection \"upgrade\";",
            "Host $http_host;",
        ] {
            assert!(
                findings(&run, "FAIL").join("").contains(word),
                "{file}: {}",
                run.stdout
            );
        }
    }
}

#[test]
fn the_readmes_location_is_right_by_itself() {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, snippet) = readme.split_once("```nginx\n").unwrap();
    let run = check_text(snippet.split("```").next().unwrap(), &["--listen", UNIX]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert_eq!(findings(&run, "warn"), [""; 0]);
}

#[test]
fn each_line_that_is_taken_out_is_missed_with_what_comes_of_it_and_the_line_itself() {
    let snippet = fs::read_to_string("docs/nginx/snippets/ws4redis.conf").unwrap();
    let mut lines = 0;
    for line in snippet.lines().filter(|line| line.ends_with(';')) {
        lines += 1;
        let (word, more) = match line {
            "proxy_http_version 1.1;" => ("400", &[][..]),
            line if line.contains("Upgrade") || line.contains("Connection") => ("426", &[][..]),
            line if line.contains("Host") => ("403", &[][..]),
            line if line.contains("X-Forwarded-For") => ("limits by address", &[][..]),
            line if line.contains("X-Ws4redis-") => ("is whoever it says it is", &[][..]),
            // nginx' own 60 s are enough for what the gateway does by itself.
            _ => ("cuts clients off", &["--ping-interval", "1m"][..]),
        };
        let arguments = [&["--listen", UNIX], more].concat();
        let run = check_with(&unix_conf(), &snippet.replace(line, ""), &arguments);
        assert_eq!(run.code, 1, "{line}: {}", run.stdout);
        let faults = findings(&run, "FAIL");
        assert_eq!(faults.len(), 1, "{line}: {}", run.stdout);
        assert!(
            faults[0].contains("site.conf:8: location /ws/"),
            "{line}: {}",
            faults[0]
        );
        assert!(faults[0].contains(word), "{line}: {}", faults[0]);
        let written = match line.strip_prefix("proxy_read_timeout") {
            Some(_) => "proxy_read_timeout 140s;",
            None => line,
        };
        assert!(
            faults[0].contains(&format!("write: {written}\n")),
            "{line}: {}",
            faults[0]
        );
    }
    assert_eq!(lines, 9);
}

/// Replaces `word` in unix.conf; there is one finding of this level, and it says this.
#[track_caller]
fn assert_one(word: &str, by: &str, level: &str, expected: &str) {
    let site = unix_conf();
    assert!(site.contains(word), "{word}");
    let run = check_text(&site.replace(word, by), &["--listen", UNIX]);
    assert_eq!(run.code, i32::from(level == "FAIL"), "{by}: {}", run.stdout);
    let found = findings(&run, level);
    assert!(
        matches!(found[..], [one] if one.contains(expected)),
        "{by}: {}",
        run.stdout
    );
}

#[test]
fn a_line_that_is_wrong_is_told_by_its_number() {
    const SNIPPET: &str = "include snippets/ws4redis.conf;";
    for (line, expected) in [
        ("proxy_http_version 1.0;", "location /ws/: HTTP/1.0"),
        (
            "proxy_pass_request_headers off;",
            "proxy_pass_request_headers",
        ),
        (
            "proxy_read_timeout 30s;",
            "location /ws/: proxy_read_timeout is 30s",
        ),
        (
            "proxy_set_header Connection close;",
            "Connection is \"close\"",
        ),
        ("proxy_set_header Upgrade h2c;", "Upgrade is \"h2c\""),
        ("proxy_set_header Host example.com;", "Host is set twice"),
        ("proxy_set_header Origin '';", "the Origin"),
        (
            "proxy_set_header X-Forwarded-For $http_x_forwarded_for;",
            "X-Forwarded-For comes from the client",
        ),
    ] {
        let added = format!("{SNIPPET} {line}");
        assert_one(
            SNIPPET,
            &added,
            "FAIL",
            &format!("site.conf:10: {expected}"),
        );
    }
    for (line, expected) in [
        ("proxy_read_timeout 35s;", "late by less than pong_timeout"),
        (
            "proxy_set_header Connection $up;",
            "no file that was read says what $up is",
        ),
        (
            "proxy_set_header X-Forwarded-For '';",
            "X-Forwarded-For is taken away",
        ),
    ] {
        assert_one(SNIPPET, &format!("{SNIPPET} {line}"), "warn", expected);
    }
    for value in [
        "$http_x_ws4redis_user",
        "$http_x_user",
        "$arg_user",
        "u-${cookie_user}",
    ] {
        let said = format!("{SNIPPET} proxy_set_header x-ws4redis-user {value};");
        let expected = format!("x-ws4redis-user is {value}, which the client says");
        assert_one(SNIPPET, &said, "FAIL", &expected);
    }
    let certificate = format!("{SNIPPET} proxy_set_header X-Ws4redis-User $ssl_client_s_dn;");
    let site = unix_conf().replace(SNIPPET, &certificate);
    assert_eq!(check_text(&site, &["--listen", UNIX]).code, 0);
}

#[test]
fn a_variable_in_the_place_of_the_address_is_no_fault_and_the_rest_is_looked_at() {
    let pass = "proxy_pass http://unix:/run/ws4redis/ws4redis.sock;";
    let site = unix_conf().replace(pass, "proxy_pass http://$gateway;");
    let run = check_text(&site, &["--listen", UNIX]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    let [warning] = findings(&run, "warn")[..] else {
        panic!("{}", run.stdout)
    };
    assert!(warning.contains("leads to http://$gateway, and variables are not followed"));
    let include = "include snippets/ws4redis.conf;";
    let run = check_text(&site.replace(include, ""), &["--listen", UNIX]);
    let said = run.stdout.contains("whoever it says it is");
    assert!(said, "{}", run.stdout);
}

#[test]
fn a_location_that_the_gateway_does_not_know_is_told_with_what_becomes_of_its_path() {
    let pass = "proxy_pass http://unix:/run/ws4redis/ws4redis.sock;";
    let stripped = pass.replace(".sock", ".sock:/");
    assert_one(
        pass,
        &stripped,
        "FAIL",
        ":9: location /ws/: proxy_pass with a path puts / in place of /ws/",
    );
    assert_one(pass, &stripped, "FAIL", &format!("write: {pass}\n"));
    assert_one(
        pass,
        &pass.replace("http:", "https:"),
        "FAIL",
        ":9: https:// to the gateway",
    );
    let elsewhere = ":8: location /chat/ passes paths on that are not under /ws/";
    assert_one("location /ws/ {", "location /chat/ {", "FAIL", elsewhere);
    for (word, by) in [
        (pass, pass.replace(".sock", ".sock:/ws/")),
        (
            "location /ws/ {",
            "location /chat/ { rewrite ^/chat/(.*) /ws/$1 break;".to_owned(),
        ),
        ("location /ws/ {", "location / {".to_owned()),
        ("location /ws/ {", "location ~ ^/ws/ {".to_owned()),
    ] {
        let run = check_text(&unix_conf().replace(word, &by), &["--listen", UNIX]);
        assert_eq!(run.code, 0, "{by}: {}", run.stdout);
    }
}

#[test]
fn a_map_counts_for_what_it_makes_of_a_websocket() {
    let snippet = fs::read_to_string("docs/nginx/snippets/ws4redis.conf").unwrap();
    let mapped = snippet.replace("\"upgrade\"", "$connection_upgrade");
    let checked = |map: &str| {
        let site = format!(
            "map $http_upgrade $connection_upgrade {{ {map} }}\n{}",
            unix_conf()
        );
        check_with(&site, &mapped, &["--listen", UNIX])
    };
    for map in [
        "default upgrade; '' close;",
        "default ''; WebSocket Upgrade;",
    ] {
        let run = checked(map);
        assert_eq!(run.code, 0, "{map}: {}", run.stdout);
        assert_eq!(findings(&run, "warn"), [""; 0], "{map}");
    }
    let run = checked("default close; '' upgrade;");
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(
        run.stdout.contains("default upgrade;   in the map of "),
        "{}",
        run.stdout
    );
}

#[test]
fn headers_of_the_server_are_lost_to_a_location_that_has_its_own() {
    let snippet = fs::read_to_string("docs/nginx/snippets/ws4redis.conf").unwrap();
    let location = "location /ws/ { proxy_pass http://unix:/run/ws4redis/ws4redis.sock;";
    let inherited = format!("server {{\n{snippet}\n{location} }} }}");
    let run = check_text(&inherited, &["--listen", UNIX]);
    assert_eq!(run.code, 0, "{}", run.stdout);

    let trap =
        format!("server {{\n{snippet}\n{location}\nproxy_set_header X-Real-IP $remote_addr; }} }}");
    let run = check_text(&trap, &["--listen", UNIX]);
    assert_eq!(run.code, 1);
    let faults = findings(&run, "FAIL");
    // Upgrade, Connection, Host, identity, address; what is no header is still inherited.
    assert_eq!(faults.len(), 5, "{}", run.stdout);
    for fault in faults {
        assert!(fault.contains("inherited all or none"), "{fault}");
    }
}

#[test]
fn a_timeout_is_judged_by_what_this_gateway_does() {
    let with = |timeout: &str| {
        unix_conf().replace(".conf;", &format!(".conf; proxy_read_timeout {timeout};"))
    };
    for (timeout, arguments, code, words) in [
        ("5s", &[][..], 1, "ping_interval is 30s"),
        (
            "'1m 30s'",
            &["--ping-interval", "2m"],
            1,
            "proxy_read_timeout is 90s",
        ),
        ("1h", &["--ping-interval", "2m"], 0, "come through"),
        ("15s", &["--heartbeat=--heartbeat--"], 0, "come through"),
        (
            "3s",
            &["--heartbeat=--heartbeat--"],
            1,
            "heartbeat goes out every 4s",
        ),
    ] {
        let run = check_text(&with(timeout), &[&["--listen", UNIX], arguments].concat());
        assert_eq!(run.code, code, "{timeout}: {}", run.stdout);
        assert!(run.stdout.contains(words), "{timeout}: {}", run.stdout);
    }
}

#[test]
fn what_is_not_believed_need_not_be_kept_from_clients_and_does_not_help() {
    let bare = fs::read_to_string("docs/nginx/snippets/ws4redis.conf").unwrap();
    let bare: String = bare
        .lines()
        .filter(|line| !line.contains("X-Ws4redis-"))
        .fold(String::new(), |text, line| text + line + "\n");
    let plain = fs::read_to_string("docs/nginx/plain.conf").unwrap();
    let says = format!("{bare}proxy_set_header X-Ws4redis-User $user;");
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let signed = [
        "--headers-secret-file",
        key.to_str().unwrap(),
        "--trusted=127.0.0.1",
    ];
    for (snippet, arguments, code, words) in [
        (
            &bare,
            &["--trusted=127.0.0.1"][..],
            1,
            "is whoever it says it is",
        ),
        (
            &bare,
            &["--identity=cookie", "--trusted=127.0.0.1"],
            0,
            "come through",
        ),
        (&bare, &signed, 0, "come through"),
        (&bare, &[], 0, "does not believe nginx' X-Forwarded-For"),
        (
            &bare,
            &["--sessions-per-address-max=9"],
            1,
            "as many as one address may",
        ),
        (
            &says,
            &[],
            1,
            "X-Ws4redis-User is set, and the gateway does not believe it",
        ),
    ] {
        let run = check_with(&plain, snippet, arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stdout);
        assert!(run.stdout.contains(words), "{arguments:?}: {}", run.stdout);
    }
}

#[test]
fn ways_past_nginx_are_found() {
    let world = "unix:/run/ws4redis/ws4redis.sock?mode=0666";
    for (site, arguments, code, words) in [
        (
            "unix.conf",
            &["--listen", world][..],
            1,
            "everybody on this machine may connect (mode 0666)",
        ),
        (
            "unix.conf",
            &["--listen", world, "--identity=cookie"],
            0,
            "past nginx' limits",
        ),
        (
            "plain.conf",
            &["--listen=0.0.0.0:8000", "--trusted=127.0.0.1"],
            0,
            "clients can come to 0.0.0.0:8000 without nginx",
        ),
        (
            "plain.conf",
            &[
                "--listen=0.0.0.0:8000",
                "--trusted=127.0.0.1",
                "--trusted=10.0.0.0/8",
            ],
            1,
            "everybody in 10.0.0.0/8",
        ),
    ] {
        let run = check(&Path::new("docs/nginx").join(site), arguments);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stdout);
        assert!(run.stdout.contains(words), "{arguments:?}: {}", run.stdout);
    }
}

#[test]
fn the_operators_door_is_not_for_everybody_and_speaks_http_1_1() {
    let operator = fs::read_to_string("docs/nginx/operator.conf").unwrap();
    let run = check_text(&operator.replace("deny all;", ""), &["--listen", UNIX]);
    let warnings = findings(&run, "warn");
    let words = "location = /readyz leads to the gateway's admin listener";
    assert!(
        matches!(warnings[..], [one] if one.contains(words)),
        "{}",
        run.stdout
    );
    let old = operator.replace("proxy_http_version 1.1;", "");
    let run = check_text(&old, &["--listen", UNIX]);
    assert_eq!(run.code, 1);
    assert!(
        run.stdout
            .contains("location = /readyz: no proxy_http_version"),
        "{}",
        run.stdout
    );
}

#[test]
fn dollar_host_is_right_on_the_usual_ports_and_doubtful_on_others() {
    let with = |listen: &str| {
        let snippet = fs::read_to_string("docs/nginx/snippets/ws4redis.conf").unwrap();
        let site = unix_conf().replace("listen 80;", listen);
        check_with(
            &site,
            &snippet.replace("$http_host", "$host"),
            &["--listen", UNIX],
        )
    };
    for listen in [
        "listen 80;",
        "listen [::]:80; listen 443 ssl;",
        "listen unix:/run/x.sock;",
        "",
    ] {
        assert_eq!(findings(&with(listen), "warn"), [""; 0], "{listen}");
    }
    for listen in [
        "listen 8080;",
        "listen 127.0.0.1:8080;",
        "listen [::]:8443 ssl;",
        "listen 443;",
    ] {
        let run = with(listen);
        assert!(
            findings(&run, "warn")[0].contains("$host is without the port"),
            "{}",
            run.stdout
        );
        assert_eq!(run.code, 0);
    }
}

#[test]
fn workers_that_can_not_hold_the_sessions_are_a_hint() {
    let main = |processes: &str, connections| {
        format!(
            "worker_processes {processes}; events {{ worker_connections {connections}; }}\nhttp {{ {} }}",
            unix_conf()
        )
    };
    let arguments = ["--listen", UNIX, "--sessions-max=1000"];
    for (processes, connections, words) in [
        ("auto", 768, "at most 384 clients a worker"),
        ("2", 768, "at most 768 clients, "),
    ] {
        let run = check_text(&main(processes, connections), &arguments);
        assert_eq!(run.code, 0);
        assert!(
            findings(&run, "hint").join("").contains(words),
            "{}",
            run.stdout
        );
    }
    let run = check_text(&main("auto", 2_000), &arguments);
    assert!(!run.stdout.contains("worker_connections"), "{}", run.stdout);
}

#[test]
fn a_gateway_that_no_location_leads_to_is_missed() {
    let elsewhere = ["--listen", "unix:/run/other.sock"];
    let run = check_text(&unix_conf(), &elsewhere);
    assert_eq!(run.code, 1);
    let faults = findings(&run, "FAIL").join("");
    assert!(faults.contains(":9: location /ws/ leads to http://unix:/run/ws4redis/ws4redis.sock, where this gateway does not listen"), "{faults}");
    assert!(
        faults.contains("write: proxy_pass http://unix:/run/other.sock;"),
        "{faults}"
    );

    let run = check_text("server { location / { root /srv; } }", &elsewhere);
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("no proxy_pass leads to the gateway"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_distributions_own_configuration_is_read_with_all_that_it_includes() {
    let debian = Path::new("/etc/nginx/nginx.conf");
    if !debian.exists() {
        return;
    }
    let run = check(debian, &["--listen", UNIX]);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    assert!(
        run.stdout.contains("no proxy_pass leads to the gateway"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_file_that_can_not_be_read_ends_with_2_and_says_where_and_what_was_expected() {
    let missing = check(Path::new("/nowhere/nginx.conf"), &[]);
    assert_eq!((missing.code, missing.stdout.as_str()), (2, ""));
    assert!(
        missing
            .stderr
            .starts_with("ws4redis: cannot read /nowhere/nginx.conf: "),
        "{}",
        missing.stderr
    );
    for (site, words) in [
        (
            "server {\n listen 80\n}",
            "site.conf:3: expected ; or { after `listen` of line 2, found }",
        ),
        (
            "\ninclude nowhere.conf;",
            "site.conf:2: cannot include nowhere.conf: ",
        ),
    ] {
        let run = check_text(site, &[]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
    let both = run(&["check", "--nginx", "x", "--print"]);
    assert_eq!(both.code, 2);
}
