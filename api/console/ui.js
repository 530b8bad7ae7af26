// The parts that all pages share: the frame of a page, texts, times, money, badges, tables, errors, dialogs, loading, and a JSON
// editor. Texts of clients are always shown with `Text`.

import { Fragment, html, useEffect, useId, useRef, useState } from "./lib.js";
import { place } from "./nav.js";

/** The frame of a page: its heading, which gets the focus after a navigation, and its actions. */
export function Page({ title, subtitle, actions, children }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${visibleText(title)} · Orders console`;
  }, [title]);
  useEffect(() => {
    // Not on the first load: there, the focus belongs to the beginning of the document.
    if (place().navigations > 0) heading.current.focus({ preventScroll: true });
  }, []);
  return html`<div class="page">
    <div class="page-head">
      <div class="page-title"><h1 tabindex="-1" ref=${heading}><${Text} value=${title} /></h1>${subtitle && html`<p class="muted">${subtitle}</p>`}</div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
    ${children}
  </div>`;
}

/** A titled part of a page. */
export function Panel({ title, actions, class: name = "", children, level = 2 }) {
  const id = useId();
  const Heading = `h${level}`;
  return html`<section class=${`panel ${name}`} aria-labelledby=${id}>
    <div class="panel-head"><${Heading} id=${id}>${title}<//>${actions && html`<div class="actions">${actions}</div>`}</div>
    ${children}
  </section>`;
}

// Characters that are invisible or change the direction of the text around them: controls except tab and line feed, zero-width
// characters, directional marks, embeddings, overrides and isolates, separators, and the byte order mark.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function codeOf(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A text in which hidden characters are replaced by their code, where only plain text can be. */
export function visibleText(text) {
  return String(text ?? "").replace(HIDDEN, codeOf);
}

/**
 * A text that a client or a producer wrote. Hidden characters are shown as their code, such as U+202E, and the text cannot change
 * the direction of what is around it.
 */
export function Text({ value, class: name }) {
  const text = String(value ?? "");
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    parts.push(text.slice(from, match.index));
    parts.push(html`<span class="hidden-character" title="A hidden character">${codeOf(match[0])}</span>`);
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return html`<bdi class=${name}>${parts}</bdi>`;
}

/** An id or another machine-readable text. */
export function Code({ value }) {
  return html`<code><${Text} value=${value} /></code>`;
}

/** A word with a colour: `tone` is ok, info, warn, bad or quiet. The word carries the meaning. */
export function Badge({ tone = "quiet", children }) {
  return html`<span class=${`badge ${tone}`}>${children}</span>`;
}

const TONES = {
  pending: "warn", confirmed: "info", paid: "info", partially_shipped: "info", shipped: "info", delivered: "ok", returned: "quiet",
  cancelled: "quiet", refunded: "quiet", unpaid: "warn", authorized: "info", partially_paid: "warn", overpaid: "warn",
  partially_refunded: "quiet", unfulfilled: "quiet", partially_delivered: "info", partially_returned: "quiet",
  recorded: "ok", rejected: "bad", parked: "bad", accepted: "info", requested: "warn",
};

/** A status of an order or an event as a badge. */
export function Status({ value }) {
  return html`<${Badge} tone=${TONES[value] ?? "quiet"}>${words(value)}<//>`;
}

/** The words of a code: `order_return_requested` becomes `return requested`. */
export function words(code) {
  return String(code).replace(/^order_/, "").replaceAll("_", " ");
}

/** The words of a code with a capital, for headings and buttons. */
export function titled(code) {
  const text = words(code);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** An amount in minor units, such as 1250 and EUR. */
export function money(amount, currency) {
  let format;
  try {
    format = new Intl.NumberFormat("en", { style: "currency", currency, currencyDisplay: "code" });
  } catch {
    return `${amount} ${currency}`;
  }
  const digits = format.resolvedOptions().maximumFractionDigits;
  return format.format(amount / 10 ** digits).replace(/\u00a0/g, " ");
}

/** A count or another number, with separators. */
export function number(value, digits = 0) {
  return value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: digits });
}

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** A duration in seconds, in words: `3 min 20 s`, `12 ms`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0.9995) return `${Number((seconds * 1000).toPrecision(3))} ms`;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  let rest = Math.round(seconds);
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0 || parts.length) parts.push(count > 0 ? `${count} ${unit}` : null);
    rest -= count * size;
    if (parts.length === 2) break;
  }
  return parts.filter(Boolean).join(" ");
}

/** A size in bytes, in words: `12.5 GiB`. */
export function bytes(size) {
  if (size === null || size === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (size >= 1024 && step < units.length - 1) {
    size /= 1024;
    step += 1;
  }
  return `${Number(size.toPrecision(3))} ${units[step]}`;
}

const SHORT = { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
const thisYear = new Date().getFullYear();

/** A time, in the zone of the browser. The exact time is in the title. */
export function Time({ value }) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return html`<${Text} value=${value} />`;
  const options = date.getFullYear() === thisYear ? SHORT : { ...SHORT, year: "numeric" };
  return html`<time datetime=${value} title=${value}>${date.toLocaleString("en-GB", options)}</time>`;
}

/**
 * A table. `columns` are `{ title, cell, key?, numeric?, main? }`, where `cell` draws an item. On a narrow screen each row becomes a
 * card whose fields have the titles of their columns; the `main` column leads the card.
 */
export function Table({ caption, columns, items, itemKey, class: name = "", empty = "Nothing to show." }) {
  if (items.length === 0) return html`<p class="empty">${empty}</p>`;
  return html`<table class=${`table ${name}`}>
    <caption class="unseen">${caption}</caption>
    <thead><tr>${columns.map((column) => html`<th scope="col" class=${column.numeric && "numeric"}>${column.title}</th>`)}</tr></thead>
    <tbody>${items.map((item, index) => html`<tr key=${itemKey ? itemKey(item) : index}>${columns.map((column) =>
      html`<td class=${[column.numeric && "numeric", column.main && "main"].filter(Boolean).join(" ")} data-title=${column.title}>${column.cell(item)}</td>`)}</tr>`)}</tbody>
  </table>`;
}

/** Names and values: `rows` are `[name, value]`; rows without a value are left out. */
export function Facts({ rows }) {
  return html`<dl class="facts">${rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) =>
    html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** An error of the API, with everything that a person needs to go on: what, where, and the id that finds it in the logs. */
export function ErrorBox({ error }) {
  const body = error.body ?? {};
  const kind = body.type?.startsWith("/problems/") ? new URL(`../..${body.type}`, import.meta.url).pathname : null;
  return html`<div class="error-box" role="alert">
    <p><strong>${error.title ?? "Something went wrong in the console"}</strong>${error.status ? html` <span class="muted">(${error.status})</span>` : null}</p>
    <p><${Text} value=${error.message} /></p>
    ${body.violation && html`<p>Guard: <code>${body.violation.guard}</code>${Object.entries(body.violation.numbers ?? {}).map(([name, value]) => html` · ${words(name)}: ${value}`)}</p>`}
    ${body.errors?.length > 0 && html`<ul>${body.errors.map((item) => html`<li><${Code} value=${item.pointer ?? item.parameter ?? item.header ?? ""} /> <${Text} value=${item.detail} /></li>`)}</ul>`}
    <p class="muted small">${kind && html`<a href=${kind}>What this means</a>`}${kind && body.correlation_id ? " · " : ""}${body.correlation_id && html`Correlation id: <${Code} value=${body.correlation_id} />`}</p>
  </div>`;
}

/** Shown while data is loaded. */
export function Loading({ what = "Loading" }) {
  return html`<p class="loading" role="status"><span class="spinner" aria-hidden="true"></span>${what}…</p>`;
}

/**
 * Loads data when `dependencies` change, and with `reload`. Returns `{ data, error, isLoading, reload }`. `load` gets an abort signal.
 * With `every` (milliseconds), it loads again and again while the page is visible: a hidden console costs nothing.
 */
export function useLoad(load, dependencies = [], { every } = {}) {
  const [state, setState] = useState({ data: null, error: null, isLoading: true });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer;
    const run = async () => {
      if (every && document.hidden) return;
      try {
        const data = await load(abort.signal);
        if (!abort.signal.aborted) setState({ data, error: null, isLoading: false });
      } catch (error) {
        if (!abort.signal.aborted) setState((state) => ({ ...state, error, isLoading: false }));
      }
      if (every && !abort.signal.aborted) timer = setTimeout(run, every);
    };
    const onVisible = () => {
      clearTimeout(timer);
      if (!document.hidden) run();
    };
    setState((state) => ({ ...state, isLoading: true }));
    run();
    if (every) document.addEventListener("visibilitychange", onVisible);
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [...dependencies, round]);
  return { ...state, reload: () => setRound((round) => round + 1) };
}

/** A modal dialog. The focus stays inside, Escape closes it, and the element that opened it gets the focus back. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  const id = useId();
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current.showModal();
    return () => opener?.focus?.();
  }, []);
  return html`<dialog ref=${dialog} class="dialog" aria-labelledby=${id} onClose=${onClose} onCancel=${onClose}>
    <div class="panel-head"><h2 id=${id}>${title}</h2><button type="button" class="quiet" aria-label="Close" onClick=${onClose}>✕</button></div>
    ${children}
  </dialog>`;
}

/** A labelled control. `hint` explains it, and `error` says what is wrong with its value. */
export function Field({ label, hint, error, children: control }) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const given = typeof control === "function" ? control({ id, "aria-describedby": described, "aria-invalid": error ? "true" : undefined }) : control;
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${given}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="field-error" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

/** A button that copies a text, and says that it did. */
export function Copy({ text, label = "Copy" }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return html`<button type="button" class="quiet small" onClick=${copy}><span aria-live="polite">${copied ? "Copied" : label}</span></button>`;
}

/** Where the parser of JSON stopped: `{ line, column, message }`, or null if the text is JSON. */
export function jsonError(text) {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    const at = /line (\d+) column (\d+)/.exec(error.message);
    const position = /position (\d+)/.exec(error.message);
    const before = text.slice(0, position ? Number(position[1]) : text.length).split("\n");
    const [line, column] = at ? [Number(at[1]), Number(at[2])] : [before.length, before.at(-1).length + 1];
    return { line, column, message: error.message.replace(/ \(line.*$| in JSON at position.*$/, "") };
  }
}

/** An editor of a JSON text. It shows where the text stops being JSON. `error` is another thing that is wrong with it. */
export function JsonEditor({ label, value, onInput, error, rows = 12 }) {
  const syntax = jsonError(value);
  const message = syntax ? `Line ${syntax.line}, column ${syntax.column}: ${syntax.message}` : error;
  return html`<${Field} label=${label} error=${message}>${(control) => html`<textarea ...${control} class="json" rows=${rows} spellcheck="false"
    autocomplete="off" value=${value} onInput=${(event) => onInput(event.target.value)}></textarea>`}<//>`;
}

/** A JSON value, as text with hidden characters made visible. */
export function Json({ value }) {
  return html`<pre class="json" tabindex="0"><${Text} value=${JSON.stringify(value, null, 2)} /></pre>`;
}

/** Differences between two JSON values: `[{ path, before, after }]`. An absent value is undefined. */
export function differences(before, after, path = "") {
  const isBranch = (value) => value !== null && typeof value === "object";
  if (!isBranch(before) || !isBranch(after) || Array.isArray(before) !== Array.isArray(after)) {
    return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ path, before, after }];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => differences(before[key], after[key], path ? `${path}.${key}` : key));
}

export { Fragment };
