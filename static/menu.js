// On a small screen the menu opens on demand; on a large one the current entry is in view. It runs where it stands, so
// that the page below does not move.
"use strict";

{
  const menu = document.querySelector("details.menu"), small = matchMedia("(max-width: 719px)");
  const fold = () => { menu.open = !small.matches; };
  small.addEventListener("change", fold);
  fold();
  document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest" });
}
