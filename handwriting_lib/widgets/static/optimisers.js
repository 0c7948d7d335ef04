// Paths of optimisers over a loss of two weights, from a start that the reader chooses.
//
// data: start ([x, y]), rates (learning rate by optimiser), decay, shown, updates.

const TINY_NORM = 1e-7; // least norm that Muon divides by, as in torch

// What each optimiser adds to a weight w, given the derivative d and what it remembers.
const momentum = (m, d) => (m.v = 0.9 * (m.v ?? 0) + d);
const mean = (m, key, b, x) => (m[key] = b * (m[key] ?? 0) + (1 - b) * x);
const ELEMENTWISE = {
  sgd: (w, d, m, rate) => -rate * d,
  momentum: (w, d, m, rate) => -rate * momentum(m, d),
  adagrad(w, d, m, rate) {
    m.n = (m.n ?? 0) + d * d;
    return (-rate * d) / (Math.sqrt(m.n) + 1e-10);
  },
  rmsprop(w, d, m, rate) {
    const n = mean(m, "n", 0.95, d * d);
    const g = mean(m, "g", 0.95, d);
    const size = Math.sqrt(Math.max(n - g * g, 0) + 1e-4);
    return (m.step = 0.9 * (m.step ?? 0) - (rate * d) / size);
  },
  adam(w, d, m, rate) {
    m.k = (m.k ?? 0) + 1;
    const g = mean(m, "g", 0.9, d) / (1 - 0.9 ** m.k);
    const n = mean(m, "n", 0.999, d * d) / (1 - 0.999 ** m.k);
    return (-rate * g) / (Math.sqrt(n) + 1e-8);
  },
  adamw: (w, d, m, rate, decay) => ELEMENTWISE.adam(w, d, m, rate) - rate * decay * w,
};

/** The step of Muon, for weights that are the diagonal of a 2 x 2 matrix. The products of
 * diagonal matrices are those of their entries, which are the singular values. */
function muon(w, d, memory, rate, decay) {
  const ahead = d.map((slope, i) => 0.05 * slope + 0.95 * mean(memory, i, 0.95, slope));
  const norm = Math.max(Math.hypot(...ahead), TINY_NORM);
  return ahead.map((slope, i) => {
    let s = slope / norm;
    for (let k = 0; k < 5; k++) s *= 3.4445 - 4.775 * s ** 2 + 2.0315 * s ** 4;
    return -rate * (0.2 * Math.SQRT2 * s + decay * w[i]);
  });
}

/** The step of any of them for both weights. */
function stepOf(name, w, d, memory, rate, decay) {
  if (name === "muon") return muon(w, d, memory, rate, 0);
  if (name === "muonw") return muon(w, d, memory, rate, decay);
  return w.map((v, i) => ELEMENTWISE[name](v, d[i], (memory[i] ??= {}), rate, decay));
}

/** A quadratic valley, 25 times as steep across as along, with its minimum at distance 2
 * from zero in the direction `[c, s]` of its floor. */
function valley(c, s) {
  const along = ([x, y]) => c * x + s * y - 2;
  const across = ([x, y]) => c * y - s * x;
  return {
    start: [-2 * c - 0.6 * -s, -2 * s - 0.6 * c],
    minima: [[2 * c, 2 * s]],
    loss: (w) => along(w) ** 2 / 2 + 12.5 * across(w) ** 2,
    slope: (w) => [c * along(w) - 25 * s * across(w), s * along(w) + 25 * c * across(w)],
  };
}

const PIT = 0.9; // standard deviation of the hole in the plateau
const LANDSCAPES = {
  slanting: { words: "narrow valley, slanting", ...valley(0.8, 0.6) },
  straight: { words: "narrow valley, along an axis", ...valley(1, 0) },
  saddle: {
    words: "saddle between two minima",
    start: [0.05, 1.8],
    minima: [[-2, 0], [2, 0]],
    loss: ([x, y]) => (x * x - 4) ** 2 / 16 + 2 * y * y,
    slope: ([x, y]) => [(x * (x * x - 4)) / 4, 4 * y],
  },
  plateau: {
    words: "plateau with a hole",
    start: [-1.8, -1.2],
    minima: [[1.2, 0.8]],
    loss: ([x, y]) => -Math.expm1(-((x - 1.2) ** 2 + (y - 0.8) ** 2) / (2 * PIT ** 2)),
    slope([x, y]) {
      const d = [x - 1.2, y - 0.8];
      const inside = Math.exp(-(d[0] ** 2 + d[1] ** 2) / (2 * PIT ** 2)) / PIT ** 2;
      return d.map((v) => v * inside);
    },
  },
};

/** The places of an optimiser from its start on; it ends early where it leaves all bounds. */
function pathOf(name, landscape, { start, rate, decay, updates, fall = false }) {
  const memory = {};
  const path = [start];
  for (let k = 0; k < updates; k++) {
    const w = path.at(-1);
    const now = fall ? rate * Math.min(1, 2 - (2 * k) / updates) : rate;
    const step = stepOf(name, w, landscape.slope(w), memory, now, decay);
    path.push(w.map((v, i) => v + step[i]));
    if (!(Math.hypot(...path.at(-1)) < 1e6)) break;
  }
  return path;
}

const HALF = [3, 2.25]; // half the sides of the plane that is shown
const LOG_LOSS = [-6, 2]; // powers of ten that are shown
// Rates on the slider: an even grid would miss round numbers.
const RATES = [0.001, 0.01, 0.1, 1].flatMap((tens) =>
  [1, 1.5, 2, 3, 4, 5, 6, 7, 8].map((digit) => Number((tens * digit).toPrecision(2))),
);
const FAMILY = [
  ["sgd", "gradient descent", "blue", false],
  ["momentum", "momentum", "blue", true],
  ["adagrad", "AdaGrad", "green", false],
  ["rmsprop", "RMSprop (paper)", "green", true],
  ["adam", "Adam", "vermillion", false],
  ["adamw", "AdamW", "vermillion", true],
  ["muon", "Muon", "purple", false],
  ["muonw", "Muon with decay", "purple", true],
];

/** A picture of a loss, whose contour lines are a factor of two apart. */
function contours(landscape, width, height, colors) {
  const loss = Float32Array.from({ length: width * height }, (_, i) => landscape.loss([
    HALF[0] * ((2 * ((i % width) + 0.5)) / width - 1),
    HALF[1] * (1 - (2 * (Math.floor(i / width) + 0.5)) / height),
  ]));
  const most = loss.reduce((a, b) => Math.max(a, b));
  const bands = loss.map((v) => Math.max(0, 12 + Math.floor(Math.log2(v / most))));
  const shades = bands.map((band, i) => {
    const edge = band !== (bands[i + 1] ?? band) || band !== (bands[i + width] ?? band);
    return edge && (i + 1) % width ? 1 : band / 24;
  });
  return heatImage(shades, width, height, [colors.surface, colors.faint]);
}

export function mount(host, data) {
  const stage = open(host);
  const rates = { ...data.rates };
  const shown = new Set(data.shown);
  const updates = data.updates;
  let landscape = LANDSCAPES.slanting;
  let start = data.start ?? landscape.start;
  let at = updates;
  const paths = {};
  let ground = {};
  const follow = (found) => {
    for (const one of FAMILY) if (shown.has(one[0])) found(paths[one[0]].slice(0, at + 1), ...one);
  };

  const plane = picture(stage, {
    label: "",
    height: (width) => (width * HALF[1]) / HALF[0],
    draw(context, { width, height, colors }) {
      const key = [landscape.words, width, height, colors.surface].join();
      if (ground.key !== key) ground = { key, image: contours(landscape, width, height, colors) };
      context.drawImage(ground.image, 0, 0, width, height);
      const { X, Y } = axes(context, {
        width, height, colors, x: [-HALF[0], HALF[0]], y: [-HALF[1], HALF[1]],
        xTicks: [0], yTicks: [0], pad: [0, 0, 0, 0],
      });
      context.textAlign = "left";
      context.fillText("0", X(0) + 5, Y(0) + 10);
      follow((path, _name, _words, color, dashed) => {
        const points = path.map(([x, y]) => [X(x), Y(y)]);
        drawCurve(context, points, { color: colors[color], width: 2, dash: dashed ? [5, 4] : [] });
        for (const [x, y] of points) dot(context, x, y, 1.8, colors[color]);
        dot(context, ...points.at(-1), 5, colors[color]);
      });
      for (const [x, y] of landscape.minima) {
        for (const side of [-6, 6]) {
          const ends = [[X(x) - 6, Y(y) - side], [X(x) + 6, Y(y) + side]];
          drawCurve(context, ends, { color: colors.ink, width: 2 });
        }
      }
      ring(context, X(start[0]), Y(start[1]), 7, colors.ink);
    },
  });
  plane.element.setAttribute("role", "application");
  plane.element.tabIndex = 0;
  onDrag(plane.element, ({ x, y, width, height }) =>
    begin([HALF[0] * ((2 * x) / width - 1), HALF[1] * (1 - (2 * y) / height)]),
  );
  plane.element.addEventListener("keydown", (event) => {
    const move = {
      ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1],
    }[event.key];
    if (!move) return;
    event.preventDefault();
    begin(start.map((v, i) => (move[i] ? Math.round(10 * (v + move[i])) / 10 : v)));
  });

  const curves = picture(stage, {
    label: "Loss of each optimiser over the updates, on a logarithmic axis",
    height: (width) => Math.max(200, Math.min(320, 0.9 * width)),
    draw(context, { width, height, colors }) {
      const { X, Y } = axes(context, {
        width, height, colors, x: [0, updates], y: LOG_LOSS,
        xTicks: [0, updates / 2, updates], yTicks: [-6, -4, -2, 0, 2],
      });
      context.save();
      context.beginPath();
      context.rect(0, Y(LOG_LOSS[1]), width, Y(LOG_LOSS[0]) - Y(LOG_LOSS[1]));
      context.clip();
      follow((path, _name, _words, color, dashed) => {
        const points = path.map((w, k) => [X(k), Y(Math.log10(landscape.loss(w) + 1e-12))]);
        drawCurve(context, points, { color: colors[color], width: 2, dash: dashed ? [5, 4] : [] });
        dot(context, ...points.at(-1), 4, colors[color]);
      });
      context.restore();
    },
  });

  const legend = FAMILY.map(([name, words, color, dashed]) => {
    const box = checkbox({
      label: words, value: shown.has(name),
      onChange(next) {
        if (next) shown.add(name);
        else shown.delete(name);
        show();
      },
    });
    const line = svgNode("line", {
      x1: 0, y1: 7, x2: 30, y2: 7, stroke: `var(--${color})`, "stroke-width": 3,
      "stroke-dasharray": dashed ? "5 4" : null,
    });
    const sample = svgNode("svg", { width: 30, height: 14, "aria-hidden": "true" }, line);
    sample.style.flex = "none";
    const loss = node("span", { class: "note", style: "margin: 0; white-space: nowrap" });
    box.input.after(sample);
    box.element.append(loss);
    return { name, loss, element: box.element, input: box.input };
  });

  const choice = select({
    label: "Optimiser", value: data.shown[0] ?? "sgd",
    options: FAMILY.map(([name, words]) => [name, words]),
    onChange(name) {
      rate.value = RATES.indexOf(rates[name]);
      legend.find((one) => one.name === name).input.checked = true;
      shown.add(name);
      show();
    },
  });
  const rate = slider({
    label: "learning rate", min: 0, max: RATES.length - 1, step: 1,
    value: RATES.indexOf(rates[choice.value]), format: (k) => String(RATES[k]),
    onInput(k) {
      rates[choice.value] = RATES[k];
      run();
    },
  });
  const decay = slider({
    label: "weight decay", min: 0, max: 1, step: 0.05, value: data.decay,
    format: (v) => v.toFixed(2), onInput: run,
  });
  const fall = checkbox({
    label: "learning rates fall to 0 over the second half", value: false, onChange: run,
  });
  const place = select({
    label: "Loss", value: "slanting",
    options: Object.entries(LANDSCAPES).map(([name, { words }]) => [name, words]),
    onChange(name) {
      landscape = LANDSCAPES[name];
      begin(landscape.start);
    },
  });
  const play = playButton(() => walk.toggle());
  const scrub = slider({
    label: "Update", min: 0, max: updates, step: 1, value: updates,
    format: (k) => `${k} / ${updates}`, onInput: (k) => walk.seek(k),
  });
  const walk = clock({
    stage, length: updates + 1, rate: () => updates / 10, onState: play.show,
    onStep(k) {
      at = k;
      scrub.value = k;
      show();
    },
  });

  function begin(next) {
    start = next.map((v, i) => Math.max(-HALF[i], Math.min(HALF[i], v)));
    run();
  }
  function run() {
    for (const [name] of FAMILY) {
      paths[name] = pathOf(name, landscape, {
        start, rate: rates[name], decay: decay.value, updates, fall: fall.input.checked,
      });
    }
    const [x, y] = start.map((v) => v.toFixed(2).replace("-", "−"));
    plane.element.setAttribute(
      "aria-label",
      `Paths over a loss of two weights, from the start ${x}, ${y}; arrow keys move the start`,
    );
    show();
  }
  function show() {
    for (const { name, loss } of legend) {
      const value = landscape.loss(paths[name][Math.min(at, paths[name].length - 1)]);
      const number = value < 0.01 ? value.toExponential(1) : value.toPrecision(2);
      loss.textContent = value < 1000 ? number.replace("-", "−") : "diverges";
    }
    plane.redraw();
    curves.redraw();
  }
  const panel = (title, part) =>
    node("div", { class: "panel" }, node("div", { class: "title" }, title), part.element);
  stage.root.append(
    node("div", { class: "bar" }, place.element),
    node(
      "div", { class: "both" },
      panel("The two weights: ○ start, × minimum", plane),
      panel("log₁₀ of the loss, by update", curves),
    ),
    node(
      "div", { class: "bar" }, play.element,
      button({ label: "Step", onClick: () => walk.seek(at === updates ? 0 : at + 1) }),
      button({ label: "Restart", onClick: () => walk.seek(0) }),
      scrub.element,
    ),
    node("div", { class: "row" }, legend.map((one) => one.element)),
    node("div", { class: "bar" }, choice.element, rate.element, decay.element, fall.element),
  );
  run();
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
