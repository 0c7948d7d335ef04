// The synthesis network in the page: the numbers of networks.py, mixture.py and
// sampling.py, from a pack of weights that export.py wrote. arithmetic.js computes,
// randomness.js repeats torch's generator, so that a seed draws what it draws in Python.

const SIGMA_FLOOR = 0.01; // as in mixture.py
const RHO_LIMIT = 0.999;
const LONGEST_TEXT = 256; // as in sampling.py
const POINTS_A_CHARACTER = 40;
const LAST_STROKE = 40;

// --- the pack: safetensors --------------------------------------------------------

/** Half precision as float32: all 65,536 of them, as bits. */
function halves() {
  const table = new Uint32Array(65536);
  for (let i = 0; i < 65536; i++) {
    const sign = (i & 0x8000) << 16;
    const exponent = (i >> 10) & 31;
    const fraction = i & 1023;
    if (exponent === 31) table[i] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent) table[i] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else {
      const small = new Float32Array([fraction * 2 ** -24]);
      table[i] = sign | new Uint32Array(small.buffer)[0];
    }
  }
  return new Float32Array(table.buffer);
}

/** What stands in front of the numbers; nothing where the file is another. */
function readHeader(buffer) {
  try {
    const size = Number(new DataView(buffer).getBigUint64(0, true));
    const text = new TextDecoder().decode(new Uint8Array(buffer, 8, size));
    const { __metadata__: metadata, ...header } = JSON.parse(text);
    return { size, header, about: JSON.parse(metadata.handwriting_lib) };
  } catch {
    return {};
  }
}

/**
 * Read a pack.
 *
 * Gives `tensors` (name to `{shape, data}`, data Float32Array or Int8Array), `config`,
 * and `mean` and `std` of the offsets.
 */
export function loadPack(buffer) {
  const { size, header, about } = readHeader(buffer);
  const known = ["handwriting_lib.model.1", "handwriting_lib.int8.1"];
  if (!known.includes(about?.format) || about.kind !== "synthesis") {
    throw new Error("this is not a pack of a synthesis network");
  }
  const table = halves();
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    const bytes = buffer.slice(8 + size + from, 8 + size + to);
    let data;
    if (dtype === "F16") {
      const half = new Uint16Array(bytes);
      data = new Float32Array(half.length);
      for (let i = 0; i < half.length; i++) data[i] = table[half[i]];
    } else if (dtype === "F32") data = new Float32Array(bytes);
    else if (dtype === "I8") data = new Int8Array(bytes);
    else throw new Error(`${name}: the engine does not read ${dtype}`);
    tensors[name] = { shape, data };
  }
  const { mean, std } = about.normalisation;
  return { tensors, config: about.config, mean, std };
}

// --- the network ------------------------------------------------------------------

/** Text as indices with the end slot, as in alphabet.py. */
export function encode(text) {
  if (!text.trim()) throw new Error("There is no text to write.");
  const letters = Array.from(text);
  if (letters.length > LONGEST_TEXT) {
    throw new Error(`${letters.length} characters are too many for one line.`);
  }
  const lacking = letters.find((letter) => letter < " " || letter > "~");
  if (lacking !== undefined) {
    throw new Error(`The network has not learned to write “${lacking}”.`);
  }
  return [...letters.map((letter) => letter.charCodeAt(0) - 31), 0];
}

/** A network that takes one point at a time. */
export class Engine {
  constructor(pack, { simd = hasSimd() } = {}) {
    const { tensors, config } = pack;
    Object.assign(this, { config, mean: pack.mean, std: pack.std });
    const { hidden, layers, mixtures, components, symbols } = config;
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
    this.window = { weight: matrix("window.weight"), bias: vector("window.bias") };
    this.output = { weight: matrix("output.weight"), bias: vector("output.bias") };
    this.gates = math.array(Float32Array, 4 * hidden);
    this.move = math.array(Float32Array, 3 * components);
    this.joined = math.array(Float32Array, padding(layers * hidden));
    this.raw = math.array(Float32Array, 6 * mixtures + 1);
  }

  /** The state before the first point: zeros. */
  start() {
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
   * `phi`.
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
      state.h[l].set(layer.h.subarray(0, hidden));
      state.c[l].set(layer.c);
      this.joined.set(state.h[l], l * hidden);
      if (!l) phi = this.read(state, indices);
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

/** What is wrong with a line, "" when it is complete: check_line of sampling.py. */
export function checkLine(phi, text) {
  const end = text.length;
  if (phi.some((row) => !row.some((weight) => weight))) return "the window went dark";
  const attended = phi.map(largest);
  const stop = attended.indexOf(end);
  if (stop < 0) return "ended before the text did";
  if (attended.length - stop - 1 > LAST_STROKE) return "went on after the end of the text";
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

/**
 * A line on its way, as sampling.py writes it. Each `next()` gives one point: `point`
 * (`[dx, dy, end]` in letter-body heights), `phi`, the `mixture` that the point after it
 * comes from (in letter-body heights too), `again` when an incomplete line is begun
 * anew with this point, and with the last point `done`, `complete`, `problem`, `draws`.
 *
 * It is Python's line unless a random number falls within rounding of a choice, as on
 * one line in a hundred: there torch alone and torch in a batch may part as well.
 */
export class Writing {
  constructor(engine, text, { seed = 1, position = 0, bias = 0.75, temperature = 1, redraws = 10 } = {}) {
    Object.assign(this, { engine, text, seed, position, bias, temperature, redraws });
    this.indices = encode(text);
    this.bound = POINTS_A_CHARACTER * this.indices.length;
    this.draws = 0;
    this.begin();
  }

  begin() {
    this.draws += 1;
    this.noise = drawNoise(this.bound, this.seed, this.position, this.draws);
    this.state = this.engine.start();
    this.point = [0, 0, 0];
    this.fired = -1;
    this.phi = [];
  }

  next() {
    const again = this.draws > 1 && !this.phi.length;
    const { mean, std } = this.engine;
    const t = this.phi.length;
    const point = this.point;
    const { output, phi } = this.engine.step(this.state, this.indices, point);
    this.phi.push(phi);
    if (this.fired < 0 && largest(phi) === this.text.length) this.fired = t;
    const since = this.fired < 0 ? -1 : t - this.fired;
    const over =
      (since >= 0 && ((t > 0 && point[2] > 0.5) || since >= LAST_STROKE)) ||
      t + 1 >= this.bound;
    const mixture = mixtureOf(output, this.bias, this.temperature);
    const written = t
      ? [point[0] * std[0] + mean[0], point[1] * std[1] + mean[1], over ? 1 : point[2]]
      : [0, 0, over ? 1 : point[2]];
    this.point = samplePoint(mixture, this.noise.subarray(4 * t, 4 * t + 4));
    const made = { point: written, phi, mixture: toInk(mixture, mean, std), again };
    if (!over) return { ...made, done: false };
    const problem = checkLine(this.phi, this.text);
    if (problem && this.draws <= this.redraws) {
      this.begin();
      return { ...made, done: false };
    }
    return { ...made, done: true, complete: !problem, problem, draws: this.draws };
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
