// Outlines of glyphs in a picture, and what their programs say: what tokens/glyphs.py and
// outline.py do. A contour is a list of points [x, y, on], in ems, y up.

const [END_ROW, ADVANCE_ROW, START_ROW, , CONTROL_ROW] = [0, 1, 2, 3, 4];
const NAMES = ["end", "advance", "start", "line", "control"];
const SKY = 0.98; // ems above the baseline that are shown, and below it
const EARTH = 0.32;

/** Where ems lie in a picture of a width: one glyph of an advance, in the middle. */
function glyphPlace(advance, width, most = 380) {
  const across = Math.max(advance, 0.4) + 0.24;
  const scale = Math.min(width / across, most / (SKY + EARTH));
  const left = (width - advance * scale) / 2;
  return {
    scale,
    height: scale * (SKY + EARTH),
    x: (v) => left + v * scale,
    y: (v) => scale * (SKY - v),
  };
}

/** A contour with the points on the curve that lie between two control points. */
function wholeContour(contour, closed = true) {
  return contour.flatMap((point, i) => {
    const next = contour[i + 1] ?? (closed ? contour[0] : point);
    if (point[2] || next[2] || next === point) return [point];
    return [point, [(point[0] + next[0]) / 2, (point[1] + next[1]) / 2, 1]];
  });
}

/** Add contours to the path of a context; one that is not closed stays open. */
function traceContours(context, contours, place, closed = true) {
  for (const contour of contours) {
    const points = wholeContour(contour, closed);
    const spot = (i) => {
      const [x, y] = points[i % points.length];
      return [place.x(x), place.y(y)];
    };
    context.moveTo(...spot(0));
    for (let i = 1; i < points.length + (closed ? 1 : 0); i++) {
      if (points[i % points.length][2]) context.lineTo(...spot(i));
      else if (i + 1 < points.length + (closed ? 1 : 0)) {
        context.quadraticCurveTo(...spot(i), ...spot(i + 1));
        i += 1;
      }
    }
    if (closed) context.closePath();
  }
}

/** The points of contours: squares on the curve, rings beside it. */
function drawPoints(context, contours, place, colors, size = 5) {
  for (const [x, y, on] of contours.flat()) {
    const [h, v] = [place.x(x), place.y(y)];
    context.fillStyle = colors.blue;
    if (on) context.fillRect(h - size / 2, v - size / 2, size, size);
    else {
      context.strokeStyle = colors.vermillion;
      context.lineWidth = 1.5;
      context.beginPath();
      context.arc(h, v, size / 2, 0, 7);
      context.stroke();
    }
  }
}

/** The baseline, and where the glyph begins and where the next one does. */
function drawLines(context, advance, place, width, colors) {
  context.strokeStyle = colors.grid;
  context.lineWidth = 1;
  context.beginPath();
  for (const [x0, y0, x1, y1] of [
    [0, place.y(0), width, place.y(0)],
    [place.x(0), 0, place.x(0), place.height],
    [place.x(advance), 0, place.x(advance), place.height],
  ]) {
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  }
  context.stroke();
}

/** How much of two shapes is common to both, over what either covers, at 256 pixels an
 * em; a shape is a list of contours. */
function overlapOf(one, other) {
  const place = { x: (v) => 256 * (v + 0.25), y: (v) => 256 * (1.1 - v) };
  const [a, b] = [one, other].map((contours) => {
    const canvas = node("canvas", { width: 384, height: 384 });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.beginPath();
    traceContours(context, contours, place);
    context.fill("nonzero");
    return context.getImageData(0, 0, 384, 384).data;
  });
  let both = 0;
  let either = 0;
  for (let i = 3; i < a.length; i += 4) {
    both += Math.min(a[i], b[i]);
    either += Math.max(a[i], b[i]);
  }
  return either ? both / either : 1;
}

/** The first `count` rows [kind, x, y] of a program as contours in ems, those that are
 * finished and the one that is being drawn, and the advance. */
function runProgram(rows, count, { grid, lowest }) {
  const closed = [];
  let open_ = [];
  let advance = null;
  for (const [kind, x, y] of rows.slice(0, count)) {
    if (kind === END_ROW || kind === START_ROW) {
      if (open_.length) closed.push(open_);
      open_ = [];
    }
    if (kind === ADVANCE_ROW) advance = (x + lowest[0]) / grid;
    else if (kind !== END_ROW) {
      open_.push([(x + lowest[0]) / grid, (y + lowest[1]) / grid, kind !== CONTROL_ROW]);
    }
  }
  return { closed, open: open_, advance };
}

/** A row in words, its coordinates counted from the origin of the glyph. */
function rowInWords([kind, x, y], { lowest }) {
  const signed = (v) => String(v).replace("-", "−");
  const name = NAMES[kind];
  if (kind === END_ROW) return name;
  const across = signed(x + lowest[0]);
  return kind === ADVANCE_ROW ? `${name} ${across}` : `${name} ${across}, ${signed(y + lowest[1])}`;
}
