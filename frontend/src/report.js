// Makes a report easier to use; nothing in it is needed to read one. It never loads anything: all numbers are on the page.

import { openCandles } from "./report/candles.js";
import { startCards } from "./report/cards.js";
import { openLines } from "./report/lines.js";
import { foldTables } from "./report/tables.js";
import { followContents, startTools } from "./report/tools.js";

function start() {
  foldTables();
  startTools();
  followContents();
  startCards(openCandles);
  openLines();
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
