// The character decoder in the page: the numbers of networks/character.py and
// parts/attention.py, one character at a time, and sentences as writing/compose.py
// composes them. arithmetic.js computes the products of matrices and vectors.

const NORM_EPSILON = 1e-5; // of torch's LayerNorm
const DECODER_FORMATS = ["handwriting_lib.model.2", "handwriting_lib.int8.1"];

/** Shapes of the tensors of a decoder, by name. */
function decoderShapes({ symbols, width, layers, block }) {
  const shapes = { "symbols.weight": [symbols, width], "positions.weight": [block, width] };
  const part = (name, ...shape) => {
    shapes[`${name}.weight`] = shape;
    shapes[`${name}.bias`] = [shape[0]];
  };
  for (let l = 0; l < layers; l++) {
    part(`layers.${l}.norm_past`, width);
    part(`layers.${l}.past.project`, 3 * width, width);
    part(`layers.${l}.past.output`, width, width);
    part(`layers.${l}.norm_wide`, width);
    part(`layers.${l}.up`, 4 * width, width);
    part(`layers.${l}.down`, width, 4 * width);
  }
  part("norm", width);
  part("output", symbols, width);
  return shapes;
}

/**
 * Read a pack: gives `tensors`, `config` and `vocabulary`, the characters in the order of
 * their tokens. Throws an Error of one sentence for a file that is no such pack.
 */
export function loadDecoder(buffer) {
  const { about, ...rest } = readHeader(buffer);
  if (!DECODER_FORMATS.includes(about?.format) || about.kind !== "character") {
    throw new Error("this is not a pack of a character decoder");
  }
  const { config } = about;
  const vocabulary = Array.from(about.carried.vocabulary.characters);
  if (vocabulary.length !== config.symbols) {
    throw new Error(
      `the pack has ${vocabulary.length} characters for ${config.symbols} symbols: make it again`,
    );
  }
  const whole = ({ dtype, data_offsets: [from, to] }, count) =>
    to - from === count * { I8: 1, F16: 2, F32: 4 }[dtype] &&
    8 + rest.size + to <= buffer.byteLength;
  for (const [name, shape] of Object.entries(decoderShapes(config))) {
    const [found, scale] = [rest.header[name], rest.header[`${name}.scale`]];
    const count = shape.reduce((a, b) => a * b);
    const fits = found && String(found.shape) === String(shape) && whole(found, count);
    if (!fits || (found.dtype === "I8" && !(scale && whole(scale, shape[0])))) {
      throw new Error(`the pack is damaged at ${name}: load or make it again`);
    }
  }
  return { tensors: readTensors(buffer, rest), config, vocabulary };
}

/** The error function to 2e-7 (Abramowitz and Stegun 1964, 7.1.26). */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const terms =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - terms * Math.exp(-x * x));
}

/** A network that reads one character at a time and keeps the keys and values of those
 * that it has read. */
export class Decoder {
  constructor({ tensors, config, vocabulary }, { simd = hasSimd() } = {}) {
    Object.assign(this, { tensors, config, vocabulary });
    const { width, layers, block, symbols } = config;
    const bytes = Object.values(tensors).map(({ shape, data }) => {
      const rows = shape.length > 1 ? shape[0] : 1;
      return rows * padding(shape.at(-1)) * data.BYTES_PER_ELEMENT + 64;
    });
    const scratch = 4 * (8 * padding(width) + padding(4 * width) + symbols) + 1024;
    const math = new Arithmetic(bytes.reduce((a, b) => a + b, 0) + scratch, simd);
    const part = (name) => ({
      weight: math.matrix(tensors[`${name}.weight`], tensors[`${name}.weight.scale`]),
      bias: math.vector(tensors[`${name}.bias`].data),
    });
    const norm = (name) => ({
      gain: tensors[`${name}.weight`].data, bias: tensors[`${name}.bias`].data,
    });
    this.math = math;
    this.layers = Array.from({ length: layers }, (_, l) => ({
      normPast: norm(`layers.${l}.norm_past`),
      project: part(`layers.${l}.past.project`),
      output: part(`layers.${l}.past.output`),
      normWide: norm(`layers.${l}.norm_wide`),
      up: part(`layers.${l}.up`),
      down: part(`layers.${l}.down`),
      keys: new Float32Array(block * width), // (block, D), as are the values
      values: new Float32Array(block * width),
    }));
    this.norm = norm("norm");
    this.output = part("output");
    const vector = (length) => math.array(Float32Array, padding(length));
    this.scratch = {
      x: new Float32Array(width),
      normed: vector(width), // what lies beyond the width stays 0
      projected: vector(3 * width),
      mixed: vector(width),
      wide: vector(4 * width),
      added: vector(width),
      logits: vector(symbols),
    };
    this.steps = []; // of the characters in the cache: {token, logits, weights}
  }

  /**
   * Read one more character. Gives `logits`, the scores of the next one, and `weights`:
   * for each head, layer by layer, how much it reads from each character so far.
   *
   * Past the block it forgets the older half and reads the other again, as `step` does in
   * Python.
   */
  step(token) {
    const { block } = this.config;
    if (this.steps.length === block) {
      const kept = this.steps.slice(block - Math.floor(block / 2));
      this.steps = [];
      for (const one of kept) this.advance(one.token);
    }
    return this.advance(token);
  }

  /** The steps of a text of up to a block; its beginning is not read a second time. */
  read(tokens) {
    let same = 0;
    while (same < tokens.length && this.steps[same]?.token === tokens[same]) same += 1;
    this.steps.length = same;
    for (const token of tokens.slice(same)) this.step(token);
    return this.steps.slice();
  }

  /** One step at the next position of the cache. */
  advance(token) {
    const { width } = this.config;
    const { x, normed, projected, mixed, wide, added, logits } = this.scratch;
    const at = this.steps.length;
    const apply = ({ weight, bias }, from, to) => this.math.product(weight, from, bias, to);
    const add = () => {
      for (let i = 0; i < width; i++) x[i] += added[i];
    };
    const weights = [];
    x.fill(0);
    this.addRow("symbols", token);
    this.addRow("positions", at);
    for (const layer of this.layers) {
      this.normalise(layer.normPast);
      apply(layer.project, normed, projected);
      layer.keys.set(projected.subarray(width, 2 * width), at * width);
      layer.values.set(projected.subarray(2 * width, 3 * width), at * width);
      weights.push(...this.attend(layer, at));
      apply(layer.output, mixed, added);
      add();
      this.normalise(layer.normWide);
      apply(layer.up, normed, wide);
      for (let i = 0; i < 4 * width; i++) {
        wide[i] *= 0.5 * (1 + erf(wide[i] * Math.SQRT1_2)); // GELU
      }
      apply(layer.down, wide, added);
      add();
    }
    this.normalise(this.norm);
    apply(this.output, normed, logits);
    const made = { token, logits: logits.slice(0, this.config.symbols), weights };
    this.steps.push(made);
    return made;
  }

  /** Add a row of an embedding to x. */
  addRow(name, row) {
    const { x } = this.scratch;
    const weights = this.tensors[`${name}.weight`].data;
    const scale = this.tensors[`${name}.weight.scale`]?.data[row] ?? 1;
    for (let i = 0; i < x.length; i++) x[i] += scale * weights[row * x.length + i];
  }

  /** x with mean 0 and variance 1, times a gain and plus a bias, into `normed`. */
  normalise({ gain, bias }) {
    const { x, normed } = this.scratch;
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
    const share = 1 / Math.sqrt(variance + NORM_EPSILON);
    for (let i = 0; i < x.length; i++) normed[i] = (x[i] - mean) * share * gain[i] + bias[i];
  }

  /** The values of the positions up to `at`, averaged by each head, into `mixed`; gives
   * the weights, one array a head. */
  attend({ keys, values }, at) {
    const { width, heads } = this.config;
    const { projected, mixed } = this.scratch;
    const size = width / heads;
    mixed.fill(0);
    return Array.from({ length: heads }, (_, h) => {
      const scores = new Float32Array(at + 1);
      for (let s = 0; s <= at; s++) {
        let sum = 0;
        for (let i = h * size; i < (h + 1) * size; i++) sum += projected[i] * keys[s * width + i];
        scores[s] = sum / Math.sqrt(size);
      }
      const weights = softmax(scores, 1);
      for (let s = 0; s <= at; s++) {
        for (let i = h * size; i < (h + 1) * size; i++) {
          mixed[i] += weights[s] * values[s * width + i];
        }
      }
      return weights;
    });
  }
}

/** Probabilities from scores; those that are not `allowed`, if it is given, get none. */
export function softmax(scores, temperature, allowed = null) {
  const may = (i) => !allowed || allowed[i];
  const top = scores.reduce((most, one, i) => (may(i) ? Math.max(most, one) : most), -Infinity);
  const p = scores.map((one, i) => (may(i) ? Math.exp((one - top) / temperature) : 0));
  const sum = p.reduce((a, b) => a + b, 0);
  return p.map((one) => one / sum);
}

/** The index that a number in [0, 1) draws from probabilities. */
export function drawIndex(p, number) {
  let last = 0;
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    if (!p[i]) continue;
    last = i;
    sum += p[i];
    if (number < sum) return i;
  }
  return last; // rounding may leave the sum below 1
}

/** Whether a text has come to the end of a sentence and the space after it. */
export function endsSentence(text) {
  const end = /[.!?]["')]*\s$/; // and a lookbehind would stop older browsers
  return end.test(text) && !/(\bFig|\b[ei]\.[ge])[.!?]["')]*\s$/.test(text);
}

/**
 * A sentence that the hand can write, as `compose(hand=True, sentence=True)` composes it
 * in Python, though of other random numbers. It lets the page breathe in between.
 */
export async function composeSentence(
  decoder,
  { characters = 200, temperature = 0.8, seed = 1, redraws = 10 } = {},
) {
  const { vocabulary } = decoder;
  const start = ["\n", " "].find((one) => vocabulary.includes(one));
  if (!start) throw new Error("the network that composes knows no space");
  const allowed = vocabulary.map((one) => one === "\n" || (one >= " " && one <= "~"));
  let said = "";
  let until = 0;
  const breathe = async () => {
    if (performance.now() < until) return;
    await new Promise((resolve) => setTimeout(resolve));
    until = performance.now() + FRAME;
  };
  for (let draw = 1; draw <= redraws + 1; draw++) {
    const uniform = uniformNumbers(seed, 0, draw);
    let { logits } = decoder.read([vocabulary.indexOf(start)])[0];
    said = "";
    for (let k = 0; k <= characters; k++) { // the last shows the end
      await breathe();
      const token = drawIndex(softmax(logits, temperature, allowed), uniform());
      said += vocabulary[token];
      if (said.trim() && endsSentence(said)) return said.trim();
      if (vocabulary[token] === "\n") break;
      logits = decoder.step(token).logits;
    }
  }
  if (said.length <= characters) return said.trim();
  const cut = said.slice(0, characters);
  return (cut.slice(0, Math.max(0, cut.lastIndexOf(" "))) || cut).trim();
}

/** The decoder of a pack, as soon as it is there. */
async function fetchDecoder(pack) {
  return new Decoder(loadDecoder(await packBytes(pack)));
}
