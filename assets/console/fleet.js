// All appliances: numbers of them, and a list that can be searched.

import { ask, at, page } from "/console/api.js";
import { badge, el, fill } from "/console/dom.js";

const PAGE = 100;

export class Fleet {
  #rows = new Map();
  #next;
  #query = "";
  #numbers = el("ul", { class: "numbers", "aria-label": "In numbers" });
  #body = el("tbody");
  #empty = el("p", { hidden: true });
  #more = el("button", { type: "button", hidden: true, onclick: () => this.#append() }, "Show more");
  #asked = 0;

  constructor(fail) {
    this.fail = fail;
    this.title = "Appliances";
    const search = el("input", {
      type: "search", id: "search", maxlength: "64", autocomplete: "off",
      oninput: (event) => this.#search(event.target.value),
    });
    const heads = ["Appliance", "There", "Session", "Dialogue", "Alerts", "Errors"];
    this.element = el("div", {},
      el("h1", {}, this.title),
      this.#numbers,
      el("p", { class: "field" }, el("label", { for: "search" }, "Find by id"), search),
      el("table", { class: "cards" },
        el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
        this.#body),
      this.#empty,
      el("p", {}, this.#more));
  }

  /** Everything anew. */
  async load() {
    const asked = ++this.#asked;
    const query = this.#query ? `&q=${encodeURIComponent(this.#query)}` : "";
    try {
      const [first, fleet] = await Promise.all([
        page(`appliances?limit=${Math.max(PAGE, Math.min(this.#rows.size, 1000))}${query}`),
        ask("GET", "fleet"),
      ]);
      // A later question has been asked while this one was answered.
      if (asked !== this.#asked) return;
      this.#rows.clear();
      this.#take(first);
      this.#count(fleet);
    } catch (error) {
      this.fail(error);
    }
  }

  async #append() {
    try {
      this.#take(await page(this.#next));
    } catch (error) {
      this.fail(error);
    }
  }

  #search(text) {
    this.#query = text.trim();
    this.#rows.clear();
    this.load();
  }

  #take({ items, next }) {
    for (const one of items) this.#rows.set(one.id, one);
    this.#next = next;
    this.#more.hidden = !next;
    fill(this.#body, [...this.#rows.values()].map(row));
    this.#empty.hidden = this.#rows.size > 0;
    this.#empty.textContent = this.#query
      ? "No appliance has this in its id."
      : "There are no appliances yet. Add one: cic-gateway appliance add kitchen";
  }

  #count({ version, sessions, alerts }) {
    const number = (count, word) => el("li", {}, el("strong", {}, String(count)), ` ${word}`);
    const some = (counts) => Object.entries(counts).filter(([, count]) => count > 0);
    const total = Object.values(sessions).reduce((sum, count) => sum + count, 0);
    fill(this.#numbers,
      number(total, total === 1 ? "appliance" : "appliances"),
      some(sessions).map(([state, count]) => number(count, state)),
      some(alerts).map(([state, count]) => number(count, `alerts ${state}`)),
      el("li", {}, `version ${version}`));
  }
}

function row(one) {
  const cell = (label, ...children) => el("td", { "data-label": label }, ...children);
  const link = el("a", { href: `#/${at(one.id)}`, id: `row-${one.id}` }, one.id);
  const errors = one.errors?.length ?? 0;
  return el("tr", {},
    el("th", { scope: "row" }, link),
    cell("There", one.online === undefined ? "–" : badge(one.online ? "online" : "offline")),
    cell("Session", badge(one.session?.state ?? (one.paired ? "starting" : "unpaired"))),
    cell("Dialogue", one.dialogue ? badge(one.dialogue.state) : "–"),
    cell("Alerts", String(one.alerts ?? "–")),
    cell("Errors", errors ? el("span", { class: "bad" }, String(errors)) : "0"));
}
