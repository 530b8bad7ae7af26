// The page of one dead letter: its place in its sequence, its body in an editor with the error at its place, what a redrive would
// do with what is typed, and repair, redrive and discard.

import { all, get, post } from "../api.js";
import { Difference, Editor, fault } from "../editor.js";
import { format } from "../json_text.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Link } from "../nav.js";
import { Prediction, Progress, redrive, settle } from "../redrive.js";
import { Badge, Code, Dialog, ErrorBox, Facts, Field, Loading, Page, Panel, Text, Time, useLoad, words } from "../ui.js";

/** How long the page waits after a key before it asks for a prediction, in milliseconds. */
const PAUSE = 250;

/** The text of a body in the editor: laid out if it is text, and base64 otherwise. */
const shown = (body) => (body.body === undefined ? body.body_base64 : format(body.body));

const pathOf = (id) => `/v1/dead-letters/${encodeURIComponent(id)}`;

/** Loads a dead letter with the summaries of its sequence. */
async function load(id, signal) {
  const letter = await get(pathOf(id), {}, { signal });
  if (!letter.order_id || letter.state === "discarded") return { letter, sequence: [letter] };
  const { items } = await all("/v1/dead-letters", { order_id: letter.order_id }, { limit: 400, signal });
  const byId = new Map(items.map((item) => [item.id, item]));
  const sequence = letter.line.map((id) => byId.get(id)).filter(Boolean);
  return { letter, sequence: sequence.length > 0 ? sequence : [letter] };
}

/** What a redrive would do with a text, asked for shortly after each change. */
function usePrediction(letter, text, isText) {
  const [state, setState] = useState({ prediction: null, error: null, isPending: true });
  useEffect(() => {
    if (letter.state !== "parked") {
      setState({ prediction: letter.prediction, error: null, isPending: false });
      return undefined;
    }
    const abort = new AbortController();
    setState((state) => ({ ...state, isPending: true }));
    const ask = async () => {
      try {
        const body = isText ? { body: text } : { body_base64: text };
        const changed = await post(`${pathOf(letter.id)}/repair`, { ...body, dry_run: true }, { signal: abort.signal });
        setState({ prediction: changed.prediction, error: null, isPending: false });
      } catch (error) {
        if (!abort.signal.aborted) setState({ prediction: null, error, isPending: false });
      }
    };
    const timer = setTimeout(ask, PAUSE);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [letter, text]);
  return state;
}

function Line({ letter, sequence }) {
  return html`<${Panel} title=${sequence.length === 1 ? "Its sequence: only this event is parked" : `Its sequence: ${sequence.length} events are parked`}>
    <p class="muted">${letter.order_id ? "A redrive sends all of them, in this order. The head decides: while it stays, the others stay." : "It names no order, so nothing follows it."}</p>
    <ol class="sequence">${sequence.map((item, index) => html`<li key=${item.id} class=${index === 0 ? "head" : ""}>
      <${Link} to=${`/dead-letters/${encodeURIComponent(item.id)}`} aria-current=${item.id === letter.id ? "true" : undefined}>${index === 0 && html`<span class="mark">head</span>`}<${Text} value=${item.event_type ? words(item.event_type) : item.id} /><//></li>`)}
      ${letter.line_cut && html`<li class="muted">and more</li>`}</ol>
  <//>`;
}

function DiscardDialog({ letter, onDone, onClose }) {
  const [reason, setReason] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post(`${pathOf(letter.id)}/discard`, { reason });
      onDone();
    } catch (error) {
      setError(error);
    }
  };
  return html`<${Dialog} title="Discard the event" onClose=${onClose}>
    <form onSubmit=${submit}>
      <p>The event will never be recorded, and this cannot be undone. Its receipt becomes rejected, and shows your reason to the client. Later events of
        the order stay parked until you redrive them.</p>
      <${Field} label="Reason" hint="The client can read it.">${(control) => html`<textarea ...${control} rows="3" required maxlength="500" value=${reason} onInput=${(event) => setReason(event.target.value)}></textarea>`}<//>
      ${error && html`<${ErrorBox} error=${error} />`}
      <div class="buttons"><button type="submit" class="danger">Discard</button><button type="button" onClick=${onClose}>Cancel</button></div>
    </form>
  <//>`;
}

function Result({ letter, items, error, isDone }) {
  const focus = useRef(null);
  useEffect(() => focus.current.focus(), []);
  return html`<section class="panel" aria-label="Redrive" tabindex="-1" ref=${focus}>
    <div class="panel-head"><h2>Redrive</h2></div>
    <${Progress} items=${items} />
    ${error && html`<${ErrorBox} error=${error} />`}
    ${isDone && html`<div class="buttons">
      ${letter.order_id && html`<${Link} class="button" to=${`/orders/${encodeURIComponent(letter.order_id)}`}>Show the order<//>`}
      <${Link} class="button" to="/dead-letters">Back to the dead letters<//></div>`}
  </section>`;
}

function Repairs({ letter }) {
  const rows = [
    ...(letter.repairs ?? []).map(({ at, by }) => ["Repaired", html`<${Time} value=${at} />${by && html` by <${Text} value=${by} />`}`]),
    letter.discarded && ["Discarded", html`<${Time} value=${letter.discarded.at} />${letter.discarded.by && html` by <${Text} value=${letter.discarded.by} />`}: <${Text} value=${letter.discarded.reason} />`],
  ].filter(Boolean);
  const attributes = Object.entries(letter.attributes ?? {});
  return html`<${Panel} title="Where it comes from"><${Facts} rows=${[
    ["State", words(letter.state)],
    ["Reason", words(letter.reason)],
    ["Parked", html`<${Time} value=${letter.parked_at} />`],
    ["Queue", html`<${Text} value=${letter.origin} />`],
    ["Sent", letter.sent_at && html`<${Time} value=${letter.sent_at} />`],
    ["Received", `${letter.receive_count} times`],
    ["Replayed since its last repair", `${letter.replays} of 5 times`],
    ["Correlation id", letter.correlation_id && html`<${Code} value=${letter.correlation_id} />`],
    ["Event id", letter.event_id && html`<${Code} value=${letter.event_id} />`],
    ["Dead letter", html`<${Code} value=${letter.id} />`],
    ...rows,
    ...attributes.map(([name, value]) => [html`<${Text} value=${name} />`, html`<${Text} value=${value} />`]),
  ]} /><//>`;
}

/** The editor with its prediction and its buttons. */
function Repair({ letter, reload, onSent }) {
  const isText = letter.body !== undefined;
  const stored = shown(letter);
  const original = letter.original ? shown(letter.original) : stored;
  const [text, setText] = useState(stored);
  const [isSaved, setIsSaved] = useState(false);
  useEffect(() => setText(shown(letter)), [letter]);
  const [error, setError] = useState(null);
  const [isBusy, setIsBusy] = useState(false);
  const [isDiscarding, setIsDiscarding] = useState(false);
  const { prediction, error: refused, isPending } = usePrediction(letter, text, isText);
  const wrong = isText ? fault(text, prediction) : null;
  const isChanged = text !== stored;
  const isParked = letter.state === "parked";
  const sendable = Boolean(prediction) && ["would_record", "already_recorded", "illegal", "behind"].includes(prediction.result);
  const act = async (work) => {
    setIsBusy(true);
    setError(null);
    try {
      await work();
    } catch (error) {
      setError(error);
    } finally {
      setIsBusy(false);
    }
  };
  const store = () => (isChanged ? post(`${pathOf(letter.id)}/repair`, isText ? { body: text } : { body_base64: text }) : null);
  // Buttons that do nothing now keep the focus, so that the keyboard does not lose its place while a prediction is on its way.
  const canSend = !isBusy && sendable && !(isChanged && isPending);
  const canSave = !isBusy && isChanged && !refused;
  const repair = () => canSave && act(async () => {
    await store();
    setIsSaved(true);
    reload();
  });
  const send = () => canSend && act(async () => {
    await store();
    onSent();
  });
  return html`<${Panel} title="The message">
    <p class="detail"><${Text} value=${letter.detail} /></p>
    <${Editor} label=${isText ? "Body" : "Body in base64, because it is not text"} value=${text} onInput=${setText} wrong=${wrong} readOnly=${!isParked} />
    <div class="prediction" aria-live="polite" aria-busy=${isPending}>
      <h3>${isChanged ? "If you redrive what is typed" : "If you redrive it as it is"}</h3>
      ${refused ? html`<${ErrorBox} error=${refused} />` : prediction ? html`<p><${Prediction} value=${prediction} /></p>` : html`<p class="muted">Asking…</p>`}
    </div>
    ${text !== original && html`<details open><summary>Changes to the original</summary><${Difference} before=${original} after=${text} /></details>`}
    ${error && html`<${ErrorBox} error=${error} />`}
    ${isParked && html`<div class="buttons">
      <button type="button" class="primary" aria-disabled=${!canSend} onClick=${send}>${isChanged ? "Repair and redrive the sequence" : "Redrive the sequence"}</button>
      <button type="button" aria-disabled=${!canSave} onClick=${repair}>Save the repair</button>
      ${isChanged && html`<button type="button" onClick=${() => setText(stored)}>Undo the changes</button>`}
      <button type="button" class="danger" onClick=${() => setIsDiscarding(true)}>Discard…</button>
    </div>`}
    <p role="status" class="muted">${isSaved && !isChanged ? "The repair is saved. Nothing is sent yet." : ""}</p>
    ${isDiscarding && html`<${DiscardDialog} letter=${letter} onClose=${() => setIsDiscarding(false)} onDone=${() => {
      setIsDiscarding(false);
      reload();
    }} />`}
  <//>`;
}

export default function DeadLetter({ id }) {
  const { data, error, reload } = useLoad((signal) => load(id, signal), [id]);
  const [sent, setSent] = useState(null);
  const abort = useRef(null);
  useEffect(() => () => abort.current?.abort(), []);
  const send = async () => {
    const { letter } = data;
    const { signal } = (abort.current = new AbortController());
    const selection = { ids: [letter.id] };
    let items = [];
    try {
      ({ items } = await redrive(selection, { dryRun: false, signal }));
      setSent({ items });
      items = await settle(items, { orderId: letter.order_id, signal, onProgress: (items) => setSent({ items }) });
      if (!signal.aborted) setSent({ items, isDone: true });
    } catch (error) {
      if (!signal.aborted) setSent({ items, error, isDone: true });
    }
  };
  const letter = data?.letter;
  const subtitle = letter && html`${letter.event_type && html`<${Text} value=${words(letter.event_type)} /> `}<${Badge} tone=${letter.state === "parked" ? "bad" : "quiet"}>${letter.state === "parked" ? words(letter.reason) : words(letter.state)}<//>
    ${letter.order_id ? html` of order <${Link} to=${`/orders/${encodeURIComponent(letter.order_id)}`}><${Text} value=${letter.order_id} /><//>` : " without an order"}`;
  return html`<${Page} title="Dead letter" subtitle=${subtitle} actions=${html`<${Link} class="button" to="/dead-letters">All dead letters<//>`}>
    ${error && html`<${ErrorBox} error=${error} />`}
    ${!data && !error && html`<${Loading} />`}
    ${data && sent && html`<${Result} letter=${letter} ...${sent} />`}
    ${data && !sent && html`${letter.state !== "discarded" && html`<${Line} letter=${letter} sequence=${data.sequence} />`}
      <${Repair} letter=${letter} reload=${reload} onSent=${send} />
      <${Repairs} letter=${letter} />`}
  <//>`;
}
