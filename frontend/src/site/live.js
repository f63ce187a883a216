// Patches the dashboard's cells from the event stream. Cells keep their place and width: only texts, classes and paths change.

import { age, change, price, spark, tone, until } from "./format.js";
import { watchJobs } from "./jobs.js";

const SESSIONS = { open: "Open", break: "In a break", closed: "Closed", always: "Always open" };
const TICK_S = 1;
const ASIDE_S = 30;
const RETRY_S = 5;

// The server's clock, so that ages are right where the reader's is not.
let ahead = 0;
const now = () => Date.now() + ahead;

const field = (node, name) => node.querySelector(`[data-f="${name}"]`);

function write(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

function patch(node, quote) {
  const decimals = Number(node.dataset.d);
  const cell = field(node, "price");
  const before = cell.textContent;
  const shown = price(quote.price, decimals);
  if (before !== shown) {
    write(cell, shown);
    const old = Number(node.dataset.p ?? NaN);
    node.classList.remove("fresh-up", "fresh-down");
    if (Number.isFinite(old) && old !== quote.price) {
      void node.offsetWidth; // lets the same animation start anew
      node.classList.add(quote.price > old ? "fresh-up" : "fresh-down");
    }
  }
  node.dataset.p = quote.price;
  node.dataset.t = quote.as_of;
  node.classList.toggle("stale", !quote.fresh);
  const moved = field(node, "change");
  const direction = tone(quote.change_pct);
  write(moved, change(quote.change_pct));
  moved.className = `change ${direction}`;
  const dot = field(node, "session");
  dot.className = `dot ${quote.session}`;
  dot.title = SESSIONS[quote.session] ?? "";
  write(field(node, "said"), `, ${dot.title.toLowerCase()}`);
  if (quote.spark) {
    const path = spark(quote.spark);
    const svg = node.querySelector(".spark");
    svg.setAttribute("class", `spark ${direction}`);
    svg.querySelector(".over").setAttribute("d", path);
    svg.querySelector(".under").setAttribute("d", path && `${path}V56H0Z`);
  }
}

function count(quotes) {
  const groups = new Map();
  for (const quote of quotes) {
    const counts = groups.get(quote.group) ?? { up: 0, down: 0, flat: 0 };
    counts[tone(quote.change_pct)] += 1;
    groups.set(quote.group, counts);
  }
  for (const card of document.querySelectorAll("[data-group]:has(.breadth)")) {
    const { up = 0, down = 0, flat = 0 } = groups.get(card.dataset.group) ?? {};
    const width = (n) => (100 * n) / (up + down + flat || 1);
    write(field(card, "up"), String(up));
    write(field(card, "down"), String(down));
    const [rise, level, fall] = card.querySelectorAll(".breadth rect");
    rise.setAttribute("width", width(up));
    level.setAttribute("x", width(up));
    level.setAttribute("width", width(flat));
    fall.setAttribute("x", width(up) + width(flat));
    fall.setAttribute("width", width(down));
  }
}

function tick() {
  for (const node of document.querySelectorAll("[data-q]")) {
    write(field(node, "age"), age((now() - Date.parse(node.dataset.t)) / 1000));
  }
  countDown();
}

function countDown() {
  for (const node of document.querySelectorAll("time[data-until]")) {
    write(node, until((Date.parse(node.dateTime) - now()) / 1000));
  }
}

async function refreshAside() {
  const aside = document.getElementById("aside");
  // Not under the reader's hands: a focused or working button stays.
  if (!aside || document.hidden || aside.contains(document.activeElement) || aside.querySelector("[aria-busy=true], [data-running]")) return;
  try {
    const answer = await fetch(aside.dataset.from, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = await answer.text();
    if (aside.querySelector("[aria-busy=true], [data-running]")) return;
    aside.innerHTML = fresh; // our own server's, escaped there
    countDown();
    watchJobs();
  } catch {
    // The server is away; the live sign says so.
  }
}

function clock(zone) {
  const format = new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return (at) => format.format(new Date(at));
}

export function startLive() {
  const live = document.getElementById("live");
  if (!live) return;
  ahead = Date.parse(document.body.dataset.now) - Date.now();
  const time = clock(document.body.dataset.zone);
  const nodes = new Map();
  for (const node of document.querySelectorAll("[data-q]")) {
    nodes.set(node.dataset.q, [...(nodes.get(node.dataset.q) ?? []), node]);
  }
  const say = (state, text) => {
    live.dataset.state = state;
    write(field(live, "state"), text);
  };
  let stream;
  let first = true;
  function show(event) {
    const latest = JSON.parse(event.data);
    if (!nodes.size && latest.quotes.length) return location.reload(); // the page was made before the first quotes
    for (const quote of latest.quotes) {
      for (const node of nodes.get(quote.id) ?? []) patch(node, quote);
    }
    count(latest.quotes);
    const asOf = field(live, "as-of");
    asOf.dateTime = latest.as_of;
    write(asOf, time(latest.as_of));
    tick();
    if (!first) refreshAside();
    first = false;
  }
  function connect() {
    stream = new EventSource(live.dataset.stream);
    stream.addEventListener("open", () => say("live", "Live"));
    stream.addEventListener("indices", show);
    stream.addEventListener("error", () => {
      say("lost", "Reconnecting");
      // The browser itself tries again after a broken connection, but not after a refusal (a full or starting server).
      if (stream.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_S * 1000);
    });
  }
  connect();
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => event.persisted && location.reload());
  setInterval(countDown, TICK_S * 1000);
  setInterval(tick, 10_000);
  setInterval(refreshAside, ASIDE_S * 1000);
}
