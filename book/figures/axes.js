// Which numbers share a mean: batch norm and its relatives on four examples with four channels.

import { box, clamp, mean, mulberry32, normal, shown, write } from "./kit.js";

export const name = "axes";

const [EXAMPLES, CHANNELS, POSITIONS] = [4, 4, 3];
const COUNT = EXAMPLES * CHANNELS * POSITIONS;
const EPSILON = 1e-5;

const random = mulberry32(11);
const rounded = (value) => Math.round(10 * value) / 10;

export const start = {
  // Channels differ in their means, and examples in their scales.
  x: Array.from({ length: COUNT }, (_, i) => {
    const [n, c] = split(i);
    return clamp(rounded((c - 1.5) * 0.8 + (0.6 + 0.3 * n) * normal(random)), -4, 4) || 0.1;
  }),
  norm: "batch",
  at: 16,
};

function split(i) {
  const c = Math.floor(i / POSITIONS) % CHANNELS;
  return [Math.floor(i / POSITIONS / CHANNELS), c, i % POSITIONS];
}

// What two numbers must have in common to be normalized together.
const SHARED = {
  batch: ([, c]) => c,
  layer: ([n]) => n,
  instance: ([n, c]) => n * CHANNELS + c,
  group: ([n, c]) => n * CHANNELS + Math.floor(c / 2),
  rms: ([n]) => n,
};
const NAMES = {
  batch: "batch norm (training)",
  layer: "layer norm",
  instance: "instance norm",
  group: "group norm, two groups",
  rms: "RMSNorm",
};

export function together({ norm, x }, i) {
  const block = SHARED[norm];
  return x.map((_, j) => (block(split(j)) === block(split(i)) ? 1 : 0));
}

export function statistics(state, i) {
  const inside = together(state, i);
  const values = state.x.filter((_, j) => inside[j]);
  const mu = state.norm === "rms" ? 0 : mean(values);
  return { count: values.length, mean: mu, variance: mean(values.map((value) => (value - mu) ** 2)) };
}

export const normalized = (state) =>
  state.x.map((value, i) => {
    const { mean: mu, variance } = statistics(state, i);
    return (value - mu) / Math.sqrt(variance + EPSILON);
  });

// Pictures

const [WIDE, HIGH] = [70, 24];
const toX = (c) => 34 + c * (WIDE + 6);
const toY = (n, p) => 46 + n * (POSITIONS * HIGH + 8) + p * HIGH;

function grid(state, values, title) {
  const inside = together(state, state.at);
  const cells = values.map((value, i) => {
    const [n, c, p] = split(i);
    const shade = 0.6 * Math.min(1, Math.abs(value) / 3);
    const looks = {
      fill: value > 0 ? "var(--blue)" : "var(--orange)",
      "fill-opacity": shade,
      stroke: inside[i] ? "var(--ink)" : "var(--muted)",
      "stroke-width": i === state.at ? 4 : inside[i] ? 2 : 0.4,
    };
    const text = write(toX(c) + WIDE / 2, toY(n, p) + 16, shown(value, 1), { "text-anchor": "middle", "font-weight": i === state.at ? "bold" : "normal" });
    return [inside[i], box(toX(c), toY(n, p) + 1, WIDE, HIGH - 2, looks) + text];
  });
  // The outlined ones last, so that no neighbor covers their outline.
  const sorted = [...cells].sort(([a], [b]) => a - b).map(([, drawn]) => drawn);
  const heads = Array.from({ length: CHANNELS }, (_, c) => write(toX(c) + WIDE / 2, 38, `channel ${c + 1}`, { "text-anchor": "middle", fill: "var(--muted)" }));
  const sides = Array.from({ length: EXAMPLES }, (_, n) => write(28, toY(n, 1) + 16, n + 1, { "text-anchor": "end", fill: "var(--muted)" }));
  return write(34, 16, title) + heads.join("") + sides.join("") + sorted.join("");
}

export const panels = (state) => [
  { label: "The numbers that go in: four examples as rows, four channels of three positions each", height: 362, svg: grid(state, state.x, "inputs, an example in each row of blocks") },
  { label: "The numbers that come out, with those outlined that depend on the chosen input", height: 362, svg: grid(state, normalized(state), `outputs of ${NAMES[state.norm]}`) },
];

// Controls

const where = (i) => {
  const [n, c, p] = split(i);
  return `example ${n + 1}, channel ${c + 1}, position ${p + 1}`;
};

export const controls = [
  { kind: "choice", name: "norm", label: "Layer", options: Object.entries(NAMES) },
  { kind: "range", name: "at", label: "number:", min: 0, max: COUNT - 1, step: 1, show: where },
  {
    kind: "range",
    name: "value",
    label: "its value =",
    min: -4,
    max: 4,
    step: 0.1,
    of: ({ x, at }) => x[at],
    show: (value) => shown(value, 1),
    act: ({ x, at }, value) => ({ x: x.map((one, i) => (i === at ? value : one)) }),
  },
  { kind: "button", label: "Start again", act: ({ norm }) => ({ ...start, norm }) },
];

// The keyboard has the slider for this.
export const handles = ({ x, at }) =>
  x.map((_, i) => {
    const [n, c, p] = split(i);
    return { panel: 0, label: where(i), x: toX(c) + WIDE / 2, y: toY(n, p) + HIGH / 2, wide: WIDE, high: HIGH, tab: false, on: i === at, toggle: () => ({ at: i }) };
  });

export function words(state) {
  const { count, mean: mu, variance } = statistics(state, state.at);
  const first = state.norm === "rms" ? `root mean square ${shown(Math.sqrt(variance), 2)}` : `mean ${shown(mu, 2)} and variance ${shown(variance, 2)}`;
  return (
    `In ${NAMES[state.norm]}, ${where(state.at)} is normalized with statistics over ${count} numbers: ${first}. ` +
    `The ${shown(state.x[state.at], 1)} becomes ${shown(normalized(state)[state.at], 2)}, and whoever changes it changes ${count} outputs.`
  );
}

export function clean(state) {
  const right = state.x.length === COUNT;
  return { ...state, at: clamp(Math.round(state.at), 0, COUNT - 1), x: right ? state.x.map((one) => clamp(one, -4, 4)) : start.x };
}
