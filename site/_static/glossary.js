/* A term's two sentences, beside its link: at the pointer, and where the keyboard stands.
 *
 * The sentences are the link's title. A title is shown by the pointer only, so it is taken off the link and shown as a
 * tooltip, which a screen reader reads as the link's description. WCAG 1.4.13: Escape closes it, the pointer may move
 * onto it, and it stays until the pointer or the keyboard leaves. Without this script the titles stay what they are.
 */
(function () {
  "use strict";

  const GAP = 6; // pixels between a link and its tooltip, and between a tooltip and the edge of the window
  const PATIENCE = 150; // milliseconds that the pointer has to cross the gap

  const tooltip = document.createElement("div");
  let shownFor = null;
  let leaving = 0;

  function place(link) {
    const at = link.getClientRects()[0];
    const room = document.documentElement.clientWidth;
    const left = Math.min(at.left, room - tooltip.offsetWidth - GAP);
    const below = at.bottom + GAP;
    const fits = below + tooltip.offsetHeight <= window.innerHeight;
    tooltip.style.left = `${Math.max(GAP, left)}px`;
    tooltip.style.top = `${fits ? below : Math.max(GAP, at.top - GAP - tooltip.offsetHeight)}px`;
  }

  function show(link) {
    window.clearTimeout(leaving);
    shownFor = link;
    tooltip.textContent = link.dataset.definition;
    tooltip.hidden = false;
    place(link);
  }

  function hide() {
    window.clearTimeout(leaving);
    shownFor = null;
    tooltip.hidden = true;
  }

  function leave() {
    leaving = window.setTimeout(hide, PATIENCE);
  }

  function watch(link) {
    link.dataset.definition = link.title;
    link.removeAttribute("title");
    link.setAttribute("aria-description", link.dataset.definition);
    link.addEventListener("pointerenter", (event) => event.pointerType !== "touch" && show(link));
    link.addEventListener("pointerleave", leave);
    link.addEventListener("focus", () => show(link));
    link.addEventListener("blur", hide);
  }

  document.addEventListener("DOMContentLoaded", () => {
    const links = document.querySelectorAll("a.glossary-term[title]");
    if (!links.length) {
      return;
    }
    tooltip.className = "glossary-tooltip";
    tooltip.setAttribute("role", "tooltip");
    tooltip.hidden = true;
    tooltip.addEventListener("pointerenter", () => window.clearTimeout(leaving));
    tooltip.addEventListener("pointerleave", leave);
    document.body.append(tooltip);
    links.forEach(watch);
    document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
    window.addEventListener("scroll", () => shownFor && place(shownFor), { passive: true });
  });
})();
