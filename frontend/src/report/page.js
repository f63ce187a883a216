// What the other parts share: words, elements, colours, numbers.

const given = globalThis.EVERTICK_TEXT ?? { language: "en", words: {} };

export const language = given.language;

export const say = (message, values = {}) =>
  (given.words[message] ?? message).replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);

/** An element with attributes and children; text is never parsed as HTML. */
export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

export function icon(path) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

let probe;

/** A colour of the style sheet as a canvas understands it, in the theme that is shown now. */
export function colour(token, opacity = 1) {
  if (!probe) {
    probe = element("span", { hidden: "" });
    document.body.append(probe);
  }
  probe.style.color = `var(${token})`;
  const resolved = getComputedStyle(probe).color;
  return opacity === 1 ? resolved : resolved.replace(/^rgb\((.*)\)$/, `rgba($1, ${opacity})`);
}

/** Calls back when the theme changes, by the button or by the system. */
export function onTheme(callback) {
  addEventListener("evertick-theme", callback);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
}

/** Differences back to values; gaps stay null. */
export function undelta(differences, divisor = 1) {
  let last = 0;
  return differences.map((difference) => {
    if (difference === null) return null;
    last += difference;
    return last / divisor;
  });
}

export const number = (value, decimals) =>
  value == null
    ? "–"
    : value.toLocaleString(language, { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).replace("-", "−");

export const day = (seconds) =>
  new Date(seconds * 1000).toLocaleDateString(language === "en" ? "en-GB" : language, {
    timeZone: "UTC",
    day: "numeric",
    month: language === "vi" ? "numeric" : "short",
    year: "numeric",
  });

export const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
