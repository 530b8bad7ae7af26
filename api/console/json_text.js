// JSON as a text that may be broken: where a member is, where the text stops being JSON, layout without changing a value, and
// the difference between two texts. The editor of dead letters uses it.

/** The deepest nesting that is scanned. The service reads 128 levels. */
const MAX_DEPTH = 128;
/** Above this product of lines, a difference is shown as one replaced part. */
const MAX_COMPARISONS = 4_000_000;

/**
 * Scans a text as JSON. Returns `places`, the offset of each member by its JSON pointer (RFC 6901), and `error`, `{ offset, message }`
 * where the text stops being JSON, or null.
 */
export function scan(text) {
  const scanner = new Scanner(text);
  try {
    scanner.space();
    scanner.value("", scanner.at);
    scanner.space();
    if (scanner.at < text.length) scanner.fail("there is more text after the end of the JSON value");
    return { places: scanner.places, error: null };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { places: scanner.places, error };
  }
}

class Failure {
  constructor(offset, message) {
    this.offset = offset;
    this.message = message;
  }
}

class Scanner {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.depth = 0;
    this.places = new Map();
  }

  fail(message) {
    throw new Failure(Math.min(this.at, this.text.length), message);
  }

  space() {
    while (" \n\r\t".includes(this.text[this.at] ?? "x")) this.at += 1;
  }

  /** Reads a value. `from` is where its member begins, which is the name in an object. */
  value(pointer, from) {
    this.places.set(pointer, from);
    const next = this.text[this.at];
    if (next === "{") return this.members(pointer, "}", "an object");
    if (next === "[") return this.members(pointer, "]", "an array");
    if (next === '"') return this.string();
    const scalar = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null/y;
    scalar.lastIndex = this.at;
    const found = scalar.exec(this.text);
    if (!found) this.fail(next === undefined ? "the JSON ends before a value" : "a JSON value is missing");
    this.at += found[0].length;
    return undefined;
  }

  members(pointer, end, what) {
    this.depth += 1;
    if (this.depth > MAX_DEPTH) this.fail("the JSON is nested too deeply");
    this.at += 1;
    this.space();
    for (let index = 0; this.text[this.at] !== end; index += 1) {
      if (index > 0) {
        if (this.text[this.at] !== ",") this.fail(this.at >= this.text.length ? `the JSON ends in the middle of ${what}` : `a comma or ${end} is missing`);
        this.at += 1;
        this.space();
      }
      if (this.at >= this.text.length) this.fail(`the JSON ends in the middle of ${what}`);
      const from = this.at;
      let name = index;
      if (end === "}") {
        if (this.text[this.at] !== '"') this.fail("the name of a member must be in double quotes");
        name = this.string().replaceAll("~", "~0").replaceAll("/", "~1");
        this.space();
        if (this.text[this.at] !== ":") this.fail(this.at >= this.text.length ? `the JSON ends in the middle of ${what}` : "a colon is missing");
        this.at += 1;
        this.space();
      }
      this.value(`${pointer}/${name}`, from);
      this.space();
    }
    this.at += 1;
    this.depth -= 1;
  }

  string() {
    const string = /"((?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*)"?/y;
    string.lastIndex = this.at;
    const found = string.exec(this.text)[0];
    const start = this.at;
    this.at += found.length;
    if (found.length < 2 || !/[^\\](\\\\)*"$/.test(found)) {
      this.fail(this.at >= this.text.length ? "the JSON ends in the middle of a string" : "a string must have no line breaks, controls or unknown escapes");
    }
    return JSON.parse(this.text.slice(start, this.at));
  }
}

/** Where the member of a pointer is, or the nearest of its parents that the text has. */
export function placeOf(places, pointer) {
  for (let rest = pointer; ; rest = rest.slice(0, rest.lastIndexOf("/"))) {
    if (places.has(rest)) return places.get(rest);
    if (rest === "") return 0;
  }
}

/** The line and the column of an offset, both from 1. */
export function lineOf(text, offset) {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: before.at(-1).length + 1 };
}

/**
 * Puts each member on a line of its own. Only white space between tokens changes, so every value stays as it was written, and a
 * text that is cut off stays cut off. A text that does not begin like JSON is returned as it is.
 */
export function format(text) {
  if (!/^\s*[{[]/.test(text)) return text;
  const token = /\s+|"(?:[^"\\]|\\[^])*"?|[{}[\],:]|[^\s"{}[\],:]+/g;
  let [result, depth, gap] = ["", 0, false];
  const newLine = () => `\n${"  ".repeat(depth)}`;
  for (const [part] of text.matchAll(token)) {
    if (/^\s/.test(part)) {
      gap = true;
      continue;
    }
    const last = result.at(-1);
    if (part === "}" || part === "]") {
      depth = Math.max(0, depth - 1);
      result += (last === "{" || last === "[") ? part : newLine() + part;
    } else if (part === ",") {
      result += part;
    } else if (part === ":") {
      result += ": ";
    } else {
      if (last === "{" || last === "[" || last === ",") result += newLine();
      else if (gap && last && last !== " ") result += " ";
      result += part;
      if (part === "{" || part === "[") depth = Math.min(depth + 1, MAX_DEPTH);
    }
    gap = false;
  }
  return result;
}

/** The difference between two texts by lines: `[{ kind, line }]`, where `kind` is `same`, `removed` or `added`. */
export function difference(before, after) {
  const [old, now] = [before.split("\n"), after.split("\n")];
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const same = (lines) => lines.map((line) => ({ kind: "same", line }));
  const [left, right] = [old.slice(start, old.length - end), now.slice(start, now.length - end)];
  return [...same(old.slice(0, start)), ...changed(left, right), ...same(old.slice(old.length - end))];
}

/** The difference between two lists of lines, by their longest common subsequence. */
function changed(old, now) {
  const removed = (line) => ({ kind: "removed", line });
  const added = (line) => ({ kind: "added", line });
  if (old.length * now.length > MAX_COMPARISONS) return [...old.map(removed), ...now.map(added)];
  const lengths = Array.from({ length: old.length + 1 }, () => new Uint32Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      lengths[i][j] = old[i] === now[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const result = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      result.push({ kind: "same", line: old[i] });
      i += 1;
      j += 1;
    } else if (i < old.length && (j >= now.length || lengths[i + 1][j] >= lengths[i][j + 1])) {
      result.push(removed(old[i]));
      i += 1;
    } else {
      result.push(added(now[j]));
      j += 1;
    }
  }
  return result;
}

// Characters that are invisible or change the direction of the text around them, as in ui.js.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** The hidden characters of a text: `[{ code, line }]`, at most 20. */
export function hiddenCharacters(text) {
  const found = [];
  for (const match of text.matchAll(HIDDEN)) {
    if (found.length === 20) break;
    const code = `U+${match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    found.push({ code, line: lineOf(text, match.index).line });
  }
  return found;
}
