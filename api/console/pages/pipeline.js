// The pipeline: what is wrong now, the ledger as a flow that adds up, and the last hour as plots.

import { get } from "../api.js";
import { html, useRef } from "../lib.js";
import { basePath, Link } from "../nav.js";
import { findings } from "../pipeline.js";
import { Plot } from "../plots.js";
import { Badge, bytes, duration, ErrorBox, Facts, Loading, number, Page, Panel, Text, Time, useLoad } from "../ui.js";

/** How often the counters are read while the page is visible. */
const INTERVAL = 5000;
/** The number of samples of an hour. */
const HOUR = 360;

/** The answer, or null if the service does not have it. */
function optional(error) {
  if ([404, 501].includes(error.status)) return null;
  throw error;
}

/** The history so far and the samples since then. A service without a history is sampled here, while the page is open. */
async function newSamples(samples, pipeline, signal) {
  const history = await get("/v1/pipeline/history", { after: samples.at(-1)?.at }, { signal });
  const found = history.kept ? history.samples : sampledHere(samples, pipeline);
  return [...samples, ...found].slice(-HOUR);
}

function sampledHere(samples, { ledger, queue, dead_letters, backup }) {
  const before = samples.at(-1);
  const at = new Date();
  const seconds = before ? (at - new Date(before.at)) / 1000 : null;
  if (seconds !== null && seconds < 10) return [];
  const rate = (name) => (before ? Math.max(ledger[name] - before.ledger[name], 0) / seconds : null);
  return [{
    at: at.toISOString(), ledger, accepted_per_second: rate("accepted"), recorded_per_second: rate("recorded"), rejected_per_second: rate("rejected"),
    publish_p50_seconds: null, publish_p99_seconds: null, record_p50_seconds: null, record_p99_seconds: null,
    queue_depth: queue.visible + queue.in_flight + queue.delayed, queue_oldest_seconds: queue.oldest_seconds, dead_letters,
    disk_free_bytes: null, backup_lag_seconds: backup?.lag_seconds ?? null, webhook_lag_seconds: null,
  }];
}

async function ready(signal) {
  const answer = await fetch(`${basePath}/readyz?for=writes`, { signal, cache: "no-store" });
  return answer.ok ? answer.json() : { writes: "refused", detail: (await answer.json()).detail };
}

export default function Pipeline() {
  const samples = useRef([]);
  const load = async (signal) => {
    const pipeline = await get("/v1/pipeline", {}, { signal });
    const [found, writes, webhooks] = await Promise.all([
      newSamples(samples.current, pipeline, signal),
      ready(signal).catch(() => null),
      get("/v1/webhooks", {}, { signal }).then((list) => list.items).catch(optional),
    ]);
    samples.current = found;
    return { pipeline, samples: found, ready: writes, webhooks };
  };
  const { data, error } = useLoad(load, [], { every: INTERVAL });
  if (!data) return html`<${Page} title="Pipeline">${error ? html`<${ErrorBox} error=${error} />` : html`<${Loading} what="Reading the counters" />`}<//>`;
  const found = findings({ ...data, sample: data.samples.at(-1) });
  return html`<${Page} title="Pipeline" actions=${error ? html`<${Badge} tone="bad">no answer<//>` : html`<${Badge} tone="ok">live<//>`}>
    ${error && html`<${ErrorBox} error=${error} />`}
    <${Wrong} found=${found} />
    <${Ledger} ...${data.pipeline} />
    <${History} samples=${data.samples} />
    ${data.pipeline.backup && html`<${Backup} backup=${data.pipeline.backup} />`}
  <//>`;
}

function Wrong({ found }) {
  return html`<section class=${`panel wrong ${found.length > 0 ? "attention" : "fine"}`} aria-label="What is wrong now" aria-live="polite">
    ${found.length === 0 ? html`<p><${Badge} tone="ok">all well<//> Nothing needs an operator.</p>` : html`<h2>What is wrong now</h2><ul class="plain-list">${found.map((one) => html`<li key=${one.text}>
      <${Badge} tone=${one.tone}>${one.tone === "bad" ? "act" : "look"}<//> <span><${Text} value=${one.text} /></span>
      ${one.docs ? html`<a href=${basePath + one.docs}>${one.label}</a>` : one.to !== "/" && html`<${Link} to=${one.to}>${one.label}<//>`}</li>`)}</ul>`}
  </section>`;
}

/** The parts of what was accepted. They add up to it. */
const PARTS = [
  { name: "recorded", tone: "ok", what: "in the log of an order" },
  { name: "rejected", tone: "quiet", what: "refused by the rules, or discarded" },
  { name: "duplicate", tone: "quiet", what: "sent again, no effect" },
  { name: "parked", tone: "bad", what: "dead letters" },
  { name: "in_flight", tone: "info", what: "on the queue" },
];

function Ledger({ ledger }) {
  const sum = PARTS.reduce((sum, { name }) => sum + ledger[name], 0);
  const total = Math.max(ledger.accepted, sum, 1);
  // The widths are attributes of SVG, because the policy of the page forbids styles in elements.
  let from = 0;
  const bars = PARTS.map(({ name, tone }) => {
    const width = (ledger[name] / total) * 1000;
    const shown = ledger[name] > 0 ? Math.max(width, 4) : 0;
    const bar = html`<rect key=${name} class=${tone} x=${Math.min(from, 1000 - shown)} y="0" width=${shown} height="14" />`;
    from += shown;
    return bar;
  });
  const balance = ledger.balanced === null ? html`<${Badge}>accepted is derived from the sum<//>` : ledger.balanced ? html`<${Badge} tone="ok">adds up<//>` : html`<${Badge} tone="warn">does not add up now<//>`;
  return html`<${Panel} title="Ledger" actions=${balance}>
    <div class="flow">
      <div class="flow-from"><span class="figure">${number(ledger.accepted)}</span><span>accepted</span></div>
      <span class="flow-sign" aria-hidden="true">=</span>
      <ul>${PARTS.map(({ name, tone, what }) => html`<li key=${name} class=${ledger[name] > 0 ? tone : "zero"}>
        <span class="figure">${number(ledger[name])}</span><span class="flow-word">${name === "parked" && ledger.parked > 0 ? html`<${Link} to="/dead-letters">parked<//>` : name.replace("_", " ")}</span><span class="muted small">${what}</span></li>`)}</ul>
    </div>
    <svg class="flow-bar" viewBox="0 0 1000 14" preserveAspectRatio="none" aria-hidden="true">${bars}</svg>
    <p class="muted small">${PARTS.map(({ name }) => number(ledger[name])).join(" + ")} = ${number(sum)}${ledger.balanced === null ? "" : ` · accepted: ${number(ledger.accepted)}`}. Each message counts once, by its current state.</p>
  <//>`;
}

function History({ samples }) {
  const times = samples.map((sample) => new Date(sample.at).getTime() / 1000);
  const of = (name) => samples.map((sample) => sample[name] ?? null);
  const perSecond = (value) => `${Number(value.toPrecision(3)).toLocaleString("en")}/s`;
  const plots = [
    { title: "Rates", format: perSecond, series: [["accepted", "accepted_per_second"], ["recorded", "recorded_per_second"], ["rejected", "rejected_per_second"]] },
    { title: "Time to publish durably", format: duration, series: [["median", "publish_p50_seconds"], ["99 %", "publish_p99_seconds"]], none: "Nothing was published, or the service does not measure it." },
    { title: "Time until recorded", format: duration, series: [["median", "record_p50_seconds"], ["99 %", "record_p99_seconds"]], none: "Nothing was recorded, or the service does not measure it." },
    { title: "Queue", format: (value) => number(value), whole: true, series: [["messages", "queue_depth"]] },
    { title: "Oldest queued message", format: duration, series: [["age", "queue_oldest_seconds"]], none: "The queue does not report ages." },
    { title: "Dead letters", format: (value) => number(value), whole: true, series: [["dead letters", "dead_letters"]] },
    { title: "Webhook lag", format: duration, series: [["slowest subscription", "webhook_lag_seconds"]], none: "There is no webhook subscription." },
    { title: "Backup lag", format: duration, series: [["since the latest increment", "backup_lag_seconds"]], none: "There is no continuous backup." },
    { title: "Free disk", format: bytes, series: [["free", "disk_free_bytes"]], none: "The service has no disk." },
  ];
  return html`<${Panel} title="Last hour"><div class="plots">${plots.map(({ title, format, whole, series, none }) => html`<${Plot} key=${title} title=${title} times=${times} format=${format} whole=${whole} none=${none}
    series=${series.map(([label, name]) => ({ label, values: of(name) }))} />`)}</div><//>`;
}

function Backup({ backup }) {
  const rows = [
    ["Target", html`<${Text} value=${backup.target} />`],
    ["Latest increment", backup.last_at && html`<${Time} value=${backup.last_at} />`],
    ["Lag", backup.lag_seconds !== undefined && `${duration(backup.lag_seconds)}, ${number(backup.lag_events)} events`],
    ["Failures since the start", number(backup.failures)],
    ["Error", backup.error && html`<${Text} value=${backup.error} />`],
  ];
  return html`<${Panel} title="Backup"><${Facts} rows=${rows} /><//>`;
}
