"use strict";
// Tables sort by a heading: numbers by data-v, texts as texts; "all" stays last.
document.querySelectorAll("table.sortable").forEach(function (table) {
  const body = table.tBodies[0];
  Array.from(table.tHead.rows[0].cells).forEach(function (heading, column) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.textContent = "";
    heading.appendChild(button);
    button.addEventListener("click", function () {
      const first = heading.classList.contains("n") ? "descending" : "ascending";
      const second = first === "ascending" ? "descending" : "ascending";
      const order = heading.getAttribute("aria-sort") === first ? second : first;
      Array.from(table.tHead.rows[0].cells).forEach(function (other) { other.removeAttribute("aria-sort"); });
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const rows = Array.from(body.rows);
      rows.sort(function (a, b) {
        const last = a.cells[0].classList.contains("total") - b.cells[0].classList.contains("total");
        if (last) { return last; }
        const x = a.cells[column], y = b.cells[column];
        if (x.dataset.v !== undefined && y.dataset.v !== undefined) {
          const left = parseFloat(x.dataset.v.replace("inf", "Infinity")), right = parseFloat(y.dataset.v.replace("inf", "Infinity"));
          return left === right ? 0 : sign * (left < right ? -1 : 1);
        }
        return sign * x.textContent.localeCompare(y.textContent, "en", { numeric: true });
      });
      rows.forEach(function (row) { body.appendChild(row); });
    });
  });
});
// Commands can be copied where the browser allows it.
if (navigator.clipboard) {
  document.querySelectorAll("code.copy").forEach(function (code) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-button";
    button.textContent = "copy";
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(code.textContent).then(function () { button.textContent = "copied"; });
    });
    code.after(button);
  });
}
