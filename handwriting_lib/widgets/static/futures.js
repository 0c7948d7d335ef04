// Futures: thirty ways in which a network could go on from any point of a line.
//
// data: ink (positions in letter bodies), text, at (the point shown first), pack.

const FUTURES = 30;

export function mount(host, data) {
  const stage = open(host);
  const ink = unpackInk(data.ink);
  const points = pointsOf(ink);
  const indices = encode(data.text);
  const last = ink.length - 1;
  const known = []; // after each point, once the line has been read
  let engine = null;
  let reading = null;
  let futures = [];
  let at = data.at;
  let seed = 1;
  let pending = null;

  const line = picture(stage, {
    label: `The ink of "${data.text}", and where thirty futures lead from the chosen point`,
    height: (width) => place(width).height,
    draw(context, { width, colors }) {
      const where = place(width);
      drawInk(context, ink, where, { color: colors.grid });
      drawInk(context, ink, where, { to: at + 1, color: colors.ink });
      const thin = Math.max(1, 0.06 * where.scale);
      context.globalAlpha = 0.45;
      for (const one of futures) {
        drawInk(context, one, where, { color: colors.vermillion, width: thin });
      }
      context.globalAlpha = 1;
      for (const one of futures) {
        const end = one.length - 1;
        dot(context, where.x(one.x[end]), where.y(one.y[end]), 2, colors.vermillion);
      }
      dot(context, where.x(ink.x[at]), where.y(ink.y[at]), 4, colors.blue);
    },
  });
  const place = (width) => {
    const { left, right, bottom, top } = ink.box;
    return view({ left: left - 1, right: right + 2, bottom: bottom - 1, top: top + 1 }, width, { most: 48 });
  };
  onDrag(line.element, ({ x, y, width }) => seek(nearestPoint(ink, place(width), x, y)));

  // --- the network ---

  const work = inFrames(stage, () => {
    if (reading) {
      const { value, done } = reading.next();
      if (!done) known.push(value);
      else reading = null;
      return true;
    }
    if (futures.length === FUTURES || !known[at]) return false;
    pending ??= begin();
    const { value } = pending.from.next();
    pending.points.push([value.x, value.y, value.end]);
    if (pending.points.length > ahead.value) {
      futures.push(inkOf(pending.points));
      pending = null;
      if (futures.length % 5 === 0) tell();
    }
    return true;
  });
  const begin = () => {
    const random = randomNumbers(1000 * seed + futures.length);
    const start = { x: ink.x[at], y: ink.y[at], known: known[at] };
    return {
      from: goOn(engine, start, { indices, bias: bias.value, random }),
      points: [[ink.x[at], ink.y[at], ink.end[at]]],
    };
  };
  const again = () => {
    [futures, pending] = [[], null];
    if (engine) work();
    tell();
  };
  const seek = (t) => {
    at = t;
    scrub.value = t;
    again();
  };

  /** Standard deviation of the places where the futures are, in letter bodies. */
  const spread = () => {
    const axis = (name) => {
      const values = futures.map((one) => one[name][one.length - 1]);
      const mean = values.reduce((a, b) => a + b, 0) / values.length;
      return values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
    };
    return Math.sqrt(axis("x") + axis("y"));
  };
  const tell = () => {
    line.redraw();
    if (!engine) return;
    if (futures.length < FUTURES) {
      said.textContent = "";
      return;
    }
    const lifted = futures.filter((one) => one.end.slice(1).some((end) => end > 0.5)).length;
    said.textContent =
      `After ${ahead.value} points the ${FUTURES} futures are ${spread().toFixed(2)} letter ` +
      `bodies apart (standard deviation), and ${lifted} have lifted the pen.`;
  };

  // --- controls ---

  const said = node("output", { class: "note" }, "Loading the network.");
  const scrub = slider({
    label: "Point", min: 0, max: last, step: 1, value: at,
    format: (t) => `${t + 1} / ${ink.length}`, onInput: seek,
  });
  const ahead = slider({ label: "Points ahead", min: 1, max: 60, step: 1, value: 20, onInput: again });
  const bias = slider({
    label: "bias b", min: 0, max: 3, step: 0.1, value: 0, format: (v) => v.toFixed(1), onInput: again,
  });
  const others = button({
    label: "Thirty others",
    onClick() {
      seed += 1;
      again();
    },
  });
  stage.root.append(
    node("div", { class: "panel" }, line.element),
    node("div", { class: "bar" }, others, scrub.element),
    node("div", { class: "row" }, ahead.element, bias.element),
    said,
  );
  engineWhenNear(stage.root, data.pack).then(
    (loaded) => {
      engine = loaded;
      reading = readPoints(engine, points, indices);
      again();
    },
    (problem) => (said.textContent = `The network could not be loaded: ${problem.message}`),
  );
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
