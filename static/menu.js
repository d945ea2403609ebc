// On a small screen the menu opens on demand. It runs where it stands, so that the page below does not move.
"use strict";

{
  const menu = document.querySelector("details.menu"), small = matchMedia("(max-width: 719px)");
  const fold = () => { menu.open = !small.matches; };
  small.addEventListener("change", fold);
  fold();
}
