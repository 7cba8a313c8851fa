//! A real Chromium without a window, driven through its DevTools protocol.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use super::http;
use super::process::{Process, first_installed};
use super::stream::{Address, Stream};
use super::wait::{self, Deadline};

/// One browser with one page. It ends with the test.
#[derive(Debug)]
pub(crate) struct Browser {
    tools: WebSocket<Stream>,
    asked: u64,
    complaints: Vec<String>,
    // Before the directory, which it still writes to while it ends.
    _process: Process,
    _profile: TempDir,
}

impl Browser {
    /// Starts it with a fresh profile.
    pub(crate) fn start() -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(first_installed(&[
            "chromium",
            "chromium-browser",
            "google-chrome",
        ]));
        command
            // Its sandbox needs what a container, and root, do not have. It only ever sees our own page.
            .args(["--headless", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-quic", "--no-first-run", "--disable-sync"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args(["--remote-debugging-port=0", "--window-size=1280,800"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank");
        let process = Process::start(&mut command).muted();
        let page = wait::until("Chromium opens its DevTools", || page(profile.path()));
        let (tools, _) = tungstenite::client(&page.url, Stream::connect(&page.address).unwrap())
            .expect("DevTools take WebSockets");
        let mut browser = Browser {
            tools,
            asked: 0,
            complaints: Vec::new(),
            _process: process,
            _profile: profile,
        };
        for domain in ["Page", "Runtime", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Goes to `url`.
    pub(crate) fn open(&mut self, url: &str) {
        let answer = self.ask("Page.navigate", json!({ "url": url }));
        assert_eq!(answer.get("errorText"), None, "{url}");
        self.wait("document.readyState === 'complete'");
    }

    /// The value of a JavaScript expression; a promise is waited for.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.try_evaluate(expression);
        answer.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) fn wait(&mut self, expression: &str) {
        let mut last = Value::Null;
        let deadline = Deadline::usual();
        while deadline.left().is_some() {
            // While a page is being replaced, expressions fail for a moment.
            last = self.try_evaluate(expression).unwrap_or_else(Value::from);
            if last == Value::Bool(true) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let page = self.try_evaluate("document.body.innerText");
        panic!("never true: {expression} (at last: {last}); the page says {page:?}");
    }

    /// Types into the element that has the focus, as a person would.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text }));
    }

    /// Presses Enter where the focus is.
    pub(crate) fn press_enter(&mut self) {
        for kind in ["keyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13 });
            self.ask("Input.dispatchKeyEvent", key);
        }
    }

    /// Writes what is seen to a PNG file.
    pub(crate) fn screenshot(&mut self, file: &Path) {
        let shot = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        let bytes = base64(shot["data"].as_str().unwrap());
        std::fs::write(file, bytes).unwrap();
    }

    /// What the browser complained about so far: exceptions, broken policies, failed loads.
    pub(crate) fn complaints(&mut self) -> &[String] {
        // Events come in order: those of earlier are here when the answer is.
        self.evaluate("1");
        &self.complaints
    }

    fn try_evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let question =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", question);
        match answer.get("exceptionDetails") {
            Some(details) => Err(details.to_string()),
            None => Ok(answer["result"]
                .get("value")
                .cloned()
                .unwrap_or(Value::Null)),
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        let question = json!({ "id": id, "method": method, "params": params }).to_string();
        self.tools.send(Message::text(question)).unwrap();
        self.tools.get_mut().deadline = Deadline::usual();
        loop {
            let Message::Text(text) = self.tools.read().unwrap() else {
                continue;
            };
            let mut said: Value = serde_json::from_str(&text).unwrap();
            if said["id"] != id {
                self.note(&said);
                continue;
            }
            if let Some(error) = said.get("error") {
                return json!({ "exceptionDetails": error, "errorText": error });
            }
            return said["result"].take();
        }
    }

    fn note(&mut self, event: &Value) {
        let complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => &event["params"]["exceptionDetails"],
            Some("Log.entryAdded") if event["params"]["entry"]["level"] == "error" => {
                &event["params"]["entry"]
            }
            _ => return,
        };
        self.complaints.push(complaint.to_string());
    }
}

/// Where the DevTools of the one page are.
struct Page {
    address: Address,
    url: String,
}

/// `None` while Chromium is still starting.
fn page(profile: &Path) -> Option<Page> {
    // Chromium writes the port it got into this file, as its first line.
    let port = std::fs::read_to_string(profile.join("DevToolsActivePort")).ok()?;
    let port: u16 = port.lines().next()?.parse().ok()?;
    let address = Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let targets: Value =
        serde_json::from_str(&http::get(&address, "/json/list").ok()?.body).ok()?;
    let page = targets
        .as_array()?
        .iter()
        .find(|target| target["type"] == "page")?;
    let url = page["webSocketDebuggerUrl"].as_str()?.to_owned();
    Some(Page { address, url })
}

/// Decodes base64 (RFC 4648 4), which is how DevTools send pictures.
fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for digit in text.chars().filter_map(|digit| DIGITS.find(digit)) {
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
