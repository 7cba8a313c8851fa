//! The lines of the quickstarts, as they stand there, with the runtimes that they are for.

use std::process::Command;

use crate::support::browser::Browser;
use crate::support::gateway::Gateway;
use crate::support::quickstart::Quickstart;
use crate::support::redis::Redis;
use crate::support::resp::Reply;
use crate::support::wait;

/// What is published in each of them.
const SAID: [(&str, &str); 3] = [
    ("broadcast:chat", "to everybody"),
    ("user:john:chat", "to John, in each of his browsers"),
    ("group:staff:chat", "to the staff"),
];

/// Blocks that no test runs: what gets packages (tests/setup.sh has them, pinned), and the client, whose own tests do.
const UNRUN: &[&str] = &["pip install", "npm install", "import { WS4Redis }"];

#[test]
fn flask() {
    let quickstart = Quickstart::open("flask", 5000);
    quickstart.write("app.py");
    quickstart.write("publish.py");
    quickstart.start_gateway();
    quickstart.start_application("flask --app app run");
    is_asked_and_john_hears(&quickstart, "/login/john", "python publish.py");
    quickstart.is_run_but_for(UNRUN);
}

#[test]
fn fastapi() {
    let quickstart = Quickstart::open("fastapi", 5000);
    quickstart.shell("head -c 48 /dev/urandom | base64 > jwt.key");
    quickstart.write("app.py");
    quickstart.start_gateway();
    quickstart.start_application("uvicorn app:app");
    let mut browser = Browser::start();
    browser.open(&format!("{}/openapi.json", quickstart.application()));
    listen(&quickstart, &mut browser, "const token");
    is_not_allowed_to_publish(&quickstart, &mut browser, "const token");
    quickstart.run("curl -X POST");
    is_heard(&quickstart.redis, &mut browser);
    // Who has no token is let in as nobody; a wrong one is refused.
    let refused = |token: &str| {
        let authorization = [("Authorization", token)];
        quickstart
            .gateway()
            .client_with("chat?subscribe-user", &authorization)
    };
    assert_eq!(refused("Bearer a.b.c").unwrap_err().status, 403);
    tells_who_hears_what(&quickstart);
    quickstart.is_run_but_for(UNRUN);
}

#[test]
fn node() {
    let quickstart = Quickstart::open("node", 3000);
    quickstart.write("app.mjs");
    quickstart.write("publish.mjs");
    quickstart.start_gateway();
    quickstart.start_application("node app.mjs");
    is_asked_and_john_hears(&quickstart, "/login/john", "node publish.mjs");
    quickstart.is_run_but_for(UNRUN);
}

#[test]
fn php() {
    if !is_there("PHP with phpredis", "php -m | grep -q '^redis$'") {
        return;
    }
    let quickstart = Quickstart::open("php", 8080);
    for file in ["login.php", "publish.php", "ws4redis.php"] {
        quickstart.write(file);
    }
    quickstart.start_gateway();
    quickstart.start_application("php -S");
    is_asked_and_john_hears(&quickstart, "/login.php?name=john", "php publish.php");
    quickstart.is_run_but_for(UNRUN);
}

/// Rails itself is large; what is plain Ruby is run, and its controller is for whoever changes it.
#[test]
fn rails_as_far_as_it_is_ruby() {
    if !is_there("Ruby with its redis", "ruby -r redis -e ''") {
        return;
    }
    let quickstart = Quickstart::open("rails", 3000);
    quickstart.write("app/models/ws4redis.rb");
    let lines = quickstart.beginning("Ws4redis.publish");
    let gateway = Gateway::start(&quickstart.redis, &[]);
    let mut everybody = gateway.client("chat?subscribe-broadcast");
    quickstart.shell(&format!(
        "ruby -r ./app/models/ws4redis.rb <<'END'\n{lines}\nEND"
    ));
    everybody.expect("to everybody");
    is_kept(&quickstart.redis);
}

#[test]
fn redis_cli() {
    let quickstart = Quickstart::open("redis-cli", 5000);
    quickstart.run("openssl rand");
    quickstart.write("ws4redis.toml");
    let gateway = quickstart.start_gateway();
    quickstart.run("base64url()");
    quickstart.start("ws4redis listen");
    wait::until("John listens", || {
        let staff = quickstart.redis.has_subscriber("group:staff:chat");
        (staff && quickstart.redis.has_subscriber("user:john:chat")).then_some(())
    });
    let mut news = gateway.client("news?subscribe-broadcast");
    quickstart.run("redis-cli PUBLISH");
    news.expect("to everybody who listens now");
    quickstart.heard("to the staff");
    quickstart.run("ws4redis publish");
    is_kept(&quickstart.redis);
    assert_eq!(gateway.client_with("chat", &[]).unwrap_err().status, 403);

    // A page of the origin that is listed hears; one of another is refused.
    quickstart.start_application("python3 -m http.server");
    let mut browser = Browser::start();
    browser.open(&quickstart.application());
    let lines = quickstart.beginning("const socket");
    browser.evaluate(&format!(
        "{lines}; new Promise((open) => socket.onopen = open)"
    ));
    quickstart
        .redis
        .publish("broadcast:news", "in the page too");
    browser.wait("document.body.innerText.includes('in the page too')");
    let elsewhere = [("Origin", "http://localhost:1")];
    let refused = gateway.client_with("news", &elsewhere).unwrap_err();
    assert_eq!(refused.status, 403);

    let said = quickstart.run("ws4redis check --config ws4redis.toml\n");
    assert!(said.contains("hears: user:john:chat"), "{said}");
    assert!(said.contains("broadcast:news"), "{said}");
    quickstart.is_run_but_for(UNRUN);
}

/// The site's lines need the package of `clients/django`, and are run by its tests. A publisher is one for the
/// package that we succeed as well, which has the same names.
#[test]
fn django_as_far_as_it_publishes() {
    let quickstart = Quickstart::open("django", 8080);
    quickstart.write("publish.py");
    let gateway = Gateway::start(&quickstart.redis, &[]);
    let mut everybody = gateway.client("chat?subscribe-broadcast");
    let settings = format!(
        "from django.conf import settings\n\
         settings.configure(WS4REDIS_CONNECTION={{'host': 'localhost', 'port': {}}})\n",
        quickstart.redis.port()
    );
    quickstart.shell(&format!("python <<'END'\n{settings}import publish\nEND"));
    everybody.expect("to everybody");
    is_kept(&quickstart.redis);
}

#[test]
fn a_site_that_keeps_its_package_and_changes_only_the_loop_is_heard_by_those_who_are_logged_in() {
    let migrating = Quickstart::of("docs/migrating.md", 8080);
    migrating.write("signals.py");
    let gateway = migrating.start_gateway();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/log_in.py");
    let url = migrating.redis.tcp_url();
    let cookie = migrating.shell(&format!("python {script} {url} signals.py"));
    let origin = format!("http://{}", gateway.address());
    let fields = [("Cookie", cookie.as_str()), ("Origin", &origin)];
    let flags = "chat?subscribe-user&subscribe-group";
    let mut john = gateway.client_with(flags, &fields).unwrap();
    for (channel, message) in [SAID[1], SAID[2]] {
        assert_eq!(migrating.redis.publish(channel, message), 1);
        john.expect(message);
    }
    // A made-up session is nobody's, and has no channel.
    let fields = [("Cookie", "sessionid=madeup0123"), ("Origin", &origin)];
    let flags = "chat?subscribe-user&subscribe-session";
    let _nobody = gateway.client_with(flags, &fields).unwrap();
    let channel = "session:madeup0123:chat";
    assert_eq!(migrating.redis.publish(channel, "not for this one"), 0);
}

/// For the documents in which the application is asked: it is, a stranger is refused, and John hears everything.
fn is_asked_and_john_hears(quickstart: &Quickstart, login: &str, publish: &str) {
    let gateway = quickstart.gateway();
    let origin = quickstart.application();
    let stranger = gateway.client_with("chat?subscribe-user", &[("Origin", &origin)]);
    assert_eq!(stranger.unwrap_err().status, 403);
    let mut browser = Browser::start();
    browser.open(&format!("{origin}{login}"));
    listen(quickstart, &mut browser, "const socket");
    is_not_allowed_to_publish(quickstart, &mut browser, "const socket");
    quickstart.shell(publish);
    is_heard(&quickstart.redis, &mut browser);
    tells_who_hears_what(quickstart);
}

/// Runs the page's lines in the browser, and waits until its channels are subscribed.
fn listen(quickstart: &Quickstart, browser: &mut Browser, words: &str) {
    let lines = quickstart.beginning(words);
    // A console, and a module, may wait at their top.
    browser.evaluate(&format!("(async () => {{ {lines} }})()"));
    for (channel, _) in SAID {
        wait::until(channel, || {
            quickstart.redis.has_subscriber(channel).then_some(())
        });
    }
}

/// The same page with a flag that the application does not allow: what it says goes nowhere.
fn is_not_allowed_to_publish(quickstart: &Quickstart, browser: &mut Browser, words: &str) {
    let lines = quickstart.beginning(words);
    let lines = lines.replace("subscribe-broadcast", "publish-user");
    let speak = "socket.onopen = () => { socket.send('spoken'); socket.close(); }";
    // What came before the client's Close was handled when the gateway answers it.
    let over = "await new Promise((over) => socket.onclose = over)";
    browser.evaluate(&format!("(async () => {{ {lines}; {speak}; {over} }})()"));
    let kept = quickstart.redis.call(&["EXISTS", "user:john:chat"]);
    assert_eq!(kept, Reply::Integer(0));
}

fn is_heard(redis: &Redis, browser: &mut Browser) {
    for (_, message) in SAID {
        browser.wait(&format!("document.body.innerText.includes('{message}')"));
    }
    is_kept(redis);
}

/// Whoever comes later gets it too.
fn is_kept(redis: &Redis) {
    for (key, message) in SAID {
        assert_eq!(redis.call(&["GET", key]), Reply::Bulk(message.into()));
        let Reply::Integer(1..=3600) = redis.call(&["TTL", key]) else {
            panic!("{key} does not expire");
        };
    }
}

fn tells_who_hears_what(quickstart: &Quickstart) {
    let said = quickstart.run("ws4redis check\n");
    assert!(said.contains("hears: user:john:chat"), "{said}");
    assert!(said.lines().any(|line| line == "user:john:chat"), "{said}");
}

/// Is the runtime installed? If not, the test says so and proves nothing.
fn is_there(what: &str, question: &str) -> bool {
    let answer = Command::new("bash").args(["-c", question]).output();
    let is_there = answer.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("LEFT OUT: {what} is not installed; tests/setup.sh installs it");
    }
    is_there
}
