// Building the page. Only elements and text: nothing that anybody sent is ever read as HTML.

/** An element; `on…` properties are listeners, others attributes; null and false are left out. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Replaces what an element holds, unless it would hold the same; the focus stays. */
export function fill(element, ...children) {
  const next = el(element.localName, {}, ...children);
  if (next.innerHTML === element.innerHTML) return;
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren(...next.childNodes);
  if (focused) document.getElementById(focused)?.focus();
}

/** A moment: the time if it is today, otherwise with its date. */
export function moment(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return String(text);
  const today = at.toDateString() === new Date().toDateString();
  return el("time", { datetime: text }, today ? at.toLocaleTimeString() : at.toLocaleString());
}

/** A word with a colour of its own. */
export function badge(word) {
  return el("span", { class: "badge", "data-word": word }, word);
}

/** What went well need not stay, milliseconds. */
const READ = 6000;
let fading;

/** Tells everybody, also those who listen, what has become of what they did. */
export function say(text, isBad = false) {
  const said = document.getElementById("said");
  clearTimeout(fading);
  if (!isBad) fading = setTimeout(() => { said.textContent = ""; }, READ);
  said.textContent = text;
  said.classList.toggle("bad", isBad);
}
