// Counts scores against a threshold of the reader's choice, in 32 bits as the program does. The page is complete without it.
function counts(scores, threshold) {
  let above = 0;
  for (const score of scores) if (Math.fround(score) >= Math.fround(threshold)) above += 1;
  return { below: scores.length - above, above };
}
function thresholdAt(axis, position) {
  return axis.log ? axis.low * Math.pow(axis.high / axis.low, position) : axis.low + position * (axis.high - axis.low);
}
function positionOf(axis, value) {
  const place = axis.log ? Math.log(Math.max(value, axis.low) / axis.low) / Math.log(axis.high / axis.low) : (value - axis.low) / (axis.high - axis.low);
  return Math.min(1, Math.max(0, place));
}
function percent(part, all) {
  return all ? (100 * part / all).toFixed(1) + " %" : "\u2013";
}
function start() {
  const page = JSON.parse(document.getElementById("scores").textContent);
  const slider = document.getElementById("slider"), number = document.getElementById("threshold");
  const line = document.getElementById("chosen");
  const show = (threshold) => {
    for (const [id, scores] of Object.entries(page.sets)) {
      const { below, above } = counts(scores, threshold);
      document.getElementById(id + "-below").textContent = below;
      document.getElementById(id + "-above").textContent = above;
      document.getElementById(id + "-share").textContent = percent(above, scores.length);
    }
    const x = Number(line.dataset.left) + positionOf(page.axis, threshold) * Number(line.dataset.width);
    line.setAttribute("transform", "translate(" + x + " 0)");
    line.setAttribute("visibility", "visible");
  };
  slider.addEventListener("input", () => {
    // What is counted is what is written, so that it can be given to --threshold.
    number.value = thresholdAt(page.axis, slider.value / slider.max).toPrecision(5);
    show(Number(number.value));
  });
  number.addEventListener("input", () => {
    const threshold = parseFloat(number.value);
    if (Number.isFinite(threshold)) {
      slider.value = positionOf(page.axis, threshold) * slider.max;
      show(threshold);
    }
  });
  document.getElementById("reset").addEventListener("click", () => {
    number.value = page.threshold;
    slider.value = positionOf(page.axis, page.threshold) * slider.max;
    show(page.threshold);
  });
  slider.value = positionOf(page.axis, page.threshold) * slider.max;
  document.getElementById("choose").hidden = false;
}
if (typeof document !== "undefined") start();
