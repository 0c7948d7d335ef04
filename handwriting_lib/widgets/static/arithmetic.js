// What a network computes: matrices times vectors and LSTM cells, in WebAssembly with
// 128-bit SIMD, or in plain JavaScript where a page has none.

/** An unsigned number as LEB128. */
function leb(number) {
  const bytes = [];
  do {
    bytes.push((number & 127) | (number > 127 ? 128 : 0));
    number >>>= 7;
  } while (number);
  return bytes;
}

/**
 * A WebAssembly module, put together from its instructions. Arguments are addresses,
 * but for numbers of rows, columns and bytes and for a weight. It exports
 *
 * - `product(W, x, b, y, rows, columns)`: y = W x + b, W in float32,
 * - `product8(W, x, b, y, rows, columns, scale)`: y = scale (W x) + b, W in int8 with a
 *   scale a row; y may be b, and columns are a multiple of 16,
 * - `addColumn(column, y, end, weight)`: y = y + weight column, up to the address `end`,
 * - `cells(z, h, c, peephole, bytes)`: from the gates' inputs to the new h and c, in
 *   place; `bytes` of a vector h, a multiple of 16.
 */
function kernel() {
  const [I32, F32, V128] = [0x7f, 0x7d, 0x7b];
  const get = (local) => [0x20, local];
  const set = (local) => [0x21, local];
  const tee = (local) => [0x22, local];
  const int = (n) => [0x41, n < 64 ? n : [(n & 127) | 128, n >> 7]]; // below 8192
  const [add, sub, mul, shl, below] = [0x6a, 0x6b, 0x6c, 0x74, 0x49];
  const float = { load: [0x2a, 2, 0], store: [0x38, 2, 0], plus: 0x92, times: 0x94 };
  const call = (index) => [0x10, index];
  const loop = (...body) => [0x03, 0x40, body, 0x0b];
  const again = [0x0d, 0]; // when what lies on the stack is not 0
  const advance = (local, n) => [get(local), int(n), add, set(local)];
  const simd = (code, ...rest) => [0xfd, leb(code), rest];
  const load = (offset = 0) => simd(0, 0, offset);
  const store = simd(11, 0, 0);
  const lane = (i) => simd(31, i);
  const four = (x, Type = Float32Array) =>
    simd(12, Array.from(new Uint8Array(new Type(4).fill(x).buffer)));
  const [plus, minus, times, over, least, most] =
    [0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9].map((code) => simd(code));

  const product = (int8) => {
    // arguments, then: the end of x, a place in x, int16 weights, four sums
    const [W, X, B, Y, ROWS, COLUMNS, SCALE, END, AT, Q, ...SUMS] = Array(14).keys();
    const part = (sum, weights, offset) =>
      [get(sum), weights, get(AT), load(offset), times, plus, set(sum)];
    const wide = (half) => [get(Q), simd(half), simd(0xfa)]; // of int16, to float32
    const four32 = (k) => part(SUMS[k], [get(W), load(16 * k)], 16 * k);
    const eight8 = (k) => [
      get(W), simd(1, 0, 8 * k), set(Q),
      part(SUMS[2 * k], wide(0xa7), 32 * k),
      part(SUMS[2 * k + 1], wide(0xa8), 32 * k + 16),
    ];
    return {
      locals: [2, I32, 5, V128],
      body: [
        get(X), get(COLUMNS), int(2), shl, add, set(END),
        loop( // a row
          SUMS.map((sum) => [four(0), set(sum)]), get(X), set(AT),
          loop( // sixteen columns, in four sums, or each would wait for the last
            int8 ? [0, 1].map(eight8) : [0, 1, 2, 3].map(four32),
            advance(W, int8 ? 16 : 64), advance(AT, 64),
            get(AT), get(END), below, again,
          ),
          get(SUMS[0]), get(SUMS[1]), plus, get(SUMS[2]), get(SUMS[3]), plus, plus,
          set(Q), get(Y),
          get(Q), lane(0), get(Q), lane(1), float.plus,
          get(Q), lane(2), get(Q), lane(3), float.plus, float.plus,
          int8 ? [get(SCALE), float.load, float.times, advance(SCALE, 4)] : [],
          get(B), float.load, float.plus, float.store,
          advance(B, 4), advance(Y, 4),
          get(ROWS), int(1), sub, tee(ROWS), again,
        ),
      ],
    };
  };

  const [COLUMN, Y, END, WEIGHT] = Array(4).keys();
  const addColumn = {
    locals: [],
    body: loop(
      get(Y),
      get(Y), load(), get(COLUMN), load(), get(WEIGHT), simd(0x13), times, plus,
      store, advance(COLUMN, 16), advance(Y, 16), get(Y), get(END), below, again,
    ),
  };

  // e^x = 2^n e^r with |r| at most log(2) / 2, where seven terms are enough
  const [X, N] = Array(2).keys();
  let terms = four(1 / 5040);
  for (const k of [720, 120, 24, 6, 2, 1, 1]) {
    terms = [terms, get(X), times, four(1 / k), plus];
  }
  const exp = {
    locals: [1, V128],
    body: [
      get(X), four(87), least, four(-87), most, tee(X),
      four(Math.LOG2E), times, simd(0x6a), set(N),
      get(X), get(N), four(0.693359375), times, minus, // log(2) in two parts
      get(N), four(Math.LN2 - 0.693359375), times, minus, set(X), terms,
      get(N), simd(0xf8), four(127, Int32Array), simd(0xae), int(23), simd(0xab), times,
    ],
  };

  const [Z, H, C, PEEPHOLE, BYTES, AT, CELL] = Array(7).keys();
  const at = (base, row = 0) => [get(base), get(BYTES), int(row), mul, add, get(AT), add];
  const take = (base, row) => [at(base, row), load()];
  const gate = (row, peephole, cell) =>
    [take(Z, row), take(PEEPHOLE, peephole), cell, times, plus];
  const sigmoid = (x) => [four(1), four(1), four(0), x, minus, call(3), plus, over];
  const tanh = (x) =>
    [four(1), four(2), four(1), x, four(2), times, call(3), plus, over, minus];
  const cells = {
    locals: [1, I32, 1, V128],
    body: loop(
      at(C),
      sigmoid(gate(1, 1, take(C))), take(C), times,
      sigmoid(gate(0, 0, take(C))), tanh(take(Z, 2)), times, plus, tee(CELL), store,
      at(H), sigmoid(gate(3, 2, get(CELL))), tanh(get(CELL)), times, store,
      advance(AT, 16), get(AT), get(BYTES), below, again,
    ),
  };

  const list = (items) => [leb(items.length), items].flat(Infinity);
  const name = (text) => list([...text].map((letter) => letter.charCodeAt(0)));
  const section = (code, items) => [code, list(list(items))];
  const type = (from, to) => [0x60, list(from), list(to)];
  const code = ({ locals, body }) =>
    list([locals.length / 2, locals, body, 0x0b].flat(Infinity));
  const exported = ["product", "product8", "addColumn", "exp", "cells"];
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    section(1, [
      type(Array(7).fill(I32), []), type([I32, I32, I32, F32], []), type([V128], [V128]),
      type(Array(5).fill(I32), []),
    ]),
    section(2, [[name("e"), name("memory"), 2, 0, 1]]),
    section(3, [0, 0, 1, 2, 3]),
    section(7, exported.map((one, index) => [name(one), 0, index])),
    section(10, [product(false), product(true), addColumn, exp, cells].map(code)),
  ].flat(Infinity));
}

/** The compiled kernel; null where there is no SIMD, or where a page's policy forbids
 * WebAssembly. */
function compile() {
  try {
    return new WebAssembly.Module(kernel());
  } catch {
    return null;
  }
}

/** Whether the engine can use WebAssembly with SIMD here. */
export function hasSimd() {
  return compile() !== null;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const tanh = (x) => 1 - 2 / (1 + Math.exp(2 * x)); // faster than Math.tanh
const padding = (columns) => Math.ceil(columns / 16) * 16;

/** Vectors and matrices in one memory of so many bytes, and what is done with them. */
class Arithmetic {
  constructor(bytes, simd) {
    const pages = Math.ceil(bytes / 65536) + 1;
    this.memory = simd ? new WebAssembly.Memory({ initial: pages }) : null;
    this.buffer = simd ? this.memory.buffer : new ArrayBuffer(pages * 65536);
    this.free = 64;
    if (simd) {
      const imports = { e: { memory: this.memory } };
      this.code = new WebAssembly.Instance(compile(), imports).exports;
    }
  }

  /** Zeros, aligned to 64 bytes. */
  array(Type, length) {
    const made = new Type(this.buffer, this.free, length);
    this.free += Math.ceil((length * Type.BYTES_PER_ELEMENT) / 64) * 64;
    return made;
  }

  vector(data) {
    const made = this.array(Float32Array, data.length);
    made.set(data);
    return made;
  }

  /** A pack's matrix without its first columns, each row padded to a multiple of 16. */
  matrix({ shape: [rows, columns], data }, scale, first = 0) {
    const padded = padding(columns - first);
    const values = this.array(data.constructor, rows * padded);
    for (let r = 0; r < rows; r++) {
      const row = data.subarray(r * columns + first, (r + 1) * columns);
      values.set(row, r * padded);
    }
    return { rows, columns: padded, values, scale: scale && this.vector(scale.data) };
  }

  /** The first columns of a pack's matrix, each a vector. */
  columns({ shape: [rows, columns], data }, scale, count) {
    return Array.from({ length: count }, (_, c) => {
      const column = this.array(Float32Array, rows);
      for (let r = 0; r < rows; r++) {
        column[r] = data[r * columns + c] * (scale ? scale.data[r] : 1);
      }
      return column;
    });
  }

  /** y = W x + b; x has W's padded number of columns, y may be b. */
  product(W, x, b, y) {
    const { rows, columns, values, scale } = W;
    if (this.code) {
      const multiply = scale ? this.code.product8 : this.code.product;
      multiply(
        values.byteOffset, x.byteOffset, b.byteOffset, y.byteOffset, rows, columns,
        scale ? scale.byteOffset : 0,
      );
      return;
    }
    for (let r = 0, k = 0; r < rows; r++) {
      let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
      for (let c = 0; c < columns; c += 4, k += 4) {
        sum0 += values[k] * x[c];
        sum1 += values[k + 1] * x[c + 1];
        sum2 += values[k + 2] * x[c + 2];
        sum3 += values[k + 3] * x[c + 3];
      }
      const sum = sum0 + sum1 + sum2 + sum3;
      y[r] = b[r] + (scale ? scale[r] * sum : sum);
    }
  }

  /** y = y + weight column; most columns of a window are read with a weight of 0. */
  addColumn(column, y, weight) {
    if (weight === 0) return;
    if (this.code && y.length % 4 === 0) {
      const end = y.byteOffset + 4 * y.length;
      this.code.addColumn(column.byteOffset, y.byteOffset, end, weight);
      return;
    }
    for (let r = 0; r < y.length; r++) y[r] += weight * column[r];
  }

  /** From the gates' inputs i, f, g, o to the new `h` and `c` (eqs 7 to 11). */
  cells(z, h, c, peephole) {
    const H = c.length;
    if (this.code && H % 4 === 0) {
      const where = [z, h, c, peephole].map((one) => one.byteOffset);
      this.code.cells(...where, 4 * H);
      return;
    }
    for (let k = 0; k < H; k++) {
      const i = sigmoid(z[k] + peephole[k] * c[k]);
      const f = sigmoid(z[H + k] + peephole[H + k] * c[k]);
      const cell = f * c[k] + i * tanh(z[2 * H + k]);
      c[k] = cell;
      h[k] = sigmoid(z[3 * H + k] + peephole[2 * H + k] * cell) * tanh(cell);
    }
  }
}
