// Weight decay in SGD, Adam and AdamW, for weights whose gradients are nothing but noise.

import { WIDTH, clamp, curve, dot, line, mean, mulberry32, normal, scale, shown, write } from "./kit.js";

export const name = "decay";

const RATE = 0.001;
const BETAS = [0.9, 0.999];
const EPSILON = 1e-8;
export const STEPS = 1500;
const COPIES = 20;
const OPTIMIZERS = ["SGD", "Adam", "AdamW"];
const COLORS = { SGD: "var(--green)", Adam: "var(--orange)", AdamW: "var(--blue)" };
const DASHES = { SGD: "none", Adam: "none", AdamW: "7 3" };

const STRENGTHS = [0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];
const SIZES = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

export const start = { lambda: 0.5, size: 0.01, optimizer: "Adam", step: STEPS };

// Noise of size 1 for each step, kind and copy; the same for all optimizers.
const random = mulberry32(4);
export const noise = Float64Array.from({ length: STEPS * 2 * COPIES }, () => normal(random));

// The mean weight of each kind after each step.  Gradients have size 1 for the first kind.
export function paths({ lambda, size, optimizer }) {
  const w = new Float64Array(2 * COPIES).fill(1);
  const m = new Float64Array(2 * COPIES);
  const v = new Float64Array(2 * COPIES);
  const path = [[1, 1]];
  for (let t = 1; t <= STEPS; t++) {
    for (let i = 0; i < 2 * COPIES; i++) {
      let g = noise[(t - 1) * 2 * COPIES + i] * (i < COPIES ? 1 : size);
      if (optimizer === "AdamW") w[i] *= 1 - RATE * lambda;
      else g += lambda * w[i];
      if (optimizer === "SGD") {
        w[i] -= RATE * g;
        continue;
      }
      m[i] = BETAS[0] * m[i] + (1 - BETAS[0]) * g;
      v[i] = BETAS[1] * v[i] + (1 - BETAS[1]) * g * g;
      const scaled = Math.sqrt(v[i] / (1 - BETAS[1] ** t)) + EPSILON;
      w[i] -= (RATE * m[i]) / (1 - BETAS[0] ** t) / scaled;
    }
    path.push([mean([...w.subarray(0, COPIES)]), mean([...w.subarray(COPIES)])]);
  }
  return path;
}

let known = {};
function all({ lambda, size }) {
  const key = `${lambda} ${size}`;
  if (known.key !== key) {
    known = { key };
    for (const optimizer of OPTIMIZERS) known[optimizer] = paths({ lambda, size, optimizer });
  }
  return known;
}

export const expected = ({ lambda, step }) => (1 - RATE * lambda) ** step;

// Pictures

const thin = (path, step) => path.filter((_, t) => t <= step && (t % 10 === 0 || t === step));

function plane(state) {
  const to = { x: scale([-0.1, 1.1], [34, WIDTH - 10]), y: scale([-0.1, 1.1], [252, 26]) };
  const place = ([a, b]) => [to.x(clamp(a, -0.1, 1.1)), to.y(clamp(b, -0.1, 1.1))];
  const runs = all(state);
  const ticks = [0, 0.5, 1].map(
    (value) =>
      write(to.x(value), 270, shown(value, 1), { "text-anchor": "middle", fill: "var(--muted)" }) +
      write(28, to.y(value) + 4, shown(value, 1), { "text-anchor": "end", fill: "var(--muted)" }) +
      line(to.x(value), to.y(-0.1), to.x(value), to.y(1.1), { opacity: 0.3 }) +
      line(to.x(-0.1), to.y(value), to.x(1.1), to.y(value), { opacity: 0.3 }),
  );
  const curves = OPTIMIZERS.map((one) => {
    // SGD and AdamW nearly coincide, so one is drawn broad and pale behind the other.
    const broad = one === "SGD" ? { "stroke-width": 8, "stroke-opacity": 0.35 } : { "stroke-width": one === state.optimizer ? 3 : 1.8 };
    const looks = { stroke: COLORS[one], "stroke-dasharray": DASHES[one], ...broad };
    return curve(thin(runs[one], state.step).map(place), looks) + dot(...place(runs[one][state.step]), one === "SGD" ? 7 : 4, { fill: COLORS[one] });
  });
  const names = OPTIMIZERS.map((one, i) => write(34 + 46 * i, 16, one, { fill: COLORS[one] }));
  return (
    ticks.join("") +
    curves.join("") +
    names.join("") +
    write(WIDTH / 2, 288, `weights with gradients of size 1 (upright: ${state.size})`, { "text-anchor": "middle", fill: "var(--muted)" })
  );
}

function time(state) {
  const toX = scale([0, STEPS], [34, WIDTH - 14]);
  const toY = scale([-0.1, 1.1], [252, 26]);
  const path = all(state)[state.optimizer];
  const one = (k, looks) => curve(thin(path, state.step).map((pair, i) => [toX(Math.min(10 * i, state.step)), toY(clamp(pair[k], -0.1, 1.1))]), looks);
  const pure = Array.from({ length: 51 }, (_, i) => [toX(30 * i), toY(expected({ ...state, step: 30 * i }))]);
  return (
    [0, 0.5, 1].map((value) => line(34, toY(value), WIDTH - 14, toY(value), { opacity: 0.3 }) + write(28, toY(value) + 4, shown(value, 1), { "text-anchor": "end", fill: "var(--muted)" })).join("") +
    [0, 500, 1000, 1500].map((value) => write(toX(value), 270, value, { "text-anchor": value === STEPS ? "end" : "middle", fill: "var(--muted)" })).join("") +
    curve(pure, { stroke: "var(--muted)", "stroke-dasharray": "2 4" }) +
    one(0, { stroke: "var(--ink)" }) +
    one(1, { stroke: COLORS[state.optimizer], "stroke-dasharray": "7 3" }) +
    write(34, 16, `${state.optimizer}: size 1 (solid), size ${state.size} (dashed)`, { fill: COLORS[state.optimizer] }) +
    write(WIDTH / 2, 288, "step (dotted: pure decay)", { "text-anchor": "middle", fill: "var(--muted)" })
  );
}

export const panels = (state) => [
  { label: "The path of two kinds of weights in the plane, from (1, 1), under three optimizers", height: 296, svg: plane(state) },
  { label: "The two kinds of weights against the step, under the chosen optimizer", height: 296, svg: time(state) },
];

// Controls

export const controls = [
  { kind: "range", name: "lambda", label: "weight decay λ =", min: 0, max: 5, positions: STRENGTHS, show: String },
  { kind: "range", name: "size", label: "size of the others =", min: 0.01, max: 10, positions: SIZES, show: String },
  { kind: "range", name: "step", label: "step", min: 0, max: STEPS, step: 10, show: String },
  { kind: "choice", name: "optimizer", label: "Second picture", options: OPTIMIZERS.map((one) => [one, one]) },
  { kind: "button", label: "Start again", act: () => start },
];

export function numbers(state) {
  const runs = all(state);
  const rows = OPTIMIZERS.map((one) => `<tr><th scope="row">${one}</th>${runs[one][state.step].map((value) => `<td>${shown(value)}</td>`).join("")}</tr>`);
  return (
    `<table><caption>pure decay, (1 − ηλ)ᵗ: ${shown(expected(state))}</caption>` +
    `<thead><tr><td></td><th scope="col">gradients of size 1</th><th scope="col">of size ${state.size}</th></tr></thead><tbody>${rows.join("")}</tbody></table>`
  );
}

export function words(state) {
  const runs = all(state);
  const said = OPTIMIZERS.map((one) => `${one} ${runs[one][state.step].map((value) => shown(value, 2)).join(" and ")}`);
  return `With λ = ${state.lambda}, after ${state.step} steps, the weights with gradients of size 1 and of size ${state.size} are: ${said.join(", ")}. Pure decay leaves ${shown(expected(state), 2)}.`;
}

const nearest = (values, value) => values.reduce((best, one) => (Math.abs(one - value) < Math.abs(best - value) ? one : best));

export const clean = (state) => ({
  ...state,
  lambda: nearest(STRENGTHS, state.lambda),
  size: nearest(SIZES, state.size),
  step: clamp(10 * Math.round(state.step / 10), 0, STEPS),
});
