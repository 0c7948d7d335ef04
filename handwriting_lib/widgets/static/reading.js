// What a network reads and expects, as Player and Studio show it: the text with the
// weights of the window on it, and the density of the next offset around the pen.

const REACH = 1.4; // letter-body heights that are shown above and below the pen
const FARTHEST = 90; // what is shown at most
const THINNEST = 0.02; // as in player.py, for the heights of peaks

/** The density of the next offset at point `t` on a grid over the rectangle `field`: its
 * square root, for the tails to show; the largest value is 1. */
function densityGrid(mixture, t, field, columns, rows) {
  const wide = field.right - field.left;
  const grid = new Float32Array(columns * rows);
  for (let k = mixture.first[t]; k < mixture.first[t + 1]; k++) {
    // never thinner than half a cell, or a sure network would show nothing
    const least = (0.5 * wide) / columns;
    const sx = Math.max(Math.exp(mixture.logX[k]), least);
    const sy = Math.max(Math.exp(mixture.logY[k]), least);
    const rest = 1 - mixture.rho[k] ** 2;
    const height = mixture.pi[k] / (sx * sy * Math.sqrt(rest));
    // five and a half standard deviations away there is nothing to see
    const cell = (x) => ((x - field.left) / wide) * columns - 0.5;
    const from = Math.max(0, Math.ceil(cell(mixture.muX[k] - 5.5 * sx)));
    const to = Math.min(columns - 1, Math.floor(cell(mixture.muX[k] + 5.5 * sx)));
    for (let row = 0; row < rows; row++) {
      const y = field.top - ((row + 0.5) / rows) * (field.top - field.bottom);
      const zy = (y - mixture.muY[k]) / sy;
      if (zy * zy > 30) continue;
      for (let column = from; column <= to; column++) {
        const x = field.left + ((column + 0.5) / columns) * wide;
        const zx = (x - mixture.muX[k]) / sx;
        const square = (zx - mixture.rho[k] * zy) ** 2 / rest + zy * zy;
        grid[row * columns + column] += height * Math.exp(-0.5 * square);
      }
    }
  }
  const largest = grid.reduce((a, b) => Math.max(a, b), 0) || 1;
  return grid.map((value) => Math.sqrt(value / largest));
}

/** The mean of the component that is highest at point `t`: about where the density is. */
function peakOf(mixture, t) {
  let [best, peak] = [-1, [0, 0]];
  for (let k = mixture.first[t]; k < mixture.first[t + 1]; k++) {
    const sigma = [mixture.logX[k], mixture.logY[k]].map((v) => Math.max(Math.exp(v), THINNEST));
    const height = mixture.pi[k] / (sigma[0] * sigma[1] * Math.sqrt(1 - mixture.rho[k] ** 2));
    if (height > best) [best, peak] = [height, [mixture.muX[k], mixture.muY[k]]];
  }
  return peak;
}

/** How far to look around the pen for all of these offsets to be seen: after a lift the
 * next letter may begin far away. */
function reachFor({ width, height }, offsets) {
  let reach = REACH;
  const isOutside = ([x, y]) => {
    const across = (1.9 * reach * width) / height; // not right at the edge
    return Math.abs(y) > 0.95 * reach || x < -0.4 * across || x > 0.6 * across;
  };
  while (reach < FARTHEST && offsets.some(isOutside)) reach *= 2;
  return reach;
}

/** Where the surroundings of point `at` of the ink lie in a picture. */
function aroundPen({ width, height }, ink, at, reach) {
  const scale = height / (2 * reach);
  const left = -0.4 * (width / scale); // the pen goes to the right more often
  return {
    scale,
    field: { left, right: left + width / scale, bottom: -reach, top: reach },
    x: (v) => scale * (v - ink.x[at] - left),
    y: (v) => scale * (reach - v + ink.y[at]),
  };
}

/** Draw the ink up to point `at`, and over it the density at point `t` of `mixture`; gives
 * where things lie. */
function drawDensity(context, size, mixture, t, ink, at) {
  const { width, height, colors } = size;
  const offsets = [peakOf(mixture, t)];
  if (at + 1 < ink.length) offsets.push([ink.x[at + 1] - ink.x[at], ink.y[at + 1] - ink.y[at]]);
  const place = aroundPen(size, ink, at, reachFor(size, offsets));
  const columns = Math.round(width / 2);
  const rows = Math.round(height / 2);
  const values = densityGrid(mixture, t, place.field, columns, rows);
  const image = heatImage(values, columns, rows, colors.heat);
  const pen = 0.1 * place.scale;
  drawInk(context, ink, place, { to: at + 1, color: colors.faint, width: pen });
  context.imageSmoothingEnabled = true;
  context.drawImage(image, 0, 0, width, height);
  dot(context, place.x(ink.x[at]), place.y(ink.y[at]), 3, colors.ink);
  return place;
}

/** A text with a mark a character and one for the end slot, if there is one; `shade`
 * gets the weight of each mark, 0 to 1, and the mark with the largest. */
function textStrip(text, slots, onPick) {
  const marks = [];
  const words = [node("span", { class: "word" })];
  const add = (character, kind) => {
    const u = marks.length;
    marks.push(node("span", { class: kind, click: () => onPick(u) }, character));
    words.at(-1).append(marks[u]);
  };
  for (const character of text) {
    add(character, "character");
    if (character === " ") words.push(node("span", { class: "word" }));
  }
  if (slots > marks.length) add("end", "character end");
  const shade = (weight, now) =>
    marks.forEach((mark, u) => {
      const percent = Math.round(40 * Math.min(1, weight(u))); // or it could not be read
      mark.style.setProperty("--weight", `${percent}%`);
      mark.classList.toggle("now", u === now);
    });
  const element = node("div", { class: "text", "aria-hidden": "true" }, words);
  return { element, shade };
}

const READING_STYLE = `
.text { display: flex; flex-wrap: wrap; justify-content: center; margin: 6px 0; }
.word { display: inline-flex; flex-wrap: wrap; max-width: 100%; }
.character {
  background: color-mix(in srgb, var(--blue) var(--weight, 0%), transparent);
  border-bottom: 3px solid transparent; border-radius: 3px 3px 0 0; cursor: pointer;
  font-size: 17px; line-height: 1.3; min-width: 0.5em; text-align: center;
  white-space: pre;
}
.character.now { border-bottom-color: var(--vermillion); }
.character.end { font-size: 12px; line-height: 1.85; padding: 0 3px; }
`;
