// The strip remembers whether its steps are folded away; on a small screen they begin so.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const steps = document.querySelector("details[data-visit]");
  if (!steps) return;
  if (!/(?:^|; )visit=/.test(document.cookie) && matchMedia("(max-width: 719px)").matches) steps.open = false;
  steps.addEventListener("toggle", () => {
    document.cookie = `visit=${steps.open ? "open" : "closed"}; path=/; max-age=31536000; samesite=lax`;
  });
});
