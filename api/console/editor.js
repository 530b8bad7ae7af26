// An editor of a message's body: line numbers, the error at its line, hidden characters, and the difference to the original. The
// page of a dead letter uses it.

import { html, useId, useMemo, useRef } from "./lib.js";
import { difference, hiddenCharacters, lineOf, placeOf, scan } from "./json_text.js";
import { Text } from "./ui.js";

/** How many lines the editor shows before it scrolls. */
const MAX_ROWS = 40;
/** How many unchanged lines are shown around a change. */
const CONTEXT = 3;

/**
 * What is wrong with a text, and where: `{ line, column, message }`, or null. `prediction` is what the service says about the text; a
 * text that is no JSON needs no service.
 */
export function fault(text, prediction) {
  const { places, error } = scan(text);
  if (error) return { ...lineOf(text, error.offset), message: error.message };
  if (prediction?.result !== "unreadable") return null;
  const offset = placeOf(places, prediction.pointer ?? "");
  return { ...lineOf(text, offset), message: prediction.detail, pointer: prediction.pointer };
}

export function Editor({ label, value, onInput, wrong, readOnly = false }) {
  const id = useId();
  const area = useRef(null);
  const gutter = useRef(null);
  const lines = value.split("\n");
  const hidden = useMemo(() => hiddenCharacters(value), [value]);
  const showLine = () => {
    const from = lines.slice(0, wrong.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
    area.current.focus();
    area.current.setSelectionRange(from, from + lines[wrong.line - 1].length);
  };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <div class="editor">
      <div class="gutter" aria-hidden="true" ref=${gutter}>${lines.map((_, index) =>
        html`<div class=${wrong?.line === index + 1 ? "wrong" : ""}>${index + 1}</div>`)}</div>
      <textarea id=${id} ref=${area} class="json" wrap="off" spellcheck="false" autocomplete="off" autocapitalize="off"
        rows=${Math.min(Math.max(lines.length, 4), MAX_ROWS)} readonly=${readOnly} value=${value}
        aria-invalid=${wrong ? "true" : undefined} aria-describedby=${`${id}-wrong`}
        onInput=${(event) => onInput(event.target.value)}
        onScroll=${(event) => { gutter.current.scrollTop = event.target.scrollTop; }}></textarea>
    </div>
    <div id=${`${id}-wrong`}>
      ${wrong && html`<p class="field-error"><button type="button" class="quiet small" onClick=${showLine}>Line ${wrong.line}, column ${wrong.column}</button> <${Text} value=${wrong.message} /></p>`}
      ${hidden.length > 0 && html`<p class="hint">Hidden characters: ${hidden.map(({ code, line }, index) =>
        html`${index > 0 && ", "}<code>${code}</code> in line ${line}`)}</p>`}
    </div>
  </div>`;
}

/** The changes between two texts, with some lines around each change. */
export function Difference({ before, after }) {
  const lines = useMemo(() => difference(before, after), [before, after]);
  const near = new Set();
  lines.forEach(({ kind }, at) => {
    if (kind === "same") return;
    for (let line = at - CONTEXT; line <= at + CONTEXT; line += 1) near.add(line);
  });
  const signs = { same: " ", removed: "−", added: "+" };
  const spoken = { same: "", removed: "removed: ", added: "added: " };
  let isGap = false;
  return html`<div class="difference" role="group" tabindex="0" aria-label="Changes">${lines.map(({ kind, line }, at) => {
    if (!near.has(at)) {
      if (isGap) return null;
      isGap = true;
      return html`<div class="gap">⋯</div>`;
    }
    isGap = false;
    return html`<div class=${kind}><span aria-hidden="true">${signs[kind]} </span><span class="unseen">${spoken[kind]}</span><${Text} value=${line} /></div>`;
  })}</div>`;
}
