// The gates of one LSTM cell, moved by hand while it reads a line: c = f c + i g and
// h = o tanh(c), where g says how far the pen has just gone up.
//
// data: ink (host.pack_ink), gates [i, f, o] (where the sliders start), rate (points per
// second), thinning {distance, angle} for the reader's ink.

const GATE_HANDLES = [
  ["i", "input gate i", "blue"], ["f", "forget gate f", "green"], ["o", "output gate o", "purple"],
];
const TEN = 10;

/** One point of the cell. */
function cellStep(c, { i, f, o }, up) {
  const next = f * c + i * Math.tanh(up);
  return { c: next, h: o * Math.tanh(next), i, f, o };
}

export function mount(host, data) {
  const stage = open(host);
  let ink = null;
  let rows = []; // what the cell was at each point so far

  const line = picture(stage, {
    label: "The line, coloured by what the cell holds at each point",
    height: (width) => (ink ? wrap(ink, width).height : 100),
    draw(context, { width, colors }) {
      const place = wrap(ink, width);
      drawInk(context, ink, place, { color: colors.grid });
      if (!rows.length) return;
      const most = Math.max(1, ...rows.map(({ c }) => Math.abs(c)));
      const shades = ramp([colors.blue, colors.faint, colors.vermillion]);
      const shade = (t) => {
        const [r, g, b] = shades[Math.round(127.5 * (1 + rows[t].c / most))];
        return `rgb(${r} ${g} ${b})`;
      };
      const wide = Math.max(2.4, 0.16 * place.scale);
      drawShades(context, ink, place, { to: rows.length, color: shade, width: wide });
      const at = rows.length - 1;
      dot(context, place.x(ink.x[at], at), place.y(ink.y[at], at), 5, colors.ink);
    },
  });

  const over = (label, height, draw) => picture(stage, {
    label,
    height,
    draw(context, size) {
      draw(context, { ...size, x: [0, ink.length - 1], xTicks: [], pad: [8, 12, 8, 34] });
    },
  });
  const curve = (context, { X, Y }, name, look) =>
    drawCurve(context, rows.map((row, t) => [X(t), Y(row[name])]), look);
  const held = over("What the cell holds, c, and what it shows, h, over the points", 130, (context, size) => {
    const most = Math.max(1, ...rows.map(({ c }) => Math.abs(c)));
    const places = axes(context, { ...size, y: [-most, most], yTicks: [-1, 0, 1] });
    curve(context, places, "c", { color: size.colors.vermillion, width: 2.5 });
    curve(context, places, "h", { color: size.colors.ink, width: 1.5, dash: [4, 3] });
  });
  const doors = over("The three gates over the points", 70, (context, size) => {
    const places = axes(context, { ...size, y: [-0.05, 1.05], yTicks: [0, 1] });
    for (const [name, , color] of GATE_HANDLES) {
      curve(context, places, name, { color: size.colors[color], width: 1.8 });
    }
  });

  // --- reading the line ---

  const said = node("output", { class: "note" });
  const signed = (v) => v.toFixed(2).replace("-0.00", "0.00").replace("-", "−");
  const show = () => {
    const at = rows.length - 1;
    said.textContent = rows.length
      ? `Point ${rows.length} of ${ink.length}: the cell holds c = ${signed(rows[at].c)} and ` +
        `shows h = ${signed(rows[at].h)}; the pen is at ${signed(ink.y[at] - ink.y[0])}.`
      : "Press Play, and move the gates while the pen runs.";
    for (const part of [line, held, doors]) part.redraw();
  };
  const read = (count) => {
    for (let n = 0; n < count && rows.length < ink.length; n++) {
      const t = rows.length;
      const gates = Object.fromEntries(GATE_HANDLES.map(([name], k) => [name, handles[k].value]));
      rows.push(cellStep(rows.at(-1)?.c ?? 0, gates, t ? ink.y[t] - ink.y[t - 1] : 0));
    }
    show();
    return rows.length < ink.length;
  };
  let made = 0;
  const walk = clock({
    stage, length: 1e6, rate: () => data.rate,
    onState: (playing) => play.show(playing),
    onStep(at) {
      const going = read(at - made);
      made = at;
      if (!going) walk.pause();
    },
  });
  const again = () => {
    walk.pause();
    rows = [];
    show();
  };
  const play = playButton(() => {
    if (walk.playing) return walk.pause();
    if (rows.length === ink.length) again();
    if (reducedMotion()) return read(ink.length);
    made = 0;
    walk.seek(0);
    walk.play();
  });
  const take = (points, own) => {
    ink = inkOf(own ? thinned(points, data.thinning) : points);
    again();
  };

  const handles = GATE_HANDLES.map(([, label], k) => slider({
    label, min: 0, max: 1, step: 0.01, value: data.gates[k], format: (v) => v.toFixed(2),
  }));
  handles.forEach(({ input }, k) => (input.style.accentColor = `var(--${GATE_HANDLES[k][2]})`));
  const source = ownInk(stage, { given: pointsOf(unpackInk(data.ink)), onInk: take });
  const named = (words, color) =>
    node("span", { style: `color: var(--${color}); font-weight: 600` }, words);
  stage.root.append(
    source.element,
    node("div", { class: "panel" }, line.element),
    node(
      "div", { class: "bar" }, play.element,
      button({ label: "Ten points", onClick: () => read(TEN) }),
      button({ label: "Start over", onClick: again }),
    ),
    node("div", { class: "row" }, handles.map((one) => one.element)),
    said,
    node(
      "div", { class: "panel" },
      node("div", { class: "title" }, named("— c", "vermillion"), ", ", named("- - h", "ink")),
      held.element,
      node("div", { class: "title" }, "The gates: ",
        GATE_HANDLES.map(([name, , color]) => [named(name, color), " "]).flat()),
      doors.element,
    ),
  );
  take(source.points, false);
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
