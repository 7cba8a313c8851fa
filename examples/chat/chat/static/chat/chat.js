// What the three pages do: one connection, a list of messages, a form.
import { WS4Redis } from "../ws4redis/ws4redis.js";

const me = JSON.parse(document.getElementById("me").textContent);
const { uri, heartbeat } = document.getElementById("chat").dataset;
const kind = document.querySelector("nav [aria-current]").dataset.kind;
const messages = document.getElementById("messages");
const scroll = document.getElementById("scroll");
const state = document.getElementById("state");
const form = document.getElementById("compose");
const text = form.elements.text;
const trouble = document.getElementById("trouble");
const MESSAGES_MAX = 500;

const socket = new WS4Redis(uri, { heartbeat, renew: stillSignedIn });
socket.addEventListener("open", () => show("open", "Live"));
socket.addEventListener("reconnecting", () => show("connecting", "Reconnecting…"));
socket.addEventListener("paused", () => show("closed", "Offline"));
socket.addEventListener("message", ({ data }) => arrived(JSON.parse(data)));
// 4403: the permission is withdrawn. Only the person can change that.
socket.addEventListener("renew", ({ code }) => code === 4403 && signedOut());

// The way back to a page may lead past a sign-out.
addEventListener("pageshow", ({ persisted }) => persisted && stillSignedIn());

// The gateway refuses us, or says that our time is over: is there still a session?
async function stillSignedIn() {
  const { type } = await fetch(location.pathname, { method: "HEAD", redirect: "manual" });
  if (type !== "opaqueredirect") return {};
  signedOut();
  return false;
}

function signedOut() {
  show("closed", "Signed out");
  document.getElementById("signed-out").showModal();
}

function show(name, words) {
  state.dataset.state = name;
  state.textContent = words;
}

// A message may come twice: what is persisted is sent again on each connection.
function arrived(message) {
  if (message.kind !== kind) return note(message);
  remember(message);
  if (document.getElementById(message.id)) return;
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  messages.append(drawn(message));
  if (messages.childElementCount > MESSAGES_MAX) messages.firstElementChild.remove();
  if (atEnd || message.from === me) scroll.scrollTop = scroll.scrollHeight;
}

// A dot at the other rooms' tabs, for what has not been seen there.
function note(message) {
  const tab = document.querySelector(`nav [data-kind="${CSS.escape(message.kind)}"]`);
  const seen = JSON.parse(localStorage.getItem(`seen ${me} ${message.kind}`) ?? "[]");
  if (tab && message.from !== me && !seen.includes(message.id)) tab.classList.add("unread");
}

function remember(message) {
  const name = `seen ${me} ${message.kind}`;
  const seen = JSON.parse(localStorage.getItem(name) ?? "[]").filter((id) => id !== message.id);
  localStorage.setItem(name, JSON.stringify([...seen, message.id].slice(-20)));
}

function drawn(message) {
  const item = document.createElement("li");
  item.id = message.id;
  item.dataset.from = `${message.from} ${message.to}`;
  item.classList.toggle("mine", message.from === me);
  item.classList.toggle("first", messages.lastElementChild?.dataset.from !== item.dataset.from);
  const who = document.createElement("div");
  who.className = "who";
  const name = document.createElement("b");
  name.textContent = message.from;
  name.style.setProperty("--hue", [...message.from].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 360, 7));
  const at = document.createElement("time");
  at.dateTime = message.at;
  at.textContent = new Date(message.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  who.append(name, message.to ? `to ${message.to}` : "", at);
  const bubble = document.createElement("div");
  bubble.className = "bubble";
  bubble.textContent = message.text;
  item.append(who, bubble);
  return item;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const said = new FormData(form);
  if (!String(said.get("text")).trim()) return;
  const refused = await send(said);
  trouble.hidden = !refused;
  trouble.textContent = refused;
  // What could not be sent stays in the field.
  if (!refused && text.value === said.get("text")) text.value = "";
});

async function send(said) {
  try {
    const answer = await fetch(form.action, { method: "POST", body: said });
    if (answer.ok) return "";
    // What the chat says is plain. Django's own refusals are pages: the form is from before another sign-in.
    if (answer.headers.get("content-type")?.startsWith("text/plain")) return await answer.text();
    return answer.status < 500 ? "This page is too old. Load it again." : "The server has trouble. Try again.";
  } catch {
    return "The server is out of reach. Try again.";
  }
}

text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});
