// Makes the figures of a page answer, each when it is about to be seen.

const asked = new URLSearchParams(location.hash.slice(1)).get("fig");
const waiting = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      waiting.unobserve(target);
      const name = target.dataset.figure;
      Promise.all([import("./kit.js"), import(`./${name}.js`)]).then(([kit, figure]) =>
        kit.live(target.closest("figure"), figure),
      );
    }
  },
  { rootMargin: "200px" },
);
for (const one of document.querySelectorAll("[data-figure]")) {
  waiting.observe(one);
  if (one.dataset.figure === asked) one.closest("figure").scrollIntoView();
}
