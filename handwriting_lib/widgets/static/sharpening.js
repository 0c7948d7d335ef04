// Sharpening by halves: the same line and seed in five rows, of which each sharpens other
// choices.
//
// data: text, pack, bias, seed.

const SHARPENED = [ // what a row sharpens: the weights pi, the deviations sigma, or all
  ["nothing", {}],
  ["the weights π alone", { pi: true }],
  ["the deviations σ alone", { sigma: true }],
  ["both: the bias", { pi: true, sigma: true }],
  ["all and the pen: a temperature", { temperature: true }],
];

/** The density of the next point where a row sharpens it by b. A temperature of
 * 1 / (1 + b) raises the weights as the bias does. */
function sharpened(output, b, { pi, sigma, temperature }) {
  if (temperature) return mixtureOf(output, 0, 1 / (1 + b));
  const mixture = mixtureOf(output, sigma ? b : 0); // deviations as they should be
  mixture.pi = mixtureOf(output, pi ? b : 0).pi;
  return mixture;
}

/** A line as ink, drawn with one stream of random numbers, to the end of the text. */
function* writeSharpened(engine, text, { b, seed, row }) {
  const indices = encode(text);
  const state = engine.start();
  const random = randomNumbers(seed);
  const { mean, std } = engine;
  const bound = POINTS_A_CHARACTER * (text.length + 1);
  let [x, y, point, fired] = [0, 0, [0, 0, 0], -1];
  for (let t = 0; t < bound; t++) {
    const { output, phi } = engine.step(state, indices, point);
    if (fired < 0 && largest(phi) === indices.length - 1) fired = t;
    if (t) {
      x += point[0] * std[0] + mean[0];
      y += point[1] * std[1] + mean[1];
    }
    const over = fired >= 0 && (point[2] > 0.5 || t - fired >= LAST_STROKE);
    yield [x, y, over ? 1 : point[2]];
    if (over) return;
    point = samplePoint(sharpened(output, b, row), fourNumbers(random));
  }
}

export function mount(host, data) {
  const stage = open(host);
  let engine = null;
  let seed = data.seed;
  let rows = []; // points of each
  let pending = null;

  const papers = SHARPENED.map(([words], k) => picture(stage, {
    label: `"${data.text}", sharpened: ${words}`,
    height: (width) => (rows[k]?.length ? view(inkSoFar(rows[k]).box, width, { most: 22 }).height : 60),
    draw(context, { width, colors }) {
      if (!rows[k]?.length) return;
      const ink = inkSoFar(rows[k]);
      drawInk(context, ink, view(ink.box, width, { most: 22 }), { color: colors.ink });
    },
  }));
  const said = SHARPENED.map(() => node("span", {}));
  const work = inFrames(stage, () => {
    const k = rows.length - 1;
    if (!engine || (!pending && rows.length === SHARPENED.length)) return false;
    if (!pending) {
      rows.push([]);
      const [, row] = SHARPENED[rows.length - 1];
      pending = writeSharpened(engine, data.text, { b: bias.value, seed, row });
      return true;
    }
    const { value, done } = pending.next();
    if (!done) {
      rows[k].push(value);
      return true;
    }
    pending = null;
    said[k].textContent = ` (${rows[k].length} points)`;
    papers[k].redraw();
    return true;
  });
  const begin = () => {
    [rows, pending] = [[], null];
    for (const one of said) one.textContent = "";
    for (const one of papers) one.redraw();
    work();
  };

  const bias = slider({
    label: "sharpen by b", min: 0, max: 5, step: 0.1, value: data.bias,
    format: (v) => `${v.toFixed(1)}, T = ${(1 / (1 + v)).toFixed(2)}`, onInput: begin,
  });
  const another = button({
    label: "Another seed",
    onClick() {
      seed += 1;
      begin();
    },
  });
  const state = node("output", { class: "note" }, "Loading the network.");
  stage.root.append(
    node("div", { class: "bar" }, another, bias.element),
    state,
    node(
      "div", { class: "panel" },
      SHARPENED.flatMap(([words], k) => [
        node("div", { class: "title" }, `Sharpened: ${words}`, said[k]), papers[k].element,
      ]),
    ),
  );
  engineWhenNear(stage.root, data.pack).then(
    (loaded) => {
      engine = loaded;
      state.textContent = "";
      begin();
    },
    (problem) => (state.textContent = `The network could not be loaded: ${problem.message}`),
  );
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
