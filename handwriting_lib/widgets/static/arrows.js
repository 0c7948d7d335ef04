// Arrows: where networks with a memory of k points expect the pen to go next.
//
// data: ink (host.pack_ink), thinning {distance, angle} for the reader's ink, nets, each
// {k, mean, std, layers}: of all layers, the output's too, {weight, bias}; and at, the
// point that is shown first.

const NET_COLORS = ["blue", "vermillion", "green", "purple"];
const CLOSE = { most: 60, least: 26 }; // pixels a letter body: arrows have to be seen

/** A network as a function from the points to the offset it expects after each. */
function predictor({ k, mean, std, layers }) {
  const parts = layers.map(({ weight, bias }) => ({
    rows: weight.shape[0], columns: weight.shape[1], weight: unpack(weight), bias: unpack(bias),
  }));
  const product = ({ rows, columns, weight, bias }, x) =>
    Float32Array.from({ length: rows }, (_, r) => {
      let sum = bias[r];
      for (let c = 0; c < columns; c++) sum += weight[r * columns + c] * x[c];
      return sum;
    });
  return (points) => {
    const offsets = differences(points).map(([dx, dy, end], i) =>
      i ? [(dx - mean[0]) / std[0], (dy - mean[1]) / std[1], end] : [0, 0, end],
    );
    return offsets.map((_, t) => {
      let x = new Float32Array(3 * k); // all dx, all dy, all flags; zeros before the line
      for (let j = 0; j < k; j++) {
        const known = offsets[t - k + 1 + j];
        if (known) known.forEach((value, axis) => (x[axis * k + j] = value));
      }
      parts.slice(0, -1).forEach((part) => (x = product(part, x).map(Math.tanh)));
      const output = product(parts.at(-1), x);
      const M = (output.length - 1) / 6;
      const top = Math.max(...output.subarray(1, 1 + M));
      const pi = output.subarray(1, 1 + M).map((v) => Math.exp(v - top));
      const total = pi.reduce((a, b) => a + b);
      return [0, 1].map((axis) => {
        const mu = output.subarray(1 + (1 + axis) * M, 1 + (2 + axis) * M);
        return mu.reduce((sum, v, i) => sum + (pi[i] / total) * v, 0) * std[axis] + mean[axis];
      });
    });
  };
}

/** Mean distances between what was expected and what came: in a stroke, after a lift. */
function distances(points, expected) {
  const sums = [[0, 0], [0, 0]];
  for (let t = 0; t + 1 < points.length; t++) {
    const [x, y, lifted] = points[t];
    const [dx, dy] = expected[t];
    const [a, b] = points[t + 1];
    sums[lifted][0] += Math.hypot(a - x - dx, b - y - dy);
    sums[lifted][1] += 1;
  }
  return sums.map(([sum, count]) => (count ? sum / count : null));
}

export function mount(host, data) {
  const stage = open(host);
  const predict = data.nets.map(predictor);
  let points = null;
  let ink = null;
  let expected = [];
  let at = 0;

  const line = picture(stage, {
    label: "The line, with an arrow at each point to where the chosen network expects the next",
    height: (width) => (ink ? wrap(ink, width, CLOSE).height : 100),
    draw(context, { width, colors }) {
      const place = wrap(ink, width, CLOSE);
      drawInk(context, ink, place, { color: colors.faint });
      const from = (t) => [place.x(ink.x[t], t), place.y(ink.y[t], t)];
      const to = (t, [dx, dy]) => [place.x(ink.x[t] + dx, t), place.y(ink.y[t] + dy, t)];
      const chosen = Number(choice.value);
      for (let t = 0; t < ink.length - 1; t++) {
        const color = colors[NET_COLORS[chosen]];
        arrow(context, from(t), to(t, expected[chosen][t]), { color, width: 1.2, head: 5 });
      }
      dot(context, ...from(at), 5, colors.vermillion);
    },
  });
  const detail = picture(stage, {
    label: "The pen at the chosen point, with an arrow for each network; a ring: where it went",
    height: 190,
    draw(context, { width, height, colors }) {
      const came = at + 1 < ink.length ? [ink.x[at + 1] - ink.x[at], ink.y[at + 1] - ink.y[at]] : [0, 0];
      const all = [came, ...expected.map((of) => of[at])].flat().map(Math.abs);
      const scale = height / 2 / (1.25 * Math.max(0.4, ...all));
      const place = {
        scale: Math.min(scale, 60),
        x: (v) => width / 2 + scale * (v - ink.x[at]), y: (v) => height / 2 - scale * (v - ink.y[at]),
      };
      const pen = [width / 2, height / 2];
      drawInk(context, ink, place, { to: at + 1, color: colors.faint });
      for (let t = 0; t <= at; t++) dot(context, place.x(ink.x[t]), place.y(ink.y[t]), 2, colors.muted);
      const to = ([dx, dy]) => [pen[0] + scale * dx, pen[1] - scale * dy];
      expected.forEach((of, n) => {
        arrow(context, pen, to(of[at]), { color: colors[NET_COLORS[n]], width: 2.5, head: 11 });
      });
      if (at + 1 < ink.length) ring(context, ...to(came), 6, colors.ink);
      dot(context, ...pen, 4, colors.vermillion);
    },
  });
  onDrag(line.element, ({ x, y, width }) =>
    seek(nearestPoint(ink, wrap(ink, width, CLOSE), x, y)),
  );

  const table = node("table", {});
  const show = () => {
    const cell = (value) => node("td", {}, value === null ? "–" : value.toFixed(2));
    const here = (n) => {
      if (at + 1 >= ink.length) return null;
      const [dx, dy] = expected[n][at];
      return Math.hypot(ink.x[at + 1] - ink.x[at] - dx, ink.y[at + 1] - ink.y[at] - dy);
    };
    table.replaceChildren(
      node("caption", {}, "Distance from where the pen went, in letter-body heights"),
      node("tr", {}, ["Memory", "here", "in strokes", "after a lift"].map((words) =>
        node("th", { scope: "col" }, words),
      )),
      ...data.nets.map(({ k }, n) => {
        const style = `color: var(--${NET_COLORS[n]})`;
        const name = node("th", { scope: "row", style }, `→ ${named(k)}`);
        return node("tr", {}, name, cell(here(n)), distances(points, expected[n]).map(cell));
      }),
    );
    scrub.value = at;
    line.redraw();
    detail.redraw();
  };
  const named = (k) => (k === 1 ? "1 point" : `${k} points`);
  const seek = (t) => {
    at = t;
    show();
  };
  const take = (given, own) => {
    points = own ? thinned(given, data.thinning) : given;
    ink = inkOf(points);
    expected = predict.map((of) => of(points));
    at = Math.min(data.at, ink.length - 1);
    scrub.input.max = ink.length - 1;
    show();
  };

  const choice = select({
    label: "Arrows everywhere of", value: "0", onChange: () => show(),
    options: data.nets.map(({ k }, n) => [String(n), named(k)]),
  });
  const scrub = slider({
    label: "Point", min: 0, max: 1, step: 1, value: 0,
    format: (t) => `${t + 1} / ${ink?.length ?? ""}`, onInput: seek,
  });
  const source = ownInk(stage, { given: pointsOf(unpackInk(data.ink)), onInk: take });
  stage.root.append(
    node("style", {}, ARROWS_STYLE),
    source.element,
    node("div", { class: "panel" }, line.element),
    node("div", { class: "bar" }, choice.element, scrub.element),
    node("div", { class: "both" }, node("div", { class: "panel" }, detail.element), table),
  );
  take(source.points, false);
  return stage.close;
}

const ARROWS_STYLE = `
table { border-collapse: collapse; font-variant-numeric: tabular-nums; align-self: start; width: 100%; }
caption { color: var(--muted); font-size: 13px; text-align: left; }
th, td { font-size: 14px; padding: 2px 6px; text-align: right; }
th:first-child { padding-left: 0; text-align: left; }
`;

export default { render: ({ model, el }) => mount(el, model.get("data")) };
