// Batch normalization of one feature: a batch on a line, its outputs and its gradients.

import { WIDTH, box, clamp, curve, dot, line, mean, mulberry32, normal, scale, shown, sum, write } from "./kit.js";

export const name = "batch_norm";
export const EPSILON = 1e-5;

// In the data, an example comes from one of two classes with these means.
const CLASSES = [1, 5];
const SPREAD = 0.7;
export const DATA = { mean: 3, variance: 4 + SPREAD ** 2 };

export const start = {
  x: [1, 2, 3, 6],
  gamma: 2,
  beta: 1,
  mode: "train",
  upstream: "first",
  momentum: 0.1,
  mean: 0,
  variance: 1,
  batches: 0,
  entered: 0,
};

const MIXED = [1, -0.6, 0.3, -1, 0.8, 0.2, -0.4, 0.5];
const UPSTREAM = {
  first: (i) => (i === 0 ? 1 : 0),
  equal: () => 1,
  mixed: (i) => MIXED[i],
};

export const upstream = ({ x, upstream: kind }) => x.map((_, i) => UPSTREAM[kind](i));

export function statistics(x) {
  const mu = mean(x);
  return { mean: mu, variance: mean(x.map((value) => (value - mu) ** 2)) };
}

export function forward({ x, gamma, beta, mode, mean: runningMean, variance: runningVariance }) {
  const own = statistics(x);
  const used = mode === "eval" ? { mean: runningMean, variance: runningVariance } : own;
  const s = 1 / Math.sqrt(used.variance + EPSILON);
  const xHat = x.map((value) => (value - used.mean) * s);
  return { own, used, s, xHat, y: xHat.map((value) => gamma * value + beta) };
}

export function backward(state) {
  const { xHat, s } = forward(state);
  const g = upstream(state);
  const m = g.length;
  const gHat = g.map((value) => state.gamma * value);
  const total = sum(gHat);
  const along = sum(gHat.map((value, j) => value * xHat[j]));
  const dX =
    state.mode === "eval"
      ? gHat.map((value) => s * value)
      : gHat.map((value, i) => (s / m) * (m * value - total - xHat[i] * along));
  return { dX, dGamma: sum(g.map((value, i) => value * xHat[i])), dBeta: sum(g) };
}

export function run({ x, momentum, mean: oldMean, variance: oldVariance }) {
  const { mean: mu, variance } = statistics(x);
  const unbiased = (variance * x.length) / (x.length - 1);
  return {
    mean: (1 - momentum) * oldMean + momentum * mu,
    variance: (1 - momentum) * oldVariance + momentum * unbiased,
  };
}

// Training batches are mixed; test data come sorted, and all of them are of the second class.
function draw(seed, size, sorted) {
  const random = mulberry32(seed);
  return Array.from({ length: size }, () => {
    const center = sorted || random() < 0.5 ? CLASSES[1] : CLASSES[0];
    return clamp(Math.round(10 * (center + SPREAD * normal(random))) / 10, ...REACH);
  });
}

export function nextBatch(state) {
  const batches = state.batches + 1;
  const running = state.mode === "eval" ? {} : run(state);
  const after = { ...state, ...running };
  const past = [...(state.past ?? [[state.mean, state.variance]]), [after.mean, after.variance]];
  const x = draw(batches, state.x.length, state.mode !== "train");
  // In evaluation a batch leaves the running statistics as they are.
  const entered = state.entered + (state.mode === "eval" ? 0 : 1);
  return { ...running, x, batches, entered, past: past.slice(-61) };
}

function tenBatches(state) {
  const changes = {};
  for (let i = 0; i < 10; i++) Object.assign(changes, nextBatch({ ...state, ...changes }));
  return changes;
}

// Pictures

const REACH = [-3, 9];
const onX = scale(REACH, [14, WIDTH - 14]);
const onY = scale([-8, 14], [14, WIDTH - 14]);
const LINE = { x: 164, y: 44 };

function ruler(to, y, ticks) {
  const marks = ticks.map(
    (value) => line(to(value), y - 4, to(value), y + 4) + write(to(value), y + 22, shown(value, 0), { "text-anchor": "middle", fill: "var(--muted)" }),
  );
  return line(to(ticks[0]), y, to(ticks.at(-1)), y) + marks.join("");
}

function span(center, variance, y, color, dashes) {
  const [left, right] = [center - Math.sqrt(variance), center + Math.sqrt(variance)].map((value) => onX(clamp(value, ...REACH)));
  const looks = { stroke: color, "stroke-width": 3, ...(dashes && { "stroke-dasharray": "5 3" }) };
  return line(left, y, right, y, looks) + line(onX(center), y - 6, onX(center), y + 6, looks);
}

function lines(state) {
  const { own, y } = forward(state);
  const links = state.x.map((value, i) =>
    line(onX(value), LINE.x, onY(clamp(y[i], -8, 14)), LINE.y, { stroke: "var(--blue)", opacity: 0.5 }),
  );
  const ends = state.x.map(
    (value, i) =>
      dot(onX(value), LINE.x, 6, { fill: "var(--orange)" }) + dot(onY(clamp(y[i], -8, 14)), LINE.y, 5, { fill: "var(--blue)" }),
  );
  return (
    write(14, 20, "outputs y") +
    write(14, 148, "inputs x: drag them") +
    ruler(onY, LINE.y, [-8, -4, 0, 4, 8, 12]) +
    ruler(onX, LINE.x, [-3, 0, 3, 6, 9]) +
    links.join("") +
    ends.join("") +
    span(own.mean, own.variance, 208, "var(--orange)") +
    span(state.mean, state.variance, 244, "var(--green)", true) +
    write(14, 227, "batch: mean ± standard deviation", { fill: "var(--orange)" }) +
    write(14, 263, "running statistics", { fill: "var(--green)" })
  );
}

function gradients(state) {
  const g = upstream(state);
  const { dX } = backward(state);
  const most = Math.max(1.2, ...[...g, ...dX].map(Math.abs));
  const to = scale([-most, most], [206, 46]);
  const slot = (WIDTH - 50) / g.length;
  const bars = g.map((value, i) => {
    const left = 42 + i * slot;
    const bar = (height, shift, color) =>
      box(left + shift * slot, Math.min(to(0), to(height)), 0.3 * slot, Math.abs(to(height) - to(0)), { fill: color });
    return (
      bar(value, 0.15, "var(--muted)") +
      bar(dX[i], 0.5, "var(--blue)") +
      write(left + 0.5 * slot, 228, `x${"₁₂₃₄₅₆₇₈"[i]}`, { "text-anchor": "middle" })
    );
  });
  return (
    write(14, 20, "from above: ∂L/∂y", { fill: "var(--muted)" }) +
    write(WIDTH - 14, 20, "to the inputs: ∂L/∂x", { "text-anchor": "end", fill: "var(--blue)" }) +
    [most, 0, -most].map((value) => write(36, to(value) + 4, shown(value, most < 100 ? 1 : 0), { "text-anchor": "end", fill: "var(--muted)" })).join("") +
    line(40, to(0), WIDTH - 8, to(0)) +
    bars.join("")
  );
}

function history(state) {
  const past = state.past ?? [[state.mean, state.variance]];
  const first = state.batches + 1 - past.length;
  const toX = scale([first, first + 60], [30, WIDTH - 14]);
  // In steps of three up to what is shown.
  const top = 9 * Math.ceil(Math.max(9, ...past.flat()) / 9);
  const toY = scale([0, top], [134, 34]);
  const path = (k, looks) =>
    curve(past.map((pair, i) => [toX(first + i), toY(pair[k])]), looks) +
    dot(toX(state.batches), toY(past.at(-1)[k]), 3.5, { fill: looks.stroke });
  const level = (value) => line(30, toY(value), WIDTH - 14, toY(value), { "stroke-dasharray": "2 3" });
  return (
    write(30, 18, "running mean", { fill: "var(--green)" }) +
    write(WIDTH - 14, 18, "running variance", { fill: "var(--blue)", "text-anchor": "end" }) +
    [0, 1, 2, 3].map((part) => (part * top) / 3).map((value) => write(24, toY(value) + 4, value, { "text-anchor": "end", fill: "var(--muted)" })).join("") +
    line(30, toY(0), WIDTH - 14, toY(0)) +
    level(DATA.mean) +
    level(DATA.variance) +
    path(0, { stroke: "var(--green)" }) +
    path(1, { stroke: "var(--blue)", "stroke-dasharray": "6 3" }) +
    [0, 20, 40, 60].map((value) => write(toX(first + value), 152, first + value, { "text-anchor": "middle", fill: "var(--muted)" })).join("") +
    write(WIDTH / 2, 170, "batches (dotted: the training data)", { "text-anchor": "middle", fill: "var(--muted)" })
  );
}

export const panels = (state) => [
  { label: "A batch on a line, and its outputs on a second line above it", height: 274, svg: lines(state) },
  { label: "The gradient from above and the gradient of each input, as bars", height: 238, svg: gradients(state) },
  { label: "Running mean and running variance against the number of batches", height: 178, svg: history(state) },
];

// Controls

export const controls = [
  {
    kind: "choice",
    name: "mode",
    label: "Mode",
    options: [
      ["train", "training"],
      ["eval", "evaluation"],
      ["forgotten", "evaluation with eval() forgotten"],
    ],
  },
  {
    kind: "choice",
    name: "upstream",
    label: "The loss depends on",
    options: [
      ["first", "the first output"],
      ["equal", "all, equally"],
      ["mixed", "all, differently"],
    ],
  },
  { kind: "range", name: "gamma", label: "γ =", min: -3, max: 3, step: 0.1, show: (value) => shown(value, 1) },
  { kind: "range", name: "beta", label: "β =", min: -3, max: 3, step: 0.1, show: (value) => shown(value, 1) },
  { kind: "range", name: "momentum", label: "momentum α =", min: 0.05, max: 0.95, step: 0.05, show: (value) => shown(value, 2) },
  { kind: "button", label: "Next batch", act: nextBatch },
  { kind: "button", label: "Ten batches", act: tenBatches },
  {
    kind: "button",
    label: "One example more",
    text: ({ x }) => (x.length < 8 ? "One example more" : "Back to four examples"),
    act: ({ x }) => ({ x: x.length < 8 ? [...x, 4] : x.slice(0, 4) }),
  },
  { kind: "button", label: "Start again", act: () => ({ ...start, past: [[0, 1]] }) },
];

const moved = (x, i, value) => ({ x: x.map((old, j) => (j === i ? clamp(Math.round(10 * value) / 10, ...REACH) : old)) });

export const handles = ({ x }) =>
  x.map((value, i) => ({
    panel: 0,
    label: `input ${i + 1} of the batch`,
    x: onX(value),
    y: LINE.x,
    value,
    min: REACH[0],
    max: REACH[1],
    text: shown(value, 1),
    move: (state, place) => moved(state.x, i, onX.back(place)),
    step: (state, times) => moved(state.x, i, state.x[i] + 0.1 * times),
  }));

export function numbers(state) {
  const { xHat, y } = forward(state);
  const { dX, dGamma, dBeta } = backward(state);
  const rows = [
    ["x", state.x],
    ["x̂", xHat],
    ["y", y],
    ["∂L/\u2060∂y", upstream(state)],
    ["∂L/\u2060∂x", dX],
  ].map(
    ([title, values]) =>
      `<tr><th scope="row">${title}</th>${values.map((value) => `<td>${shown(value)}</td>`).join("")}</tr>`,
  );
  return `<table><caption>∂L/∂γ = ${shown(dGamma)}, ∂L/∂β = ${shown(dBeta)}</caption><tbody>${rows.join("")}</tbody></table>`;
}

export function words(state) {
  const { own, used } = forward(state);
  const { dX } = backward(state);
  const two = ({ mean: mu, variance }) => `mean ${shown(mu)} and variance ${shown(variance)}`;
  const left = Math.round(100 * (1 - state.momentum) ** state.entered);
  const adding = `The gradients of the inputs add up to ${shown(sum(dX))}.`;
  if (state.mode === "train") {
    return `Training: the batch has ${two(own)}, and each output depends on all inputs. ${adding} Running statistics: ${two(state)}.`;
  }
  if (state.mode === "eval") {
    const start = state.entered ? ` Their start at 0 and 1 still weighs ${left}%.` : " No batch has entered them yet.";
    return `Evaluation: the running statistics, ${two(used)}, are used and stay as they are.${start} ${adding}`;
  }
  return `eval() is forgotten: the outputs come from the batch's own ${two(own)}, and each batch of test data, all from one class, changes the running statistics, now ${two(state)}. ${adding}`;
}

export function clean(state) {
  const x = state.x.slice(0, 8).map((value) => clamp(value, ...REACH));
  return {
    ...state,
    x: x.length < 4 ? start.x : x,
    variance: Math.max(0, state.variance),
    batches: Math.max(0, Math.round(state.batches)),
    entered: Math.max(0, Math.round(state.entered)),
  };
}
