// Two people, two real browsers, real nginx, Django, gateway and Redis: the chat from the sign-in to the sign-out.
//
//   node --test examples/chat/chat.test.mjs        (`make test-chat` gets what it needs first)

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const require = createRequire(new URL("../../clients/js/package.json", import.meta.url));
const { chromium } = require("playwright-core");

const here = fileURLToPath(new URL(".", import.meta.url));
const python = process.env.CHAT_PYTHON ?? join(here, "../../.venv-chat/bin/python");
const shots = mkdtempSync(join(tmpdir(), "ws4redis-screenshots-"));
const data = mkdtempSync(join(tmpdir(), "ws4redis-chat-"));
// The phone that most people have, more or less.
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
const DEADLINE = 30_000;

let demo, browser, origin;
const people = {};

before(async () => {
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  demo = spawn(python, [join(here, "demo.py"), "--port", `${port}`, "--data", data, ...gateway()]);
  let said = "";
  demo.stdout.on("data", (text) => (said += text));
  demo.stderr.on("data", (text) => (said += text));
  await until("the chat serves", () => {
    assert.equal(demo.exitCode, null, said);
    return said.includes("the chat is at");
  });
  browser = await chromium.launch({ executablePath: installed(), args: ["--no-sandbox"] });
  for (const name of ["john", "mary"]) people[name] = await browser.newContext(phone);
}, { timeout: 60_000 });

after(async () => {
  await browser?.close();
  if (demo?.exitCode === null) {
    const ended = new Promise((done) => demo.once("exit", done));
    demo.kill("SIGTERM");
    await ended;
  }
  rmSync(data, { recursive: true, force: true });
  console.log(`screenshots: ${shots}`);
});

test("who is not signed in is led to the door, and the gateway refuses the socket", async () => {
  const page = await (await browser.newContext(phone)).newPage();
  await page.goto(origin);
  await page.screenshot({ path: join(shots, "1-sign-in.png") });
  assert.match(page.url(), /\/login\/\?next=\//);
  const opened = await page.evaluate(
    (url) =>
      new Promise((done) => {
        const socket = new WebSocket(url);
        socket.onopen = () => done(true);
        socket.onerror = () => done(false);
      }),
    `${origin.replace("http", "ws")}/ws/chat?subscribe-broadcast`,
  );
  assert.equal(opened, false);
  const authorize = await page.goto(`${origin}/ws4redis/authorize`);
  assert.equal(authorize.status(), 404, "only the gateway may ask who somebody is");
  await page.context().close();
});

test("a wrong password is refused in words, and the right one opens the room", async () => {
  for (const name of ["john", "mary"]) {
    const page = await people[name].newPage();
    await page.goto(origin);
    await signIn(page, name, "not the password");
    await page.getByRole("alert").waitFor();
    await signIn(page, name, name);
    await live(page);
    await page.close();
  }
});

test("what is said to everyone reaches both at once, and is still there after a reload", async () => {
  const [john, mary] = [await room("john", "/"), await room("mary", "/")];
  await say(john, "Hello, all of you");
  await heard(mary, "Hello, all of you");
  await heard(john, "Hello, all of you");
  await say(mary, "Hi John 👋");
  await heard(john, "Hi John 👋");
  await john.screenshot({ path: join(shots, "2-everyone.png") });
  await mary.reload();
  await heard(mary, "Hi John 👋");
  await close(john, mary);
});

test("what is said to one person reaches that person alone", async () => {
  const [john, mary] = [await room("john", "/direct/"), await room("mary", "/direct/")];
  const everyone = await room("mary", "/");
  await to(mary, "john");
  await say(mary, "Only for you");
  await heard(john, "Only for you");
  await heard(mary, "Only for you");
  await john.screenshot({ path: join(shots, "3-direct.png") });
  // A later message on the same connections arrives, so what is not there by then does not come.
  await say(everyone, "a mark for everyone");
  await heard(everyone, "a mark for everyone");
  assert.equal(await everyone.getByText("Only for you").count(), 0);
  const third = await signUp("eve");
  const theirs = await third.newPage();
  await theirs.goto(`${origin}/direct/`);
  await live(theirs);
  assert.equal(await theirs.locator("#messages li").count(), 0);
  await theirs.context().close();
  await close(john, mary, everyone);
});

test("what is said to a group reaches its members alone", async () => {
  const [john, mary] = [await room("john", "/groups/"), await room("mary", "/groups/")];
  await to(john, "garden");
  await say(john, "The roses need water");
  await heard(john, "The roses need water");
  await to(john, "kitchen");
  await say(john, "Soup is ready");
  await heard(mary, "Soup is ready");
  await mary.screenshot({ path: join(shots, "4-groups.png") });
  assert.equal(await mary.getByText("The roses need water").count(), 0, "mary is not in the garden");
  // Nor may she speak there, whatever her page is made to send.
  const status = await mary.evaluate(async () => {
    const form = new FormData(document.getElementById("compose"));
    form.set("to", "garden");
    form.set("text", "let me in");
    return (await fetch("/say/", { method: "POST", body: form })).status;
  });
  assert.equal(status, 403);
  await close(john, mary);
});

test("a message for another room lights a dot at its tab, and opening the room puts it out", async () => {
  const [john, mary] = [await room("john", "/direct/"), await room("mary", "/")];
  await to(john, "mary");
  await say(john, "Are you there?");
  await mary.locator("nav [data-kind=direct].unread").waitFor();
  await mary.screenshot({ path: join(shots, "5-unread.png") });
  await mary.getByRole("link", { name: "Direct" }).click();
  await heard(mary, "Are you there?");
  assert.equal(await mary.locator("nav [data-kind=direct].unread").count(), 0);
  await close(john, mary);
});

for (const [part, number] of [["gateway", "SIGKILL"], ["gateway", "SIGTERM"], ["redis", "SIGTERM"], ["redis", "SIGKILL"]]) {
  test(`the pages recover by themselves from ${number} of the ${part}`, async () => {
    const [john, mary] = [await room("john", "/"), await room("mary", "/")];
    // A page that was loaded again would not know this.
    for (const page of [john, mary]) await page.evaluate(() => (window.sameDocument = true));
    const before = running()[part];
    process.kill(before, number);
    await until(`${part} is started again`, () => running()[part] !== before && running()[part]);
    const text = `after ${number} of ${part}`;
    await until("it may be said again", async () => {
      await say(john, text);
      return (await john.locator("#trouble").isHidden()) && (await john.locator("#text").inputValue()) === "";
    });
    for (const page of [john, mary]) {
      await heard(page, text);
      await live(page);
      assert.equal(await page.evaluate(() => window.sameDocument), true);
    }
    await close(john, mary);
  });
}

test("markup is text, and a message as long as the field allows goes through, line ends and all", async () => {
  const [john, mary] = [await room("john", "/"), await room("mary", "/")];
  const markup = "<img src=x onerror='document.title = \"owned\"'></script><b id=chat>bold</b>";
  await say(john, markup);
  await heard(mary, markup);
  assert.equal(await mary.locator("#messages img, #messages b#chat").count(), 0);
  assert.match(await mary.title(), /Chat/);
  await say(john, "\n".repeat(999).padStart(1000, "w") + "w".repeat(1000));
  await mary.locator("#messages .bubble", { hasText: /^w\n{999}w{1000}$/ }).waitFor({ timeout: DEADLINE });
  const [wide, room_] = await mary.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= room_, "a long word does not push the page aside");
  await close(john, mary);
});

test("a page from before another sign-in says so in words, and keeps what was written", async () => {
  const john = await room("john", "/");
  const cookies = await people.john.cookies();
  await people.john.clearCookies({ name: "csrftoken" });
  await say(john, "too late");
  await john.locator("#trouble", { hasText: "This page is too old. Load it again." }).waitFor({ timeout: DEADLINE });
  assert.equal(await john.getByLabel("Message", { exact: true }).inputValue(), "too late");
  await people.john.addCookies(cookies);
  await close(john);
});

test("who signs out is cut off in every window, and the others are not", async () => {
  const [one, two, mary] = [await room("john", "/"), await room("john", "/direct/"), await room("mary", "/")];
  await one.getByRole("button", { name: "Sign out" }).click();
  await one.waitForURL(/\/login\//);
  await two.getByText("You have been signed out").waitFor();
  await two.screenshot({ path: join(shots, "6-signed-out.png") });
  await say(mary, "Is John gone?");
  await heard(mary, "Is John gone?");
  assert.equal(await two.locator("nav .unread").count(), 0, "nothing arrives any more");
  await close(one, two, mary);
});

test("it looks right on a desk and in the dark, too", async () => {
  const wide = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "dark" });
  const page = await wide.newPage();
  await page.goto(origin);
  await signIn(page, "mary", "mary");
  await live(page);
  await say(page, "Good night");
  await heard(page, "Good night");
  await page.screenshot({ path: join(shots, "7-dark.png") });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(overflow, false);
  await wide.close();
});

test("one folder is for one of them, and one that is killed outright leaves nobody behind", async () => {
  const command = [join(here, "demo.py"), "--port", `${await freePort()}`, "--data", data, ...gateway()];
  const second = spawn(python, command, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  second.stderr.on("data", (text) => (said += text));
  assert.equal(await new Promise((done) => second.once("exit", done)), 1);
  assert.match(said, /another one runs in/);
  demo.kill("SIGKILL");
  for (const [name, pid] of Object.entries(running())) {
    await until(`${name} ends`, () => !existsSync(`/proc/${pid}`));
  }
});

async function room(name, path) {
  const page = await people[name].newPage();
  await page.goto(origin + path);
  await live(page);
  return page;
}

async function signIn(page, name, password) {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Somebody more, whom nobody has written to. */
async function signUp(name) {
  const code = `from django.contrib.auth.models import User; User.objects.create_user("${name}", password="${name}")`;
  const environment = { ...process.env, CHAT_DATA: data, PYTHONPATH: join(here, "../../clients/django") };
  const made = spawn(python, [join(here, "manage.py"), "shell", "-c", code], { env: environment, stdio: "inherit" });
  assert.equal(await new Promise((done) => made.once("exit", done)), 0);
  const context = await browser.newContext(phone);
  const page = await context.newPage();
  await page.goto(origin);
  await signIn(page, name, name);
  await live(page);
  await page.close();
  return context;
}

const live = (page) => page.locator("#state[data-state=open]").waitFor({ timeout: DEADLINE });
const heard = (page, text) => page.locator("#messages").getByText(text, { exact: true }).last().waitFor({ timeout: DEADLINE });
const to = (page, name) => page.getByRole("radio", { name, exact: true }).check({ force: true });
const close = (...pages) => Promise.all(pages.map((page) => page.close()));

async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.getByRole("button", { name: "Send" }).click();
  await page.waitForLoadState("networkidle");
}

function running() {
  return JSON.parse(readFileSync(join(data, "state.json"), "utf8"));
}

async function until(what, holds) {
  const deadline = Date.now() + DEADLINE;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, `not within ${DEADLINE / 1000} s: ${what}`);
    await pause(100);
  }
}

function gateway() {
  return process.env.WS4REDIS_BINARY ? ["--gateway", process.env.WS4REDIS_BINARY] : [];
}

function installed() {
  const places = (process.env.PATH ?? "").split(":").flatMap((folder) =>
    ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)));
  const found = places.find(existsSync);
  assert.ok(found, "Chromium is not installed");
  return found;
}

function freePort() {
  return new Promise((done) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}
