// The interactive chart of one card, in place of its drawn line.

import { CandlestickSeries, ColorType, createChart } from "lightweight-charts";
import { colour, day, element, language, number, onTheme, say, undelta } from "./page.js";

const LAST = 45;
const DIGITS = new Map(
  Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
    .filter((character) => !'"\\<>&'.includes(character))
    .map((character, i) => [character, i]),
);

/** Numbers from 0 on as reports/render/chart.py writes them: in base 45, the last digit of each from the first half. */
function read(text) {
  const numbers = [];
  let before = 0;
  for (const character of text) {
    const digit = DIGITS.get(character);
    if (digit < LAST) {
      numbers.push(before * LAST + digit);
      before = 0;
    } else {
      before = before * LAST + digit - LAST + 1;
    }
  }
  return numbers;
}

const signed = (numbers) => numbers.map((n) => (n % 2 ? -(n + 1) / 2 : n / 2));

/** Columns as the server packed them (reports/render/chart.py) to bars with times in seconds. */
export function unpack({ p, d, c, o, h, l }) {
  const scale = 10 ** p;
  const close = undelta(signed(read(c)));
  const opens = signed(read(o));
  const highs = read(h);
  const lows = read(l);
  return undelta(signed(read(d))).map((epochDay, i) => {
    const open = (i ? close[i - 1] : close[0]) + opens[i];
    return {
      time: epochDay * 86400,
      open: open / scale,
      high: (Math.max(open, close[i]) + highs[i]) / scale,
      low: (Math.min(open, close[i]) - lows[i]) / scale,
      close: close[i] / scale,
    };
  });
}

function look() {
  return {
    layout: {
      background: { type: ColorType.Solid, color: "transparent" },
      textColor: colour("--ink-3"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      attributionLogo: false, // it writes a style element, which the policy forbids; the page's foot names TradingView
    },
    grid: { vertLines: { visible: false }, horzLines: { color: colour("--line") } },
    rightPriceScale: { borderVisible: false, entireTextOnly: true },
    timeScale: { borderColor: colour("--line") },
  };
}

function candleLook() {
  const up = colour("--up");
  const down = colour("--down");
  return { upColor: up, wickUpColor: up, borderUpColor: up, downColor: down, wickDownColor: down, borderDownColor: down };
}

export function openCandles(card) {
  const data = card.querySelector(".data-bars");
  if (!data) return;
  const packed = JSON.parse(data.textContent);
  data.remove();
  if (!packed.c?.length) return;
  const bars = unpack(packed);
  const legend = element("p", { class: "candles-legend" });
  const place = element("div", { class: "candles", "aria-hidden": "true" });
  const drawing = card.querySelector(".card-chart .plot");
  const decimals = packed.f;

  drawing.classList.add("print-only");
  drawing.before(legend, place); // first: the chart measures its place

  const chart = createChart(place, {
    ...look(),
    autoSize: true,
    localization: { locale: language, priceFormatter: (value) => number(value, decimals), timeFormatter: day },
    handleScroll: { vertTouchDrag: false, mouseWheel: false },
    handleScale: { mouseWheel: false },
  });
  const series = chart.addSeries(CandlestickSeries, {
    ...candleLook(),
    priceFormat: { type: "custom", formatter: (value) => number(value, decimals), minMove: 10 ** -decimals },
  });
  series.setData(bars);
  chart.timeScale().fitContent();

  const show = (bar) => {
    legend.textContent =
      `${day(bar.time)} · ${say("Open")} ${number(bar.open, decimals)} · ${say("High")} ${number(bar.high, decimals)} · ` +
      `${say("Low")} ${number(bar.low, decimals)} · ${say("Close")} ${number(bar.close, decimals)}`;
  };
  show(bars.at(-1));
  chart.subscribeCrosshairMove((at) => {
    const bar = at.seriesData.get(series);
    show(bar ? { ...bar, time: at.time } : bars.at(-1));
  });
  onTheme(() => {
    chart.applyOptions(look());
    series.applyOptions(candleLook());
  });
}
