// A slider shows one of several blocks; a click on a row of memberships draws them as bars.
for (const box of document.querySelectorAll(".choice")) {
  const slider = box.querySelector("input");
  const items = [...box.querySelectorAll("[data-item]")];
  const show = () => {
    items.forEach((item, i) => { item.hidden = i !== Number(slider.value); });
    box.querySelector("output").textContent = items[slider.value].dataset.item;
  };
  box.querySelector("p").hidden = false;
  slider.addEventListener("input", show);
  show();
}
for (const table of document.querySelectorAll("table[data-bars]")) {
  const places = table.dataset.bars.split(",").map(Number);
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const toggle = (row) => {
    if (row.nextElementSibling && row.nextElementSibling.className === "bars") {
      row.nextElementSibling.remove();
      return;
    }
    const cell = document.createElement("td");
    cell.colSpan = heads.length;
    for (const place of places) {
      const line = document.createElement("div");
      const meter = document.createElement("meter");
      const shown = row.cells[place].textContent;
      meter.value = Number(shown.replace("\u2212", "-")) || 0;
      line.append(heads[place] + " ", meter, " " + shown);
      cell.append(line);
    }
    const below = document.createElement("tr");
    below.className = "bars";
    below.append(cell);
    row.after(below);
  };
  for (const row of table.tBodies[0].rows) {
    row.tabIndex = 0;
    row.addEventListener("click", () => toggle(row));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") toggle(row); });
  }
}
