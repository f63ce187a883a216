// The buttons of the bar, and the contents that follow the reader.

import { element, icon, say } from "./page.js";

const THEME = "evertick-theme";
const MOON = "M16 11.5A6.5 6.5 0 0 1 8.5 4 6.5 6.5 0 1 0 16 11.5Z";
const PAPER = "M6 8V3h8v5M6 15H4V9h12v6h-2M6 12.5h8V17H6Z";
const WHOLE = "M4 5h12M4 8.5h12M4 12h12M4 15.5h8";
const RULES = "M7 6 3.5 10 7 14M13 6l3.5 4-3.5 4M11 4.5 9 15.5";

function stored() {
  try {
    return localStorage.getItem(THEME);
  } catch {
    return null; // storage may be forbidden
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // The choice then lasts for this page.
  }
  dispatchEvent(new Event(THEME));
}

function changeTheme() {
  const chosen = document.documentElement.dataset.theme;
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
}

function printReport(everything) {
  const root = document.documentElement;
  const opened = [];
  if (everything) {
    root.dataset.print = "full";
    for (const card of document.querySelectorAll("details.card:not([open])")) {
      card.dataset.still = ""; // shown as it was drawn on the server: no hundred canvases for paper
      card.open = true;
      opened.push(card);
    }
  }
  const restore = () => {
    delete root.dataset.print;
    for (const card of opened) {
      card.open = false;
      delete card.dataset.still;
    }
  };
  addEventListener("afterprint", restore, { once: true });
  setTimeout(() => window.print(), everything ? 50 : 0);
}

function toggleRules(event) {
  const root = document.documentElement;
  const shown = root.toggleAttribute("data-rules");
  event.currentTarget.setAttribute("aria-pressed", String(shown));
  for (const sentence of document.querySelectorAll(".s[data-inputs]")) {
    if (shown) sentence.title = sentence.dataset.inputs;
    else sentence.removeAttribute("title");
  }
}

function tool(label, path, onclick, attributes = {}) {
  return element("button", { type: "button", class: "tool", title: label, "aria-label": label, onclick, ...attributes }, icon(path));
}

export function startTools() {
  const theme = stored();
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  document
    .getElementById("tools")
    ?.append(
      tool(say("Show the rules"), RULES, toggleRules, { "aria-pressed": "false", class: "tool tool-wide" }),
      tool(say("Print"), PAPER, () => printReport(false)),
      tool(say("Print everything"), WHOLE, () => printReport(true), { class: "tool tool-wide" }),
      tool(say("Change theme"), MOON, changeTheme),
    );
}

export function followContents() {
  const links = new Map();
  for (const link of document.querySelectorAll(".contents a")) links.set(link.hash.slice(1), link);
  const visible = new Set();
  let current;
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) visible.add(entry.target.id);
        else visible.delete(entry.target.id);
      }
      const ids = [...links.keys()];
      const first = ids.find((id) => visible.has(id)) ?? (scrollY < innerHeight / 2 ? ids[0] : undefined);
      if (!first || first === current) return;
      links.get(current)?.removeAttribute("aria-current");
      current = first;
      const link = links.get(first);
      link.setAttribute("aria-current", "true");
      // On a phone the contents are a strip; scroll it by itself, never the page.
      const strip = link.closest(".contents");
      if (strip.scrollWidth > strip.clientWidth) strip.scrollLeft = link.offsetLeft - strip.clientWidth / 3;
    },
    { rootMargin: "-15% 0px -70% 0px" },
  );
  for (const section of document.querySelectorAll(".section")) observer.observe(section);
}
