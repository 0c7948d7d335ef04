// Gates along a line: what one LSTM cell does while the ink is read.
//
// data: ink (host.pack_ink), text, cells (their numbers), rate, and traces: for each of
// i, f, o and c an array T x cells.

const TRACES = [
  ["i", "input gate i: how much is let in", "blue", 0, 1],
  ["f", "forget gate f: how much is kept", "green", 0, 1],
  ["o", "output gate o: how much is shown", "purple", 0, 1],
  ["c", "cell c: what it holds", "vermillion", -1, 1],
];

export function mount(host, data) {
  const stage = open(host);
  const ink = unpackInk(data.ink);
  const count = data.cells.length;
  const last = ink.length - 1;
  const values = {};
  for (const [name] of TRACES) values[name] = unpack(data.traces[name]);
  let at = last;
  let cell = 0;
  const value = (name, t) => values[name][t * count + cell];
  const span = (name) => {
    if (name !== "c") return [0, 1];
    let most = 1e-6;
    for (let t = 0; t <= last; t++) most = Math.max(most, Math.abs(value("c", t)));
    return [-most, most];
  };

  const line = picture(stage, {
    label: `The ink of "${data.text}", coloured by what the chosen cell does`,
    height: (width) => wrap(ink, width).height,
    draw(context, { width, colors }) {
      const place = wrap(ink, width);
      drawInk(context, ink, place, { color: colors.grid });
      const name = paint.value;
      const [low, high] = span(name);
      const color = colors[TRACES.find(([key]) => key === name)[2]];
      const shades = ramp(name === "c" ? [colors.blue, colors.faint, color] : [colors.faint, color]);
      const shade = (t) => {
        const level = Math.round((255 * (value(name, t) - low)) / (high - low));
        const [r, g, b] = shades[Math.max(0, Math.min(255, level))];
        return `rgb(${r} ${g} ${b})`;
      };
      drawShades(context, ink, place, { to: at + 1, color: shade });
      dot(context, place.x(ink.x[at], at), place.y(ink.y[at], at), 4, colors.ink);
    },
  });
  const traces = TRACES.map(([name, words, color]) => {
    const part = picture(stage, {
      label: `${words}, along the line`,
      height: 56,
      draw(context, { width, height, colors }) {
        const [low, high] = span(name);
        const x = (t) => ((t + 0.5) / ink.length) * width;
        const y = (v) => height - 3 - ((v - low) / (high - low)) * (height - 6);
        context.fillStyle = colors.grid;
        context.fillRect(0, y(0) - 0.5, width, 1);
        if (name !== "c") context.fillRect(0, y(1) - 0.5, width, 1);
        const points = Array.from({ length: ink.length }, (_, t) => [x(t), y(value(name, t))]);
        drawCurve(context, points, { color: colors[color], width: 1.5 });
        context.fillStyle = colors.vermillion;
        context.fillRect(x(at) - 0.75, 0, 1.5, height);
      },
    });
    onDrag(part.element, ({ x, width }) =>
      walk.seek(Math.round((x / width) * ink.length - 0.5)),
    );
    return [node("div", { class: "title" }, words), part];
  });
  const redraw = () => {
    line.redraw();
    for (const [, part] of traces) part.redraw();
  };
  const choice = slider({
    label: "Cell", min: 1, max: count, step: 1, value: 1,
    format: (k) => `no. ${data.cells[k - 1]}`,
    onInput(k) {
      cell = k - 1;
      redraw();
    },
  });
  const paint = select({
    label: "Colour the ink by", value: "c", onChange: redraw,
    options: TRACES.map(([name, words]) => [name, words.split(":")[0]]),
  });
  const play = playButton(() => walk.toggle());
  const scrub = slider({
    label: "Point", min: 0, max: last, step: 1, value: last,
    format: (t) => `${t + 1} / ${ink.length}`,
    onInput: (t) => walk.seek(t),
  });
  const walk = clock({
    stage, length: ink.length, rate: () => data.rate, onState: play.show,
    onStep(t) {
      at = t;
      scrub.value = t;
      redraw();
    },
  });
  stage.root.append(
    node("div", { class: "panel" }, line.element),
    node("div", { class: "bar" }, play.element, scrub.element),
    node("div", { class: "bar" }, paint.element, choice.element),
    node("div", { class: "panel" }, traces.flatMap(([title, part]) => [title, part.element])),
  );
  walk.seek(last);
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
