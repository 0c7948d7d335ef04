// A line of ink as a prime: what `make_style` of writing/styles.py does, in the page.
// points.js scales and thins the ink.

const SHORT_OF_THE_END = 2; // as in writing/styles.py
const DARK = 0.1; // the weight of all characters, once the window has left the text
// Nats per point, in letter-body heights. Lines by 24 writers that the network had not met
// cost -4.3 to -0.6, with jitter of .05 heights up to 1.3, with .1 at least 2.2
// (book/data/12_own_hand.json).
const UNLIKELY = 1.5;

/** Strokes as the points that the network reads: `make_style` says how. */
function primePoints({ mean, std, thinning }, strokes) {
  const raw = offsetsOf(strokes);
  const factor = single(1 / (bodyHeight(raw) || 1));
  const scaled = raw.map(([dx, dy, end]) => [single(dx * factor), single(dy * factor), end]);
  const ink = differences(thinned(positionsOf(scaled), thinning));
  const normal = (value, axis) =>
    single(single(value - single(mean[axis])) / single(std[axis]));
  const points = ink.map(([dx, dy, end], i) =>
    i ? [normal(dx, 0), normal(dy, 1), end] : [0, 0, end],
  );
  points.at(-1)[2] = 1;
  return points;
}

/**
 * A line that an engine reads, one point with each `step()`, until `done`. Then `style` is
 * what `Engine.start` goes on from, and `problem` says why it should not, "" if it should.
 */
class Priming {
  constructor(engine, strokes, text) {
    Object.assign(this, { engine, text: text.trimEnd(), read: 0, cost: 0, phi: null });
    // the text continues, so there is no end slot yet
    this.indices = encode(`${this.text} `).slice(0, -1);
    this.points = primePoints(engine, strokes);
    if (this.points.length < 2) {
      throw new Error("A single point does not show a hand: write the whole line.");
    }
    this.state = engine.start();
  }

  get done() {
    return this.read === this.points.length - 1;
  }

  step() {
    const { engine, state, indices, points } = this;
    const { output, phi } = engine.step(state, indices, points[this.read]);
    this.read += 1;
    this.phi = phi;
    this.cost -= logDensity(mixtureOf(output), points[this.read]);
  }

  /** What the ink cost, in nats per point, in letter-body heights. */
  get nats() {
    const [stdX, stdY] = this.engine.std;
    return this.cost / this.read + Math.log(stdX * stdY);
  }

  get style() {
    return { prime: `${this.text} `, ...this.state, point: this.points.at(-1) };
  }

  get problem() {
    const at = largest(this.phi);
    const weight = this.phi.reduce((a, b) => a + b);
    if (this.nats > UNLIKELY) {
      return (
        `The network did not expect this ink (${signed(this.nats)} nats per point, above ` +
        `${signed(UNLIKELY)}): the pen shook, or this is not the line.`
      );
    }
    if (weight < DARK) {
      return "The network had left the text before the ink ended: the ink says more than the line.";
    }
    if (at < this.text.length - 1 - SHORT_OF_THE_END) {
      return (
        `When the ink ended, the network had come to “${this.text[at]}”, character ` +
        `${at + 1} of ${this.text.length}: the ink says less than the line, or is hard to read.`
      );
    }
    return "";
  }
}

/** A number with one decimal and a proper minus. */
const signed = (number) => number.toFixed(1).replace("-", "−");
