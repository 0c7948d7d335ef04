// The window's handle: the reader holds the window, lets it skip or sends it back while the
// network writes.
//
// data: text, pack, bias, seed.

const MOST_POINTS = 1200;
const POINTS_A_SECOND = 50;
const STRIDE = 10; // points of a press on "Ten points"
const PAST_THE_END = 30; // points that a line may go on once the window has reached its end

/** Move the places of the window by so many characters. */
function shifted(kappa, by) {
  kappa.forEach((place, k) => (kappa[k] = Math.max(0, place + by)));
}

/**
 * A line on its way whose window can be steered: `speed` multiplies what the network adds
 * to the window's places, 0 holds it. Each `step()` writes a point.
 */
class Steered {
  constructor(engine, text, { bias, seed }) {
    Object.assign(this, { engine, bias });
    this.indices = encode(text);
    this.random = randomNumbers(seed);
    this.state = engine.start();
    this.point = [0, 0, 0];
    this.points = []; // [x, y, end]
    this.phi = null;
    this.late = 0; // points since the window reached the end
    this.done = false;
  }

  /** The character with the largest weight. */
  get at() {
    return this.phi ? largest(this.phi) : 0;
  }

  step(speed) {
    const { engine, state, point, points } = this;
    const before = state.kappa.slice();
    const { output, phi } = engine.step(state, this.indices, point);
    this.phi = phi;
    state.kappa.forEach((place, k) => (state.kappa[k] = before[k] + speed * (place - before[k])));
    const [x, y] = points.at(-1) ?? [0, 0];
    const [dx, dy] = [0, 1].map((axis) => point[axis] * engine.std[axis] + engine.mean[axis]);
    points.push(points.length ? [x + dx, y + dy, point[2]] : [0, 0, point[2]]);
    this.late = this.at === this.indices.length - 1 ? this.late + 1 : 0;
    const over = this.late > 1 && (point[2] > 0.5 || this.late > PAST_THE_END);
    if (over || points.length >= MOST_POINTS) {
      this.done = true;
      points.at(-1)[2] = 1;
    }
    this.point = samplePoint(mixtureOf(output, this.bias), fourNumbers(this.random));
  }

  /** Send the window to a character, from wherever it is. */
  goTo(u) {
    this.move(u - this.at);
  }

  move(by) {
    shifted(this.state.kappa, by);
    this.done = false;
    this.late = 0;
  }
}

export function mount(host, data) {
  const stage = open(host);
  let engine = null;
  let writing = null;
  let seed = data.seed;
  let held = false;

  const paper = picture(stage, {
    label: `The network writes "${data.text}"`,
    height: (width) => (writing?.points.length ? wrap(inkSoFar(writing.points), width, { most: 28 }).height : 90),
    draw(context, { width, colors }) {
      if (!writing?.points.length) return;
      const ink = inkSoFar(writing.points);
      const place = wrap(ink, width, { most: 28 });
      drawInk(context, ink, place, { color: colors.ink });
      const last = ink.length - 1;
      dot(context, place.x(ink.x[last], last), place.y(ink.y[last], last), 4, colors.vermillion);
    },
  });
  const slots = Array.from(data.text).length + 1;
  const strip = textStrip(data.text, slots, (u) => act(() => writing.goTo(u)));

  // --- writing ---

  const show = () => {
    if (writing?.phi) {
      const bright = Math.max(1, ...writing.phi);
      strip.shade((u) => writing.phi[u] / bright, writing.at);
      const letter = Array.from(data.text)[writing.at];
      const where = letter === undefined ? "the end" : letter === " " ? "a space" : `“${letter}”`;
      said.textContent = `${writing.points.length} points; the window is at ${where}.`;
    }
    paper.redraw();
  };
  /** Up to so many points more; false when the line is done. */
  const write = (count) => {
    for (let n = 0; n < count && !writing.done; n++) writing.step(held ? 0 : speed.value);
    show();
    return !writing.done;
  };
  const act = (action) => {
    if (!writing) return;
    action();
    if (!walk.playing) write(STRIDE);
  };
  const begin = () => {
    if (!engine) return;
    writing = new Steered(engine, data.text, { bias: bias.value, seed });
    hold(false);
    write(1);
  };
  const play = playButton(() => {
    if (!engine) return;
    if (writing.done) begin();
    if (reducedMotion()) {
      while (write(STRIDE) && !(held || speed.value === 0));
      return;
    }
    if (walk.playing) return walk.pause();
    walk.seek(0);
    walk.play();
  });
  let made = 0;
  const walk = clock({
    stage, length: 1e6, rate: () => POINTS_A_SECOND, onState: play.show,
    onStep(at) {
      const going = write(at - made);
      made = at;
      if (!going) walk.pause();
    },
  });
  const hold = (next) => {
    held = next;
    holding.setAttribute("aria-pressed", String(held));
  };

  // --- controls ---

  const holding = button({ label: "Hold", describe: "Hold the window", onClick: () => hold(!held) });
  const back = button({
    label: "Back", describe: "Back by one character", onClick: () => act(() => writing.move(-1)),
  });
  const skip = button({
    label: "Skip", describe: "Skip one character", onClick: () => act(() => writing.move(1)),
  });
  const ten = button({ label: "Ten points", onClick: () => act(() => {}) });
  const again = button({
    label: "Start over",
    onClick() {
      seed += 1;
      begin();
    },
  });
  const speed = slider({
    label: "speed of κ", min: 0, max: 2, step: 0.05, value: 1, format: (v) => `${v.toFixed(2)} ×`,
  });
  const bias = slider({
    label: "bias b", min: 0, max: 3, step: 0.1, value: data.bias, format: (v) => v.toFixed(1),
    onInput(value) {
      if (writing) writing.bias = value;
    },
  });
  const said = node("output", { class: "note" }, "Loading the network.");
  stage.root.append(
    node("style", {}, READING_STYLE),
    strip.element,
    node("div", { class: "panel" }, paper.element),
    node("div", { class: "bar" }, play.element, holding, back, skip, ten, again),
    node("div", { class: "row" }, speed.element, bias.element),
    said,
  );
  engineWhenNear(stage.root, data.pack).then(
    (loaded) => {
      engine = loaded;
      begin();
    },
    (problem) => (said.textContent = `The network could not be loaded: ${problem.message}`),
  );
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
