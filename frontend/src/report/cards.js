// Instrument cards: opened by links to them, found by name, drawn when opened.

import { element, reducedMotion, say } from "./page.js";

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").replace(/đ/gi, "d").toLowerCase();

function openTarget() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const card = target && target.closest("details.card");
  if (!card) return;
  card.open = true;
  card.scrollIntoView({ behavior: reducedMotion() ? "auto" : "smooth", block: "start" });
}

function finder(list, cards) {
  const texts = cards.map((card) => plain(card.dataset.find));
  const count = element("span", { role: "status" });
  const find = () => {
    const words = plain(input.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    cards.forEach((card, i) => {
      const fits = words.every((word) => texts[i].includes(word));
      card.hidden = !fits;
      shown += fits;
    });
    count.textContent = shown ? say("{shown} of {total}", { shown, total: cards.length }) : say("No instrument matches.");
  };
  const label = say("Search instruments");
  const input = element("input", { type: "search", placeholder: label, "aria-label": label, oninput: find });
  find();
  list.before(element("div", { class: "cards-tools" }, input, count));
}

export function startCards(openCandles) {
  const list = document.querySelector("[data-cards]");
  if (!list) return;
  const cards = [...list.querySelectorAll("details.card")];
  finder(list, cards);
  // `toggle` does not bubble; capturing needs one listener for all cards.
  list.addEventListener(
    "toggle",
    (event) => {
      const card = event.target;
      if (card.open && !("still" in card.dataset)) openCandles(card);
    },
    true,
  );
  document.addEventListener("click", (event) => {
    const area = event.target.closest?.("[data-card]");
    if (area) location.hash = area.dataset.card;
  });
  addEventListener("hashchange", openTarget);
  openTarget();
}
