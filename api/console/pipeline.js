// What is wrong with the service now, in words, each with a link to where it is repaired. The pipeline page shows it.

import { bytes, duration, number } from "./ui.js";

/** An age of the oldest message that deserves a look, in seconds. A healthy queue is empty within one. */
const OLD = 30;
/** A lag of webhooks that deserves a look, in seconds. */
const LAGGING = 60;
/** A lag of the continuous backup that deserves a look, in seconds. */
const STALE = 15 * 60;
/** Free space below which the disk deserves a look. */
const LOW = 2 ** 30;

/**
 * The findings: `{ tone, text, to?, query?, label }`, worst first. Everything may be null, if the service does not have it or did not
 * answer: `pipeline` and `sample` (the latest of the history), `ready` (`/readyz?for=writes`), `webhooks` (subscriptions).
 */
export function findings({ pipeline, sample, ready, webhooks }) {
  return [...ofReadiness(ready), ...ofLedger(pipeline), ...ofDeadLetters(pipeline), ...ofQueue(pipeline), ...ofBackup(pipeline), ...ofDisk(sample, ready), ...ofWebhooks(webhooks)]
    .sort((a, b) => (a.tone === "bad" ? 0 : 1) - (b.tone === "bad" ? 0 : 1));
}

function ofReadiness(ready) {
  if (!ready || ready.writes === "ok") return [];
  return [{ tone: "bad", text: `No new events are accepted: ${ready.detail ?? "the service is not ready."}`, docs: "/docs/", label: "Health checks in the API reference" }];
}

function ofLedger(pipeline) {
  if (pipeline?.ledger.balanced !== false) return [];
  return [{ tone: "warn", text: "The ledger does not add up. If it stays like this while nothing is sent, a message is missing.", to: "/", label: "Compare the ledger below" }];
}

function ofDeadLetters(pipeline) {
  const count = pipeline?.dead_letters ?? 0;
  if (count === 0) return [];
  return [{ tone: "bad", text: `${number(count)} dead letter${count === 1 ? " waits" : "s wait"} for an operator. Later events of the same orders wait behind them.`, to: "/dead-letters", label: "Repair the dead letters" }];
}

function ofQueue(pipeline) {
  const oldest = pipeline?.queue.oldest_seconds ?? 0;
  if (oldest < OLD) return [];
  const depth = pipeline.queue.visible + pipeline.queue.in_flight + pipeline.queue.delayed;
  return [{ tone: "warn", text: `The oldest of ${number(depth)} queued messages is ${duration(oldest)} old.`, to: "/orders", label: "See what is recorded now" }];
}

function ofBackup(pipeline) {
  const backup = pipeline?.backup;
  if (!backup) return [];
  if (backup.error) return [{ tone: "bad", text: `The backup to ${backup.target} fails: ${backup.error}`, to: "/", label: "Failures of the backup below" }];
  if (backup.lag_seconds === undefined || backup.lag_seconds < STALE) return [];
  return [{ tone: "warn", text: `The latest backup is ${duration(backup.lag_seconds)} old.`, to: "/", label: "State of the backup below" }];
}

function ofDisk(sample, ready) {
  const free = sample?.disk_free_bytes;
  if (free === null || free === undefined || free >= LOW || ready?.writes === "refused") return [];
  return [{ tone: "warn", text: `The disk has ${bytes(free)} left.`, to: "/", label: "Free space of the last hour below" }];
}

function ofWebhooks(webhooks) {
  return (webhooks ?? []).flatMap((hook) => {
    const { held_orders: held = 0, lag_ms: lag = 0 } = hook.progress;
    const name = hook.description ?? hook.url;
    const at = { to: `/webhooks/${hook.id}`, label: "Open the subscription" };
    if (hook.state === "disabled") return [{ tone: "bad", text: `The webhook ${name} is disabled, because all its deliveries failed.`, ...at }];
    if (held > 0) return [{ tone: "warn", text: `The webhook ${name} holds back ${number(held)} order${held === 1 ? "" : "s"} after failed deliveries.`, ...at }];
    if (hook.state === "active" && lag / 1000 >= LAGGING) return [{ tone: "warn", text: `The webhook ${name} is ${duration(lag / 1000)} behind.`, ...at }];
    return [];
  });
}
