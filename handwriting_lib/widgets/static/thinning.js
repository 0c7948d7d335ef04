// Thinning: which points of a line stay, and what is left of its shape.
//
// data: ink (host.pack_ink), before thinning, distance, angle (null for none).

export function mount(host, data) {
  const stage = open(host);
  let ink = null;
  let kept = null;

  const paper = picture(stage, {
    label: "The line with the points that stay, over the line as it was",
    height: (width) => (ink ? wrap(ink, width, { most: 64 }).height : 100),
    draw(context, { width, colors }) {
      const place = wrap(ink, width, { most: 64 });
      drawInk(context, ink, place, { color: colors.grid, width: 0.3 * place.scale });
      // the points that stay lie where they lay: the rows are those of all points
      const few = { x: [], y: [], end: [], length: kept.length };
      const at = { ...place, x: (v, i) => place.x(v, kept[i]), y: (v, i) => place.y(v, kept[i]) };
      for (const i of kept) for (const part of ["x", "y", "end"]) few[part].push(ink[part][i]);
      drawInk(context, few, at, { color: colors.ink, width: 2 });
      const radius = Math.max(1.8, Math.min(3, 0.07 * place.scale));
      for (const i of kept) {
        dot(context, place.x(ink.x[i], i), place.y(ink.y[i], i), radius, colors.blue);
      }
    },
  });

  const said = node("output", { class: "note" });
  const show = (points = source.points) => {
    const numbered = points.map((point, i) => Object.assign([...point], { i }));
    const angle = turning.input.checked ? turn.value : null;
    kept = thinned(numbered, { distance: distance.value, angle }).map(({ i }) => i);
    ink = inkOf(points);
    turn.input.disabled = !turning.input.checked;
    const share = Math.round((100 * kept.length) / ink.length);
    said.textContent = `${kept.length} of ${ink.length} points are left, ${share}\u00a0%.`;
    paper.redraw();
  };

  const distance = slider({
    label: "distance d", min: 0.05, max: 2, step: 0.05, value: data.distance,
    format: (v) => v.toFixed(2), onInput: () => show(),
  });
  const turn = slider({
    label: "angle a", min: 0.25, max: 3, step: 0.25, value: data.angle ?? 1,
    format: (v) => v.toFixed(2), onInput: () => show(),
  });
  const turning = checkbox({
    label: "turning counts too", value: data.angle !== null, onChange: () => show(),
  });
  const source = ownInk(stage, { given: pointsOf(unpackInk(data.ink)), onInk: show });
  stage.root.append(
    source.element,
    node("div", { class: "panel" }, paper.element),
    node("div", { class: "bar" }, said, turning.element),
    node("div", { class: "row" }, distance.element, turn.element),
  );
  show();
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
