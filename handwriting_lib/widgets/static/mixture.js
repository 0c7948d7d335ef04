// A mixture of bivariate Gaussians by hand, with the bias of sampling and drawn points.
//
// data: components ([weight, mu x, mu y, sigma x, sigma y, rho], one a component).

const DRAWN = 300;

/** Components as they are drawn from with a bias: eqs 61 and 62 of the paper. */
function sharpen(parts, b) {
  const raised = parts.map(([weight]) => weight ** (1 + b));
  const total = raised.reduce((sum, weight) => sum + weight, 0) || 1;
  return parts.map(([, x, y, sx, sy, rho], k) => ({
    pi: raised[k] / total, x, y, sx: sx * Math.exp(-b), sy: sy * Math.exp(-b), rho,
  }));
}

function drawPoints(mixture, seed) {
  const random = randomNumbers(seed);
  return Array.from({ length: DRAWN }, () => {
    let left = random();
    const one = mixture.find((part) => (left -= part.pi) < 0) ?? mixture.at(-1);
    const length = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    return placeIn(one, length * Math.cos(angle), length * Math.sin(angle));
  });
}

export function mount(host, data) {
  const stage = open(host);
  const parts = data.components.map((part) => [...part]);
  let chosen = 0;
  let draws = 0;

  const plane = picture(stage, {
    label: "Density of a mixture of Gaussians in the plane, with an ellipse a component",
    height: (width) => Math.min(width, 380),
    draw(context, { width, height, colors }) {
      const { reach, X, Y } = planeAxes(context, { width, height, colors });
      const mixture = sharpen(parts, bias.value);
      drawMixture(context, { width, height, colors }, mixture, reach);
      if (draws) {
        for (const [x, y] of drawPoints(mixture, draws)) dot(context, X(x), Y(y), 1.6, colors.ink);
      }
      mixture.forEach((one, k) => {
        const points = edgeOf(one).map(([x, y]) => [X(x), Y(y)]);
        const color = colors[MIXTURE_COLORS[k % 3]];
        drawCurve(context, points, { color, width: k === chosen ? 3 : 1.5 });
        dot(context, X(one.x), Y(one.y), k === chosen ? 5 : 3, color);
      });
    },
  });
  onDrag(plane.element, ({ x, y, width, height }) => {
    const scale = (2 * LIMIT) / height;
    set(1, scale * (x - width / 2));
    set(2, scale * (height / 2 - y));
  });

  const number = (v) => v.toFixed(2).replace("-", "−");
  const control = (name, at, min, max) => slider({
    label: name, min, max, step: 0.01, value: parts[0][at], format: number,
    onInput: (value) => set(at, value),
  });
  const sliders = [
    control("weight", 0, 0.01, 1),
    control("μ x", 1, -LIMIT, LIMIT),
    control("μ y", 2, -LIMIT, LIMIT),
    control("σ x", 3, 0.05, 2),
    control("σ y", 4, 0.05, 2),
    control("ρ", 5, -0.98, 0.98),
  ];
  function set(at, value) {
    const { min, max } = sliders[at].input;
    parts[chosen][at] = Math.max(Number(min), Math.min(Number(max), value));
    show();
  }
  const shares = node("div", { class: "note" });
  function show() {
    sliders.forEach((one, at) => (one.value = parts[chosen][at]));
    const pi = sharpen(parts, bias.value).map((one) => `${Math.round(100 * one.pi)}\u00a0%`);
    shares.textContent = `Shares π of the components: ${pi.join(", ")}`;
    plane.redraw();
  }
  const bias = slider({
    label: "bias b", min: 0, max: 3, step: 0.05, value: 0, format: number, onInput: show,
  });
  const choice = select({
    label: "Component", value: "0",
    options: parts.map((_, k) => [String(k), String(k + 1)]),
    onChange(value) {
      chosen = Number(value);
      show();
    },
  });
  const draw = button({
    label: `Draw ${DRAWN} points`,
    onClick() {
      draws += 1;
      plane.redraw();
    },
  });
  const controls = node(
    "div", {},
    node("div", { class: "bar" }, draw, choice.element),
    node("div", { class: "row" }, sliders.map((one) => one.element), bias.element),
    shares,
  );
  const panel = node("div", { class: "panel" }, plane.element);
  stage.root.append(node("div", { class: "both" }, panel, controls));
  show();
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
