// Ink as rows of numbers, scaled and thinned as ink.py does it. The numbers are rounded to
// float32, as torch does it, because a point that falls on the edge of a rounding would
// otherwise be kept on one side alone.

const single = Math.fround;

/** Strokes as the pad has them, lists of `[x, y, ...]` with y down, as offsets, y up. */
function offsetsOf(strokes) {
  const rows = [];
  let last = null;
  for (const stroke of strokes) {
    stroke.forEach(([x, y], i) => {
      const [x0, y0] = last ?? [x, y];
      rows.push([single(x - x0), single(y0 - y), i === stroke.length - 1 ? 1 : 0]);
      last = [x, y];
    });
  }
  return rows;
}

/** Offsets summed up. */
function positionsOf(offsets) {
  let [x, y] = [0, 0];
  return offsets.map(([dx, dy, end]) => {
    x += dx;
    y += dy;
    return [single(x), single(y), end];
  });
}

/** Positions as offsets. */
function differences(positions) {
  return positions.map(([x, y, end], i) => {
    const [x0, y0] = positions[Math.max(i - 1, 0)];
    return [single(x - x0), single(y - y0), end];
  });
}

/** The height of the letter x, as in ink.py: 80th minus 20th percentile of y. */
function bodyHeight(offsets) {
  const y = positionsOf(offsets).map((point) => point[1]).sort((a, b) => a - b);
  const last = y.length - 1;
  return single(y[Math.round(0.8 * last)] - y[Math.round(0.2 * last)]);
}

/** How far the pen has drawn at each point, in units of `unit`. */
function wayOf(points, unit) {
  let way = 0;
  return points.map(([x, y], i) => {
    if (i && !points[i - 1][2]) {
      way += Math.hypot(x - points[i - 1][0], y - points[i - 1][1]) / unit;
    }
    return way * (1 + 1e-6);
  });
}

/** The ends of strokes, and each point where `measure` passes a whole number. */
function keepWhole(points, measure) {
  let base = 0;
  return points.filter(([, , end], i) => {
    const start = i === 0 || points[i - 1][2];
    if (start) base = measure[i];
    const passed = Math.floor(measure[i] - base) > Math.floor(measure[i - 1] - base);
    return start || end || passed;
  });
}

/** Fewer points, as `thin` of ink.py keeps them. */
function thinned(points, { distance, angle }) {
  if (!angle) return keepWhole(points, wayOf(points, distance));
  const kept = keepWhole(points, wayOf(points, distance / 4));
  const way = wayOf(kept, distance);
  const heading = (i) => Math.atan2(kept[i + 1][1] - kept[i][1], kept[i + 1][0] - kept[i][0]);
  let turned = 0;
  const measure = way.map((length, i) => {
    if (i && i < kept.length - 1 && !kept[i][2] && !kept[i - 1][2]) {
      const turn = (heading(i) - heading(i - 1) + Math.PI) % (2 * Math.PI);
      turned += Math.abs((turn < 0 ? turn + 2 * Math.PI : turn) - Math.PI);
    }
    return length + turned / angle;
  });
  return keepWhole(kept, measure);
}

/** Positions `[x, y, end]` as ink to draw. */
function inkOf(points) {
  return makeInk(...[0, 1, 2].map((axis) => points.map((point) => point[axis])));
}

const inks = new WeakMap();

/** The same for a list that only grows, made anew when it has grown: frames ask for it
 * several times. `position(entry)` gives `[x, y, end]`. */
function inkSoFar(list, position = (entry) => entry) {
  if (inks.get(list)?.length !== list.length) inks.set(list, inkOf(list.map(position)));
  return inks.get(list);
}

/** Ink to draw as positions. */
const pointsOf = ({ x, y, end }) => Array.from(x, (v, i) => [v, y[i], end[i] > 0.5 ? 1 : 0]);
