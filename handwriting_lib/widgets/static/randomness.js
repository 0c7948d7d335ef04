// torch's randomness in the page: a seed draws here what it draws in Python. This follows
// torch's generator on a CPU (MT19937), and what torch.rand and torch.randn make of it in
// float32; a test compares the numbers.

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

/** What `torch.rand((), generator=line_generator(seed, position, draw))` gives in Python,
 * again and again. */
export function uniformNumbers(seed, position, draw) {
  const digest = sha256(`${seed} ${position} ${draw}`);
  const next = twister(((digest[0] << 24) | (digest[1] >>> 8)) >>> 0); // bytes 3 to 6
  return () => (next() & 0xffffff) / 2 ** 24;
}

/** What `draw_noise((n,), line_generator(seed, position, draw), float32)` gives in
 * Python, for n of 8 and more: `(n, 4)`, row by row. */
export function drawNoise(n, seed, position, draw) {
  const uniform = uniformNumbers(seed, position, draw);
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
