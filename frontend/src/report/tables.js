// Long tables show what a printed brief shows (the style sheet folds them), and the rest on request.

import { element, say } from "./page.js";

const FEW = 4; // so few more rows are no reason for a button

export function foldTables() {
  for (const table of document.querySelectorAll("table:has(tr.x)")) {
    const rows = [...table.tBodies[0].rows];
    const folded = rows.filter((row) => getComputedStyle(row).display === "none").length;
    if (folded <= FEW) {
      table.dataset.all = "";
      continue;
    }
    const button = element("button", { type: "button", class: "button" }, say("Show all {total}", { total: rows.length }));
    const line = element("div", { class: "more" }, button);
    button.addEventListener("click", () => {
      table.dataset.all = "";
      line.remove();
    });
    table.parentElement.after(line);
  }
}
