// Lets readers answer the questions of a page, and says at once what is right and why.
// Answers stay in this browser.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const key = (box) => `question ${location.pathname} ${box.id}`;

// A browser may forbid to keep anything.
function keep(box, value) {
  try {
    localStorage.setItem(key(box), JSON.stringify(value));
  } catch {}
}
function kept(box) {
  try {
    return JSON.parse(localStorage.getItem(key(box)));
  } catch {
    return null;
  }
}

// Where the verdict appears.  It is read aloud, but not when an answer of an earlier visit comes back.
function verdicts(box) {
  const place = element("div", { class: "verdict" });
  box.querySelector(".answer").before(place);
  setTimeout(() => place.setAttribute("aria-live", "polite"), 500);
  return (right, ...content) => {
    place.replaceChildren(...content);
    place.classList.toggle("right", right);
    place.classList.toggle("wrong", !right);
  };
}

const reason = (box, i) => [...box.querySelector(".reasons").children[i].cloneNode(true).childNodes];

function choice(box) {
  const right = box.dataset.right.split(" ").map(Number);
  const say = verdicts(box);
  const buttons = [...box.querySelectorAll(".options > li")].map((item, i) => {
    const button = element("button", { type: "button", "aria-pressed": "false" });
    for (const part of [...item.childNodes]) {
      button.append(...(part.nodeName === "P" ? part.childNodes : [part]));
    }
    item.replaceChildren(button);
    button.addEventListener("click", () => {
      choose(i);
      keep(box, i);
    });
    return button;
  });
  function choose(i) {
    if (!buttons[i]) return;
    buttons.forEach((button, j) => {
      button.setAttribute("aria-pressed", i === j);
      button.className = i !== j ? "" : right.includes(i) ? "right" : "wrong";
    });
    say(right.includes(i), ...reason(box, i));
  }
  return choose;
}

// Accepts 0,5 and −2 and 4/3 as well.
export function read(text) {
  const [whole, part = "1", ...rest] = text.replace(/\u2212/g, "-").replace(/,/g, ".").replace(/\s|%/g, "").split("/");
  const value = whole === "" || part === "" || rest.length ? NaN : Number(whole) / Number(part);
  return Number.isFinite(value) ? value : NaN;
}

function number(box) {
  const known = box.dataset.numbers.split(" ").map((one) => one.split(",").map(Number));
  const input = element("input", { inputmode: "text", size: 10, autocomplete: "off" });
  const form = element("form", {}, element("label", {}, "Your answer ", input), " ", element("button", {}, "Check"));
  box.querySelector(".answer").before(form);
  const say = verdicts(box);
  function judge(text) {
    const value = read(text);
    if (Number.isNaN(value)) return say(false, "Write a number, such as 0.25, 1/4 or −3.");
    // A little more, since 0.1 + 0.2 is not 0.3.
    const i = known.findIndex(([right, tolerance]) => Math.abs(value - right) <= tolerance * (1 + 1e-9) + 1e-12);
    if (i >= 0) say(known[i][2] === 1, ...reason(box, i));
    else say(false, element("strong", {}, "No."), " Try again, or unfold the answer.");
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    judge(input.value);
    keep(box, input.value);
  });
  return (text) => {
    input.value = text;
    judge(text);
  };
}

function order(box) {
  const list = box.querySelector(".options");
  const say = verdicts(box);
  const place = (item) => Number(item.className.match(/place-(\d+)/)[1]);
  const lines = () => [...list.children];
  const status = element("span", { class: "visually-hidden", role: "status" });
  for (const item of lines()) {
    item.id ||= `${box.id}-${place(item)}`;
    const buttons = [
      ["↑", "up", -1],
      ["↓", "down", 1],
    ].map(([sign, way, by]) => {
      const button = element("button", { type: "button", "aria-label": `Move ${way}`, "aria-describedby": item.id }, sign);
      button.addEventListener("click", () => {
        const at = lines().indexOf(item) + by;
        if (at < 0 || at >= lines().length) return;
        if (by < 0) list.children[at].before(item);
        else list.children[at].after(item);
        button.focus();
        status.textContent = `Now line ${at + 1} of ${lines().length}.`;
      });
      return button;
    });
    item.prepend(element("span", { class: "movers" }, ...buttons));
  }
  const check = element("button", { type: "button" }, "Check");
  list.after(element("p", {}, check, status));
  function judge() {
    const wrong = lines().findIndex((item, i) => place(item) !== i);
    if (wrong < 0) {
      say(true, element("strong", {}, "Right. "), ...box.querySelector(".reasons").cloneNode(true).childNodes);
    } else say(false, element("strong", {}, "Not yet."), ` Line ${wrong + 1} belongs elsewhere.`);
  }
  check.addEventListener("click", () => {
    judge();
    keep(box, lines().map(place));
  });
  return (places) => {
    const items = lines();
    list.append(...places.map((one) => items.find((item) => place(item) === one)).filter(Boolean));
    judge();
  };
}

const KINDS = { choice, number, order };

for (const box of document.querySelectorAll(".question")) {
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", box.querySelector(".question-title")?.textContent ?? "Question");
  const show = KINDS[box.dataset.kind](box);
  const before = kept(box);
  if (before !== null) show(before);
}
