{
// What is on a page already is left alone: a notebook runs this once for every output.
const fresh = (selector) => [...document.querySelectorAll(selector)].filter((element) => {
  const seen = element.dataset.ready;
  element.dataset.ready = "yes";
  return !seen;
});
// A slider shows one of several blocks.
for (const box of fresh(".choice")) {
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
// A click on a row of memberships draws them as bars.
for (const table of fresh("table[data-bars]")) {
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
// Sliders choose covariates and a place; the numbers were computed beforehand, null if unknown.
for (const box of fresh(".sliders")) {
  const { axes, values, frame: [left, width, top, height], ends: [least, most], digits } =
    JSON.parse(box.querySelector("script").textContent);
  const inputs = [...box.querySelectorAll("input")];
  const curves = [...box.querySelectorAll("svg g")];
  const outputs = [...box.querySelectorAll("li output")];
  const mark = box.querySelector(".at");
  const last = Math.max(1, axes[axes.length - 1].length - 1);
  const x = (i) => (left + (width * i) / last).toFixed(1);
  const y = (v) => (top + height * (1 - Math.min(1000, Math.max(0, v)) / 1000)).toFixed(1);
  const points = (places, numbers) => places.map((i) => x(i) + "," + y(numbers[i]));
  // Places without a gap: curves and bands break where something is unknown.
  const runs = (...known) => {
    const parts = [[]];
    known[0].forEach((_, i) => {
      if (known.every((numbers) => numbers[i] !== null)) parts[parts.length - 1].push(i);
      else parts.push([]);
    });
    return parts.filter((part) => part.length);
  };
  const path = (corners, close) => "M" + corners.join("L") + close;
  const shown = (v) =>
    v === null ? "unknown" : (least + ((most - least) * v) / 1000).toFixed(digits);
  const show = () => {
    const at = inputs.map((input) => Number(input.value));
    inputs.forEach((input, i) => { input.nextElementSibling.textContent = axes[i][at[i]]; });
    const place = at.pop();
    const which = at.reduce((index, one, i) => index * axes[i].length + one, 0);
    values[which].forEach(([middle, low, high], s) => {
      const line = runs(middle).map((part) => path(points(part, middle), "h0"));
      const band = runs(low, high).map((part) =>
        path([...points(part, low), ...points(part, high).reverse()], "Z"));
      curves[s].querySelector(".line").setAttribute("d", line.join(""));
      curves[s].querySelector(".band").setAttribute("d", band.join(""));
      const [m, a, b] = [middle, low, high].map((numbers) => shown(numbers[place]));
      outputs[s].textContent = low[place] === null ? m : m + " (" + a + " to " + b + ")";
    });
    for (const end of ["x1", "x2"]) mark.setAttribute(end, x(place));
  };
  for (const input of inputs) input.addEventListener("input", show);
  show();
}
}
