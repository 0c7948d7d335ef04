// The synthesis network in the page, and the prediction network, which is the same without
// a window: the numbers of networks/, parts/mixture.py and writing/, from a pack of weights
// that files/browser.py wrote. arithmetic.js computes, randomness.js repeats torch's
// generator, so that a seed draws what it draws in Python.

const SIGMA_FLOOR = 0.01; // as in parts/mixture.py
const RHO_LIMIT = 0.999;
const LONGEST_TEXT = 256; // as in writing/lines.py
const POINTS_A_CHARACTER = 40;
const LAST_STROKE = 40;
const BACK_OVER_THE_PRIME = 0.5;

// --- packs and styles --------------------------------------------------------------

/** Read a pack: gives `tensors`, `config`, `mean` and `std` of the offsets, and `thinning`. */
export function loadPack(buffer) {
  const { about, ...rest } = readHeader(buffer);
  const known = ["handwriting_lib.model.1", "handwriting_lib.model.2", "handwriting_lib.int8.1"];
  if (!known.includes(about?.format) || !["synthesis", "prediction"].includes(about.kind)) {
    throw new Error("this is not a pack of a network that writes");
  }
  const { normalisation, thinning } = about.carried ?? about; // format 1: not nested
  return {
    tensors: readTensors(buffer, rest), config: about.config, ...normalisation, thinning,
  };
}

/**
 * Read a file of writing/styles.py: gives the `prime` (its text and a space), the state as
 * `Engine.start` has it, and the last `point` of the prime, in network units.
 */
export function loadStyle(buffer) {
  const { about, ...rest } = readHeader(buffer);
  const known = ["handwriting_lib.style.1", "handwriting_lib.style.2"];
  if (!known.includes(about?.format)) throw new Error("this is not a style");
  const tensors = readTensors(buffer, rest);
  const layers = Object.keys(tensors).filter((name) => name.endsWith(".h")).length;
  const each = (part) =>
    Array.from({ length: layers }, (_, l) => tensors[`layers.${l}.${part}`].data);
  return {
    prime: `${about.text.trimEnd()} `,
    h: each("h"), c: each("c"), w: tensors.w.data, kappa: tensors.kappa.data,
    point: Array.from(tensors.point.data),
  };
}

// --- the network ------------------------------------------------------------------

/** Text as indices with the end slot, as in alphabet.py; a style's prime before it. */
export function encode(text, prime = "") {
  if (!text.trim()) throw new Error("There is no text to write.");
  const letters = Array.from(text);
  if (letters.length > LONGEST_TEXT) {
    throw new Error(`${letters.length} characters are too many for one line.`);
  }
  const lacking = letters.find((letter) => letter < " " || letter > "~");
  if (lacking !== undefined) {
    throw new Error(`The network has not learned to write “${lacking}”.`);
  }
  return [...Array.from(prime + text, (letter) => letter.charCodeAt(0) - 31), 0];
}

/** A network that takes one point at a time. */
export class Engine {
  constructor(pack, { simd = hasSimd() } = {}) {
    const { tensors, config, mean, std, thinning } = pack;
    this.config = { components: 0, symbols: 0, ...config }; // without a window
    Object.assign(this, { mean, std, thinning });
    const { hidden, layers, mixtures, components, symbols } = this.config;
    const seen = 3 + symbols; // a point and the window
    const all = Object.values(tensors).map(({ shape, data }) => {
      const rows = shape.length > 1 ? shape[0] : 1;
      return rows * padding(shape.at(-1)) * data.BYTES_PER_ELEMENT + 64;
    });
    const columns = layers * seen * (16 * hidden + 64);
    const scratch = 8 * (5 * hidden + symbols + 64) * (layers + 3);
    const bytes = all.reduce((a, b) => a + b, 0) + columns + scratch;
    const math = (this.math = new Arithmetic(bytes, simd));
    const scaled = (name) => [tensors[name], tensors[`${name}.scale`]];
    const matrix = (name, first) => math.matrix(...scaled(name), first);
    const vector = (name) => math.vector(tensors[name].data);
    this.layers = Array.from({ length: layers }, (_, l) => ({
      seen: math.columns(...scaled(`layers.${l}.weight_ih`), seen),
      below: l ? matrix(`layers.${l}.weight_ih`, seen) : null,
      recurrent: matrix(`layers.${l}.weight_hh`),
      bias: vector(`layers.${l}.bias`),
      peephole: vector(`layers.${l}.peephole`),
      h: math.array(Float32Array, padding(hidden)),
      c: math.array(Float32Array, hidden),
    }));
    this.off = this.layers.map(() => []); // cells whose output is held at 0
    this.window = symbols
      ? { weight: matrix("window.weight"), bias: vector("window.bias") }
      : null;
    this.output = { weight: matrix("output.weight"), bias: vector("output.bias") };
    this.gates = math.array(Float32Array, 4 * hidden);
    this.move = math.array(Float32Array, 3 * components);
    this.joined = math.array(Float32Array, padding(layers * hidden));
    this.raw = math.array(Float32Array, 6 * mixtures + 1);
  }

  /** The state before the first point: zeros, or what a style's line left. */
  start(style = null) {
    if (style) {
      const { h, c, w, kappa } = style;
      const copies = (parts) => parts.map((part) => part.slice());
      return { h: copies(h), c: copies(c), w: w.slice(), kappa: kappa.slice() };
    }
    const { hidden, layers, components, symbols } = this.config;
    const each = () => Array.from({ length: layers }, () => new Float32Array(hidden));
    return {
      h: each(), c: each(),
      w: new Float32Array(symbols), kappa: new Float32Array(components),
    };
  }

  /**
   * One point `[dx, dy, end]` in network units; `state` is changed in place. `indices`
   * is what `encode` gave. Gives `output` (6M + 1, overwritten by the next step) and
   * `phi`, null without a window.
   */
  step(state, indices, point) {
    const { hidden } = this.config;
    const { math, gates } = this;
    let phi = null;
    this.layers.forEach((layer, l) => {
      layer.h.set(state.h[l]);
      layer.c.set(state.c[l]);
      gates.set(layer.bias);
      // the window of the last point for layer 1, of this one above
      for (let i = 0; i < 3; i++) math.addColumn(layer.seen[i], gates, point[i]);
      state.w.forEach((weight, i) => math.addColumn(layer.seen[3 + i], gates, weight));
      math.product(layer.recurrent, layer.h, gates, gates);
      if (l) math.product(layer.below, this.layers[l - 1].h, gates, gates);
      math.cells(gates, layer.h, layer.c, layer.peephole);
      for (const cell of this.off[l]) layer.h[cell] = 0;
      state.h[l].set(layer.h.subarray(0, hidden));
      state.c[l].set(layer.c);
      this.joined.set(state.h[l], l * hidden);
      if (!l && this.window) phi = this.read(state, indices);
    });
    math.product(this.output.weight, this.joined, this.output.bias, this.raw);
    return { output: this.raw, phi };
  }

  /** Move the window (eqs 46 to 51); gives phi. */
  read(state, indices) {
    const K = this.config.components;
    this.math.product(this.window.weight, this.layers[0].h, this.window.bias, this.move);
    const phi = new Float32Array(indices.length);
    for (let k = 0; k < K; k++) {
      state.kappa[k] += Math.exp(this.move[2 * K + k]);
      const beta = Math.exp(this.move[K + k]);
      for (let u = 0; u < phi.length; u++) {
        const distance = state.kappa[k] - (u + 1);
        phi[u] += Math.exp(this.move[k] - beta * distance * distance);
      }
    }
    state.w.fill(0);
    indices.forEach((index, u) => (state.w[index] += phi[u]));
    return phi;
  }

  /** Write a text: see `Writing`. */
  writeLine(text, options) {
    return new Writing(this, text, options);
  }
}

// --- the density of the next point ------------------------------------------------

/** StrokeMixture.from_output: `pi`, `muX`, `muY`, `logX`, `logY`, `rho`, `end`. */
export function mixtureOf(output, bias = 0, temperature = 1) {
  const M = (output.length - 1) / 6;
  const part = (i) => output.slice(1 + i * M, 1 + (i + 1) * M);
  const [pi, muX, muY, logX, logY, rho] = [0, 1, 2, 3, 4, 5].map(part);
  const sharp = (1 + bias) / temperature;
  const top = pi.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (let k = 0; k < M; k++) sum += pi[k] = Math.exp((pi[k] - top) * sharp);
  const spread = (s) =>
    Math.max(s, Math.log(SIGMA_FLOOR)) +
    Math.log1p(Math.exp(-Math.abs(s - Math.log(SIGMA_FLOOR)))) -
    bias + 0.5 * Math.log(temperature);
  for (let k = 0; k < M; k++) {
    pi[k] /= sum;
    logX[k] = spread(logX[k]);
    logY[k] = spread(logY[k]);
    rho[k] = RHO_LIMIT * Math.tanh(rho[k]);
  }
  return { first: [0, M], pi, muX, muY, logX, logY, rho, end: sigmoid(output[0] / temperature) };
}

/** A point from four numbers: two uniform, two normal, as in StrokeMixture.sample. */
export function samplePoint(mixture, [pick, pen, normalX, normalY]) {
  const { pi, muX, muY, logX, logY, rho, end } = mixture;
  let k = 0;
  for (let sum = pi[0]; sum < pick && k < pi.length - 1; sum += pi[k]) k += 1;
  const across = rho[k] * normalX + Math.sqrt(1 - rho[k] ** 2) * normalY; // Cholesky
  return [
    muX[k] + Math.exp(logX[k]) * normalX, muY[k] + Math.exp(logY[k]) * across,
    pen < end ? 1 : 0,
  ];
}

// --- writing ----------------------------------------------------------------------

/** A character as Python's repr shows it. */
const quoted = (letter) =>
  letter === "'" ? `"'"` : letter === "\\" ? "'\\\\'" : `'${letter}'`;
const largest = (phi) => phi.indexOf(phi.reduce((a, b) => Math.max(a, b)));

/** What is wrong with a line, "" when it is complete: check_line of writing/sampling.py. */
export function checkLine(phi, text) {
  const end = text.length;
  if (phi.some((row) => !row.some((weight) => weight))) return "the window went dark";
  const attended = phi.map(largest);
  const stop = attended.indexOf(end);
  if (stop < 0) return "ended before the text did";
  if (attended.length - stop - 1 >= LAST_STROKE) return "went on after the end of the text";
  let furthest = 0;
  for (const at of attended) {
    if (at < furthest - 1) {
      return `went back from ${quoted(text[Math.min(furthest, end - 1)])} to ${quoted(text[at])}`;
    }
    furthest = Math.max(furthest, at);
  }
  const visited = new Set(attended);
  for (let i = 0; i < end; i++) {
    if (text[i] !== " " && !visited.has(i)) {
      return `skipped ${quoted(text[i])}, character ${i + 1}`;
    }
  }
  return "";
}

/** Whether the window went back into the prime: as in writing/sampling.py. */
function checkStart(phi, prime) {
  const back = phi.some((row) => largest(row) < prime.length - 2);
  return back ? "went back into the line that the style was made from" : "";
}

/**
 * A line on its way, as writing/sampling.py writes it. Each `next()` gives one point: `point`
 * (`[dx, dy, end]` in letter-body heights), `phi`, the `mixture` that the point after it
 * comes from (in letter-body heights too), `again` when an incomplete line is begun
 * anew with this point, and with the last point `done`, `complete`, `problem`, `draws`.
 *
 * With a style the network goes on from the style's line: it reads the prime and the
 * text, and first the prime's last point. The ink and `phi` are the text's alone.
 *
 * It is Python's line unless a random number falls within rounding of a choice, as on
 * one line in a hundred: there torch alone and torch in a batch may part as well.
 */
export class Writing {
  constructor(engine, text, {
    seed = 1, position = 0, bias = 1.25, temperature = 1, redraws = 10, style = null,
  } = {}) {
    Object.assign(this, { engine, text, seed, position, bias, temperature, redraws, style });
    this.prime = style ? style.prime : "";
    this.indices = encode(text, this.prime);
    this.bound = POINTS_A_CHARACTER * (text.length + 1) + (style ? 1 : 0);
    this.draws = 0;
    this.ready = []; // points that `next` has not given yet
    this.begin();
  }

  begin() {
    this.draws += 1;
    this.noise = drawNoise(this.bound, this.seed, this.position, this.draws);
    this.state = this.engine.start(this.style);
    this.point = this.style ? this.style.point : [0, 0, 0];
    this.steps = 0;
    this.fired = -1;
    this.x = 0; // from the prime's last point
    this.phi = []; // weights at the points of the ink, the prime's characters too
    this.held = []; // points that belong to the prime, if a stroke of the text follows
    this.begun = !this.style;
  }

  next() {
    while (!this.ready.length) this.step();
    return this.ready.shift();
  }

  /** One step of the network: it reads a point and draws the one after it. */
  step() {
    const { mean, std } = this.engine;
    const t = this.steps++;
    const point = this.point;
    const { output, phi } = this.engine.step(this.state, this.indices, point);
    if (this.fired < 0 && largest(phi) === this.indices.length - 1) this.fired = t;
    const since = this.fired < 0 ? -1 : t - this.fired;
    const over =
      (since >= 0 && ((t > 0 && point[2] > 0.5) || since >= LAST_STROKE)) ||
      t + 1 >= this.bound;
    const mixture = mixtureOf(output, this.bias, this.temperature);
    this.point = samplePoint(mixture, this.noise.subarray(4 * t, 4 * t + 4));
    if (t || !this.style) {
      const offset = [point[0] * std[0] + mean[0], point[1] * std[1] + mean[1]];
      this.take({ offset, end: point[2], phi, mixture: toInk(mixture, mean, std) }, over);
    }
    if (over) this.finish();
  }

  /**
   * A point of the ink, if the text has begun. Strokes that begin back over the prime
   * finish it, a bar of a t for example; where all do, all are the text's.
   */
  take(made, last) {
    if (!this.begun) {
      this.x += made.offset[0];
      const first = !this.held.length || this.held.at(-1).end > 0.5; // of a stroke
      this.begun = first && this.x >= -BACK_OVER_THE_PRIME;
      if (this.begun) this.held = [];
    }
    this.held.push(made);
    if (!this.begun && !last) return;
    for (const { offset, end, phi, mixture } of this.held) {
      const start = !this.phi.length;
      this.phi.push(phi);
      this.ready.push({
        point: [...(start ? [0, 0] : offset), end],
        phi: phi.subarray(this.prime.length),
        mixture,
        again: start && this.draws > 1,
        done: false,
      });
    }
    this.held = [];
    if (last) this.ready.at(-1).point[2] = 1;
  }

  /** Check the line, and begin it anew or say how it went. */
  finish() {
    const { text, prime, phi, draws } = this;
    const own = phi.map((row) => row.subarray(prime.length));
    const problem = checkLine(own, text) || checkStart(phi, prime);
    if (problem && draws <= this.redraws) this.begin();
    else Object.assign(this.ready.at(-1), { done: true, complete: !problem, problem, draws });
  }
}

/** A density in letter-body heights, from one in network units. */
function toInk(mixture, mean, std) {
  return {
    ...mixture,
    muX: mixture.muX.map((mu) => mu * std[0] + mean[0]),
    muY: mixture.muY.map((mu) => mu * std[1] + mean[1]),
    logX: mixture.logX.map((s) => s + Math.log(std[0])),
    logY: mixture.logY.map((s) => s + Math.log(std[1])),
  };
}
