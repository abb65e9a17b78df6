// What a change looks like in the dialogue of an appliance.

import { badge, el } from "/console/dom.js";

const quote = (text) => el("q", {}, text);

const STORIES = {
  presence: ({ online }) => [badge(online ? "online" : "offline")],
  session: ({ state, reason }) => ["session ", badge(state), reason ? ` ${reason}` : null],
  dialogue: ({ state }) => [badge(state)],
  understood: ({ text }) => ["hears ", quote(text)],
  captured: ({ reason, text }) => [`end of speech (${reason}) `, text ? quote(text) : null],
  directive: ({ namespace, name }) => ["directive ", el("code", {}, `${namespace}.${name}`)],
  alert: ({ action, type }) => [`alert ${action}: ${type.toLowerCase()}`],
  error: ({ topic, code, message }) => [
    el("span", { class: "bad" }, code), ` ${message} (`, el("code", {}, topic), ")",
  ],
};

/** What to say of a change; nothing of those that only numbers show. */
export function tell(change) {
  const parts = STORIES[change.kind]?.(change);
  return parts && { kind: change.kind, parts: parts.filter((part) => part !== null) };
}
