// The page of memory: its figure becomes explorable, and every half minute what changed is put in its place.

import uPlot from "uplot";
import { colour, onTheme } from "./report/page.js";

const EVERY_S = 30;
const HEIGHT = 272;
const GUTTER = 64;
const LANES = 44;
const TRACKS = [["--s1", "--s3"], ["--s4", "--s4"], ["--s5", "--s5"], ["--s6", "--s6"]];
const KINDS = [["restart", "Starts"], ["report", "Reports"], ["refresh", "Refreshes"]];

const zone = () => document.body.dataset.zone;
const read = () => JSON.parse(document.getElementById("timeline-data").textContent);
const size = (mb) => (mb == null ? "–" : mb >= 1024 ? `${(mb / 1024).toFixed(1)} GB` : `${mb.toFixed(1)} MB`);

function clock(long) {
  const form = { timeZone: zone(), hour: "2-digit", minute: "2-digit", ...(long ? { day: "numeric", month: "short" } : {}) };
  const format = new Intl.DateTimeFormat("en-GB", form);
  return (seconds) => format.format(new Date(seconds * 1000)).replace(",", "");
}

// Every process has lines of its own, so that a restart is a gap. Three columns each: highest, RSS, heap.
function columns(data) {
  const step = (data.until - data.since) / data.columns;
  const times = Array.from({ length: data.columns }, (_, n) => data.since + (n + 0.5) * step);
  const spread = (line, values) => {
    const column = new Array(data.columns).fill(null);
    line.columns.forEach((n, i) => { column[n] = values[i]; });
    return column;
  };
  return [times, ...data.lines.flatMap((line) => [spread(line, line.top), spread(line, line.rss), spread(line, line.heap)])];
}

function chart(frame, data) {
  const span = data.until - data.since;
  const at = clock(span > 86400);
  const day = new Intl.DateTimeFormat("en-GB", { timeZone: zone(), day: "numeric", month: "short" });
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const series = data.lines.flatMap((line) => {
    const [rss, heap] = TRACKS[line.track];
    return [
      { stroke: colour(rss, 0.3), width: 1, spanGaps: true, points: { show: false } },
      { stroke: colour(rss), width: 1.7, spanGaps: true, points: { show: line.columns.length === 1 } },
      { stroke: colour(heap), width: 1.7, dash: [5, 3], spanGaps: true, points: { show: line.columns.length === 1 } },
    ];
  });
  const bands = data.lines.map((line, i) => ({ series: [3 * i + 1, 3 * i + 2], fill: colour(TRACKS[line.track][0], 0.26) }));
  const marks = (plot) => {
    const { ctx, bbox } = plot;
    const ratio = devicePixelRatio;
    const step = span / data.columns;
    ctx.save();
    ctx.font = `${11 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    const line = (x, from, to, wide) => {
      ctx.lineWidth = wide * ratio;
      ctx.beginPath();
      ctx.moveTo(x, from);
      ctx.lineTo(x, to);
      ctx.stroke();
    };
    KINDS.forEach(([kind, name], lane) => {
      const top = bbox.top + bbox.height + (11 + 13 * lane) * ratio;
      ctx.fillStyle = colour("--ink-3");
      ctx.fillText(name, bbox.left - 6 * ratio, top + 4 * ratio);
      ctx.strokeStyle = colour(kind === "refresh" ? "--ink-3" : "--ink");
      for (const n of data.marks[kind]) {
        const x = plot.valToPos(data.since + (n + 0.5) * step, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        line(x, top, top + 8 * ratio, kind === "refresh" ? 1 : 2);
        if (kind !== "restart") continue;
        ctx.save();
        ctx.strokeStyle = colour("--ink-3");
        ctx.setLineDash([3 * ratio, 3 * ratio]);
        line(x, bbox.top, bbox.top + bbox.height, 1);
        ctx.restore();
      }
    });
    if (data.limit != null) {
      const y = plot.valToPos(data.limit, "y", true);
      ctx.strokeStyle = colour("--down");
      ctx.lineWidth = 1.3 * ratio;
      ctx.setLineDash([2 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  };
  // A label so near to an end of the figure that it would not be whole.
  const cut = (plot, time) => { const x = plot.valToPos(time, "x"); return x < 18 || x > plot.bbox.width / devicePixelRatio - 18; };
  return new uPlot(
    {
      width: Math.floor(frame.clientWidth),
      height: HEIGHT,
      padding: [8, 0, 0, 0],
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone()),
      legend: { show: false },
      cursor: { y: false, points: { size: 6 } },
      scales: { x: { time: true, range: (_, low, high) => (low <= data.since + span / data.columns && high >= data.until - span / data.columns ? [data.since, data.until] : [low, high]) }, y: { range: [0, data.top] } },
      axes: [
        { stroke: colour("--ink-3"), grid: { show: false }, ticks: { show: false }, font, size: 20 + LANES, gap: LANES + 6, space: 56,
          values: (plot, times) => { const days = plot.scales.x.max - plot.scales.x.min > 2 * 86400; return times.map((time) => (cut(plot, time) ? "" : days ? day.format(new Date(time * 1000)) : at(time).split(" ").pop())); } },
        { stroke: colour("--ink-3"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font, size: GUTTER, gap: 6,
          splits: () => Array.from({ length: Math.round(data.top / data.step) + 1 }, (_, n) => n * data.step), values: (_, levels) => levels.map((level) => (level ? size(level).replace(".0 ", " ") : "0")) },
      ],
      series: [{}, ...series],
      bands,
      hooks: { draw: [marks], setCursor: [(plot) => tell(frame, plot, data, at)] },
    },
    columns(data),
    frame,
  );
}

// The legend tells what was held under the pointer, by the process that held most; away from the figure, what was seen last.
function tell(frame, plot, data, at) {
  const asked = plot.cursor.idx;
  const n = asked ?? Math.max(0, ...data.lines.map((line) => line.columns.at(-1)));
  const found = data.lines
    .map((line) => ({ line, place: line.columns.indexOf(n) }))
    .filter(({ place }) => place >= 0)
    .reduce((most, one) => (most && (most.line.rss[most.place] ?? 0) >= (one.line.rss[one.place] ?? 0) ? most : one), null);
  const value = (name) => size(found?.line[name][found.place]);
  const words = {
    at: at(asked == null ? data.until : plot.data[0][n]),
    process: found?.line.name ?? "–",
    rss: value("rss"),
    top: value("top"),
    heap: value("heap"),
  };
  for (const [name, text] of Object.entries(words)) {
    const cell = document.querySelector(`.legend [data-f="${name}"]`);
    if (cell && cell.textContent !== text) cell.textContent = text;
  }
  frame.setAttribute("aria-valuenow", String(n));
  frame.setAttribute("aria-valuetext", `${words.at}, ${words.process}: RSS ${words.rss}, highest ${words.top}, heap ${words.heap}`);
}

function explore(frame) {
  const drawn = frame.querySelector(".drawn");
  let data = read();
  let plot;
  const draw = () => {
    plot?.destroy();
    plot = chart(frame, data);
    tell(frame, plot, data, clock(data.until - data.since > 86400));
  };
  drawn.hidden = true;
  const names = { role: "slider", tabindex: "0", "aria-label": "Timeline of memory, read with the arrow keys", "aria-valuemin": "0", "aria-valuemax": String(data.columns - 1) };
  for (const [name, value] of Object.entries(names)) frame.setAttribute(name, value);
  draw();
  const moves = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
  frame.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      plot.setScale("x", { min: data.since, max: data.until });
      plot.setCursor({ left: -10, top: -10 });
      return;
    }
    if (!(event.key in moves)) return;
    event.preventDefault();
    const n = Math.min(data.columns - 1, Math.max(0, (plot.cursor.idx ?? data.columns - 1) + moves[event.key]));
    plot.setCursor({ left: plot.valToPos(plot.data[0][n], "x"), top: 10 });
  });
  frame.addEventListener("blur", () => plot.setCursor({ left: -10, top: -10 }));
  new ResizeObserver(() => {
    if (Math.floor(frame.clientWidth) !== plot.width) plot.setSize({ width: Math.floor(frame.clientWidth), height: HEIGHT });
  }).observe(frame);
  onTheme(draw);
  return () => {
    const zoomed = plot.scales.x.max - plot.scales.x.min < 0.99 * (data.until - data.since);
    if (zoomed || plot.cursor.idx != null) return; // not under the reader's hands
    data = read();
    draw();
  };
}

// Puts what changed in its place: only parts that differ, and none in which the reader is.
function put(fresh) {
  const whole = (page) => Boolean(page.getElementById("timeline"));
  if (whole(fresh) !== whole(document)) return location.reload(); // the database went, or came back
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
    if (!next || next.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
    const left = part.querySelector(".scroll")?.scrollLeft ?? 0;
    part.replaceChildren(...next.childNodes);
    if (left) part.querySelector(".scroll")?.scrollTo({ left });
    if (next.dateTime) part.dateTime = next.dateTime;
  }
}

function start() {
  const frame = document.getElementById("timeline");
  const redraw = frame ? explore(frame) : () => {};
  const seen = document.getElementById("seen");
  const say = (state, text) => {
    seen.dataset.state = state;
    seen.querySelector("[data-f=state]").textContent = text;
  };
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!answer.ok) throw new Error(String(answer.status));
      put(new DOMParser().parseFromString(await answer.text(), "text/html"));
      redraw();
      say("live", "Live");
    } catch {
      say("lost", "Reconnecting");
    }
  };
  say("live", "Live");
  setInterval(look, (Number(seen.dataset.every) || EVERY_S) * 1000);
  document.addEventListener("visibilitychange", look);
}

start();
