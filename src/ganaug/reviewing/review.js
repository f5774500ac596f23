"use strict";
const byId = id => document.getElementById(id);
const facts = JSON.parse(byId("facts").textContent);
const items = [...document.querySelectorAll("li[id]")];
const shown = new Set(items.map(item => item.id));
const initials = byId("initials"), seen = byId("seen"), relabel = byId("relabel");
const DRAFT = `ganaug-review-${facts.set_id}`, SEEN = `ganaug-seen-${facts.generator_id}`;
let current = 0; // place in items
const past = []; // [item, the decision before], the last one last
const decided = {}; // image_id: [action, to_class, reviewer], or null

// What this browser remembers: unsaved decisions, the initials, which images were seen.
function recall(key, other) {
  try { return JSON.parse(localStorage.getItem(key)) ?? other; } catch { return other; }
}
function remember(key, value) {
  try { localStorage.setItem(key, JSON.stringify(value)); } catch { say("Save before you close the page.", true); }
}
function say(text, wrong = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("wrong", wrong);
}
function sayCounts() {
  const number = action => items.filter(item => item.dataset.action === action).length;
  say(`${current + 1} of ${items.length}: ${number("reject")} rejected, ${number("relabel")} relabelled`);
}
function go(to) {
  if (!items.length) return;
  items[current].removeAttribute("aria-current");
  current = Math.min(Math.max(to, 0), items.length - 1);
  const item = items[current];
  item.setAttribute("aria-current", "true");
  item.focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
  sayCounts();
}
const columns = () => getComputedStyle(document.querySelector("ul")).gridTemplateColumns.split(" ").length;

function show(item) {
  const [action, to] = decided[item.id] ?? [];
  item.toggleAttribute("data-action", Boolean(action));
  if (action) item.dataset.action = action;
  const said = { reject: "rejected", relabel: `shows ${to}` }[action];
  item.querySelector("strong").textContent = said ?? item.dataset.new ?? "";
}
function decide(item, decision) {
  decided[item.id] = draft[item.id] = decision;
  remember(DRAFT, draft);
  show(item);
}
function set(action, to = "") {
  const item = items[current];
  if (!item) return;
  const before = decided[item.id] ?? null;
  if (to && to === facts.classes[item.dataset.label]) return say(`It was made as ${to}.`, true);
  const again = before && before[0] === action && before[1] === to;
  past.push([item, before]);
  decide(item, again ? null : [action, to, initials.value.trim()]);
  go(again ? current : current + 1);
}
function undo() {
  const [item, before] = past.pop() ?? [];
  if (!item) return say("Nothing to undo.");
  decide(item, before);
  go(items.indexOf(item));
}
function nextNew() {
  const after = items.findIndex((item, i) => i > current && item.dataset.new);
  if (after < 0) return say("No new image after this one.");
  go(after);
}
const cell = text => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
function table(by) {
  const kept = facts.rows.filter(([id, , , , who]) => !shown.has(id) && (id !== facts.set_id || who !== by));
  const made = items.filter(item => decided[item.id]).map(item => {
    const [action, to, who] = decided[item.id];
    return [item.id, facts.classes[item.dataset.label], action, to, who || by];
  });
  const all = seen.checked ? [[facts.set_id, "", "reviewed", facts.generator_id, by]] : [];
  return [facts.columns, ...kept, ...made, ...all].map(row => row.map(cell).join(",") + "\n").join("");
}
async function save() {
  const by = initials.value.trim();
  if (!/^[\p{L}\p{N}_.-]{1,8}$/u.test(by)) {
    initials.focus();
    return say("Enter your initials at the top, 1 to 8 letters or digits, and save again.", true);
  }
  const text = table(by);
  if (facts.serve) {
    const request = { method: "POST", body: text, headers: { "If-Match": facts.version } };
    const answer = await fetch("/review", request).catch(() => null);
    const said = answer ? await answer.text() : "Not saved: the server is gone. Your work is kept here.";
    if (!answer?.ok) return say(said, true);
    facts.version = said;
    localStorage.removeItem(DRAFT);
  } else {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = "review.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }
  if (seen.checked) remember(SEEN, [...new Set([...recall(SEEN, []), ...shown])]);
  const where = facts.serve ? "Saved." : "Saved as review.csv; put it into the folder data.";
  const more = items.some(item => item.dataset.action) ? " It draws new images for you to review." : "";
  say(`${where} Next: make repro.${more}`);
}

const commands = {
  back: () => go(current - 1), on: () => go(current + 1), up: () => go(current - columns()),
  down: () => go(current + columns()), reject: () => set("reject"), undo, save, nextNew,
};
const keys = {
  ArrowLeft: "back", k: "back", ArrowRight: "on", j: "on", ArrowUp: "up", ArrowDown: "down",
  r: "reject", u: "undo", s: "save", n: "nextNew",
};
document.addEventListener("keydown", event => {
  if (event.target === initials && event.key === "Enter") return go(current);
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select")) return;
  const to = /^[1-9]$/.test(event.key) ? facts.classes[event.key - 1] : undefined;
  if (!to && !Object.hasOwn(keys, event.key)) return;
  event.preventDefault();
  to ? set("relabel", to) : commands[keys[event.key]]();
});
document.querySelector(".bar").addEventListener("click", event => commands[event.target.dataset.do]?.());
relabel.addEventListener("change", () => {
  if (relabel.value) set("relabel", relabel.value);
  relabel.value = "";
  go(current);
});
document.querySelector("main").addEventListener("click", event => {
  const item = event.target.closest("li[id]");
  if (item) go(items.indexOf(item));
});
initials.addEventListener("change", () => remember("ganaug-initials", initials.value.trim()));
const draft = recall(DRAFT, {}), before = new Set(recall(SEEN, []));
for (const [id, , action, to, who] of facts.rows) if (shown.has(id)) decided[id] = [action, to, who];
Object.assign(decided, draft);
initials.value = recall("ganaug-initials", "");
seen.checked = facts.rows.some(row => row[0] === facts.set_id && row[4] === initials.value);
for (const item of items) {
  if (before.size && !before.has(item.id)) item.dataset.new = "new";
  show(item);
}
go(0);
window.scrollTo(0, 0);
