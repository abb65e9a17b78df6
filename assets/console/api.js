// The HTTP API of the gateway. The token stays in this browser until somebody signs out.

const API = "/api/v1";
const TOKEN = "cic-gateway-token";
const RETRY = 2000;

/** What the gateway did not do, in its own words. */
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export const token = {
  get: () => localStorage.getItem(TOKEN) ?? "",
  set: (text) => localStorage.setItem(TOKEN, text),
  forget: () => localStorage.removeItem(TOKEN),
};

function request(method, path, { body, headers = {}, signal } = {}) {
  const all = { ...headers };
  if (token.get()) all.authorization = `Bearer ${token.get()}`;
  if (body !== undefined) all["content-type"] = "application/json";
  const url = path.startsWith("/") ? path : `${API}/${path}`;
  return fetch(url, {
    method,
    headers: all,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
    cache: "no-store",
  });
}

async function problem(response) {
  const told = await response.json().catch(() => ({}));
  return new Problem(response.status, told.detail ?? response.statusText);
}

async function answer(method, path, options) {
  let response;
  try {
    response = await request(method, path, options);
  } catch {
    throw new Problem(0, "the gateway does not answer");
  }
  if (!response.ok) throw await problem(response);
  return response;
}

/** Asks; resolves to the JSON of the answer, or to nothing where there is none. */
export async function ask(method, path, body) {
  const text = await (await answer(method, path, { body })).text();
  return text ? JSON.parse(text) : undefined;
}

/** One page of a list: what is on it, and where the next one is. */
export async function page(path) {
  const response = await answer("GET", path);
  const next = /<([^>]+)>; rel="next"/.exec(response.headers.get("link") ?? "");
  return { items: await response.json(), next: next?.[1] };
}

/** The path of an appliance. */
export const at = (id, ...rest) =>
  ["appliances", id, ...rest].map(encodeURIComponent).join("/");

/**
 * Follows what changes until `signal`: `onChange` gets each change, `onReset` is called when
 * everything must be asked anew, `onLive` is told whether the stream stands.
 */
export async function watch({ onChange, onReset, onLive, onProblem, signal }) {
  let last;
  while (!signal.aborted) {
    try {
      const headers = last ? { "last-event-id": last } : {};
      const response = await request("GET", "events", { headers, signal });
      if (!response.ok) throw await problem(response);
      onLive(true);
      for await (const event of events(response.body)) {
        last = event.id ?? last;
        if (event.kind === "reset") onReset();
        else if (event.data) onChange(JSON.parse(event.data));
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem) onProblem(error);
    }
    if (signal.aborted) return;
    onLive(false);
    await new Promise((resolve) => setTimeout(resolve, RETRY));
  }
}

/** Server-sent events of a body. EventSource cannot send the token. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) yield event(block);
  }
}

function event(block) {
  const fields = {};
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name) fields[name] = value;
  }
  return { kind: fields.event, id: fields.id, data: fields.data };
}
