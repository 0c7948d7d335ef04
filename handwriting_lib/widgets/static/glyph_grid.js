// Glyph grid: an outline, and the same with its points rounded to a grid.
//
// data: glyphs (name, advance, contours of [x, y, on] in ems), steps (of an em, which the
// reader may choose), grid (the one of them that is shown first).

/** Round, and halves to even numbers, as numpy does. */
function rint(value) {
  const near = Math.round(value);
  return Math.abs(value % 1) === 0.5 && near % 2 ? near - 1 : near;
}

/** Contours with every point on the nearest crossing of the grid. */
function onGrid(contours, steps) {
  const near = (v) => rint(v * steps) / steps;
  return contours.map((contour) => contour.map(([x, y, on]) => [near(x), near(y), on]));
}

/** The largest distance that a point has moved along an axis, in ems. */
function farthest(contours, rounded) {
  const moved = (one, other) => Math.max(Math.abs(one[0] - other[0]), Math.abs(one[1] - other[1]));
  const flat = rounded.flat();
  return Math.max(...contours.flat().map((point, i) => moved(point, flat[i])));
}

export function mount(host, data) {
  const stage = open(host);
  const chosen = () => data.glyphs[Number(which.value)];
  const steps = () => data.steps[grid.value];
  const sheet = picture(stage, {
    label: "An outline (grey), and the same with its points on the grid (blue)",
    height: (width) => glyphPlace(chosen().advance, width).height,
    draw(context, { width, colors }) {
      const { advance, contours } = chosen();
      const place = glyphPlace(advance, width);
      const rounded = onGrid(contours, steps());
      drawLines(context, advance, place, width, colors);
      const gap = place.scale / steps();
      if (gap >= 6) {
        for (let i = -Math.ceil(0.25 * steps()); i <= (advance + 0.25) * steps(); i++) {
          for (let j = -Math.ceil(EARTH * steps()); j <= SKY * steps(); j++) {
            dot(context, place.x(i / steps()), place.y(j / steps()), 1, colors.faint);
          }
        }
      }
      context.fillStyle = colors.faint;
      context.beginPath();
      traceContours(context, contours, place);
      context.fill("nonzero");
      context.strokeStyle = colors.blue;
      context.lineWidth = 2;
      context.beginPath();
      traceContours(context, rounded, place);
      context.stroke();
      drawPoints(context, rounded, place, colors);
    },
  });
  const said = node("output", { class: "note" });
  const show = () => {
    const { contours } = chosen();
    const rounded = onGrid(contours, steps());
    const away = farthest(contours, rounded);
    said.textContent =
      `A step is ${(1000 / steps()).toFixed(1)} thousandths of an em. The farthest point has ` +
      `moved by ${(away * steps()).toFixed(2)} steps along an axis, ${(1000 * away).toFixed(1)} ` +
      `thousandths; the two shapes overlap by ${(100 * overlapOf(contours, rounded)).toFixed(1)} %.`;
    sheet.redraw();
  };
  const which = select({
    label: "Glyph", options: data.glyphs.map(({ name }, i) => [String(i), name]), value: "0",
    onChange: () => show(),
  });
  const grid = slider({
    label: "steps of an em", min: 0, max: data.steps.length - 1, step: 1,
    value: data.steps.indexOf(data.grid), format: (i) => String(data.steps[i]), onInput: () => show(),
  });
  stage.root.append(
    node("div", { class: "bar" }, which.element, grid.element),
    node("div", { class: "panel" }, sheet.element),
    said,
  );
  show();
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
