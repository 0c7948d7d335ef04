// Cells of a network along a line, small multiples: press one, and its output is 0 at every
// point. The network reads the line again, and the ink shows where it is surprised.
//
// data: pack, ink (host.pack_ink), thinning {distance, angle} for the reader's ink, and
// cells, pairs [layer, cell], both counted from 0.

const CELLS_STYLE = `
.cells { display: grid; gap: 8px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 138px), 1fr)); margin: 8px 0; }
button.cell { background: var(--surface); border-color: var(--edge); color: var(--ink); font-size: 13px; padding: 6px; text-align: left; }
button.cell span { display: block; font-variant-numeric: tabular-nums; }
button.cell span + span { color: var(--muted); }
button.cell[aria-pressed="true"] { background: var(--field); border: 2px dashed var(--vermillion); color: var(--ink); padding: 5px; }
button.cell[aria-pressed="true"] .name { text-decoration: line-through; }
button.cell[aria-pressed="true"] canvas { opacity: 0.35; }
`;
const SMALL = { margin: 0.3, most: 20, least: 8 }; // pixels a letter body in a button
const LEAST = 0.5; // nats at a point that get the full colour, if none gets more

const plain = (v) => v.toFixed(3).replace("-0.000", "0.000").replace("-", "−");
const inNats = (v) => plain(v).replace(/^(?!−)/, "+");
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

/** Read a line, given as positions, with some cells off, pairs `[layer, cell]`: the nats
 * of each point after the first, in letter bodies, and the state after each point. It
 * yields after each point. */
function* lossesOf(engine, points, off) {
  engine.off = engine.layers.map((_, l) => off.filter(([k]) => k === l).map(([, cell]) => cell));
  const { mean: [x, y], std } = engine;
  const unit = Math.log(std[0] * std[1]);
  const states = [];
  const losses = [];
  let before = null;
  for (const known of readPoints(engine, points, [])) {
    if (before) {
      const [a, b, end] = points[states.length];
      const [x0, y0] = points[states.length - 1];
      const moved = [(a - x0 - x) / std[0], (b - y0 - y) / std[1], end];
      losses.push(unit - logDensity(mixtureOf(before.output), moved));
    }
    states.push(known.state);
    before = known;
    yield;
  }
  return { losses, states };
}

export function mount(host, data) {
  const stage = open(host);
  const names = data.cells.map(([layer, cell]) => `Cell ${cell + 1} of layer ${layer + 1}`);
  let engine = null;
  let points = null;
  let ink = null;
  let work = null;
  let found = new Map(); // of a set of cells that are off: the nats of each point
  let held = null; // of each cell, what it holds at each point while all are on
  const off = new Set();

  const keyOf = (cells) => [...cells].sort((a, b) => a - b).join();
  const lossOf = (cells) => found.get(keyOf(cells));
  /** What the network loses at each point with cells off; the first is not predicted. */
  const lostBy = (cells) => {
    const [whole, less] = [lossOf([]), lossOf(cells)];
    return whole && less ? less.map((v, t) => v - whole[t]) : null;
  };
  const peakOf = (lost) => lost.reduce((best, v, t) => (v > lost[best] ? t : best), 0) + 1;

  // --- pictures ---

  const shader = (values, colors) => {
    const most = Math.max(LEAST, ...values.map(Math.abs));
    const shades = ramp([colors.blue, colors.faint, colors.vermillion]);
    return (v) => {
      const [r, g, b] = shades[Math.round(127.5 * (1 + v / most))];
      return `rgb(${r} ${g} ${b})`;
    };
  };
  const line = picture(stage, {
    label: "The line, coloured by what the network loses at each point with cells off",
    height: (width) => (ink ? wrap(ink, width).height : 100),
    draw(context, { width, colors }) {
      const place = wrap(ink, width);
      const lost = off.size && lostBy(off);
      if (!lost) return drawInk(context, ink, place, { color: colors.ink });
      const shade = shader(lost, colors);
      const wide = Math.max(2.4, 0.16 * place.scale);
      const color = (t) => shade(t ? lost[t - 1] : 0);
      drawShades(context, ink, place, { color, width: wide });
      if (!lost.length) return;
      const at = peakOf(lost);
      ring(context, place.x(ink.x[at], at), place.y(ink.y[at], at), 8, colors.ink);
    },
  });
  const shown = data.cells.map((_, k) => picture(stage, {
    label: "",
    height: (width) => (ink ? wrap(ink, width, SMALL).height : 40),
    draw(context, { width, colors }) {
      const place = wrap(ink, width, SMALL);
      if (!held) return drawInk(context, ink, place, { color: colors.faint, width: 1.5 });
      const shade = shader(held[k], colors);
      drawShades(context, ink, place, { color: (t) => shade(held[k][t]), width: 2 });
    },
  }));
  shown.forEach(({ element }) => element.setAttribute("aria-hidden", "true"));

  // --- cells ---

  const costs = data.cells.map(() => node("span", {}, "…"));
  const buttons = data.cells.map((_, k) => {
    const element = button({ label: "", className: "cell", onClick: () => toggle(k) });
    element.append(shown[k].element, node("span", { class: "name" }, names[k]), costs[k]);
    element.setAttribute("aria-pressed", "false");
    return element;
  });
  const toggle = (k) => {
    if (!off.delete(k)) off.add(k);
    begin();
  };
  const allOn = () => {
    off.clear();
    begin();
  };

  const { element: said, say } = notice();
  const tell = () => {
    if (!engine) return;
    if (ink.length < 2) return say("One point is too short: write a word.");
    const whole = lossOf([]);
    if (!whole) return say("The network reads the line.");
    const base = mean(whole);
    if (!off.size) {
      return say(
        `All cells are on: this line costs ${plain(base)} nats per point. ` +
          "Press a cell to switch it off.",
      );
    }
    const lost = lostBy(off);
    if (!lost) return say("The network reads the line again.");
    const at = peakOf(lost);
    const which = off.size === 1 ? names[[...off][0]] : `${off.size} cells`;
    const worse = lost.filter((v) => v > 0).length;
    say(
      `${which} off: the line costs ${plain(base + mean(lost))} nats per ` +
        `point in place of ${plain(base)} (${inNats(mean(lost))}). ` +
        `${worse} of ${lost.length} points cost more; the ringed one, point ${at + 1}, ` +
        `${inNats(lost[at - 1])}.`,
    );
  };
  const show = () => {
    buttons.forEach((one, k) => one.setAttribute("aria-pressed", String(off.has(k))));
    costs.forEach((one, k) => {
      const lost = lostBy([k]);
      one.textContent = lost?.length ? `off: ${inNats(mean(lost))} nats` : "…";
    });
    tell();
    for (const part of [line, ...shown]) part.redraw();
  };

  // --- reading ---

  /** What is asked for first, what the figure needs next: all cells on, then each off. */
  function* reading() {
    for (;;) {
      const wanted = [[], [...off], ...data.cells.map((_, k) => [k])];
      const next = wanted.find((cells) => !lossOf(cells));
      if (!next) return;
      const made = yield* lossesOf(engine, points, next.map((k) => data.cells[k]));
      found.set(keyOf(next), made.losses);
      if (!next.length) {
        held = data.cells.map(([l, cell]) => made.states.map(({ c }) => c[l][cell]));
      }
      show();
    }
  }
  const run = inFrames(stage, () => {
    if (work?.next().done) work = null;
    return work !== null;
  });
  const begin = () => {
    show();
    if (!engine || ink.length < 2) return;
    work ??= reading(); // what is being read is finished first
    run();
  };
  const take = (given, own) => {
    points = own ? thinned(given, data.thinning) : given;
    ink = inkOf(points);
    found = new Map();
    held = null;
    work = null;
    begin();
  };

  const source = ownInk(stage, { given: pointsOf(unpackInk(data.ink)), onInk: take });
  stage.root.append(
    node("style", {}, CELLS_STYLE),
    source.element,
    node("div", { class: "panel" }, line.element),
    said,
    node("div", { class: "cells", role: "group", "aria-label": "Cells to switch off" }, buttons),
    node("div", { class: "bar" }, button({ label: "Switch all on", onClick: allOn })),
  );
  take(source.points, false);
  say("Loading the network.");
  engineWhenNear(stage.root, data.pack).then(
    (loaded) => {
      engine = loaded;
      begin();
    },
    (problem) => say(`The network could not be loaded: ${problem.message}`, true),
  );
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
