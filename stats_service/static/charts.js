// The titles of a chart's columns, shown at once and where the pointer is. Without this the browser shows them in its own time.
"use strict";

{
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);

  function text(column) {
    const title = column.querySelector("title");
    if (title) {
      column.dataset.tip = title.textContent;
      title.remove();
    }
    return column.dataset.tip;
  }

  document.addEventListener("pointerover", (event) => {
    const column = event.target.closest?.(".col");
    tip.hidden = !column;
    if (column) tip.textContent = text(column);
  });
  document.addEventListener("pointermove", (event) => {
    if (tip.hidden) return;
    const left = event.clientX + 14 + tip.offsetWidth > innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 14;
    tip.style.left = `${Math.max(left, 4)}px`;
    tip.style.top = `${Math.max(Math.min(event.clientY - 10, innerHeight - tip.offsetHeight - 8), 4)}px`;
  });
}
