// Bins: a line of ink as it comes back from tokens, and the offsets that these can name.
//
// data: ink (host.pack_ink), angles, radii, shortest, longest, makeUp, and thinning
// {distance, angle} for the reader's ink. It is the arithmetic of tokens/strokes.py.

const COMPASS = 0.8; // letter bodies from its centre to its edge
const DRIFT = 3; // letter bodies around the line that are shown

/** Round, and halves to even numbers, as numpy does. */
function rint(value) {
  const near = Math.round(value);
  return Math.abs(value % 1) === 0.5 && near % 2 ? near - 1 : near;
}

/** The offset of each angle and radius. */
function centresOf({ angles, radii, shortest, longest }) {
  const factor = (longest / shortest) ** (1 / (radii - 1));
  return Array.from({ length: angles }, (_, a) => {
    const turn = (a * 2 * Math.PI) / angles;
    return Array.from({ length: radii }, (_, r) =>
      [Math.cos(turn), Math.sin(turn)].map((side) => single(side * shortest * factor ** r)),
    );
  });
}

/** The angle and radius of the bin of an offset. */
function binOf(dx, dy, { angles, radii, shortest, longest }) {
  const factor = (longest / shortest) ** (1 / (radii - 1));
  const angle = rint(Math.atan2(dy, dx) * (angles / (2 * Math.PI)));
  const length = Math.log(Math.max(Math.hypot(dx, dy), shortest));
  const radius = rint((length - Math.log(shortest)) / Math.log(factor));
  return [(angle + angles) % angles, Math.min(radius, radii - 1)];
}

/**
 * Positions `[x, y, end]` as tokens `pairs`, and back as positions `points`; `wanted` has
 * the offsets that were rounded. With `makeUp` each is measured from where the tokens so
 * far have led, and otherwise from where the pen was.
 */
function throughBins(points, bins, makeUp) {
  const centres = centresOf(bins);
  let pen = points[0].slice(0, 2);
  const back = [points[0]];
  const pairs = [[0, 0]];
  const wanted = [];
  for (let t = 1; t < points.length; t++) {
    const [x0, y0] = makeUp ? pen : points[t - 1];
    const offset = [points[t][0] - x0, points[t][1] - y0];
    const [angle, radius] = binOf(...offset, bins);
    pen = pen.map((v, axis) => v + centres[angle][radius][axis]);
    wanted.push(offset);
    pairs.push([angle, radius]);
    back.push([...pen, points[t][2]]);
  }
  return { pairs, points: back, wanted };
}

export function mount(host, data) {
  const stage = open(host);
  let given = null; // the ink of the figure, and as it comes back
  let back = null;
  let wanted = [];
  let points = [];

  const bins = () => ({ ...data, angles: angles.value, radii: radii.value });

  // room for both, but not for what has drifted out of sight
  const placeIn = (width) => {
    const { left, right, bottom, top } = given.box;
    const near = (low, high) => (v) => Math.max(low - DRIFT, Math.min(high + DRIFT, v));
    const x = [...given.x, ...back.x.map(near(left, right))];
    const y = [...given.y, ...back.y.map(near(bottom, top))];
    return wrap(makeInk(x, y, [...given.end, ...back.end]), width, { most: 64 });
  };
  const paper = picture(stage, {
    label: "The line as it comes back from its tokens, over the line as it was",
    height: (width) => (given ? placeIn(width).height : 100),
    draw(context, { width, colors }) {
      const place = placeIn(width);
      const [x, y] = ["x", "y"].map((side) => (v, i) => place[side](v, i + given.length));
      drawInk(context, given, place, { color: colors.faint, width: 0.3 * place.scale });
      drawInk(context, back, { ...place, x, y }, { color: colors.blue, width: 2 });
    },
  });

  const compass = picture(stage, {
    label: "The offsets that can be named, as dots around the pen",
    height: (width) => Math.min(width, 260),
    draw(context, { width, height, colors }) {
      const scale = height / 2 / COMPASS;
      const spot = ([dx, dy]) => [width / 2 + dx * scale, height / 2 - dy * scale];
      const inside = ([dx, dy]) => Math.abs(dy) < COMPASS && Math.abs(dx) * scale < width / 2;
      for (const offset of wanted.filter(inside)) dot(context, ...spot(offset), 3, colors.faint);
      for (const offset of centresOf(bins()).flat().filter(inside)) {
        dot(context, ...spot(offset), 1.5, colors.blue);
      }
    },
  });

  const said = node("output", { class: "note" });
  const show = () => {
    const made = throughBins(points, bins(), makeUp.input.checked);
    given = inkOf(points);
    back = inkOf(made.points);
    wanted = made.wanted;
    const away = points.map(([x, y], t) => Math.hypot(x - back.x[t], y - back.y[t]));
    const mean = away.reduce((a, b) => a + b, 0) / away.length;
    const choices = angles.value * radii.value * 2;
    said.textContent =
      `Each point is one of ${choices.toLocaleString("en")} pairs of tokens, ` +
      `${Math.log2(choices).toFixed(1)} bits if all were equally probable. Points come back ` +
      `${mean.toFixed(3)} letter bodies from where they were on average, ` +
      `${Math.max(...away).toFixed(2)} at most.`;
    paper.redraw();
    compass.redraw();
  };

  const angles = slider({
    label: "angles A", min: 4, max: 128, step: 4, value: data.angles, onInput: () => show(),
  });
  const radii = slider({
    label: "radii R", min: 4, max: 64, step: 2, value: data.radii, onInput: () => show(),
  });
  const makeUp = checkbox({
    label: "the next points make up for what was rounded off", value: data.makeUp,
    onChange: () => show(),
  });
  const take = (ink, own) => {
    points = own ? thinned(ink, data.thinning) : ink;
    show();
  };
  const source = ownInk(stage, { given: pointsOf(unpackInk(data.ink)), onInk: take });
  stage.root.append(
    source.element,
    node("div", { class: "row" }, angles.element, radii.element),
    node("div", { class: "bar" }, makeUp.element),
    node("div", { class: "panel" }, paper.element),
    said,
    node(
      "div", { class: "panel" },
      node("div", { class: "title" }, "What can be named (blue), and what was asked for (grey)"),
      compass.element,
    ),
  );
  take(source.points, false);
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
