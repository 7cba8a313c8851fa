//! Orders through a real Redis: by the command, by Python, and by the library.

use tempfile::TempDir;
use ws4redis::config::Secret;
use ws4redis::{Order, RedisStore};

use crate::cli::{Run, command, run_in};
use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::python;
use crate::support::redis::Redis;
use crate::support::wait::{self, PATIENCE};

const KEY: &str = "a key for tests, of thirty-two bytes or so";

/// A Redis, a secret in a file, and what hands both to the binary.
struct Site {
    redis: Redis,
    dir: TempDir,
}

impl Site {
    fn start() -> Site {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), format!("{KEY}\n")).unwrap();
        Site {
            redis: Redis::start(),
            dir,
        }
    }

    fn secret_file(&self) -> String {
        self.dir.path().join("secret").to_str().unwrap().to_owned()
    }

    fn gateway(&self) -> Gateway {
        let secret = self.secret_file();
        let arguments = ["--control-secret-file", &secret, "--trusted=127.0.0.1/32"];
        Gateway::start(&self.redis, &arguments)
    }

    fn disconnect(&self, arguments: &[&str]) -> Run {
        let (url, secret) = (self.redis.unix_url(), self.secret_file());
        let environment = [
            ("WS4REDIS_CONNECTION", url.as_str()),
            ("WS4REDIS_CONTROL_SECRET_FILE", secret.as_str()),
        ];
        run_in(&environment, &[&["disconnect"], arguments].concat())
    }
}

fn of(gateway: &Gateway, user: &str, groups: &str, session: &str) -> Client {
    let fields = [
        ("X-Ws4redis-User", user),
        ("X-Ws4redis-Groups", groups),
        ("X-Ws4redis-Session", session),
    ];
    gateway
        .client_with("f?subscribe-broadcast", &fields)
        .unwrap()
}

#[test]
fn the_command_ends_the_sessions_that_are_meant_on_every_gateway() {
    let site = Site::start();
    let none = site.disconnect(&["--user", "john"]);
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
    assert!(
        none.stderr.contains("no gateway heard it")
            && none.stderr.contains("same Redis and prefix"),
        "{}",
        none.stderr
    );

    let (first, second) = (site.gateway(), site.gateway());
    let mut john = of(&first, "john", "staff", "k1");
    let mut also_john = of(&second, "john", "", "k2");
    let mut mary = of(&second, "mary", "staff", "k3");
    let done = site.disconnect(&["--user", "john", "--session", "k1"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let said = "disconnect published to ws4redis:control: 2 gateways or workers heard it\n";
    assert_eq!(done.stdout, said);
    assert_eq!(john.closed(), (4403, "revoked".to_owned()));
    also_john.expect_silence("still here", site.redis.speaker("broadcast:f"));
    mary.expect("still here");

    assert_eq!(site.disconnect(&["--group", "staff", "--recheck"]).code, 0);
    assert_eq!(mary.closed(), (1012, "recheck".to_owned()));
    also_john.expect_silence("still here", site.redis.speaker("broadcast:f"));
    assert_eq!(second.metric("ws4redis_orders_total"), Some(2.0));
    let closed = second.metric("ws4redis_closes_total{reason=\"recheck\"}");
    assert_eq!(closed, Some(1.0));
    wait::until("the order is in the log", || {
        first
            .log_text()
            .contains("an order met clients")
            .then_some(())
    });
    for log in [first.log_text(), second.log_text()] {
        assert!(!log.contains("k1") && !log.contains(KEY), "{log}");
    }
}

#[test]
fn the_terminals_client_comes_back_after_a_recheck_and_not_after_a_disconnect() {
    let site = Site::start();
    let gateway = site.gateway();
    let address = gateway.address().to_string();
    let arguments = [
        "listen",
        "f",
        "--listen",
        &address,
        "--header",
        "X-Ws4redis-User: john",
    ];
    let mut listener = Process::start(&mut command(&arguments));
    let connected = |times: usize| {
        wait::until("it is connected", || {
            let lines = listener.errors.all();
            let connected = lines.iter().filter(|line| line.contains("connected to"));
            (connected.count() == times).then_some(())
        });
    };
    connected(1);
    assert_eq!(site.disconnect(&["--user", "john", "--recheck"]).code, 0);
    connected(2);
    assert_eq!(site.disconnect(&["--user", "john"]).code, 0);
    assert_eq!(listener.end(PATIENCE).code(), Some(1));
    let lines = listener.errors.all();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("1012 (recheck): who we are")),
        "{lines:?}"
    );
    let last = lines.last().unwrap();
    assert!(
        last.contains("4403 (revoked)") && !last.contains("again in"),
        "{last}"
    );
}

#[test]
fn python_by_the_document_ends_a_session() {
    let site = Site::start();
    let gateway = site.gateway();
    let mut john = of(&gateway, "jörg", "staff", "k1");
    let mut mary = of(&gateway, "mary", "staff", "k2");
    let secret = site.secret_file();
    let heard = |more: &[&str]| {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/access.md");
        let redis = ["--unix-socket", site.redis.socket(), "--page", page];
        python::run("publish_order.py", &[&redis, more].concat())
    };
    let good = [
        "--secret-file",
        &secret,
        "--user",
        "jörg",
        "--group",
        "staff",
    ];
    assert_eq!(heard(&good), ["1"]);
    assert_eq!(john.closed(), (4403, "revoked".to_owned()));

    let other = site.dir.path().join("other");
    std::fs::write(&other, "another key, of thirty-two bytes and more").unwrap();
    let forged = ["--secret-file", other.to_str().unwrap(), "--user", "mary"];
    assert_eq!(heard(&forged), ["1"]);
    wait::until("the forged order is told", || {
        gateway
            .log_text()
            .contains("its signature is wrong")
            .then_some(())
    });
    let refused = gateway.metric("ws4redis_orders_refused_total");
    assert_eq!(refused, Some(1.0));
    mary.expect_silence("still here", site.redis.speaker("broadcast:f"));
}

#[test]
fn the_library_ends_a_session_and_says_what_is_wrong_with_an_order_or_a_secret() {
    let site = Site::start();
    let gateway = site.gateway();
    let mut john = of(&gateway, "john", "", "");
    let redis = site.redis.unix_url().parse().unwrap();
    let mut store = RedisStore::new(&redis);
    let order = Order::disconnect().user("john");
    let secret = Secret::new(KEY.to_owned());
    assert_eq!(store.order(&order, Some(&secret)).unwrap(), 1);
    assert_eq!(john.closed(), (4403, "revoked".to_owned()));
    let nobody = store.order(&Order::recheck(), None).unwrap_err();
    assert!(nobody.to_string().contains("names a user"));
    let long = Order::disconnect().user("j".repeat(5_000));
    let long = store.order(&long, Some(&secret)).unwrap_err();
    assert!(long.to_string().contains("4096 bytes"));
    let short = Secret::new("short".to_owned());
    let short = store.order(&order, Some(&short)).unwrap_err().to_string();
    assert!(short.contains("32 bytes") && !short.contains("short "));
}

#[test]
fn a_command_that_could_not_be_heard_says_what_to_set() {
    let nobody = run_in(&[], &["disconnect"]);
    assert_eq!(nobody.code, 2);
    assert!(nobody.stderr.contains("--user NAME"), "{}", nobody.stderr);
    let off = run_in(&[], &["disconnect", "--user", "john"]);
    assert_eq!(off.code, 2);
    assert!(
        off.stderr.contains("--control-secret-file") && off.stderr.contains("--control-unsigned"),
        "{}",
        off.stderr
    );
}

#[test]
fn where_acl_fences_the_channel_a_plain_order_will_do_and_check_names_the_fence() {
    let redis = Redis::start();
    redis.call(&["ACL", "SETUSER", "app", "on", ">hunter2", "+multi"]);
    let url = format!("unix://app:hunter2@{}", redis.socket());
    let environment = [("WS4REDIS_CONNECTION", url.as_str())];
    let check = run_in(&environment, &["check", "--control-unsigned"]);
    assert!(
        check.stdout.contains("FAIL  rights: SUBSCRIBE")
            && check.stdout.contains("ws4redis:control"),
        "{}",
        check.stdout
    );
    assert!(check.stdout.contains("may end any session"));
    let rule = check
        .stdout
        .lines()
        .find_map(|line| line.split_once("ACL SETUSER "));
    let words: Vec<&str> = rule.expect("a rule").1.split(' ').collect();
    redis.call(&[&["ACL", "SETUSER"][..], &words].concat());
    let again = run_in(&environment, &["check", "--control-unsigned"]);
    assert_eq!(again.code, 0, "{}", again.stdout);

    let gateway = Gateway::launch(&[
        "--redis",
        &url,
        "--control-unsigned",
        "--trusted=127.0.0.1/32",
    ]);
    gateway.wait_ready();
    let mut john = of(&gateway, "john", "", "");
    let order = r#"{"action": "disconnect", "user": "john"}"#;
    assert_eq!(redis.publish("ws4redis:control", order), 1);
    assert_eq!(john.closed(), (4403, "revoked".to_owned()));
}
