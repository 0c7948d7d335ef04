// EM step by step: shares of components in steps of a pen, and means that can be dragged.
//
// data: x, y (the steps), box [left, right, bottom, top] that is shown, start (means).

// As in densities.py.
const EM_COLORS = ["#0072b2", "#ba5100", "#00805c", "#a8508a", "#c08a00", "#1f9bb0"];
const ROUNDS = 60; // that Play goes
const FLAT = 1e-12; // the determinant of a covariance that has collapsed

/** A component with the covariance [[a, b], [b, c]]. */
const component = (pi, x, y, [a, b, c]) => ({
  pi, x, y, a, b, c, sx: Math.sqrt(a), sy: Math.sqrt(c), rho: b / Math.sqrt(a * c),
});

/** Mean and covariance of steps, each with a weight. */
function moments(x, y, weight) {
  let [n, mx, my] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    n += weight(i);
    mx += weight(i) * x[i];
    my += weight(i) * y[i];
  }
  mx /= n;
  my /= n;
  let [a, b, c] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    const [dx, dy, w] = [x[i] - mx, y[i] - my, weight(i) / n];
    a += w * dx * dx;
    b += w * dx * dy;
    c += w * dy * dy;
  }
  return { n, mx, my, covariance: [a, b, c] };
}

/** Components of equal weight at these means, each as wide as all steps. */
function begin(x, y, means) {
  const { covariance } = moments(x, y, () => 1);
  return means.map(([mx, my]) => component(1 / means.length, mx, my, covariance));
}

/** The E-step: the responsibilities `gamma`, step by step, and the nats per step. */
function shareOut(x, y, parts) {
  const M = parts.length;
  const gamma = new Float64Array(x.length * M);
  let nats = 0;
  for (let i = 0; i < x.length; i++) {
    const logs = parts.map(({ pi, x: mx, y: my, a, b, c }) => {
      const [dx, dy, det] = [x[i] - mx, y[i] - my, a * c - b * b];
      const square = (c * dx * dx - 2 * b * dx * dy + a * dy * dy) / det;
      return Math.log(pi) - square / 2 - Math.log(det) / 2 - Math.log(2 * Math.PI);
    });
    const top = Math.max(...logs);
    const total = logs.reduce((sum, one) => sum + Math.exp(one - top), 0);
    logs.forEach((one, j) => (gamma[i * M + j] = Math.exp(one - top) / total));
    nats += (top + Math.log(total)) / x.length;
  }
  return { gamma, nats };
}

/** The M-step: each component takes the moments of its shares. */
function move(x, y, gamma, M) {
  return Array.from({ length: M }, (_, j) => {
    const { n, mx, my, covariance } = moments(x, y, (i) => gamma[i * M + j]);
    return component(n / x.length, mx, my, covariance);
  });
}

export function mount(host, data) {
  const stage = open(host);
  const [x, y] = [unpack(data.x), unpack(data.y)];
  const [left, right, bottom, top] = data.box;
  let start = data.start;
  let seed = 0;
  let parts = [];
  let gamma = null; // null before an E-step, and again after an M-step
  let curve = []; // nats per step, one a round
  let chosen = 0;

  const rgb = EM_COLORS.map((color) => ramp([color, color])[0]);
  const mixed = (i) => {
    const shares = parts.map((_, j) => gamma[i * parts.length + j]);
    const part = (c) => Math.round(shares.reduce((sum, share, j) => sum + share * rgb[j][c], 0));
    return `rgb(${part(0)} ${part(1)} ${part(2)})`;
  };
  const tall = (width) => Math.min((width * (top - bottom)) / (right - left), 400);
  const plane = picture(stage, {
    label: "Steps of a pen, coloured by the components that claim them, and the components",
    height: tall,
    draw(context, { width, height, colors }) {
      const reach = ((top - bottom) * width) / height / 2; // as much to the right as there is room
      const middle = (left + right) / 2;
      const { X, Y } = axes(context, {
        width, height, colors, x: [middle - reach, middle + reach], y: [bottom, top],
        xTicks: [-1, 0, 1, 2], yTicks: [-1, 0, 1, 2], pad: [0, 0, 0, 0],
      });
      plane.back = (px, py) => [middle + reach * ((2 * px) / width - 1), top - (py / height) * (top - bottom)];
      for (let i = 0; i < x.length; i++) {
        context.fillStyle = gamma ? mixed(i) : colors.faint;
        context.fillRect(X(x[i]) - 1, Y(y[i]) - 1, 2, 2);
      }
      parts.forEach((one, j) => {
        const points = edgeOf(one).map(([u, v]) => [X(u), Y(v)]);
        const color = EM_COLORS[j];
        drawCurve(context, points, { color: colors.surface, width: 4 + 6 * one.pi });
        drawCurve(context, points, { color, width: 1.5 + 6 * one.pi });
        dot(context, X(one.x), Y(one.y), 7, colors.surface);
        dot(context, X(one.x), Y(one.y), j === chosen ? 6 : 4, color);
      });
    },
  });
  onDrag(plane.element, ({ x: px, y: py, begins }) => {
    const place = plane.back(px, py);
    if (begins) {
      const gap = (one) => Math.hypot(one.x - place[0], one.y - place[1]);
      chosen = parts.reduce((best, one, j) => (gap(one) < gap(parts[best]) ? j : best), 0);
    }
    put(...place);
  });

  const nats = picture(stage, {
    label: "The log-likelihood, in nats per step, over the rounds",
    height: 150,
    draw(context, { width, height, colors }) {
      const low = curve.length ? Math.min(...curve) - 0.05 : -1;
      const high = curve.length ? Math.max(...curve, low + 0.5) : 0;
      const step = curve.length > 50 ? 20 : curve.length > 20 ? 10 : 5;
      const last = Math.max(10, curve.length - 1);
      const ticks = [];
      for (let v = Math.ceil(low / 0.2) * 0.2; v <= high; v += 0.2) ticks.push(Number(v.toFixed(1)));
      const { X, Y } = axes(context, {
        width, height, colors, x: [0, last], y: [low, high], yTicks: ticks, pad: [10, 12, 22, 40],
        xTicks: Array.from({ length: Math.floor(last / step) + 1 }, (_, k) => k * step),
      });
      drawCurve(context, curve.map((v, k) => [X(k), Y(v)]), { color: colors.ink, width: 2 });
      if (curve.length) dot(context, X(curve.length - 1), Y(curve.at(-1)), 4, colors.vermillion);
    },
  });

  // --- what moves ---

  const expect = () => {
    const found = shareOut(x, y, parts);
    gamma = found.gamma;
    curve.push(found.nats);
    show();
  };
  const maximise = () => {
    parts = move(x, y, gamma, parts.length);
    gamma = null;
    const flat = parts.findIndex(({ a, b, c }) => !(a * c - b * b > FLAT));
    show();
    if (flat < 0) return true;
    say(`Component ${flat + 1} has collapsed onto a point or a line. Start again.`, true);
    broken = true;
    show();
    return false;
  };
  let broken = false;
  const round = () => {
    if (!gamma) expect();
    if (maximise()) expect();
  };
  const put = (mx, my) => {
    const { a, b, c, pi } = parts[chosen];
    walk.pause();
    parts[chosen] = component(pi, mx, my, [a, b, c]);
    gamma = null;
    say("Moved by hand: the shares have to be worked out anew.");
    show();
  };
  const reset = () => {
    walk.seek(0);
    parts = begin(x, y, start.slice(0, many.value));
    [gamma, curve, broken] = [null, [], false];
    chosen = Math.min(chosen, parts.length - 1);
    say("");
    show();
  };
  const another = () => {
    const random = randomNumbers((seed += 1));
    start = EM_COLORS.map(() => Math.floor(random() * x.length)).map((i) => [x[i], y[i]]);
    reset();
  };

  // --- controls ---

  const { element: said, say } = notice();
  const steps = [
    button({ label: "E-step", describe: "E-step: share out the steps", onClick: () => expect() }),
    button({ label: "M-step", describe: "M-step: move the components", onClick: () => maximise() }),
  ];
  const play = playButton(() => walk.toggle());
  // A finished walk begins anew; each step of it is a round.
  const walk = clock({
    stage, length: ROUNDS + 1, rate: () => 8, onState: play.show,
    onStep(at) {
      for (; walk.done < at && !broken; walk.done += 1) round();
      walk.done = at;
      if (broken && at) walk.pause();
    },
  });
  walk.done = 0;
  const many = slider({
    label: "Components", min: 1, max: EM_COLORS.length, step: 1, value: start.length,
    onInput: () => reset(),
  });
  const place = (label, low, high, of) => slider({
    label, min: low, max: high, step: 0.01, value: 0, format: (v) => v.toFixed(2).replace("-", "−"),
    onInput: () => put(sides[0].value, sides[1].value),
  });
  const sides = [place("μ x", left, right), place("μ y", bottom, top)];
  const options = EM_COLORS.map((_, j) => [String(j), String(j + 1)]);
  const choice = select({
    label: "Component", value: "0", options,
    onChange(value) {
      chosen = Math.min(Number(value), parts.length - 1);
      show();
    },
  });
  const numbers = node("output", { class: "note" });
  function show() {
    const { x: mx, y: my } = parts[chosen];
    [sides[0].value, sides[1].value] = [mx, my];
    choice.value = String(chosen);
    steps[0].disabled = gamma !== null || broken;
    steps[1].disabled = gamma === null || broken;
    play.element.disabled = broken;
    const weights = parts.map(({ pi }) => pi.toFixed(2)).join(", ");
    const state = curve.length
      ? `Round ${curve.length - 1}: ${curve.at(-1).toFixed(3).replace("-", "−")} nats per step. `
      : "";
    numbers.textContent = `${state}Weights: ${weights}.`;
    plane.redraw();
    nats.redraw();
  }

  const side = node(
    "div", {},
    node("div", { class: "bar" }, steps, play.element),
    node(
      "div", { class: "bar" },
      button({ label: "Start again", onClick: reset }),
      button({ label: "Another start", onClick: another }),
    ),
    numbers,
    node("div", { class: "panel" }, node("div", { class: "title" }, "Nats per step, over the rounds"), nats.element),
    node("div", { class: "row" }, many.element),
    node("div", { class: "bar" }, choice.element),
    node("div", { class: "row" }, sides.map((one) => one.element)),
  );
  const panel = node("div", { class: "panel" }, plane.element);
  stage.root.append(node("style", {}, EM_STYLE), node("div", { class: "both" }, panel, side), said);
  reset();
  return stage.close;
}

const EM_STYLE = `
.both > div > * + * { margin-top: 8px; }
.both output { display: block; }
`;

export default { render: ({ model, el }) => mount(el, model.get("data")) };
