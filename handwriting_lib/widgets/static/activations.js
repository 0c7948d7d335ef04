// Activation shapes: what weight and bias do to a unit f(w x + b).
//
// data: weight, bias (where the sliders start).

const SHAPES = [
  ["sigmoid", "blue", (z) => 1 / (1 + Math.exp(-z))],
  ["tanh", "vermillion", Math.tanh],
  ["ReLU", "green", (z) => Math.max(0, z)],
];

export function mount(host, data) {
  const stage = open(host);
  let slopes = false;
  const label = "Three curves over x from −5 to 5: sigmoid, tanh and ReLU of w x + b";
  const plot = picture(stage, {
    label,
    height: (width) => Math.min(300, Math.max(200, 0.5 * width)),
    draw(context, { width, height, colors }) {
      const size = { width, height, colors, x: [-5, 5], y: [-1.4, 2.4] };
      const ticks = { xTicks: [-4, -2, 0, 2, 4], yTicks: [-1, 0, 1, 2] };
      const { X, Y } = axes(context, { ...size, ...ticks });
      context.save();
      context.beginPath();
      context.rect(X(-5), Y(2.4), X(5) - X(-5), Y(-1.4) - Y(2.4));
      context.clip();
      for (const [, color, shape] of SHAPES) {
        const unit = (x) => shape(weight.value * x + bias.value);
        const at = (f) => Array.from({ length: 401 }, (_, i) => {
          const x = -5 + i / 40;
          return [X(x), Y(f(x))];
        });
        drawCurve(context, at(unit), { color: colors[color] });
        if (slopes) {
          const slope = (x) => (unit(x + 1e-4) - unit(x - 1e-4)) / 2e-4;
          drawCurve(context, at(slope), { color: colors[color], width: 1.5, dash: [5, 4] });
        }
      }
      context.restore();
    },
  });
  const number = (v) => v.toFixed(1).replace("-", "−");
  const control = (name, value) => slider({
    label: name, min: -5, max: 5, step: 0.1, value, format: number, onInput: plot.redraw,
  });
  const weight = control("weight w", data.weight);
  const bias = control("bias b", data.bias);
  const box = checkbox({
    label: "slope over x (dashed)", value: false,
    onChange(next) {
      slopes = next;
      plot.redraw();
    },
  });
  const legend = SHAPES.map(([name, color]) =>
    node("span", { style: `color: var(--${color}); font-weight: 600` }, name),
  );
  stage.root.append(
    node("div", { class: "panel" }, plot.element),
    node("div", { class: "bar" }, legend, box.element),
    node("div", { class: "row" }, weight.element, bias.element),
  );
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
