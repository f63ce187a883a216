// Figures of lines become explorable on request: values under the pointer, series on and off, zoom by dragging.

import uPlot from "uplot";
import { colour, day, element, number, onTheme, say, undelta } from "./page.js";

const COLOURS = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6"];
const DASHES = [[], [], [], [6, 3], [2, 2], [8, 3, 2, 3]];

function explore(figure, packed) {
  const drawing = figure.querySelector(".plot");
  const height = drawing.getBoundingClientRect().height;
  const decimals = Math.max(packed.decimals - 1, 1);
  const columns = [
    undelta(packed.days).map((epochDay) => epochDay * 86400),
    ...packed.series.map((series) => undelta(series.values, 10 ** packed.decimals)),
  ];
  const last = columns.map((column) => column.findLast((value) => value != null));
  const place = element("div", { class: "explorer" });
  const wide = () => Math.floor(figure.getBoundingClientRect().width);
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const draw = () =>
    new uPlot(
      {
        width: wide(),
        height: Math.round(height),
        padding: [12, 0, 0, 28], // half a date: the first one is else cut off
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        cursor: { points: { size: 6 } },
        scales: { x: { time: true } },
        axes: [
          { stroke: colour("--ink-3"), grid: { show: false }, ticks: { show: false }, font, values: (_, times) => times.map(day), space: 90 },
          {
            side: 1,
            size: 52,
            stroke: colour("--ink-3"),
            grid: { stroke: colour("--line"), width: 1 },
            ticks: { show: false },
            font,
            values: (_, values) => values.map((value) => number(value, Math.max(packed.decimals - 2, 0))),
          },
        ],
        series: [
          { label: say("Date"), value: (_, time) => day(time ?? last[0]) },
          ...packed.series.map((series, i) => ({
            label: series.name,
            stroke: colour(packed.series.length === 1 ? "--down" : COLOURS[i]),
            fill: packed.series.length === 1 ? colour("--down", 0.14) : undefined,
            width: 1.7,
            dash: DASHES[i],
            spanGaps: true,
            value: (_, value) => number(value ?? last[i + 1], decimals), // away from the figure: the newest
          })),
        ],
      },
      columns,
      place,
    );
  drawing.classList.add("print-only");
  figure.querySelector(".legend")?.classList.add("print-only");
  drawing.before(place);
  let plot = draw();
  new ResizeObserver(() => {
    if (wide() !== plot.width) plot.setSize({ width: wide(), height: Math.round(height) });
  }).observe(figure);
  onTheme(() => {
    plot.destroy();
    plot = draw();
  });
}

export function openLines() {
  for (const data of document.querySelectorAll("script.data-lines")) {
    const figure = data.closest("figure");
    const button = element("button", { type: "button", class: "button" }, say("Explore"));
    button.addEventListener("click", () => {
      explore(figure, JSON.parse(data.textContent));
      button.remove();
    });
    figure.querySelector("figcaption").append(button);
  }
}
