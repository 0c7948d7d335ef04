// A clock out of one cell: its peepholes and biases, set by hand, and when it ticks.
//
// data: step, limit, look_o, look_f (where the sliders start), target (the period asked
// for).

const SHOWN = 48; // points
const COUNTED = 400; // points from which the period is measured
const TICK = 0.5; // an output gate above this ticks

/**
 * The cell over its points: `c`, the gates `f` and `o`, and `h`. Its input gate is open, and
 * each point brings `step`. A gate looks at the cell with its peephole, and is half open
 * where the cell is at the limit.
 */
function runClock({ step, limit, lookO, lookF }, points) {
  const rows = [];
  let c = 0;
  for (let t = 0; t < points; t++) {
    const f = gate(-lookF * (c - limit));
    c = f * c + step;
    const o = gate(lookO * (c - limit));
    rows.push({ c, f, o, h: o * Math.tanh(c) });
  }
  return rows;
}

const gate = (z) => 1 / (1 + Math.exp(-z));

/** Points between ticks: null when it does not tick, or not evenly. */
function periodOf(rows) {
  const ticks = rows.flatMap(({ o }, t) => (o > TICK && !(rows[t - 1]?.o > TICK) ? [t] : []));
  const gaps = ticks.slice(1).map((t, k) => t - ticks[k]).slice(-8);
  const even = gaps.length > 1 && gaps.every((gap) => gap === gaps[0]);
  return { ticks: ticks.length, period: even ? gaps[0] : null, stuck: rows.at(-1).o > TICK && gaps.length < 2 };
}

export function mount(host, data) {
  const stage = open(host);
  const settings = () => ({
    step: step.value, limit: limit.value, lookO: lookO.value, lookF: lookF.value,
  });

  // A line that the pen draws, lifted where the clock ticks.
  const dashes = picture(stage, {
    label: "The line that it draws: the pen is lifted at each tick",
    height: 26,
    draw(context, { width, colors }) {
      const rows = runClock(settings(), SHOWN);
      rows.forEach(({ o }, t) => {
        if (o > TICK) return;
        const x = (k) => 34 + ((k + 0.5) / SHOWN) * (width - 46);
        context.fillStyle = colors.ink;
        context.fillRect(x(t - 0.5) - 0.5, 11, x(1) - x(0) + 1, 4);
      });
    },
  });
  const trace = (label, color, height, of, high) => picture(stage, {
    label,
    height,
    draw(context, { width, height: tall, colors }) {
      const rows = runClock(settings(), SHOWN);
      const most = high(rows);
      const { X, Y } = axes(context, {
        width, height: tall, colors, x: [-0.5, SHOWN - 0.5], y: [0, most],
        xTicks: [], yTicks: most > 2.5 ? [0, Math.floor(most)] : [0, 1], pad: [8, 12, 8, 34],
      });
      if (color === "vermillion") {
        const y = Y(limit.value);
        drawCurve(context, [[X(-0.5), y], [X(SHOWN - 0.5), y]], { color: colors.muted, width: 1.5, dash: [5, 4] });
      }
      const points = rows.map((row, t) => [X(t), Y(of(row))]);
      drawCurve(context, points, { color: colors[color], width: 1.8 });
      for (const [x, y] of points) dot(context, x, y, 2, colors[color]);
    },
  });
  const parts = [
    [trace("The cell c over the points, and the limit", "vermillion", 110, ({ c }) => c,
      (rows) => Math.max(1.3 * limit.value, ...rows.map(({ c }) => c))), "Cell c (dashed: the limit)"],
    [trace("The output gate o over the points", "purple", 60, ({ o }) => o, () => 1), "Output gate o"],
    [trace("The forget gate f over the points", "green", 60, ({ f }) => f, () => 1), "Forget gate f"],
  ];

  const said = node("output", { class: "note" });
  const show = () => {
    const { ticks, period, stuck } = periodOf(runClock(settings(), COUNTED));
    const asked = data.target;
    if (stuck) said.textContent = "The output gate opens and stays open: nothing empties the cell.";
    else if (ticks < 2) said.textContent = "It does not tick.";
    else if (period === null) said.textContent = "It ticks, but not evenly.";
    else {
      const right = period === asked ? " That is what was asked for." : "";
      said.textContent = `It ticks at every ${period} points; asked for are ${asked}.${right}`;
    }
    dashes.redraw();
    for (const [part] of parts) part.redraw();
  };
  const control = (label, min, max, by, value, digits) => slider({
    label, min, max, step: by, value, format: (v) => v.toFixed(digits), onInput: show,
  });
  const step = control("step", 0.02, 0.5, 0.01, data.step, 2);
  const limit = control("limit", 0.1, 3, 0.05, data.limit, 2);
  const lookO = control("peephole of o", 0, 200, 1, data.look_o, 0);
  const lookF = control("peephole of f", 0, 200, 1, data.look_f, 0);
  stage.root.append(
    node("div", { class: "row" }, [step, limit, lookO, lookF].map((one) => one.element)),
    said,
    node(
      "div", { class: "panel" },
      node("div", { class: "title" }, "The line that it draws"), dashes.element,
      parts.flatMap(([part, words]) => [node("div", { class: "title" }, words), part.element]),
    ),
  );
  show();
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
