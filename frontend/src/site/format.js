// Numbers and times as the server writes them (evertick/web/pages/format.py).

const DASH = "–";
const MINUS = "\u2212";
const SCALES = [
  [1e12, "T"],
  [1e9, "B"],
];
const formats = new Map();

function fixed(value, decimals) {
  let format = formats.get(decimals);
  if (!format) {
    format = new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    formats.set(decimals, format);
  }
  return format.format(value).replace("-", MINUS);
}

export function price(value, decimals) {
  if (!Number.isFinite(value)) return DASH;
  for (const [size, letter] of SCALES) {
    if (Math.abs(value) >= size) return fixed(value / size, 2) + letter;
  }
  return fixed(value, decimals);
}

export function tone(percent) {
  if (!Number.isFinite(percent) || Math.abs(percent) < 0.005) return "flat";
  return percent > 0 ? "up" : "down";
}

export function change(percent) {
  if (!Number.isFinite(percent)) return DASH;
  const sign = { up: "+", down: MINUS, flat: "" }[tone(percent)];
  return `${sign}${fixed(Math.abs(percent), 2)}%`;
}

export function age(seconds) {
  if (!Number.isFinite(seconds)) return DASH;
  if (seconds < 60) return "now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

const two = (n) => String(Math.floor(n)).padStart(2, "0");

export function until(seconds) {
  const left = Math.floor(seconds);
  if (left <= 0) return "due";
  if (left < 60) return `in ${left}s`;
  if (left < 3600) return `in ${Math.floor(left / 60)}m ${two(left % 60)}s`;
  if (left < 86400) return `in ${Math.floor(left / 3600)}h ${two((left % 3600) / 60)}m`;
  return `in ${Math.floor(left / 86400)}d ${two((left % 86400) / 3600)}h`;
}

export function spark(points, width = 192, height = 56, pad = 4) {
  if (!points || points.length < 2) return "";
  const high = Math.max(...points);
  const span = high - Math.min(...points);
  const scale = span > 0 ? (height - 2 * pad) / span : 0;
  const top = (scale ? pad : height / 2) + 0.5;
  const step = width / (points.length - 1);
  return `M${points.map((value, i) => `${Math.floor(i * step + 0.5)} ${Math.floor(top + (high - value) * scale)}`).join("L")}`;
}
