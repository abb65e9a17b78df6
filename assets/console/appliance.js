// One appliance: its session, its dialogue as it happens, context, alerts and last errors.

import { ask, at } from "/console/api.js";
import { badge, el, fill, moment, say } from "/console/dom.js";
import { tell } from "/console/story.js";

/** Lines of the dialogue that are kept. */
const LINES = 200;

export class Appliance {
  #facts = el("dl", { class: "facts" });
  #story = el("ol", { class: "story", id: "story", tabindex: "0", "aria-label": "What happens", role: "log" });
  #alerts = el("div");
  #context = el("div");
  #errors = el("div");
  #pairing = el("div");
  #isPaired;

  constructor(id, fail) {
    this.id = id;
    this.fail = fail;
    this.title = id;
    const section = (title, ...children) => {
      const heading = `heading-${title.replace(/\W/g, "-").toLowerCase()}`;
      return el("section", { "aria-labelledby": heading }, el("h2", { id: heading }, title), ...children);
    };
    this.element = el("div", {},
      el("p", { class: "back" }, el("a", { href: "#/" }, "All appliances")),
      el("h1", {}, id),
      el("div", { class: "columns" },
        section("State", this.#facts),
        section("Dialogue", this.#askForm(), this.#story),
        section("Alerts", this.#alerts),
        section("Last errors", this.#errors),
        section("Context", this.#context),
        section("Pairing", this.#pairing)));
    fill(this.#story, el("li", { class: "quiet" }, "Nothing has happened since this page was opened."));
  }

  /** Everything anew. */
  async load() {
    try {
      const shown = await ask("GET", at(this.id));
      this.#show(shown);
      // Until the gateway has started to serve it there are none.
      this.#showAlerts(shown.session ? await ask("GET", at(this.id, "alerts")) : []);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Takes a change into the story, or says that it is another appliance's. */
  note(change) {
    if (change.appliance !== this.id) return false;
    this.#add(change.at, tell(change));
    return true;
  }

  #add(when, what) {
    if (!what) return;
    this.#story.querySelector(".quiet")?.remove();
    // Whoever reads further up is left there.
    const atEnd = this.#story.scrollHeight - this.#story.scrollTop - this.#story.clientHeight < 40;
    this.#story.append(el("li", { "data-kind": what.kind }, moment(when), " ", ...what.parts));
    while (this.#story.children.length > LINES) this.#story.firstElementChild.remove();
    if (atEnd) this.#story.scrollTop = this.#story.scrollHeight;
  }

  #show(one) {
    const facts = [
      ["Appliance", one.online === undefined ? "starting" : badge(one.online ? "online" : "offline")],
      ["Session", one.session ? [badge(one.session.state), " since ", moment(one.session.since)] : "starting"],
      ["Reason", one.session?.reason],
      ["Dialogue", one.dialogue && badge(one.dialogue.state)],
      ["Sounds", one.focus && sounds(one.focus)],
      ["Unsent events", one.unsentEvents && String(one.unsentEvents)],
      ["Model", one.modelId],
      ["Language", one.lang],
      ["Device id", el("code", {}, one.deviceId)],
      ["Added", moment(one.createdAt)],
    ];
    fill(this.#facts, facts.filter(([, value]) => value).map(([name, value]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value))));
    this.#showErrors(one.errors ?? []);
    this.#showContext(one.context ?? {});
    this.#showPairing(one.paired);
  }

  #showAlerts(alerts) {
    if (!alerts.length) return fill(this.#alerts, el("p", {}, "None."));
    const heads = ["Alert", "When", "State", ""];
    const cell = (label, ...children) => el("td", { "data-label": label }, ...children);
    const stop = (alert) => alert.state === "ringing" && el("button", {
      type: "button", id: `stop-${alert.token}`, "data-token": alert.token,
      "aria-label": `Stop ${alert.label ?? alert.type}`,
    }, "Stop");
    const table = el("table", { class: "cards" },
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, alerts.map((alert) => el("tr", {},
        el("th", { scope: "row" }, alert.type.toLowerCase(), alert.label ? `: ${alert.label}` : null),
        cell("When", moment(alert.scheduledTime)),
        cell("State", badge(alert.state)),
        cell("", stop(alert) || "")))));
    fill(this.#alerts, table);
    for (const button of this.#alerts.querySelectorAll("button")) {
      button.onclick = () => this.#stop(button.dataset.token);
    }
  }

  #showErrors(errors) {
    if (!errors.length) return fill(this.#errors, el("p", {}, "None."));
    fill(this.#errors, el("ul", { class: "errors" }, errors.toReversed().map((error) =>
      el("li", {}, moment(error.at), " ", el("code", {}, error.topic), " ",
        el("strong", {}, error.code), ` ${error.message}`))));
  }

  #showContext(context) {
    const names = Object.keys(context);
    if (!names.length) return fill(this.#context, el("p", {}, "Nothing is known yet."));
    const known = new Map([...this.#context.querySelectorAll("details")].map((old) => [old.dataset.name, old]));
    const shown = names.map((name) => {
      const details = known.get(name) ?? el("details", { "data-name": name }, el("summary", {}, name), el("pre"));
      fill(details.querySelector("pre"), JSON.stringify(context[name], null, 2));
      return details;
    });
    if (shown.length !== known.size || shown.some((details) => !details.isConnected)) {
      this.#context.replaceChildren(...shown);
    }
  }

  #showPairing(isPaired) {
    if (isPaired === this.#isPaired) return;
    this.#isPaired = isPaired;
    this.#pairing.replaceChildren(...(isPaired ? this.#unpairForm() : this.#pairForm()));
  }

  #pairForm() {
    const code = el("input", { id: "code", required: true, autocomplete: "off" });
    return [
      el("p", {}, "Not paired. The authorization code comes from your companion app, after the user has signed in to CLOVA there."),
      form("Pair", "code", "Authorization code", code, async () => {
        await this.#doing("Paired.", "POST", at(this.id, "pair"), { code: code.value.trim() });
      }),
    ];
  }

  #unpairForm() {
    const sure = el("input", { type: "checkbox", id: "sure", required: true });
    const ask = el("p", {}, sure, " ", el("label", { for: "sure" }, "Forget its tokens, alerts and unsent events"));
    return [
      el("p", {}, "Paired with a CLOVA account."),
      el("form", {
        onsubmit: (event) => {
          event.preventDefault();
          this.#doing("Unpaired.", "DELETE", at(this.id, "pair"));
        },
      }, ask, el("button", { class: "danger" }, "Unpair")),
    ];
  }

  #askForm() {
    const text = el("input", { id: "text", required: true, maxlength: "1000", autocomplete: "off" });
    return form("Ask", "text", "Ask in its place", text, async () => {
      const asked = text.value;
      if (await this.#doing("The appliance gets the answer.", "POST", at(this.id, "text"), { text: asked })) {
        this.#add(new Date().toISOString(), { kind: "asked", parts: ["asked here: ", el("q", {}, asked)] });
        text.value = "";
      }
    });
  }

  #stop(token) {
    return this.#doing("The alert is being stopped.", "POST", at(this.id, "alerts", token, "stop"));
  }

  async #doing(done, method, path, body) {
    try {
      await ask(method, path, body);
      say(done);
      this.load();
      return true;
    } catch (error) {
      this.fail(error);
      return false;
    }
  }
}

function form(verb, id, label, input, submit) {
  const button = el("button", {}, verb);
  return el("form", {
    class: "field",
    onsubmit: async (event) => {
      event.preventDefault();
      button.disabled = true;
      await submit().finally(() => { button.disabled = false; });
    },
  }, el("label", { for: id }, label), input, button);
}

function sounds(focus) {
  const loud = Object.entries(focus).filter(([, place]) => place !== "none");
  return loud.length ? loud.map(([what, place]) => `${what} (${place})`).join(", ") : "nothing";
}
