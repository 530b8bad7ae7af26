// Controls for the data of an event, made from its schema in the API's description. A value is what the request contains; empty
// controls have no value.

import { html } from "../lib.js";
import { Field, money, Text, titled, words } from "../ui.js";
import { kindOf, resolve } from "./schema.js";

const AMOUNT = /minor unit/;

// The `context` of a form is what it needs besides the schema: the `document`, the `order`, `suggestions` of texts by the name of
// the member, `present` lists that an event replaces as a whole, and `errors` by path.

function isAmount(schema) {
  return AMOUNT.test(schema.description ?? "");
}

/** The first sentence of a description, without the marks of code. */
function hintOf(schema) {
  const text = (schema.description ?? "").replaceAll("`", "").replace(/\s+/g, " ");
  return text.length > 150 ? `${text.split(/(?<=\.) /)[0]}` : text;
}

export function Fields({ context, schema, value = {}, onChange, prefix = "" }) {
  const required = new Set(schema.required ?? []);
  const names = Object.keys(schema.properties).sort((a, b) => required.has(b) - required.has(a));
  return names.map((name) => html`<${Control} key=${name} context=${context} name=${name} path=${prefix + name} schema=${resolve(context.document, schema.properties[name])}
    isRequired=${required.has(name)} value=${value[name]} onChange=${(member) => onChange({ ...value, [name]: member })} />`);
}

function Control(props) {
  const { context, schema, name, isRequired } = props;
  const kind = kindOf(context.document, schema);
  if (kind === "units") return html`<${Units} ...${props} />`;
  if (kind === "list") return html`<${List} ...${props} />`;
  if (kind === "object") return html`<${Part} ...${props} />`;
  if (kind === "map") return html`<${Entries} ...${props} />`;
  const { value, onChange, path } = props;
  const label = html`${titled(name)}${isRequired ? "" : html` <span class="muted optional">optional</span>`}`;
  const hint = kind === "integer" && isAmount(schema) && Number.isInteger(value) ? html`${money(value, context.order.currency)} · ${hintOf(schema)}` : hintOf(schema);
  return html`<${Field} label=${label} hint=${hint} error=${context.errors[path]}>${(control) => html`<${Simple} kind=${kind} control=${control} schema=${schema} isRequired=${isRequired}
    name=${name} value=${value} onChange=${onChange} suggestions=${context.suggestions[name]} />`}<//>`;
}

function Simple({ kind, control, schema, isRequired, name, value, onChange, suggestions }) {
  const list = suggestions?.length > 0 ? `${control.id}-list` : undefined;
  const options = list && html`<datalist id=${list}>${suggestions.map((text) => html`<option value=${text} />`)}</datalist>`;
  const common = { ...control, name, required: isRequired, autocomplete: "off" };
  const onText = (event) => onChange(event.target.value);
  if (kind === "choice") return html`<select ...${common} value=${value ?? ""} onChange=${onText}><option value=""></option>${schema.enum.map((item) => html`<option value=${item}>${words(item)}</option>`)}</select>`;
  if (kind === "boolean") return html`<input ...${common} required=${false} type="checkbox" checked=${value === true} onChange=${(event) => onChange(event.target.checked || undefined)} />`;
  if (kind === "text") return html`<textarea ...${common} rows="3" maxlength=${schema.maxLength} value=${value ?? ""} onInput=${onText}></textarea>`;
  if (kind === "integer") return html`<input ...${common} type="number" step="1" min=${schema.minimum} max=${schema.maximum} value=${value ?? ""} onInput=${(event) => onChange(event.target.value === "" ? undefined : Number(event.target.value))} />`;
  return html`<input ...${common} type="text" list=${list} maxlength=${schema.maxLength} value=${value ?? ""} onInput=${onText} />${options}`;
}

/** Units of lines: a number beside each line of the order. No number at all means the default, which the description states. */
function Units({ context, schema, name, value = [], onChange }) {
  const count = (lineId) => value.find((item) => item.line_id === lineId)?.quantity ?? "";
  const set = (lineId) => (event) => {
    const others = value.filter((item) => item.line_id !== lineId);
    const quantity = Number(event.target.value);
    onChange(quantity > 0 ? [...others, { line_id: lineId, quantity }] : others);
  };
  return html`<fieldset class="units"><legend>${titled(name)} <span class="muted optional">optional</span></legend><p class="hint">${hintOf(schema)}</p>
    ${context.order.items.map((line) => html`<label key=${line.line_id}><input type="number" min="0" max=${line.quantity} step="1" value=${count(line.line_id)} onInput=${set(line.line_id)} /><span><${Text} value=${line.name ?? line.sku} />
      <span class="muted small"> ${line.quantity} ordered · ${line.shipped} shipped · ${line.delivered} delivered</span></span></label>`)}</fieldset>`;
}

/** A list of objects, such as the lines of an amendment. */
function List({ context, schema, name, path, value = [], onChange }) {
  const item = resolve(context.document, schema.items);
  const set = (index) => (changed) => onChange(value.map((old, at) => (at === index ? changed : old)));
  const present = value.length === 0 ? context.present[path] : undefined;
  return html`<fieldset><legend>${titled(name)} <span class="muted optional">optional</span></legend><p class="hint">${hintOf(schema)}</p>
    ${value.map((one, index) => html`<fieldset key=${index} class="nested"><legend>${titled(name)} ${index + 1}</legend>
      <${Fields} context=${context} schema=${item} value=${one} onChange=${set(index)} prefix=${`${path}.${index}.`} />
      <button type="button" class="quiet small" onClick=${() => onChange(value.filter((_, at) => at !== index))}>Remove ${titled(name).toLowerCase()} ${index + 1}</button></fieldset>`)}
    ${present?.length > 0 && html`<button type="button" class="small" onClick=${() => onChange(present)}>Begin with the present ${titled(name).toLowerCase()}</button>`}
    <button type="button" class="small" onClick=${() => onChange([...value, {}])}>Add to ${titled(name).toLowerCase()}</button></fieldset>`;
}

/** An object that is left out until somebody adds it. */
function Part({ context, schema, name, path, value, onChange }) {
  if (value === undefined) return html`<div class="field"><button type="button" class="small" onClick=${() => onChange({})}>Add ${titled(name).toLowerCase()}</button> <span class="hint">${hintOf(schema)}</span></div>`;
  return html`<fieldset class="nested"><legend>${titled(name)}</legend><${Fields} context=${context} schema=${schema} value=${value} onChange=${onChange} prefix=${`${path}.`} />
    <button type="button" class="quiet small" onClick=${() => onChange(undefined)}>Leave out ${titled(name).toLowerCase()}</button></fieldset>`;
}

/** Entries of a map of texts, one a line as \`key = value\`. A key without a value removes the entry. */
function Entries({ schema, name, value, onChange }) {
  const text = Object.entries(value ?? {}).map(([key, entry]) => `${key} = ${entry ?? ""}`).join("\n");
  const parse = (event) => {
    const lines = event.target.value.split("\n").map((line) => line.split(/\s*=\s*(.*)/s)).filter(([key]) => key?.trim());
    onChange(lines.length > 0 ? Object.fromEntries(lines.map(([key, entry]) => [key.trim(), entry || null])) : undefined);
  };
  return html`<${Field} label=${html`${titled(name)} <span class="muted optional">optional</span>`} hint=${`One entry a line, as key = value. A key without a value removes the entry. ${hintOf(schema)}`}>${(control) =>
    html`<textarea ...${control} rows="3" spellcheck="false" defaultValue=${text} onChange=${parse}></textarea>`}<//>`;
}
