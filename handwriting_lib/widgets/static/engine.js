// The synthesis network in the page: the numbers of networks.py, mixture.py and
// sampling.py, from a pack of weights that export.py wrote. Matrix-vector products run
// in WebAssembly with 128-bit SIMD, or in plain JavaScript where that is missing.
//
// A seed draws what it draws in Python: the page repeats torch's generator.

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

/**
 * Read a pack.
 *
 * Gives `tensors` (name to `{shape, data}`, data Float32Array or Int8Array), `config`,
 * `mean` and `std` of the offsets, and `name`.
 */
export function loadPack(buffer) {
  const size = Number(new DataView(buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(new Uint8Array(buffer, 8, size));
  const { __metadata__: metadata, ...header } = JSON.parse(text);
  const about = JSON.parse(metadata?.handwriting_lib ?? "null");
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

// --- matrix times vector ----------------------------------------------------------

/** An unsigned number as LEB128, and a list with its length in front. */
function leb(number) {
  const bytes = [];
  do {
    bytes.push((number & 127) | (number > 127 ? 128 : 0));
    number >>>= 7;
  } while (number);
  return bytes;
}
const list = (items) => [...leb(items.length), ...items.flat()];

/**
 * A WebAssembly module, put together from its instructions. It exports
 * `product(W, x, b, y, rows, columns)`: y = W x + b, with W in float32, and
 * `product8(W, x, b, y, rows, columns, scale)`: y = scale (W x) + b, with W in int8 and
 * a scale a row. All arguments but rows and columns are addresses; y may be b; columns
 * are a multiple of 16.
 */
function kernel() {
  const [I32, V128] = [0x7f, 0x7b];
  const get = (i) => [0x20, i];
  const set = (i) => [0x21, i];
  const constant = (n) => [0x41, n]; // below 64
  const add = [0x6a];
  const simd = (code, ...rest) => [0xfd, ...leb(code), ...rest];
  const load = (offset) => simd(0, 0, offset);
  const zero = simd(12, ...new Array(16).fill(0));
  const plus = simd(0xe4);
  const times = simd(0xe6);
  const lane = (i) => simd(31, i);
  const step = (local, n) => [get(local), constant(n), add, set(local)].flat();
  const step64 = (local) => [get(local), [0x41, 0xc0, 0], add, set(local)].flat();
  // arguments 0..6; locals: the end of x, a place in x, int16 weights, four sums
  const [W, X, B, Y, ROWS, COLUMNS, SCALE, END, AT, Q, ...SUMS] = Array(14).keys();
  const part = (sum, weights, offset) =>
    [get(sum), weights, get(AT), load(offset), times, plus, set(sum)].flat();
  const wide = (code) => [get(Q), simd(code), simd(0xfa)].flat(); // int16 to float32
  const eight = (k) => [ // columns 8 k to 8 k + 7 in int8: low half, high half
    get(W), simd(1, 0, 8 * k), set(Q),
    part(SUMS[2 * k], wide(0xa7), 32 * k), part(SUMS[2 * k + 1], wide(0xa8), 32 * k + 16),
  ].flat();
  const four = (k) => part(SUMS[k], [...get(W), ...load(16 * k)], 16 * k);
  const body = (int8) => [
    [2, 2, I32, 5, V128], // two locals of i32, five of v128
    get(X), get(COLUMNS), constant(2), [0x74], add, set(END),
    [0x03, 0x40], // for each row
    SUMS.map((sum) => [zero, set(sum)]).flat(2), get(X), set(AT),
    [0x03, 0x40], // for each sixteen columns: four sums, or each would wait for the last
    int8
      ? [eight(0), eight(1), step(W, 16)].flat()
      : [four(0), four(1), four(2), four(3), step64(W)].flat(),
    step64(AT), get(AT), get(END), [0x49, 0x0d, 0, 0x0b],
    get(SUMS[0]), get(SUMS[1]), plus, get(SUMS[2]), get(SUMS[3]), plus, plus,
    set(Q), get(Y),
    get(Q), lane(0), get(Q), lane(1), [0x92],
    get(Q), lane(2), get(Q), lane(3), [0x92, 0x92],
    int8 ? [get(SCALE), [0x2a, 2, 0], [0x94], step(SCALE, 4)].flat() : [],
    get(B), [0x2a, 2, 0, 0x92], [0x38, 2, 0],
    step(B, 4), step(Y, 4),
    get(ROWS), constant(1), [0x6b], set(ROWS), get(ROWS), [0x0d, 0, 0x0b],
    [0x0b],
  ].flat();
  const name = (text) => list([...text].map((letter) => letter.charCodeAt(0)));
  const section = (code, content) => [code, ...leb(content.length), ...content];
  const type = [0x60, ...list(new Array(7).fill(I32)), 0];
  const code = (int8) => list(body(int8));
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, list([type])),
    ...section(2, list([[...name("e"), ...name("memory"), 2, 0, 1]])),
    ...section(3, list([0, 0])),
    ...section(7, list([[...name("product"), 0, 0], [...name("product8"), 0, 1]])),
    ...section(10, list([code(false), code(true)])),
  ]);
}

/** Vectors and matrices in one memory, and their products. */
class Arithmetic {
  constructor(bytes, simd) {
    const pages = Math.ceil(bytes / 65536) + 1;
    this.memory = simd ? new WebAssembly.Memory({ initial: pages }) : null;
    this.buffer = simd ? this.memory.buffer : new ArrayBuffer(pages * 65536);
    this.free = 64;
    if (simd) {
      const module = new WebAssembly.Module(kernel());
      const imports = { e: { memory: this.memory } };
      this.code = new WebAssembly.Instance(module, imports).exports;
    }
  }

  /** Zeros, aligned to 64 bytes. */
  array(Type, length) {
    const made = new Type(this.buffer, this.free, length);
    this.free += Math.ceil((length * Type.BYTES_PER_ELEMENT) / 64) * 64;
    return made;
  }

  /** A matrix of a pack, each row padded to a multiple of 16 columns. */
  matrix({ shape: [rows, columns], data }, scale) {
    const padded = padding(columns);
    const values = this.array(data.constructor, rows * padded);
    for (let r = 0; r < rows; r++) {
      values.set(data.subarray(r * columns, (r + 1) * columns), r * padded);
    }
    return { rows, columns: padded, values, scale: scale && this.vector(scale.data) };
  }

  vector(data) {
    const made = this.array(Float32Array, data.length);
    made.set(data);
    return made;
  }

  /** y = W x + b; x has W's padded number of columns. */
  product(W, x, b, y) {
    const { rows, columns, values, scale } = W;
    if (this.code) {
      const where = [values, x, b, y].map((one) => one.byteOffset);
      const multiply = scale ? this.code.product8 : this.code.product;
      multiply(...where, rows, columns, scale ? scale.byteOffset : 0);
      return;
    }
    for (let r = 0, k = 0; r < rows; r++) {
      let sum = 0;
      for (let c = 0; c < columns; c++, k++) sum += values[k] * x[c];
      y[r] = b[r] + (scale ? scale[r] * sum : sum);
    }
  }
}

const padding = (columns) => Math.ceil(columns / 16) * 16;

/** Whether this browser has WebAssembly with SIMD. */
export function hasSimd() {
  return typeof WebAssembly === "object" && WebAssembly.validate(kernel());
}

// --- the network ------------------------------------------------------------------

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const tanh = (x) => 1 - 2 / (1 + Math.exp(2 * x)); // faster than Math.tanh

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
    const all = Object.values(tensors).map(({ shape, data }) => {
      const rows = shape.length > 1 ? shape[0] : 1;
      return rows * padding(shape.at(-1)) * data.BYTES_PER_ELEMENT + 64;
    });
    const scratch = 8 * (5 * hidden + symbols + 64) * (layers + 3);
    const bytes = all.reduce((a, b) => a + b, 0) + scratch;
    const math = (this.math = new Arithmetic(bytes, simd));
    const matrix = (name) => math.matrix(tensors[name], tensors[`${name}.scale`]);
    const vector = (name) => math.vector(tensors[name].data);
    this.layers = Array.from({ length: layers }, (_, l) => ({
      input: matrix(`layers.${l}.weight_ih`),
      recurrent: matrix(`layers.${l}.weight_hh`),
      bias: vector(`layers.${l}.bias`),
      peephole: vector(`layers.${l}.peephole`),
      x: math.array(Float32Array, padding(3 + symbols + (l ? hidden : 0))),
      h: math.array(Float32Array, padding(hidden)),
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
    const { hidden, symbols } = this.config;
    let phi = null;
    this.layers.forEach((layer, l) => {
      layer.x.set(point);
      layer.x.set(state.w, 3); // of the last point for layer 1, of this one above
      if (l) layer.x.set(state.h[l - 1], 3 + symbols);
      layer.h.set(state.h[l]);
      this.math.product(layer.input, layer.x, layer.bias, this.gates);
      this.math.product(layer.recurrent, layer.h, this.gates, this.gates);
      this.cells(state.h[l], state.c[l], layer.peephole);
      this.joined.set(state.h[l], l * hidden);
      if (!l) phi = this.read(state, indices);
    });
    this.math.product(this.output.weight, this.joined, this.output.bias, this.raw);
    return { output: this.raw, phi };
  }

  /** From the gates' inputs i, f, g, o to the new `h` and `c` (eqs 7 to 11). */
  cells(h, c, peephole) {
    const H = h.length;
    const z = this.gates;
    for (let k = 0; k < H; k++) {
      const i = sigmoid(z[k] + peephole[k] * c[k]);
      const f = sigmoid(z[H + k] + peephole[H + k] * c[k]);
      const cell = f * c[k] + i * tanh(z[2 * H + k]);
      c[k] = cell;
      h[k] = sigmoid(z[3 * H + k] + peephole[2 * H + k] * cell) * tanh(cell);
    }
  }

  /** Move the window (eqs 46 to 51); gives phi. */
  read(state, indices) {
    const K = this.config.components;
    this.layers[0].h.set(state.h[0]);
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

// --- torch's randomness -----------------------------------------------------------

/** The SHA-256 of ASCII text, as eight 32-bit numbers. */
export function sha256(text) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const bits = (x) => Math.floor((x % 1) * 2 ** 32) | 0;
  const constants = primes.map((p) => bits(Math.cbrt(p)));
  const hash = primes.slice(0, 8).map((p) => bits(Math.sqrt(p)));
  const length = text.length;
  const words = new Int32Array(16 * Math.ceil((length + 9) / 64));
  for (let i = 0; i < length; i++) words[i >> 2] |= text.charCodeAt(i) << (24 - 8 * (i & 3));
  words[length >> 2] |= 0x80 << (24 - 8 * (length & 3));
  words[words.length - 1] = 8 * length;
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  const w = new Int32Array(64);
  for (let block = 0; block < words.length; block += 16) {
    for (let i = 0; i < 64; i++) {
      if (i < 16) w[i] = words[block + i];
      else {
        const [x, y] = [w[i - 15], w[i - 2]];
        const small = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
        const large = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
        w[i] = w[i - 16] + small + w[i - 7] + large;
      }
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i++) {
      const choice = (e & f) ^ (~e & g);
      const majority = (a & b) ^ (a & c) ^ (b & c);
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + choice + constants[i] + w[i]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + majority) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((x, i) => (hash[i] = (hash[i] + x) | 0));
  }
  return hash.map((x) => x >>> 0);
}

/** MT19937 as torch seeds it on a CPU: the low 32 bits of the seed; 32-bit numbers. */
export function twister(seed) {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  }
  let at = 624;
  return () => {
    if (at === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

/** What `draw_noise((n,), line_generator(seed, position, draw), float32)` gives in
 * Python, for n of 8 and more: `(n, 4)`, row by row. */
export function drawNoise(n, seed, position, draw) {
  const digest = sha256(`${seed} ${position} ${draw}`);
  const next = twister(((digest[0] << 24) | (digest[1] >>> 8)) >>> 0); // bytes 3 to 6
  const uniform = () => (next() & 0xffffff) / 2 ** 24;
  const flat = Float64Array.from({ length: 2 * n }, uniform);
  const normal = Float64Array.from({ length: 2 * n }, uniform);
  const turn = (from) => {
    for (let i = from; i < from + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - normal[i]));
      const angle = 2 * Math.PI * normal[i + 8];
      normal[i] = radius * Math.cos(angle);
      normal[i + 8] = radius * Math.sin(angle);
    }
  };
  for (let i = 0; i + 16 <= 2 * n; i += 16) turn(i); // torch fills sixteen at a time
  if ((2 * n) % 16) {
    for (let i = 2 * n - 16; i < 2 * n; i++) normal[i] = uniform();
    turn(2 * n - 16);
  }
  const noise = new Float32Array(4 * n);
  for (let i = 0; i < n; i++) {
    noise.set([flat[2 * i], flat[2 * i + 1], normal[2 * i], normal[2 * i + 1]], 4 * i);
  }
  return noise;
}

// --- writing ----------------------------------------------------------------------

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
      return `went back from '${text[Math.min(furthest, end - 1)]}' to '${text[at]}'`;
    }
    furthest = Math.max(furthest, at);
  }
  const visited = new Set(attended);
  for (let i = 0; i < end; i++) {
    if (text[i] !== " " && !visited.has(i)) return `skipped '${text[i]}', character ${i + 1}`;
  }
  return "";
}

/**
 * A line on its way, as sampling.py writes it. Each `next()` gives one point: `point`
 * (`[dx, dy, end]` in letter-body heights), `phi`, the `mixture` that the point after it
 * comes from (in letter-body heights too), `again` when an incomplete line is begun
 * anew with this point, and with the last point `done`, `complete`, `problem`, `draws`.
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
