// The console: asks for the token once, shows the page that the address names, keeps it up to date.

import { ask, token, watch } from "/console/api.js";
import { Appliance } from "/console/appliance.js";
import { el, say } from "/console/dom.js";
import { Fleet } from "/console/fleet.js";

/** Changes that come together are shown together, milliseconds. */
const TOGETHER = 250;
/** What no change tells of, such as the context, is asked for so often, milliseconds. */
const REFRESH = 10_000;

const main = document.getElementById("main");
const live = document.getElementById("live");
const signOut = document.getElementById("sign-out");

let view;
let watching;
let soon;

function fail(error) {
  if (error.status === 401) askForToken();
  else say(error.message, true);
}

function show(next) {
  view = next;
  document.title = `${next.title} · cic-gateway`;
  main.replaceChildren(next.element);
}

function askForToken() {
  watching?.abort();
  watching = undefined;
  const wasWrong = token.get() !== "";
  token.forget();
  signOut.hidden = true;
  live.textContent = "";
  const input = el("input", { id: "token", type: "password", required: true, autocomplete: "current-password" });
  const submit = (event) => {
    event.preventDefault();
    token.set(input.value.trim());
    enter();
  };
  show({
    title: "Sign in",
    element: el("form", { class: "field sign-in", onsubmit: submit },
      el("h1", {}, "Sign in"),
      el("p", {}, "The admin token stands in the gateway's configuration as ", el("code", {}, "http.admin_token"), "."),
      // Password managers keep nothing without a name.
      el("input", { name: "username", autocomplete: "username", value: "admin", hidden: true }),
      el("label", { for: "token" }, "Admin token"), input, el("button", {}, "Sign in")),
  });
  say(wasWrong ? "This token is not the gateway's." : "", true);
  input.focus();
}

/** Finds out whether the token is right, or none is needed. */
async function enter() {
  try {
    await ask("GET", "fleet");
  } catch (error) {
    return fail(error);
  }
  say("");
  signOut.hidden = token.get() === "";
  route();
  watching?.abort();
  watching = new AbortController();
  watch({
    signal: watching.signal,
    onLive: (isLive) => {
      live.textContent = isLive ? "live" : "not connected to the gateway";
      live.classList.toggle("bad", !isLive);
    },
    onReset: () => view.load?.(),
    onChange: changed,
    onProblem: fail,
  });
}

function route() {
  // Such as the link that skips to the content.
  if (location.hash && !location.hash.startsWith("#/")) return;
  const [, kind, id] = location.hash.split("/").map(decodeURIComponent);
  show(kind === "appliances" && id ? new Appliance(id, fail) : new Fleet(fail));
  view.load();
}

/** Shows a change, and soon asks anew for what it may have changed. */
function changed(change) {
  if (view.note?.(change) === false) return;
  soon ??= setTimeout(() => {
    soon = undefined;
    if (watching) view.load?.();
  }, TOGETHER);
}

window.addEventListener("hashchange", () => {
  if (!watching || (location.hash && !location.hash.startsWith("#/"))) return;
  say("");
  route();
  main.focus();
});
signOut.addEventListener("click", () => {
  token.forget();
  askForToken();
});
setInterval(() => {
  if (watching && !document.hidden) view.load?.();
}, REFRESH);
enter();
