// What the interactive figures share: drawing, controls, links to a state, random numbers.
//
// A figure is a module that exports
//   name         under which it appears in links
//   start        its first state: numbers, texts and arrays of numbers
//   panels(state)   a list of {label, height, svg}: pictures, 340 units wide
//   words(state)    a sentence or two with the current numbers, also read aloud
// and, where it needs them,
//   controls     what stands below the pictures, see `control`
//   handles(state)  what can be moved or switched in the pictures, see `handle`
//   numbers(state)  a table as HTML
//   clean(state)    mends a state that came from a link
//   prepare(state)  computes in pieces, and resolves when the state can be drawn
//   begin(api)      called once with {state, update}, for what runs by itself
// `panels` needs no page, so the build draws the first state with it, for readers without JavaScript.

export const WIDTH = 340;

// Drawing

const near = (value) => (typeof value === "number" ? Math.round(value * 100) / 100 : value);

export function tag(name, attributes, inside = "") {
  const all = Object.entries(attributes).map(([key, value]) => ` ${key}="${near(value)}"`);
  return `<${name}${all.join("")}>${inside}</${name}>`;
}

export const line = (x1, y1, x2, y2, looks = {}) =>
  tag("line", { x1, y1, x2, y2, stroke: "var(--muted)", ...looks });

export const dot = (cx, cy, r, looks = {}) => tag("circle", { cx, cy, r, ...looks });

export const box = (x, y, width, height, looks = {}) =>
  tag("rect", { x, y, width: Math.max(0, width), height: Math.max(0, height), ...looks });

export const write = (x, y, words, looks = {}) =>
  tag("text", { x, y, fill: "var(--ink)", ...looks }, words);

export const curve = (points, looks = {}) =>
  tag("path", {
    d: points.map(([x, y], i) => `${i ? "L" : "M"}${near(x)} ${near(y)}`).join(""),
    fill: "none",
    stroke: "var(--blue)",
    "stroke-width": 2,
    ...looks,
  });

export function scale([a, b], [c, d]) {
  const to = (value) => c + ((value - a) / (b - a)) * (d - c);
  to.back = (place) => a + ((place - c) / (d - c)) * (b - a);
  return to;
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
export const shown = (value, digits = 3) =>
  value.toFixed(digits).replace(/^-(?=[0.]*$)/, "").replace("-", "\u2212");
export const sum = (values) => values.reduce((a, b) => a + b, 0);
export const mean = (values) => sum(values) / values.length;

export function picture(figure, state = figure.start) {
  const drawn = figure.panels(state).map(({ label, height, svg }) =>
    tag(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${height}`, role: "group", "aria-label": label },
      tag("g", { class: "drawn", role: "img", "aria-label": label }, svg) +
        tag("g", { class: "handles" }),
    ),
  );
  return tag("div", { class: "panels" }, drawn.join("")) + tag("p", { class: "words" }, figure.words(state));
}

// Random numbers that are the same on every machine

export function mulberry32(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export const normal = (random) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

// Links to a state

export function encode(figure, state) {
  const params = new URLSearchParams({ fig: figure.name });
  for (const [key, first] of Object.entries(figure.start)) {
    if (String(state[key]) !== String(first)) params.set(key, state[key]);
  }
  return `#${decodeURIComponent(params)}`;
}

export function decode(figure, hash) {
  const params = new URLSearchParams(hash.slice(1));
  if (params.get("fig") !== figure.name) return null;
  const state = { ...figure.start };
  for (const [key, first] of Object.entries(figure.start)) {
    if (!params.has(key)) continue;
    const text = params.get(key);
    if (Array.isArray(first)) {
      const values = text.split(",").map(Number);
      if (values.every(Number.isFinite)) state[key] = values;
    } else if (typeof first === "number") {
      const value = Number(text);
      if (text && Number.isFinite(value)) state[key] = value;
    } else state[key] = text;
  }
  for (const { kind, name, min, max, options } of figure.controls ?? []) {
    if (kind === "range" && name in state) state[name] = clamp(state[name], min, max);
    if (kind === "choice" && !options.some(([value]) => value === state[name])) {
      state[name] = figure.start[name];
    }
  }
  return figure.clean ? figure.clean(state) : state;
}

// The page

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

let count = 0;

// A control is one of
//   {kind: "range", name, label, min, max, step, show(value)}: a slider of a number of the state;
//     with `positions` instead of `step`, one of these numbers; `of(state)` is a number that is not in
//     the state under this name
//   {kind: "choice", name, label, options: [[value, text], …]}: one of several
//   {kind: "button", label, act(state)}: returns what changes; `text(state)` is another label
// With `act(state, value)` the first two may change more.  A slider or button with `idle(state)` is out of
// use while that is true.
// Returns the element and a function that shows a state.
function control(spec, api) {
  const change = (value) => api.update(spec.act ? spec.act(api.state, value) : { [spec.name]: value });
  if (spec.kind === "button") {
    const button = element("button", { type: "button" }, spec.label);
    button.addEventListener("click", () => api.update(spec.act(api.state)));
    const show = (state) => {
      if (spec.text) button.textContent = spec.text(state);
      button.disabled = Boolean(spec.idle?.(state));
    };
    return [button, show];
  }
  if (spec.kind === "choice") {
    const group = element("fieldset", {}, element("legend", {}, spec.label));
    const name = `interactive-${(count += 1)}`;
    const inputs = spec.options.map(([value, text]) => {
      const input = element("input", { type: "radio", name, value });
      input.addEventListener("change", () => change(value));
      group.append(element("label", {}, input, ` ${text}`));
      return input;
    });
    return [group, (state) => inputs.forEach((one) => (one.checked = one.value === state[spec.name]))];
  }
  const { name, positions } = spec;
  const { min, max, step } = positions ? { min: 0, max: positions.length - 1, step: 1 } : spec;
  const input = element("input", { type: "range", min, max, step, "data-name": name });
  // Not an output: a label belongs to the first of its elements that can have one.
  const output = element("span");
  input.addEventListener("input", () => {
    const value = Number(input.value);
    change(positions ? positions[value] : value);
  });
  const show = (state) => {
    const value = spec.of ? spec.of(state) : state[name];
    input.value = positions ? positions.indexOf(value) : value;
    output.textContent = spec.show(value);
    input.setAttribute("aria-valuetext", spec.show(value));
    input.disabled = Boolean(spec.idle?.(state));
  };
  return [element("label", {}, element("span", {}, `${spec.label} `, output), input), show];
}

const SVG = "http://www.w3.org/2000/svg";
const STEPS = {
  ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity,
};

// How far around a handle it can be caught: the half way to the nearest other one, and on a phone a fingertip.
const [LEAST, MOST] = [12, 22];
function room(one, all) {
  const away = all.filter((other) => other !== one && other.panel === one.panel).map(({ x, y }) => Math.hypot(x - one.x, y - one.y));
  return clamp(Math.min(...away) / 2, LEAST, MOST);
}

// A handle is {panel, label, x, y} in units of its panel, and either
//   {value, min, max, text, move(state, x, y), step(state, count, key)}: can be dragged, and moved by keys; the
//     count is infinite for the keys Home and End
//   {on, toggle(state)}: can be switched
// It is caught on a circle, or on an area of `wide` by `high` around it.
// With `tab: false` the keyboard passes it by, which takes a control that does the same.
// The functions return what changes.  The element stays while it is moved, so it keeps the focus.
function handle(index, svg, api) {
  const made = document.createElementNS(SVG, "g");
  made.setAttribute("tabindex", "0");
  const now = () => api.handles()[index];
  const { wide, high } = now();
  made.innerHTML =
    (wide ? box(-wide / 2, -high / 2, wide, high, { fill: "transparent" }) : dot(0, 0, MOST, { fill: "transparent" })) +
    dot(0, 0, 10, { class: "ring" });
  const place = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY);
    return point.matrixTransform(svg.getScreenCTM().inverse());
  };
  made.addEventListener("pointerdown", (event) => {
    if (!now().move) return;
    made.setPointerCapture(event.pointerId);
    made.focus();
    event.preventDefault();
  });
  made.addEventListener("pointermove", (event) => {
    if (!made.hasPointerCapture(event.pointerId)) return;
    const { x, y } = place(event);
    api.update(now().move(api.state, x, y));
  });
  made.addEventListener("click", () => now().toggle && api.update(now().toggle(api.state)));
  made.addEventListener("keydown", (event) => {
    const one = now();
    if (one.toggle && (event.key === " " || event.key === "Enter")) {
      api.update(one.toggle(api.state));
    } else if (one.step && (event.key in STEPS)) {
      api.update(one.step(api.state, STEPS[event.key], event.key));
    } else return;
    event.preventDefault();
  });
  svg.querySelector(".handles").append(made);
  const show = (one, all) => {
    made.setAttribute("transform", `translate(${near(one.x)} ${near(one.y)})`);
    if (!wide) made.firstChild.setAttribute("r", room(one, all));
    made.setAttribute("aria-label", one.label);
    if (one.tab === false) {
      made.setAttribute("tabindex", "-1");
      made.setAttribute("aria-hidden", "true");
    }
    made.setAttribute("role", one.toggle ? "switch" : "slider");
    made.classList.toggle("drag", Boolean(one.move));
    if (one.toggle) made.setAttribute("aria-checked", one.on);
    else {
      for (const key of ["value", "min", "max"]) made.setAttribute(`aria-${key === "value" ? "valuenow" : `value${key}`}`, near(one[key]));
      made.setAttribute("aria-valuetext", one.text);
    }
  };
  return [made, show];
}

export async function live(root, figure) {
  const panels = root.querySelector(".panels");
  const svgs = [...panels.querySelectorAll(":scope > svg")];
  const words = root.querySelector(".words");
  // A wide table scrolls in its own box, which the keyboard has to reach.
  const table = element("div", { class: "numbers", tabindex: 0, role: "group", "aria-label": "Numbers" });
  const link = element("a", { class: "state" });
  const api = {
    state: decode(figure, location.hash) ?? { ...figure.start },
    handles: () => (figure.handles ? figure.handles(api.state) : []),
    update(changes) {
      api.state = { ...api.state, ...changes };
      show();
      clearTimeout(later);
      later = setTimeout(() => (aloud.innerHTML = words.innerHTML), 250);
    },
  };
  await figure.prepare?.(api.state);
  const controls = (figure.controls ?? []).map((spec) => control(spec, api));
  const made = controls.map(([one]) => one);
  const isButton = (one) => one.nodeName === "BUTTON";
  const actions = element("div", { class: "actions" }, ...made.filter(isButton), link);
  const row = element("div", { class: "controls" }, ...made.filter((one) => !isButton(one)), actions);
  panels.after(row, ...(figure.numbers ? [table] : []));
  // Read aloud once the hand rests, not at every pixel of its way.
  const aloud = element("p", { class: "visually-hidden", role: "status" });
  words.after(aloud);
  const handles = [];
  let later;

  function show() {
    figure.panels(api.state).forEach(({ svg }, i) => {
      svgs[i].querySelector(".drawn").innerHTML = svg;
    });
    const all = api.handles();
    while (handles.length < all.length) {
      handles.push(handle(handles.length, svgs[all[handles.length].panel], api));
    }
    handles.forEach(([made, move], i) => {
      made.style.display = all[i] ? "" : "none";
      if (all[i]) move(all[i], all);
    });
    controls.forEach(([, follow]) => follow(api.state));
    if (figure.numbers) table.innerHTML = figure.numbers(api.state);
    link.href = encode(figure, api.state);
    link.textContent = "Link to this state";
    words.innerHTML = figure.words(api.state);
  }

  window.addEventListener("hashchange", () => {
    const asked = decode(figure, location.hash);
    if (!asked) return;
    api.update(asked);
    // Whoever follows the link sees that something happened.
    link.textContent = "Now in the address bar";
  });
  show();
  figure.begin?.(api);
  root.classList.add("live");
}
