//! The playground page in a real Chromium, against the real gateway with its own little Redis.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, free_address};
use crate::support::resp::{Reply, Resp};
use crate::support::wait::PATIENCE;

#[test]
fn a_publish_reaches_the_page_with_its_time_type_and_size() {
    let (gateway, mut browser) = open("", &[]);
    publish(&mut gateway.embedded_redis(), "broadcast:chat", "Grüße");
    wait_for_rows(&mut browser, "in", 1);
    let row = rows(&mut browser, "in").remove(0);
    assert_eq!(row["body"], "Grüße");
    assert_eq!(row["kind"], "text");
    assert_eq!(row["size"], "7 B", "bytes, not characters");
    let time = row["time"].as_str().unwrap();
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "00:00:00.000");

    let mut redis = gateway.embedded_redis();
    redis.call(&[&b"PUBLISH"[..], b"broadcast:chat", b"\xff\x00\x01"]);
    wait_for_rows(&mut browser, "in", 2);
    let row = rows(&mut browser, "in").remove(1);
    assert_eq!(row["kind"], "binary");
    assert_eq!(row["body"], "ff 00 01");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_the_page_sends_is_published_and_comes_back_only_with_echo() {
    let (gateway, mut browser) = open("", &[]);
    let mut other = gateway.client("chat?subscribe-broadcast");
    say(&mut browser, "without");
    other.expect("without");
    // Order is kept: had the first come back, it would stand before this one.
    publish(&mut gateway.embedded_redis(), "broadcast:chat", "marker");
    wait_for_rows(&mut browser, "in", 1);
    assert_eq!(rows(&mut browser, "in")[0]["body"], "marker");

    browser.evaluate("document.querySelector('[name=echo]').click()");
    wait_for_state(&mut browser, "open");
    browser.evaluate("document.getElementById('clear').click()");
    say(&mut browser, "with");
    other.expect("marker");
    other.expect("with");
    browser.wait("[...document.querySelectorAll('li[data-direction=in] .body')].some((body) => body.textContent === 'with')");
    assert_eq!(rows(&mut browser, "out")[0]["body"], "with");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_says_why_it_is_closed_and_comes_back_by_itself() {
    let address = free_address().to_string();
    let listen = ["--listen", &address];
    let (mut gateway, mut browser) = open("", &listen);
    gateway.kill();
    browser.wait("document.getElementById('state').innerText.includes('1006')");
    browser.wait("document.getElementById('state').innerText.includes('reconnecting in')");

    let mut gateway = Gateway::start_embedded(&listen);
    wait_for_state(&mut browser, "open");
    publish(&mut gateway.embedded_redis(), "broadcast:chat", "back");
    wait_for_rows(&mut browser, "in", 1);

    gateway.terminate();
    // The reason stays in the list; the state goes on to say what became of the next tries.
    browser.wait("document.getElementById('messages').innerText.includes('closed: 1012 service restart (drain)')");
    browser.evaluate("document.getElementById('toggle').click()");
    wait_for_state(&mut browser, "closed");
    assert!(gateway.end(PATIENCE).success());
}

#[test]
fn markup_in_a_message_stays_text() {
    let (gateway, mut browser) = open("", &[]);
    let payload =
        r#"<img src=x onerror="window.owned = true"><script>window.owned = true</script>"#;
    let nested = json!({ "a": payload }).to_string();
    let mut redis = gateway.embedded_redis();
    publish(&mut redis, "broadcast:chat", payload);
    publish(&mut redis, "broadcast:chat", &nested);
    wait_for_rows(&mut browser, "in", 2);
    browser.evaluate("document.querySelector('.more').click()");
    assert_eq!(rows(&mut browser, "in")[0]["body"], payload);
    let made = "document.querySelectorAll('#messages img, #messages script').length";
    assert_eq!(browser.evaluate(made), 0);
    assert_eq!(browser.evaluate("'owned' in window"), false);

    // The same by the other ways in: the link, and what is typed.
    browser.evaluate(
        r#"location.hash = encodeURIComponent('<img src=x onerror="window.owned = true">')"#,
    );
    wait_for_state(&mut browser, "open");
    browser.wait("document.getElementById('summary').textContent.startsWith('<img')");
    assert_eq!(
        browser.evaluate("document.querySelectorAll('img').length"),
        0
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_flood_is_counted_whole_and_the_list_stays_bounded() {
    let (gateway, mut browser) = open("", &[]);
    let messages: Vec<String> = (0..5_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    let commands: Vec<[&str; 3]> = messages
        .iter()
        .map(|message| ["PUBLISH", "broadcast:chat", message])
        .collect();
    let mut redis = gateway.embedded_redis();
    redis.send_all(commands.iter().map(|command| &command[..]));
    for _ in &commands {
        assert_eq!(redis.reply(), Reply::Integer(1));
    }
    browser.wait("document.getElementById('received').textContent === '5,000'");
    let last = "document.querySelector('#messages li:last-child .body').textContent";
    browser.wait(&format!("{last} === '{{\"n\":4999}}'"));
    assert_eq!(
        browser.evaluate("document.querySelectorAll('#messages li').length"),
        500
    );
    // The newest is in view, and the page still answers a person.
    let below = "(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)(document.getElementById('scroll'))";
    browser.wait(&format!("{below} < 2"));
    browser.evaluate("document.getElementById('clear').click()");
    browser.wait("document.querySelectorAll('#messages li').length === 0");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_paused_list_stands_still_and_catches_up() {
    let (gateway, mut browser) = open("", &[]);
    browser.evaluate("document.getElementById('pause').click()");
    let mut redis = gateway.embedded_redis();
    publish(&mut redis, "broadcast:chat", "one");
    publish(&mut redis, "broadcast:chat", "two");
    browser.wait("document.getElementById('pause').textContent === 'Resume (2)'");
    assert_eq!(rows(&mut browser, "in"), [Value::Null; 0]);
    browser.evaluate("document.getElementById('pause').click()");
    wait_for_rows(&mut browser, "in", 2);
}

#[test]
fn heartbeats_are_felt_and_not_listed() {
    let (gateway, mut browser) = open("", &["--heartbeat", "<3 \"beat\""]);
    browser.wait("document.getElementById('beat').classList.contains('felt')");
    // The page's own heartbeat is published to nobody; what comes after it is.
    let mut other = gateway.client("chat?subscribe-broadcast");
    say(&mut browser, "<3 \"beat\"");
    say(&mut browser, "hello");
    loop {
        match other.text() {
            text if text == "<3 \"beat\"" => {} // the gateway's own to each client
            text => break assert_eq!(text, "hello"),
        }
    }
    publish(&mut gateway.embedded_redis(), "broadcast:chat", "only this");
    wait_for_rows(&mut browser, "in", 1);
    assert_eq!(rows(&mut browser, "in")[0]["body"], "only this");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn json_is_indented_on_click_with_its_numbers_as_they_were_written() {
    let (gateway, mut browser) = open("", &[]);
    let message = r#"{"id":12345678901234567890,"price":1.50,"tags":["a"]}"#;
    publish(&mut gateway.embedded_redis(), "broadcast:chat", message);
    wait_for_rows(&mut browser, "in", 1);
    browser.evaluate("document.querySelector('li[data-direction=in] .body').click()");
    let indented =
        "{\n  \"id\": 12345678901234567890,\n  \"price\": 1.50,\n  \"tags\": [\n    \"a\"\n  ]\n}";
    assert_eq!(rows(&mut browser, "in")[0]["body"], indented);
    browser.evaluate("document.querySelector('#messages .more').click()");
    assert_eq!(rows(&mut browser, "in")[0]["body"], message);
}

#[test]
fn a_link_leads_back_to_the_choice() {
    let (gateway, mut browser) = open("#a/b%20%25?publish-broadcast&subscribe-broadcast&echo", &[]);
    let facility = "document.getElementById('facility').value";
    assert_eq!(browser.evaluate(facility), "a/b %");
    publish(&mut gateway.embedded_redis(), "broadcast:a/b %", "found");
    wait_for_rows(&mut browser, "in", 1);

    browser.evaluate("document.querySelector('[name=echo]').click()");
    let hash = "#a/b%20%25?subscribe-broadcast&publish-broadcast";
    browser.wait(&format!("location.hash === '{hash}'"));
    let address = text(&mut browser, "address");
    assert_eq!(
        address,
        format!("ws://{}/ws/{}", gateway.address(), &hash[1..])
    );

    // A name that the gateway would refuse, or a browser would rewrite, is not tried.
    for (name, hint) in [
        ("../x", "steps"),
        (&*"é".repeat(128), "255 bytes"),
        ("", "Name"),
    ] {
        let set = format!(
            "{facility} = '{name}'; document.getElementById('facility').dispatchEvent(new Event('input'))"
        );
        browser.evaluate(&set);
        let said = text(&mut browser, "facility-hint");
        assert!(said.contains(hint), "{name:?}: {said}");
    }
}

#[test]
fn the_commands_that_the_page_shows_reach_it() {
    let (_gateway, mut browser) = open("#it's%20a%20chat?subscribe-broadcast", &["--prefix", "p"]);
    let shown = "[...document.querySelectorAll('#commands pre')].map((pre) => pre.textContent)";
    let commands = browser.evaluate(shown);
    let publishing = commands
        .as_array()
        .unwrap()
        .iter()
        .map(|command| command.as_str().unwrap());
    let publishing: Vec<&str> = publishing
        .filter(|command| command.contains("publish "))
        .collect();
    assert_eq!(publishing.len(), 2, "{commands}");
    for (n, command) in publishing.iter().enumerate() {
        run_as_typed(command);
        wait_for_rows(&mut browser, "in", n + 1);
        assert_eq!(rows(&mut browser, "in")[n]["body"], "hello", "{command}");
    }
}

/// A gateway with its own little Redis, and its page in a browser, connected.
fn open(hash: &str, arguments: &[&str]) -> (Gateway, Browser) {
    let gateway = Gateway::start_embedded(arguments);
    let mut browser = Browser::start();
    browser.open(&format!("http://{}/{hash}", gateway.address()));
    wait_for_state(&mut browser, "open");
    (gateway, browser)
}

fn wait_for_state(browser: &mut Browser, state: &str) {
    browser.wait(&format!(
        "document.getElementById('state').dataset.state === '{state}'"
    ));
}

fn wait_for_rows(browser: &mut Browser, direction: &str, count: usize) {
    browser.wait(&format!(
        "document.querySelectorAll('#messages li[data-direction={direction}]').length === {count}"
    ));
}

/// The rows of one direction, each with what it shows.
fn rows(browser: &mut Browser, direction: &str) -> Vec<Value> {
    let rows = browser.evaluate(&format!(
        "[...document.querySelectorAll('#messages li[data-direction={direction}]')].map((row) => ({{
            time: row.querySelector('time').textContent,
            kind: row.querySelector('.kind').textContent,
            size: row.querySelector('.size').textContent,
            body: row.querySelector('.body').textContent,
        }}))"
    ));
    rows.as_array().unwrap().clone()
}

fn text(browser: &mut Browser, id: &str) -> String {
    let text = browser.evaluate(&format!("document.getElementById('{id}').innerText"));
    text.as_str().unwrap().to_owned()
}

/// Types a message and presses Enter.
fn say(browser: &mut Browser, text: &str) {
    browser.evaluate("document.getElementById('text').focus()");
    browser.type_text(text);
    browser.press_enter();
    browser.wait("document.getElementById('text').value === ''");
}

fn publish(redis: &mut Resp, channel: &str, message: &str) {
    match redis.call(&["PUBLISH", channel, message]) {
        Reply::Integer(heard) => assert!(heard > 0, "nobody heard {message} on {channel}"),
        other => panic!("PUBLISH was answered with {other:?}"),
    }
}

/// Runs a line in a shell in which `ws4redis` is the one that was built.
fn run_as_typed(line: &str) {
    let ours = Path::new(env!("CARGO_BIN_EXE_ws4redis")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = [ours.to_owned()]
        .into_iter()
        .chain(std::env::split_paths(&path));
    let output = Command::new("sh")
        .args(["-c", line])
        .env("PATH", std::env::join_paths(paths).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
}
