"use strict";
// Sorting, filtering and choosing.  Without this script everything is shown, in the first order.

function valueOf(row, column) {
  const cell = row.cells[column];
  return cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim();
}

function asNumber(text) {
  return text === "-" || text === "" ? -Infinity : Number(text.replace(/,/g, ""));
}

// Figures begin with the highest, names with the first; the same title again turns the order.
function sortBy(table, column, head) {
  const rows = Array.from(table.tBodies[0].rows);
  const numeric = rows.every((row) => !Number.isNaN(asNumber(valueOf(row, column))));
  const before = head.getAttribute("aria-sort");
  const falling = before ? before === "ascending" : numeric;
  const key = (row) => {
    const text = valueOf(row, column);
    return numeric ? asNumber(text) : text.toLowerCase();
  };
  rows.sort((a, b) => {
    const x = key(a), y = key(b);
    const order = x < y ? -1 : x > y ? 1 : 0;
    return falling ? -order : order;
  });
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const button of table.querySelectorAll("thead button")) {
    const head = button.parentNode;
    button.addEventListener("click", () => sortBy(table, head.cellIndex, head));
  }
}

for (const box of document.querySelectorAll("input.filter")) {
  const rows = box.closest(".filtered").querySelectorAll("tbody tr");
  box.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  });
}

function showBlock(menu) {
  const key = menu.dataset.blocks;
  for (const block of document.querySelectorAll(`[data-block^="${key}-"]`)) {
    block.hidden = block.dataset.block !== `${key}-${menu.value}`;
  }
}

const menus = Array.from(document.querySelectorAll("select[data-blocks]"));
for (const menu of menus) {
  menu.addEventListener("change", () => {
    for (const other of menus) {
      if (other.dataset.kind !== menu.dataset.kind) continue;
      other.value = menu.value;
      showBlock(other);
    }
  });
  showBlock(menu);
}
document.documentElement.classList.add("script"); // the menus say what the headings said

for (const menu of document.querySelectorAll("select[data-pick]")) {
  const block = document.getElementById(menu.dataset.pick);
  menu.addEventListener("change", () => {
    for (const line of block.querySelectorAll("path.line")) {
      const chosen = menu.value !== "" && line.dataset.s === menu.value;
      line.classList.toggle("picked", chosen);
      if (chosen) line.parentNode.append(line); // drawn last, so above the others
    }
  });
}
