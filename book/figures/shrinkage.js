// The minimum of a bowl with an L2 penalty, as the strength of the penalty changes.

import { WIDTH, clamp, curve, dot, line, scale, shown, tag, write } from "./kit.js";

export const name = "shrinkage";

// The example of the text: curvature 4 along the sum of the two weights, 1/4 along their difference.
export const CURVATURE = [4, 0.25];
const ROOT = Math.SQRT1_2;
const AXES = [
  [ROOT, ROOT],
  [ROOT, -ROOT],
];

// 0, and then two digits at even distances on a logarithmic axis.
const STRENGTHS = [0, ...Array.from({ length: 81 }, (_, i) => Number((10 ** (i / 20 - 2)).toPrecision(2)))];

export const start = { lambda: 1, star: [3, 1] };

const along = (point, k) => point[0] * AXES[k][0] + point[1] * AXES[k][1];
const factor = (h, lambda) => h / (h + lambda);

export function minimum({ lambda, star }) {
  const factors = CURVATURE.map((h) => factor(h, lambda));
  const kept = factors.map((one, k) => one * along(star, k));
  const w = [0, 1].map((j) => kept[0] * AXES[0][j] + kept[1] * AXES[1][j]);
  const away = [0, 1].map((k) => kept[k] - along(star, k));
  const loss = 0.5 * (CURVATURE[0] * away[0] ** 2 + CURVATURE[1] * away[1] ** 2);
  return { w, factors, loss, norm: Math.hypot(...w) };
}

const index = (lambda) => {
  let best = 0;
  STRENGTHS.forEach((one, i) => {
    if (Math.abs(one - lambda) < Math.abs(STRENGTHS[best] - lambda)) best = i;
  });
  return best;
};
const stronger = ({ lambda }, times) => ({
  lambda: STRENGTHS[clamp(index(lambda) + times, 0, STRENGTHS.length - 1)],
});

// Pictures

const HEIGHT = 290;
const UNIT = 53;
const REACH = { x: [-1.7, 4.6], y: [-2.2, 3.1] };
const toX = scale([0, 1], [94, 94 + UNIT]);
const toY = scale([0, 1], [172, 172 - UNIT]);

// w* is taken by its name, beside it: without a penalty the minimum lies on it.
const ASIDE = { right: 20, up: 18 };
const grip = (star) => ({ x: toX(star[0]) + ASIDE.right, y: toY(star[1]) - ASIDE.up });

function ellipse([x, y], loss, looks) {
  // The long axis belongs to the difference, which points down and to the right.
  const [short, long] = CURVATURE.map((h) => UNIT * Math.sqrt((2 * loss) / h));
  const place = `translate(${toX(x)} ${toY(y)}) rotate(45)`;
  return tag("ellipse", { rx: long, ry: short, transform: place, fill: "none", stroke: "var(--muted)", ...looks });
}

function bowl(state) {
  const { w, loss, norm } = minimum(state);
  const { star } = state;
  const held = grip(star);
  const path = STRENGTHS.map((lambda) => minimum({ lambda, star }).w.map((value, j) => (j ? toY : toX)(value)));
  path.push([toX(0), toY(0)]);
  const ticks = [-1, 0, 1, 2, 3, 4].map((value) => write(toX(value), HEIGHT - 20, shown(value, 0), { "text-anchor": "middle", fill: "var(--muted)" }));
  const others = [-1, 0, 1, 2].map((value) => write(12, toY(value) + 4, shown(value, 0), { fill: "var(--muted)" }));
  const inside =
    [0.06, 0.25, 0.6, 1.2, 2.4, 4.5, 8].map((level) => ellipse(star, level, { opacity: 0.5 })).join("") +
    line(0, toY(0), WIDTH, toY(0), { opacity: 0.4 }) +
    line(toX(0), 0, toX(0), HEIGHT, { opacity: 0.4 }) +
    dot(toX(0), toY(0), UNIT * norm, { fill: "var(--blue)", "fill-opacity": 0.12, stroke: "var(--blue)" }) +
    (loss > 0 ? ellipse(star, loss, { stroke: "var(--orange)", "stroke-width": 2 }) : "") +
    curve(path);
  return (
    tag("svg", { x: 30, y: 0, width: WIDTH - 30, height: HEIGHT - 36, viewBox: `30 0 ${WIDTH - 30} ${HEIGHT - 36}` }, inside) +
    ticks.join("") +
    others.join("") +
    write(WIDTH / 2, HEIGHT - 3, "first weight (upright axis: second)", { "text-anchor": "middle", fill: "var(--muted)" }) +
    write(toX(star[0]), toY(star[1]) + 5, "+", { "text-anchor": "middle", "font-size": 20 }) +
    dot(held.x, held.y, 11, { fill: "var(--paper)", stroke: "var(--muted)" }) +
    write(held.x, held.y + 5, "w*", { "text-anchor": "middle" }) +
    dot(toX(w[0]), toY(w[1]), 6, { fill: "var(--orange)" }) +
    // To the left there is no room for it beside the axis.
    (toX(w[0]) < 100
      ? write(toX(w[0]) + 9, toY(w[1]) + 18, `λ = ${state.lambda}`)
      : write(toX(w[0]) - 6, toY(w[1]) - 10, `λ = ${state.lambda}`, { "text-anchor": "end" }))
  );
}

function filter(state) {
  const toH = scale([-3, 3], [34, WIDTH - 12]);
  const toShare = scale([0, 1], [234, 40]);
  const grid = Array.from({ length: 121 }, (_, i) => -3 + i / 20);
  const points = grid.map((h) => [toH(h), toShare(factor(10 ** h, state.lambda))]);
  const { factors } = minimum(state);
  const marks = factors.map((share, k) => {
    const [x, y] = [toH(Math.log10(CURVATURE[k])), toShare(share)];
    return (
      line(x, toShare(0), x, y, { stroke: "var(--orange)", "stroke-dasharray": "4 3" }) +
      dot(x, y, 5, { fill: "var(--orange)" }) +
      write(x + (k ? -9 : 9), y + (k ? -4 : 14), shown(share), { "text-anchor": k ? "end" : "start", fill: "var(--orange)" })
    );
  });
  return (
    write(34, 16, "share of w* that is left, h/(h + λ)") +
    [0, 0.5, 1].map((value) => line(34, toShare(value), WIDTH - 12, toShare(value), { opacity: 0.4 }) + write(28, toShare(value) + 4, value, { "text-anchor": "end", fill: "var(--muted)" })).join("") +
    [-2, 0, 2].map((value) => write(toH(value), 252, 10 ** value, { "text-anchor": "middle", fill: "var(--muted)" })).join("") +
    write((34 + WIDTH) / 2, 272, "curvature h along an axis", { "text-anchor": "middle", fill: "var(--muted)" }) +
    curve(points) +
    marks.join("")
  );
}

export const panels = (state) => [
  { label: "Ellipses of equal loss around w*, and the path of the minimum from w* to zero", height: HEIGHT, svg: bowl(state) },
  { label: "The share of w* that is left against the curvature, with a mark for each of the two axes", height: HEIGHT, svg: filter(state) },
];

// Controls

export const controls = [
  {
    kind: "range",
    name: "lambda",
    label: "strength λ =",
    min: 0,
    max: 100,
    positions: STRENGTHS,
    show: String,
  },
  { kind: "button", label: "Start again", act: () => start },
];

const inReach = (point) =>
  point.map((value, j) => clamp(Math.round(10 * value) / 10, ...[[-1, 4], [-1.5, 2.5]][j]));

export function handles(state) {
  const { w } = minimum(state);
  return [
    {
      panel: 0,
      label: "w*, the minimum without a penalty",
      ...grip(state.star),
      value: state.star[0],
      min: -1,
      max: 4,
      text: `first weight ${shown(state.star[0], 1)}, second ${shown(state.star[1], 1)}`,
      move: (_, x, y) => ({ star: inReach([toX.back(x - ASIDE.right), toY.back(y + ASIDE.up)]) }),
      step: ({ star }, times, key) =>
        ({ star: inReach(/Up|Down/.test(key) ? [star[0], star[1] + times / 10] : [star[0] + times / 10, star[1]]) }),
    },
    {
      panel: 0,
      label: "the minimum with the penalty, on its path",
      x: toX(w[0]),
      y: toY(w[1]),
      value: index(state.lambda),
      min: 0,
      max: STRENGTHS.length - 1,
      text: `λ = ${state.lambda}`,
      move({ star }, x, y) {
        const away = (lambda) => {
          const place = minimum({ lambda, star }).w;
          return Math.hypot(toX(place[0]) - x, toY(place[1]) - y);
        };
        return { lambda: STRENGTHS.reduce((best, one) => (away(one) < away(best) ? one : best)) };
      },
      step: stronger,
    },
  ];
}

export function numbers(state) {
  const { factors } = minimum(state);
  const rows = ["sum", "difference"].map((title, k) => {
    const star = along(state.star, k) / ROOT;
    const values = [CURVATURE[k], factors[k], star, factors[k] * star];
    return `<tr><th scope="row">${title}</th>${values.map((value) => `<td>${shown(value)}</td>`).join("")}</tr>`;
  });
  const heads = ["of the weights", "h", "h/\u2060(h\u00a0+\u00a0λ)", "in w*", "in w"].map((one) => `<th scope="col">${one}</th>`);
  return `<table><thead><tr>${heads.join("")}</tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

export function words(state) {
  const { w, factors, loss, norm } = minimum(state);
  return (
    `With λ = ${state.lambda} the minimum is at (${shown(w[0])}, ${shown(w[1])}), at a distance of ${shown(norm)} from zero. ` +
    `Of what the data say about the sum of the weights ${shown(factors[0])} is left, and about their difference ${shown(factors[1])}. ` +
    `That costs a loss of ${shown(loss)}.`
  );
}

export function clean(state) {
  const star = state.star.length === 2 ? inReach(state.star) : start.star;
  return { ...state, lambda: STRENGTHS[index(state.lambda)], star };
}
