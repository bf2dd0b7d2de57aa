// Shows what a link leads to while the pointer or the focus is on it: a formula, a figure, a term,
// a paper or the beginning of a section. Escape closes it, and the pointer may enter it (WCAG 1.4.13).

const WAIT = 250;
const LINKS = '.bd-article a.reference.internal[href*="#"]:not(.headerlink)';
const pages = new Map();
let box, owner, timer;

/** Returns the document of a page, which is loaded once. */
function pageOf(address) {
  const page = address.origin + address.pathname;
  if (page === location.origin + location.pathname) return document;
  if (!pages.has(page))
    pages.set(
      page,
      fetch(page)
        .then((answer) => (answer.ok ? answer.text() : Promise.reject(answer.status)))
        .then((text) => new DOMParser().parseFromString(text, "text/html")),
    );
  return pages.get(page);
}

/** Returns the elements that show what is at a target. */
function shown(target) {
  const one = target.closest("div.math, figure, .citation") ?? target.closest("[id^=equation-]");
  if (one) return [one];
  if (target.matches("dt")) return [target, target.nextElementSibling];
  const section = target.closest("section") ?? target.nextElementSibling?.closest("section");
  if (!section) return target.matches("p, li, dd") ? [target] : [];
  const inside = [...section.children];
  const heading = inside.find((child) => /^H[1-6]$/.test(child.tagName));
  return [heading, inside.find((child) => child.tagName === "P")].filter(Boolean);
}

/** Returns copies of elements that may stand on this page by themselves. */
function copies(elements, address) {
  return elements.map((element) => {
    let copy = document.importNode(element, true);
    for (const one of copy.querySelectorAll(".headerlink, button, input, script")) one.remove();
    for (const one of copy.querySelectorAll("[src]"))
      one.src = new URL(one.getAttribute("src"), address);
    for (const one of copy.querySelectorAll("a[href]")) one.replaceWith(...one.childNodes);
    if (copy.matches("dt, dd")) {
      const alone = document.createElement("div");
      alone.className = copy.localName;
      alone.append(...copy.childNodes);
      copy = alone;
    }
    for (const one of [copy, ...copy.querySelectorAll("*")])
      for (const name of ["id", "name", "role", "tabindex"]) one.removeAttribute(name);
    return copy;
  });
}

function close() {
  clearTimeout(timer);
  owner?.removeAttribute("aria-describedby");
  if (owner?.dataset.title) owner.title = owner.dataset.title;
  box?.remove();
  box = owner = undefined;
}

async function open(link) {
  const address = new URL(link.href);
  let content;
  try {
    const page = await pageOf(address);
    const target = page.getElementById(decodeURIComponent(address.hash.slice(1)));
    content = target ? copies(shown(target), address) : [];
  } catch {
    // Opened from a disk, a page cannot read another one.
    return;
  }
  if (!content.length || !link.matches(":hover, :focus-visible")) return;
  close();
  owner = link;
  box = document.createElement("div");
  Object.assign(box, { id: "preview", className: "preview", role: "tooltip" });
  box.append(...content);
  document.body.append(box);
  // A title would be a second preview.
  if (link.title) [link.dataset.title, link.title] = [link.title, ""];
  link.setAttribute("aria-describedby", "preview");
  const [at, size] = [link.getBoundingClientRect(), box.getBoundingClientRect()];
  const left = Math.min(at.left, document.documentElement.clientWidth - size.width - 8);
  const fits = at.bottom + size.height + 8 < innerHeight || at.top < size.height + 8;
  box.style.left = `${Math.max(8, left) + scrollX}px`;
  box.style.top = `${(fits ? at.bottom + 4 : at.top - size.height - 4) + scrollY}px`;
}

function later(action) {
  clearTimeout(timer);
  timer = setTimeout(action, WAIT);
}

document.addEventListener("pointerover", ({ target, pointerType }) => {
  if (pointerType !== "mouse") return;
  const link = target.closest(LINKS);
  if (link && link !== owner) later(() => open(link));
  else if (link || box?.contains(target)) clearTimeout(timer);
  else if (box) later(close);
  else clearTimeout(timer);
});
document.addEventListener("focusin", ({ target }) => {
  const link = target.matches(":focus-visible") && target.closest(LINKS);
  if (link) later(() => open(link));
  else close();
});
document.addEventListener("keydown", ({ key }) => key === "Escape" && close());
addEventListener("beforeprint", close);
