// How a network goes on from any point: a state, and the output that belongs to it.

/** Two numbers that are even in [0, 1) and two that are normal, for a draw. */
function fourNumbers(random) {
  const radius = Math.sqrt(-2 * Math.log(1 - random()));
  const angle = 2 * Math.PI * random();
  return [random(), random(), radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** What is known after a point that an engine reads: `state` is changed in place. */
function after(engine, state, indices, point) {
  const { output } = engine.step(state, indices, point);
  return { state: engine.start(state), output: output.slice() };
}

/** Positions `[x, y, end]` in letter bodies, read by an engine: what is known after each. */
function* readPoints(engine, points, indices) {
  const { mean, std } = engine;
  const state = engine.start();
  let [x0, y0] = points[0];
  for (const [i, [x, y, end]] of points.entries()) {
    const moved = [(x - x0 - mean[0]) / std[0], (y - y0 - mean[1]) / std[1], end];
    yield after(engine, state, indices, i ? moved : [0, 0, end]);
    [x0, y0] = [x, y];
  }
}

/** Points `{x, y, end}` that follow a place, without end, each with what is known after it. */
function* goOn(engine, { x, y, known }, { indices = [], bias, random }) {
  const { mean, std } = engine;
  const state = engine.start(known.state);
  for (;;) {
    const point = samplePoint(mixtureOf(known.output, bias), fourNumbers(random));
    x += point[0] * std[0] + mean[0];
    y += point[1] * std[1] + mean[1];
    known = after(engine, state, indices, point);
    yield { x, y, end: point[2], known };
  }
}

/** Do a work in pieces that leave the page free: `step()` until it gives false, `most()`
 * times a frame at the most. */
function inFrames(stage, step, most = () => Infinity) {
  let frame = 0;
  const tick = () => {
    const until = performance.now() + FRAME;
    frame = 0;
    for (let left = most(); step(); left -= 1) {
      if (left > 1 && performance.now() < until) continue;
      frame = requestAnimationFrame(tick);
      return;
    }
  };
  const stop = () => cancelAnimationFrame(frame);
  stage.closing.push(stop);
  return () => {
    stop();
    frame = requestAnimationFrame(tick);
  };
}

/** The engine of a pack, once an element is about to be seen: a page loads no weights that
 * nobody looks at. */
async function engineWhenNear(element, pack) {
  await new Promise((resolve) => {
    const watch = new IntersectionObserver(
      (seen) => {
        if (!seen.some(({ isIntersecting }) => isIntersecting)) return;
        watch.disconnect();
        resolve();
      },
      { rootMargin: "800px" },
    );
    watch.observe(element);
  });
  return loadEngine(pack);
}
