// A small network that learns two moons with wrong labels, and four ways to hold it back.

import { WIDTH, clamp, curve, dot, line, mulberry32, normal, scale, shown, tag, write } from "./kit.js";

export const name = "moons";

const HIDDEN = 32;
const TRAINING = 100;
const HELD_OUT = 100;
const TEST = 400;
const WRONG = 0.2;
const BATCH = 25;
const RATE = 0.1;
const MOMENTUM = 0.9;
const BN_MOMENTUM = 0.1;
const EPSILON = 1e-5;
const PATIENCE = 60;
export const EPOCHS = 300;

export const start = { lambda: 0, keep: 1, norm: "off", stop: "off", epoch: EPOCHS };

// Data

function moons(random, count, wrong) {
  const x = new Float64Array(2 * count);
  const y = new Uint8Array(count);
  const flipped = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const second = i % 2;
    const turn = Math.PI * random();
    x[2 * i] = (second ? 1 - Math.cos(turn) : Math.cos(turn)) + 0.2 * normal(random);
    x[2 * i + 1] = (second ? 0.5 - Math.sin(turn) : Math.sin(turn)) + 0.2 * normal(random);
    flipped[i] = random() < wrong ? 1 : 0;
    y[i] = second ^ flipped[i];
  }
  return { x, y, flipped, count };
}

const random = mulberry32(5);
export const data = {
  train: moons(random, TRAINING, WRONG),
  heldOut: moons(random, HELD_OUT, WRONG),
  test: moons(random, TEST, 0),
};

// Network: two hidden layers (linear, batch norm if wanted, ReLU, dropout), then scores of two classes

export function network(seed, norm) {
  const draw = mulberry32(seed);
  return [
    [2, HIDDEN],
    [HIDDEN, HIDDEN],
    [HIDDEN, 2],
  ].map(([from, to], l) => {
    const layer = {
      from,
      to,
      W: Float64Array.from({ length: from * to }, () => Math.sqrt(2 / from) * normal(draw)),
      b: new Float64Array(to),
    };
    if (!norm || l === 2) return layer;
    return {
      ...layer,
      gamma: new Float64Array(to).fill(1),
      beta: new Float64Array(to),
      mean: new Float64Array(to),
      variance: new Float64Array(to).fill(1),
    };
  });
}

const PARAMETERS = ["W", "b", "gamma", "beta"];

// Scores of n points, and all that the backward pass needs.  With masks, the network is in training.
export function forward(net, x, n, masks, keep) {
  const caches = [];
  let input = x;
  net.forEach((layer, l) => {
    const { from, to, W, b } = layer;
    const z = new Float64Array(n * to);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < to; k++) z[i * to + k] = b[k];
      for (let j = 0; j < from; j++) {
        const one = input[i * from + j];
        if (one === 0) continue;
        for (let k = 0; k < to; k++) z[i * to + k] += one * W[j * to + k];
      }
    }
    const cache = { input, z, out: z };
    caches.push(cache);
    if (l === net.length - 1) return;
    if (layer.gamma) normalize(layer, cache, n, masks !== null);
    const out = (cache.out = new Float64Array(n * to));
    for (let i = 0; i < n * to; i++) out[i] = Math.max(0, cache.z[i]) * (masks ? masks[l][i] / keep : 1);
    input = out;
  });
  return caches;
}

function normalize({ to, gamma, beta, mean, variance }, cache, n, training) {
  const xHat = (cache.xHat = new Float64Array(n * to));
  const out = new Float64Array(n * to);
  cache.s = new Float64Array(to);
  for (let k = 0; k < to; k++) {
    let [mu, sigma2] = [mean[k], variance[k]];
    if (training) {
      mu = sigma2 = 0;
      for (let i = 0; i < n; i++) mu += cache.z[i * to + k] / n;
      for (let i = 0; i < n; i++) sigma2 += (cache.z[i * to + k] - mu) ** 2 / n;
      mean[k] += BN_MOMENTUM * (mu - mean[k]);
      variance[k] += BN_MOMENTUM * ((sigma2 * n) / (n - 1) - variance[k]);
    }
    cache.s[k] = 1 / Math.sqrt(sigma2 + EPSILON);
    for (let i = 0; i < n; i++) {
      xHat[i * to + k] = (cache.z[i * to + k] - mu) * cache.s[k];
      out[i * to + k] = gamma[k] * xHat[i * to + k] + beta[k];
    }
  }
  cache.z = out;
}

// The mean cross-entropy of scores, and its gradient.
export function crossEntropy(scores, y, n) {
  const gradient = new Float64Array(2 * n);
  let loss = 0;
  let right = 0;
  for (let i = 0; i < n; i++) {
    // The other score minus that of the label; log(1 + e^d) without overflow.
    const d = scores[2 * i + 1 - y[i]] - scores[2 * i + y[i]];
    loss += (Math.max(0, d) + Math.log1p(Math.exp(-Math.abs(d)))) / n;
    const other = 1 / (1 + Math.exp(-d)) / n;
    gradient[2 * i + 1 - y[i]] = other;
    gradient[2 * i + y[i]] = -other;
    right += d < 0 ? 1 : 0;
  }
  return { loss, gradient, accuracy: right / n };
}

export function backward(net, caches, gradient, n, masks, keep) {
  const gradients = [];
  let above = gradient;
  for (let l = net.length - 1; l >= 0; l--) {
    const { from, to, W, gamma } = net[l];
    const { input, z, xHat, s } = caches[l];
    const found = { W: new Float64Array(from * to), b: new Float64Array(to) };
    if (l < net.length - 1) {
      for (let i = 0; i < n * to; i++) above[i] *= z[i] > 0 ? masks[l][i] / keep : 0;
    }
    if (xHat) {
      found.gamma = new Float64Array(to);
      found.beta = new Float64Array(to);
      for (let k = 0; k < to; k++) {
        for (let i = 0; i < n; i++) {
          found.gamma[k] += above[i * to + k] * xHat[i * to + k];
          found.beta[k] += above[i * to + k];
        }
        for (let i = 0; i < n; i++) {
          const terms = n * above[i * to + k] - found.beta[k] - xHat[i * to + k] * found.gamma[k];
          above[i * to + k] = ((gamma[k] * s[k]) / n) * terms;
        }
      }
    }
    const below = new Float64Array(n * from);
    for (let i = 0; i < n; i++) {
      for (let k = 0; k < to; k++) {
        const one = above[i * to + k];
        if (one === 0) continue;
        found.b[k] += one;
        for (let j = 0; j < from; j++) {
          found.W[j * to + k] += input[i * from + j] * one;
          below[i * from + j] += W[j * to + k] * one;
        }
      }
    }
    gradients[l] = found;
    above = below;
  }
  return gradients;
}

// One step of SGD with momentum.  Weights are decayed; biases, gamma and beta are not.
export function step(net, velocity, gradients, lambda) {
  net.forEach((layer, l) => {
    for (const one of PARAMETERS) {
      if (!layer[one]) continue;
      const [w, g] = [layer[one], gradients[l][one]];
      const v = (velocity[l][one] ??= new Float64Array(w.length));
      for (let i = 0; i < w.length; i++) {
        v[i] = MOMENTUM * v[i] + g[i] + (one === "W" ? lambda * w[i] : 0);
        w[i] -= RATE * v[i];
      }
    }
  });
}

// A run

export const masksOf = (draw, n, keep) =>
  [0, 1].map(() => Float64Array.from({ length: n * HIDDEN }, () => (keep === 1 || draw() < keep ? 1 : 0)));

function shuffled(draw) {
  const order = Array.from({ length: TRAINING }, (_, i) => i);
  for (let i = TRAINING - 1; i > 0; i--) {
    const j = Math.floor(draw() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

const copy = (net) =>
  net.map((layer) => Object.fromEntries(Object.entries(layer).map(([key, one]) => [key, one.slice ? one.slice() : one])));

// A run from the same first weights, with the same order of examples whatever the settings.
export function newRun({ lambda, keep, norm }) {
  const net = network(1, norm === "on");
  return { net, lambda, keep, velocity: net.map(() => ({})), order: mulberry32(2), noise: mulberry32(3), epoch: 0, history: [measure(net)], best: 0, kept: copy(net) };
}

// Calls `see` with each mini-batch, for tests.
export function epoch(run, see = () => {}) {
  const order = shuffled(run.order);
  for (let first = 0; first < TRAINING; first += BATCH) {
    const indices = order.slice(first, first + BATCH);
    const x = Float64Array.from(indices.flatMap((i) => [data.train.x[2 * i], data.train.x[2 * i + 1]]));
    const y = indices.map((i) => data.train.y[i]);
    const masks = masksOf(run.noise, BATCH, run.keep);
    const caches = forward(run.net, x, BATCH, masks, run.keep);
    const { gradient, loss } = crossEntropy(caches[2].out, y, BATCH);
    const gradients = backward(run.net, caches, gradient, BATCH, masks, run.keep);
    step(run.net, run.velocity, gradients, run.lambda);
    see({ indices, masks, loss, gradients });
  }
  run.epoch += 1;
  run.history.push(measure(run.net));
  if (run.history.at(-1).heldOut < run.history[run.best].heldOut) {
    run.best = run.epoch;
    run.kept = copy(run.net);
  }
}

export const evaluate = (net, { x, y, count }) => crossEntropy(forward(net, x, count, null, 1)[2].out, y, count);

function measure(net) {
  const train = evaluate(net, data.train);
  return { train: train.loss, heldOut: evaluate(net, data.heldOut).loss, agreement: train.accuracy };
}

// Not a part of what is measured after each epoch, which it would take twice as long.
export const newRight = (net) => evaluate(net, data.test).accuracy;

// Runs are kept, so that no epoch is computed twice while it goes on.
let current = { key: null };
let last = null;
function runOf(state) {
  const { lambda, keep, norm } = state;
  const key = [lambda, keep, norm].join();
  if (current.key !== key || current.run.epoch > state.epoch) {
    if (current.key !== key && current.run) last = current.run.history;
    current = { key, run: newRun(state) };
  }
  const { run } = current;
  while (run.epoch < state.epoch && !stopped(state, run)) epoch(run);
  return run;
}
const stopped = ({ stop }, run) => stop === "on" && run.epoch - run.best >= PATIENCE;
const shownNet = ({ stop }, run) => (stop === "on" ? [run.kept, run.best] : [run.net, run.epoch]);

// Pictures

const toX = scale([-1.7, 2.7], [0, WIDTH]);
const toY = scale([-1.3, 1.8], [240, 0]);
const COLUMNS = 68;
const ROWS = 60;

function regions(net) {
  const x = new Float64Array(2 * COLUMNS * ROWS);
  const wide = WIDTH / (COLUMNS - 1);
  const high = 240 / ROWS;
  for (let r = 0; r < ROWS; r++) {
    for (let c = 0; c < COLUMNS; c++) {
      x[2 * (r * COLUMNS + c)] = toX.back(c * wide);
      x[2 * (r * COLUMNS + c) + 1] = toY.back((r + 0.5) * high);
    }
  }
  const scores = forward(net, x, COLUMNS * ROWS, null, 1)[2].out;
  const margin = (r, c) => scores[2 * (r * COLUMNS + c) + 1] - scores[2 * (r * COLUMNS + c)];
  let path = "";
  for (let r = 0; r < ROWS; r++) {
    let from = margin(r, 0) > 0 ? 0 : null;
    for (let c = 1; c <= COLUMNS; c++) {
      const [before, after] = [margin(r, c - 1), c < COLUMNS ? margin(r, c) : -Infinity];
      if (before > 0 === after > 0) continue;
      const place = c < COLUMNS ? (c - 1 + before / (before - after)) * wide : WIDTH;
      if (before > 0) {
        path += `M${from.toFixed(1)} ${r * high}H${place.toFixed(1)}v${high}H${from.toFixed(1)}z`;
        from = null;
      } else from = place;
    }
  }
  return path;
}

function plane(state, run) {
  const [net] = shownNet(state, run);
  const { x, y, flipped, count } = data.train;
  let points = "";
  for (let i = 0; i < count; i++) {
    const [px, py] = [clamp(toX(x[2 * i]), 5, WIDTH - 5), clamp(toY(x[2 * i + 1]), 5, 235)];
    if (flipped[i]) points += dot(px, py, 7.5, { fill: "none", stroke: "var(--ink)", "stroke-width": 1.5 });
    points += y[i]
      ? tag("path", { d: `M${px.toFixed(1)} ${(py - 4.5).toFixed(1)}l4.5 8h-9z`, fill: "var(--orange)" })
      : dot(px, py, 3.8, { fill: "var(--blue)" });
  }
  const second = regions(net);
  return (
    tag("rect", { x: 0, y: 0, width: WIDTH, height: 240, fill: "var(--blue)", "fill-opacity": 0.15 }) +
    tag("path", { d: second, fill: "var(--paper)" }) +
    tag("path", { d: second, fill: "var(--orange)", "fill-opacity": 0.25 }) +
    points +
    write(0, 258, "ringed: wrong labels", { fill: "var(--muted)" })
  );
}

function curves(state, run) {
  const to = scale([0, EPOCHS], [36, WIDTH - 12]);
  const toLoss = scale([0, 1.5], [214, 40]);
  const path = (history, part, looks) =>
    curve(history.map((one, t) => [to(t), toLoss(Math.min(1.5, one[part]))]), { "stroke-width": 1.8, ...looks });
  const history = run.history.slice(0, state.epoch + 1);
  const [, at] = shownNet(state, run);
  return (
    write(36, 16, "loss: training", { fill: "var(--blue)" }) +
    write(WIDTH - 12, 16, "held out", { fill: "var(--orange)", "text-anchor": "end" }) +
    write(36, 32, "epoch shown", { fill: "var(--green)" }) +
    (last ? write(WIDTH - 12, 32, "held out, last settings", { fill: "var(--muted)", "text-anchor": "end" }) : "") +
    [0, 0.5, 1, 1.5].map((value) => line(36, toLoss(value), WIDTH - 12, toLoss(value), { opacity: 0.4 }) + write(30, toLoss(value) + 4, shown(value, 1), { "text-anchor": "end", fill: "var(--muted)" })).join("") +
    [0, 100, 200, 300].map((value) => write(to(value), 232, value, { "text-anchor": "middle", fill: "var(--muted)" })).join("") +
    write(WIDTH / 2 + 12, 252, "epochs", { "text-anchor": "middle", fill: "var(--muted)" }) +
    (last ? path(last, "heldOut", { stroke: "var(--muted)", "stroke-dasharray": "3 3" }) : "") +
    path(history, "train", { stroke: "var(--blue)" }) +
    path(history, "heldOut", { stroke: "var(--orange)" }) +
    line(to(at), toLoss(0), to(at), toLoss(1.5), { stroke: "var(--green)", "stroke-width": 2, "stroke-dasharray": "4 3" })
  );
}

export function panels(state) {
  const run = runOf(state);
  return [
    { label: "The training points and the regions of the two classes, as the network sees them", height: 264, svg: plane(state, run) },
    { label: "The loss on training and on held-out points against the number of epochs", height: 264, svg: curves(state, run) },
  ];
}

// Controls

const STRENGTHS = [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
const onOff = [
  ["off", "no"],
  ["on", "yes"],
];
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
let playing = false;
let play = () => {};

function train(changes, from) {
  play();
  return { ...changes, epoch: from };
}
const anew = (name) => (_, value) => train({ [name]: value }, 0);
const done = (state) => state.epoch >= EPOCHS || stopped(state, runOf(state));

export const controls = [
  { kind: "range", name: "lambda", label: "weight decay λ =", min: 0, max: 0.1, positions: STRENGTHS, show: String, act: anew("lambda") },
  { kind: "range", name: "keep", label: "keep probability p =", min: 0.5, max: 1, step: 0.1, show: (value) => shown(value, 1), act: anew("keep") },
  { kind: "choice", name: "norm", label: "Batch norm", options: onOff, act: anew("norm") },
  { kind: "choice", name: "stop", label: "Early stopping", options: onOff, act: anew("stop") },
  {
    kind: "button",
    label: "Train",
    text: (state) => (playing ? "Pause" : done(state) ? "Train again" : "Train"),
    act(state) {
      if (!playing) return train({}, done(state) ? 0 : state.epoch);
      playing = false;
      return {};
    },
  },
  {
    kind: "button",
    label: "Ten epochs",
    text: (state) => (done(state) ? "Ten epochs from 0" : "Ten epochs"),
    act: (state) => ({ epoch: (done(state) ? 0 : state.epoch) + 10 }),
  },
];

// Trains in pieces, between which the page can do something else.
async function trainTo(last, state, wanted = () => true) {
  for (let at = state.epoch === last ? 0 : state.epoch; at < last && wanted(); at += 1) {
    runOf({ ...state, epoch: at });
    await new Promise((resume) => setTimeout(resume));
  }
}

export const prepare = (state) => trainTo(state.epoch, state);

export function begin(api) {
  let turn = 0;
  function frame() {
    if (!playing) return;
    playing = !done(api.state);
    api.update(playing ? { epoch: api.state.epoch + 2 } : {});
    requestAnimationFrame(frame);
  }
  play = async () => {
    if (still()) {
      // Who wants no motion sees the beginning and the end.
      const mine = (turn += 1);
      await Promise.resolve();
      await trainTo(EPOCHS, api.state, () => mine === turn);
      if (mine === turn) api.update({ epoch: EPOCHS });
    } else if (!playing) {
      playing = true;
      requestAnimationFrame(frame);
    }
  };
}

const percent = (share) => `${shown(100 * share, 0)}%`;

export function numbers(state) {
  const run = runOf(state);
  const [now, best] = [run.epoch, run.best].map((at) => run.history[at]);
  const row = (title, first, second) => `<tr><th scope="row">${title}</th><td>${first}</td><td>${second}</td></tr>`;
  return (
    '<table><thead><tr><td></td><th scope="col">now</th>' +
    `<th scope="col">least held-out loss${state.stop === "on" ? ", shown" : ""}</th></tr></thead><tbody>` +
    row("epoch", run.epoch, run.best) +
    row("training loss", shown(now.train), shown(best.train)) +
    row("held-out loss", shown(now.heldOut), shown(best.heldOut)) +
    row("training labels agreed with", percent(now.agreement), percent(best.agreement)) +
    row("new points right", percent(newRight(run.net)), percent(newRight(run.kept))) +
    "</tbody></table>"
  );
}

export function words(state) {
  const run = runOf(state);
  const [net, at] = shownNet(state, run);
  const { train: loss, heldOut, agreement } = run.history[at];
  const settings = [
    state.lambda ? `weight decay ${state.lambda}` : "",
    state.keep < 1 ? `keep probability ${shown(state.keep, 1)}` : "",
    state.norm === "on" ? "batch norm" : "",
    state.stop === "on" ? "early stopping" : "",
  ].filter(Boolean);
  return (
    `With ${settings.join(", ") || "nothing to hold it back"}, after ${at} epochs: loss ${shown(loss)} in training and ${shown(heldOut)} held out. ` +
    `The network agrees with ${percent(agreement)} of its training labels, a fifth of which are wrong, and gets ${percent(newRight(net))} of ${TEST} new points right.`
  );
}

export function clean(state) {
  return {
    ...state,
    lambda: STRENGTHS.reduce((best, one) => (Math.abs(one - state.lambda) < Math.abs(best - state.lambda) ? one : best)),
    keep: Math.round(10 * state.keep) / 10,
    epoch: clamp(Math.round(state.epoch), 0, EPOCHS),
  };
}
