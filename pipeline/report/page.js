"use strict";
// Plots are drawn, tables sort by their headers and filter by a box. Without this script the page has
// the same words and numbers.
(() => {
  const specs = JSON.parse(document.getElementById("plots").textContent);
  const options = {
    renderer: "svg",
    actions: false,
    defaultStyle: false,
    ast: true, // expressions are interpreted: the page's policy forbids to compile strings
    tooltip: { disableDefaultStyle: true },
  };

  for (const place of document.querySelectorAll("[data-plot]")) {
    window.vegaEmbed(place, specs[place.dataset.plot], options).then(
      () => place.setAttribute("data-drawn", ""),
      (error) => {
        place.textContent = "This plot could not be drawn; the numbers are in the tables.";
        console.error(error);
      },
    );
  }

  const TIERS = ["baseline", "low", "elevated", "high", "very high"];

  // What a cell is sorted by: a number, words, or null for what is not known.
  function keyOf(cell, numbers) {
    const value = cell.dataset.value ?? "";
    if (cell.classList.contains("tier")) return value === "" ? null : TIERS.indexOf(value);
    if (!numbers) return value === "" ? null : value;
    const number = cell.classList.contains("number") ? Number.parseFloat(value) : Number.NaN;
    return Number.isNaN(number) ? null : number;
  }

  function sort(table, header, column) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const numbers = rows.some((row) => row.cells[column].classList.contains("number"));
    // Large numbers are what one looks for first; of words, the first.
    const now = header.getAttribute("aria-sort");
    const down = now === null ? numbers : now === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((row) => [keyOf(row.cells[column], numbers), row]);
    const known = keyed.filter(([key]) => key !== null);
    const unknown = keyed.filter(([key]) => key === null);
    const order = ([a], [b]) => (typeof a === "number" ? a - b : a.localeCompare(b));
    known.sort((a, b) => order(a, b) * (down ? -1 : 1));
    body.append(...[...known, ...unknown].map(([, row]) => row));
  }

  function makeSortable(table) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = header.textContent;
      button.addEventListener("click", () => sort(table, header, column));
      header.replaceChildren(button);
    });
  }

  function makeFilter(table) {
    const rows = [...table.tBodies[0].rows];
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const label = document.createElement("label");
    const box = document.createElement("input");
    const count = document.createElement("output");
    label.className = "filter";
    box.type = "search";
    box.placeholder = "filter";
    box.setAttribute("aria-label", `Filter ${table.caption.textContent}`);
    box.addEventListener("input", () => {
      const wanted = box.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows) {
        row.hidden = !texts.get(row).includes(wanted);
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = wanted ? `${shown} of ${rows.length} rows` : "";
    });
    label.append(box, count);
    table.parentElement.before(label);
  }

  for (const table of document.querySelectorAll("table[data-table]")) {
    if (table.tBodies[0].rows.length < 2) continue;
    makeSortable(table);
    if (table.hasAttribute("data-filter") && table.tBodies[0].rows.length > 5) makeFilter(table);
  }

  // A box that scrolls must be reached by keyboard; one that does not should not cost a keystroke.
  function makeReachable() {
    for (const box of document.querySelectorAll(".passage, .words")) {
      const scrolls = box.scrollHeight > box.clientHeight || box.scrollWidth > box.clientWidth;
      box.toggleAttribute("tabindex", scrolls);
      if (scrolls) box.tabIndex = 0;
    }
  }

  makeReachable();
  window.addEventListener("resize", makeReachable);
  document.addEventListener("toggle", makeReachable, true); // a part that is unfolded

  // Paper cannot be unfolded.
  let unfolded = [];
  window.addEventListener("beforeprint", () => {
    unfolded = [...document.querySelectorAll("details:not([open])")];
    for (const part of unfolded) part.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const part of unfolded) part.open = false;
  });
})();
