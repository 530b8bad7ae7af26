// Plots of the last hour, drawn with uPlot. The pipeline page uses them. Each plot has a title, its latest values in words, and the
// same numbers as a table for people who do not see it.

import { html, useEffect, useRef } from "./lib.js";
import uPlot from "./vendor/uplot.mjs";

/** The colours of lines, as variables of the style sheet. */
const COLOURS = ["--plot-1", "--plot-2", "--plot-3"];

/** The shortest time that a plot shows, in seconds. */
const SHORTEST = 600;

/** The distances between the labels of whole numbers. */
const WHOLE = [1, 2, 5].flatMap((first) => Array.from({ length: 13 }, (_, power) => first * 10 ** power)).sort((a, b) => a - b);

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The options of a plot. They are made again when the colour scheme changes. */
function options(series, format, whole, width, height) {
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    width, height, legend: { show: false }, cursor: { points: { size: 6 }, drag: { x: false, y: false } }, padding: [8, 8, 0, 0],
    scales: { x: { time: true, range: (_, first, last) => [Math.min(first, last - SHORTEST), last] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.1 : 1] } },
    axes: [{ ...axis, size: 26, space: 70, values: (_, ticks) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })) },
      { ...axis, size: 62, space: 34, ...(whole && { incrs: WHOLE }), values: (_, ticks) => ticks.map(format) }],
    series: [{}, ...series.map(({ label }, index) => ({ label, stroke: colour(COLOURS[index]), width: 1.75, points: { show: false }, spanGaps: false }))],
  };
}

/**
 * A plot. `times` are in seconds; `series` are `{ label, values }`, in which null is a gap; `format` puts a value into words;
 * `whole` says that values are whole numbers. Without any value the plot says so.
 */
export function Plot({ title, times, series, format, whole = false, none = "No values in the last hour." }) {
  const host = useRef(null);
  const plot = useRef(null);
  const known = series.some(({ values }) => values.some((value) => value !== null));
  const data = [times, ...series.map(({ values }) => values)];
  useEffect(() => {
    if (!known) return undefined;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(series, format, whole, host.current.clientWidth, 150), data, host.current);
    };
    draw();
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: host.current.clientWidth, height: 150 }));
    resized.observe(host.current);
    scheme.addEventListener("change", draw);
    return () => {
      scheme.removeEventListener("change", draw);
      resized.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [known]);
  useEffect(() => plot.current?.setData(data), [times.at(-1), times.length]);
  const latest = (values) => values.findLast((value) => value !== null);
  const legend = series.map(({ label, values }, index) => html`<span key=${label}><i class=${`key key-${index + 1}`} aria-hidden="true"></i>${label} <strong>${latest(values) === undefined ? "–" : format(latest(values))}</strong></span>`);
  return html`<figure class="plot"><figcaption><h3>${title}</h3>${known && html`<p class="legend">${legend}</p>`}</figcaption>
    ${known ? html`<div ref=${host} class="canvas" aria-hidden="true"></div><p class="unseen">${series.map(({ label, values }) => {
      const found = values.filter((value) => value !== null);
      return `${label}: lowest ${format(Math.min(...found))}, highest ${format(Math.max(...found))}. `;
    })}</p>` : html`<p class="empty">${none}</p>`}
  </figure>`;
}
