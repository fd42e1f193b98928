"use strict";
(() => {
  const tip = document.getElementById("tip");

  const place = (x, y) => {
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, x + 14), innerWidth - box.width - 8);
    const top = y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  };
  const show = (from, x, y) => {
    tip.textContent = from.dataset.tip;
    tip.hidden = false;
    place(x, y);
  };
  const below = (from) => {
    const box = from.getBoundingClientRect();
    show(from, box.left, box.bottom - 14);
  };
  let focused = null;
  const hide = () => { tip.hidden = true; focused = null; };
  const told = (event) => event.target.closest && event.target.closest("[data-tip]");

  document.addEventListener("mousemove", (event) => {
    const from = told(event);
    if (from) show(from, event.clientX, event.clientY); else if (!focused) hide();
  });
  document.addEventListener("focusin", (event) => {
    focused = told(event);
    if (focused) below(focused); else hide();
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", () => { if (focused) below(focused); else hide(); }, { passive: true });

  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };
  const compare = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));

  for (const table of document.querySelectorAll("table.sortable")) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) => {
      const button = header.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const number = header.classList.contains("num");
        const first = number ? "descending" : "ascending";
        const other = number ? "ascending" : "descending";
        const order = header.getAttribute("aria-sort") === first ? other : first;
        headers.forEach((h) => h.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => sign * compare(value(a, column), value(b, column)));
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
