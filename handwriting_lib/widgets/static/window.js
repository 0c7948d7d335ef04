// The soft window by hand: heights alpha, widths beta and places kappa of its bumps.
//
// data: text, bumps ([alpha, beta, kappa], one a bump).

const BUMP_COLORS = ["vermillion", "green", "purple"];

export function mount(host, data) {
  const stage = open(host);
  const bumps = data.bumps.map((bump) => [...bump]);
  const letters = Array.from(data.text);
  let chosen = 0;
  const bump = ([alpha, beta, kappa], u) => alpha * Math.exp(-beta * (kappa - u) ** 2);
  const phi = (u) => bumps.reduce((sum, one) => sum + bump(one, u), 0);

  const plot = picture(stage, {
    label: `Weights of the characters of "${data.text}" as bars, with the bumps they are sums of`,
    height: 230,
    draw(context, { width, height, colors }) {
      const size = { width, height, colors, x: [0.4, letters.length + 0.6], y: [0, 2.2] };
      const { X, Y } = axes(context, { ...size, yTicks: [0, 1, 2], pad: [10, 8, 32, 26] });
      const wide = Math.min(0.62 * (X(2) - X(1)), 44);
      context.fillStyle = colors.blue;
      letters.forEach((_, i) => {
        const top = Y(Math.min(phi(i + 1), 2.2));
        context.fillRect(X(i + 1) - wide / 2, top, wide, Y(0) - top);
      });
      bumps.forEach((one, k) => {
        const points = Array.from({ length: 241 }, (_, i) => {
          const u = 0.4 + (i / 240) * (letters.length + 0.2);
          return [X(u), Y(Math.min(bump(one, u), 2.2))];
        });
        const color = colors[BUMP_COLORS[k % 3]];
        drawCurve(context, points, { color, width: k === chosen ? 2.5 : 1.2 });
      });
      context.textAlign = "center";
      context.textBaseline = "alphabetic";
      context.font = `${Math.max(10, Math.min(20, 0.9 * (X(2) - X(1))))}px system-ui, sans-serif`;
      context.fillStyle = colors.ink;
      letters.forEach((letter, i) => context.fillText(letter, X(i + 1), height - 10));
    },
  });
  const control = (name, at, min, max, step) => slider({
    label: name, min, max, step, value: bumps[0][at], format: (v) => v.toFixed(2),
    onInput(value) {
      bumps[chosen][at] = value;
      plot.redraw();
    },
  });
  const sliders = [
    control("α, height", 0, 0, 2, 0.05),
    control("β, narrow", 1, 0.02, 5, 0.02),
    control("κ, place", 2, 0, letters.length + 1, 0.05),
  ];
  const choice = select({
    label: "Bump",
    options: bumps.map((_, k) => [String(k), String(k + 1)]),
    value: "0",
    onChange(value) {
      chosen = Number(value);
      sliders.forEach((one, at) => (one.value = bumps[chosen][at]));
      plot.redraw();
    },
  });
  stage.root.append(
    node("div", { class: "panel" }, plot.element),
    bumps.length > 1 ? node("div", { class: "bar" }, choice.element) : "",
    node("div", { class: "row" }, sliders.map((one) => one.element)),
  );
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
