// A layer of ten units with dropout in front of one output, and what many masks make of it.

import { WIDTH, box, clamp, curve, dot, line, mean, mulberry32, scale, shown, sum, write } from "./kit.js";

export const name = "dropout";

// The activations and weights of the text's example, in the section on sub-networks.
export const A = [
  0.9700530018065531, 0.707819864399788, 0.45938294312745087, 0.9207476841219603, 0.6450241201227648, 0.7911478921803037,
  0.17860617520075095, 0.3511076243939284, 0.5813409198075745, 0.2882358921361502,
];
export const W = [
  -0.5966353626151273, 0.18203648506130554, -0.8566745932963743, 1.100604170903427, -1.0711873631091473,
  0.12270123916331216, -0.5663174751548546, 0.37311463418249957, -0.8919953148065625, -1.509107744632202,
];
const UNITS = A.length;
const MOST = 5000;

export const start = { mask: [1, 1, 0, 1, 1, 1, 0, 1, 1, 1], keep: 0.8, mode: "train", output: "linear", draws: 100 };

const squash = { linear: (z) => z, sigmoid: (z) => 1 / (1 + Math.exp(-z)) };

export const score = (mask, keep) => sum(A.map((a, i) => (W[i] * mask[i] * a) / keep));
export const whole = ({ output }) => squash[output](sum(A.map((a, i) => W[i] * a)));
export const shownOutput = (state) =>
  state.mode === "eval" ? whole(state) : squash[state.output](score(state.mask, state.keep));

// One number for each unit of each draw.  The unit is kept where it is below the keep probability, so
// with another probability the same draws give other masks, and most of them nearly the same ones.
const random = mulberry32(7);
const numbersDrawn = [];
export function maskOf(draw, keep) {
  while (numbersDrawn.length < draw * UNITS) numbersDrawn.push(random());
  return numbersDrawn.slice((draw - 1) * UNITS, draw * UNITS).map((u) => (u < keep ? 1 : 0));
}

export function outputs(state) {
  return Array.from({ length: state.draws }, (_, j) =>
    shownOutput({ ...state, mask: maskOf(j + 1, state.keep) }),
  );
}

// Mean and variance over all masks: by the formulas for a linear output, and else one by one.
export function expected({ keep, mode, output }) {
  if (mode === "eval") return { mean: whole({ output }), variance: 0 };
  if (output === "linear") {
    const variance = ((1 - keep) / keep) * sum(A.map((a, i) => W[i] ** 2 * a ** 2));
    return { mean: whole({ output }), variance };
  }
  let [first, second] = [0, 0];
  for (let code = 0; code < 2 ** UNITS; code++) {
    const mask = A.map((_, i) => (code >> i) & 1);
    const kept = sum(mask);
    const chance = keep ** kept * (1 - keep) ** (UNITS - kept);
    const value = squash[output](score(mask, keep));
    first += chance * value;
    second += chance * value ** 2;
  }
  return { mean: first, variance: Math.max(0, second - first ** 2) };
}

export function measured(values) {
  const average = mean(values);
  return { mean: average, variance: mean(values.map((value) => (value - average) ** 2)) };
}

// In evaluation there is no mask: the same inputs pass through the same network again and again.
const passes = ({ mode }) => (mode === "eval" ? "passes" : "masks");
const ofDraws = (state) => `of ${state.draws} ${passes(state)}`;

// Pictures

const unitX = (i) => 24 + i * 32.5;
const UNIT_Y = 62;
const OUT = { x: WIDTH / 2, y: 206 };

function network(state) {
  const on = state.mode === "eval" ? A.map(() => 1) : state.mask;
  const grown = state.mode === "eval" ? 1 : 1 / state.keep;
  const lines = A.map((_, i) =>
    on[i]
      ? line(unitX(i), UNIT_Y, OUT.x, OUT.y, {
          stroke: W[i] > 0 ? "var(--blue)" : "var(--orange)",
          "stroke-width": 0.7 + 2.6 * Math.abs(W[i]),
          "stroke-opacity": 0.75,
        })
      : "",
  );
  const units = A.map((a, i) => {
    const looks = on[i]
      ? { fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 2 }
      : { fill: "var(--paper)", stroke: "var(--muted)", "stroke-dasharray": "3 3" };
    const [x, y] = [unitX(i), UNIT_Y];
    const cross = on[i] ? "" : line(x - 7, y - 7, x + 7, y + 7, { stroke: "var(--orange)", "stroke-width": 2 }) + line(x - 7, y + 7, x + 7, y - 7, { stroke: "var(--orange)", "stroke-width": 2 });
    const value = shown(on[i] ? a * grown : 0, 2);
    return dot(x, y, 13, looks) + dot(x, y, on[i] ? 11 * Math.min(1, a) : 0, { fill: "var(--blue)", "fill-opacity": 0.5 }) + cross + write(x, 40, value, { "text-anchor": "middle", "font-size": 11 });
  });
  return (
    write(8, 18, state.mode === "eval" ? "what each unit passes on: a" : "what each unit passes on: m·a/p") +
    lines.join("") +
    units.join("") +
    dot(OUT.x, OUT.y, 17, { fill: "var(--paper)", stroke: "var(--ink)", "stroke-width": 2 }) +
    write(OUT.x + 25, OUT.y + 5, `output ${shown(shownOutput(state))}`) +
    write(8, 196, "weights above 0", { fill: "var(--blue)" }) +
    write(8, 214, "weights below 0", { fill: "var(--orange)" })
  );
}

const reach = (state) => {
  if (state.output === "sigmoid") return [0, 1];
  const center = whole(state);
  const spread = 4 * Math.sqrt(Math.max(0.05, expected({ ...state, mode: "train" }).variance));
  return [center - spread, center + spread];
};

// Round numbers, not more than eight.
function ticks([low, high]) {
  const step = [0.2, 1, 2, 5, 10].find((one) => (high - low) / one <= 7);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

function histogram(state) {
  const bins = 30;
  const range = reach(state);
  const toX = scale(range, [10, WIDTH - 10]);
  const counts = Array(bins).fill(0);
  for (const value of outputs(state)) {
    const bin = Math.floor((bins * (value - range[0])) / (range[1] - range[0]));
    counts[clamp(bin, 0, bins - 1)] += 1;
  }
  const top = Math.max(1, ...counts);
  const toY = scale([0, top], [186, 52]);
  const wide = (WIDTH - 20) / bins;
  const bars = counts.map((n, i) => box(10 + i * wide, toY(n), wide - 1, 186 - toY(n), { fill: "var(--blue)", "fill-opacity": 0.55 }));
  const { mean: center, variance } = expected(state);
  const [left, right] = [-1, 1].map((sign) => toX(clamp(center + sign * Math.sqrt(variance), ...range)));
  const full = toX(whole(state));
  return (
    write(10, 18, `outputs ${ofDraws(state)}`, { fill: "var(--blue)" }) +
    write(WIDTH - 10, 18, "whole network", { "text-anchor": "end", fill: "var(--orange)" }) +
    write(WIDTH - 10, 36, "expected mean ± deviation", { "text-anchor": "end", fill: "var(--green)" }) +
    bars.join("") +
    line(10, 186, WIDTH - 10, 186) +
    line(full, 46, full, 186, { stroke: "var(--orange)", "stroke-width": 2 }) +
    line(left, 195, right, 195, { stroke: "var(--green)", "stroke-width": 3 }) +
    line(toX(center), 189, toX(center), 201, { stroke: "var(--green)", "stroke-width": 3 }) +
    ticks(range).map((value) => write(toX(value), 218, shown(value, state.output === "linear" ? 0 : 1), { "text-anchor": "middle", fill: "var(--muted)" })).join("")
  );
}

function averages(state) {
  const values = outputs(state);
  let total = 0;
  const soFar = values.map((value, j) => (total += value) / (j + 1));
  const usual = state.output === "sigmoid" ? [0, 0.6] : [whole(state) - 1, whole(state) + 1];
  // The first averages may lie far off, and would leave little height to the others.
  const later = soFar.slice(soFar.length >> 2);
  const range = [Math.min(usual[0], ...later), Math.max(usual[1], ...later)];
  const last = Math.max(50, values.length);
  const toX = scale([0, last], [36, WIDTH - 14]);
  const toY = scale(range, [146, 30]);
  const points = soFar.map((value, j) => [toX(j + 1), toY(clamp(value, ...range))]);
  const level = (value, color, dashes) => line(36, toY(value), WIDTH - 14, toY(value), { stroke: color, "stroke-width": 2, "stroke-dasharray": dashes });
  return (
    write(36, 16, "average of the outputs so far", { fill: "var(--blue)" }) +
    range.map((value) => write(30, toY(value) + 4, shown(value, 1), { "text-anchor": "end", fill: "var(--muted)" })).join("") +
    line(36, 146, WIDTH - 14, 146) +
    level(whole(state), "var(--orange)", "none") +
    level(expected(state).mean, "var(--green)", "5 4") +
    (points.length ? curve(points) + dot(...points.at(-1), 4, { fill: "var(--blue)" }) : "") +
    [0, last].map((value, i) => write(toX(value), 164, value, { "text-anchor": i ? "end" : "middle", fill: "var(--muted)" })).join("") +
    write(WIDTH / 2, 164, passes(state), { "text-anchor": "middle", fill: "var(--muted)" })
  );
}

export const panels = (state) => [
  { label: "Ten units, some of them crossed out, and their connections to one output", height: 232, svg: network(state) },
  { label: "A histogram of the output over all masks drawn, with expected mean and deviation", height: 232, svg: histogram(state) },
  { label: "The average output of the masks drawn so far, beside the whole network's output", height: 172, svg: averages(state) },
];

// Controls

const drawn = (state, more) => {
  const draws = Math.min(MOST, state.draws + more);
  return { draws, mask: maskOf(draws, state.keep) };
};

const noMask = ({ mode }) => mode === "eval";
const noMore = (state) => noMask(state) || state.draws === MOST;

export const controls = [
  {
    kind: "choice",
    name: "mode",
    label: "Mode",
    options: [
      ["train", "training"],
      ["eval", "evaluation"],
    ],
  },
  {
    kind: "choice",
    name: "output",
    label: "Output",
    options: [
      ["linear", "linear"],
      ["sigmoid", "after a sigmoid"],
    ],
  },
  {
    kind: "range",
    name: "keep",
    label: "keep probability p =",
    min: 0.1,
    max: 1,
    step: 0.05,
    show: (value) => shown(value, 2),
    act: (state, keep) => ({ keep, ...(state.draws && { mask: maskOf(state.draws, keep) }) }),
    idle: noMask,
  },
  { kind: "button", label: "Draw a mask", act: (state) => drawn(state, 1), idle: noMore },
  { kind: "button", label: "Draw 100", act: (state) => drawn(state, 100), idle: noMore },
  { kind: "button", label: "Start again", act: () => ({ ...start, draws: 0 }) },
];

export const handles = (state) =>
  (noMask(state) ? [] : state.mask).map((on, i) => ({
    panel: 0,
    label: `unit ${i + 1} is kept`,
    x: unitX(i),
    y: UNIT_Y,
    on: on === 1,
    toggle: ({ mask }) => ({ mask: mask.map((one, j) => (j === i ? 1 - one : one)) }),
  }));

function rightTitle({ mode, output }) {
  if (mode === "eval") return "in evaluation";
  return output === "linear" ? "by the formulas" : "of all 1024 masks";
}

export function numbers(state) {
  const values = outputs(state);
  const right = expected(state);
  const found = values.length ? measured(values) : null;
  const row = (title, one) =>
    `<tr><th scope="row">${title}</th>${[one?.mean, one?.variance].map((value) => `<td>${value === undefined ? "–" : shown(value)}</td>`).join("")}</tr>`;
  return (
    '<table><thead><tr><th scope="col">output</th><th scope="col">mean</th><th scope="col">variance</th></tr></thead><tbody>' +
    row(ofDraws(state), found) +
    row(rightTitle(state), right) +
    row("of the whole network", { mean: whole(state) }) +
    "</tbody></table>"
  );
}

export function words(state) {
  const values = outputs(state);
  const right = expected(state);
  const full = shown(whole(state));
  if (state.mode === "eval") return `Evaluation: all units are on, nothing is scaled, and the output is ${full} each time.`;
  const kept = `This mask keeps ${sum(state.mask)} of 10 units, and the output is ${shown(shownOutput(state))}; the whole network's is ${full}.`;
  const rest = `mean ${shown(right.mean)} and variance ${shown(right.variance)}.`;
  if (!values.length) return `${kept} Expected are ${rest}`;
  const found = measured(values);
  const many = state.draws === 1 ? "one mask" : `${state.draws} masks`;
  return `${kept} Over ${many}: mean ${shown(found.mean)}, variance ${shown(found.variance)}. Expected are ${rest}`;
}

export function clean(state) {
  const right = state.mask.length === UNITS && state.mask.every((one) => one === 0 || one === 1);
  return { ...state, mask: right ? state.mask : start.mask, draws: clamp(Math.round(state.draws), 0, MOST) };
}
