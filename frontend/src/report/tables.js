// Long tables show what a printed brief shows, and the rest on request.

import { element, say } from "./page.js";

const FEW = 4; // so few more rows are no reason for a button

export function foldTables() {
  for (const table of document.querySelectorAll(".section table")) {
    const rows = table.tBodies[0]?.rows ?? [];
    const more = table.querySelectorAll("tr.x").length;
    if (more <= FEW || more === rows.length) continue;
    table.dataset.more = "";
    const button = element("button", { type: "button", class: "button more" }, say("Show all {total}", { total: rows.length }));
    button.addEventListener("click", () => {
      delete table.dataset.more;
      button.remove();
    });
    table.parentElement.after(button);
  }
}
