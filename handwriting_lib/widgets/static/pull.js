// A point that a mixture has to learn from: who is responsible for it, and where the
// gradient pulls each component.
//
// data: components ([weight, mu x, mu y, sigma x, sigma y, rho], one a component), target
// [x, y].

const RATE = 0.05; // of "Learn from it"
const MOST_STEP = 0.5; // of one parameter in one step
const LONGEST = 24; // pixels of an arrow for a pull of e - 1

/** Of -log p at a place, per component: responsibility, and the derivatives over the raw
 * numbers of the head, as chapter 7 derives them. */
function pullsAt(x, y, parts) {
  const joint = parts.map((one) => density(x, y, [one]));
  const p = joint.reduce((a, b) => a + b, 0);
  return parts.map((one, j) => {
    const { pi, sx, sy, rho } = one;
    const [zx, zy] = [(x - one.x) / sx, (y - one.y) / sy];
    const C = 1 / (1 - rho * rho);
    const Z = zx * zx + zy * zy - 2 * rho * zx * zy;
    const gamma = p > 0 ? joint[j] / p : nearest(x, y, parts) === j ? 1 : 0;
    return {
      gamma, pi: pi - gamma,
      muX: (-gamma * C * (zx - rho * zy)) / sx, muY: (-gamma * C * (zy - rho * zx)) / sy,
      logX: -gamma * (C * zx * (zx - rho * zy) - 1), logY: -gamma * (C * zy * (zy - rho * zx) - 1),
      rho: -gamma * (zx * zy + rho * (1 - C * Z)),
    };
  });
}

/** The component with the largest density where all of them round to zero. */
function nearest(x, y, parts) {
  const logs = parts.map((one) => {
    const [zx, zy] = [(x - one.x) / one.sx, (y - one.y) / one.sy];
    const rest = 1 - one.rho ** 2;
    const square = (zx * zx + zy * zy - 2 * one.rho * zx * zy) / rest;
    return Math.log(one.pi / (one.sx * one.sy * Math.sqrt(rest))) - square / 2;
  });
  return logs.indexOf(Math.max(...logs));
}

/** A step downhill in the raw numbers. */
function learned(parts, pulls, rate) {
  const step = (v) => Math.max(-MOST_STEP, Math.min(MOST_STEP, rate * v));
  const raised = parts.map(({ pi }, j) => pi * Math.exp(-step(pulls[j].pi)));
  const total = raised.reduce((a, b) => a + b);
  return parts.map((one, j) => ({
    pi: raised[j] / total,
    x: one.x - step(pulls[j].muX), y: one.y - step(pulls[j].muY),
    sx: one.sx * Math.exp(-step(pulls[j].logX)), sy: one.sy * Math.exp(-step(pulls[j].logY)),
    rho: Math.max(-0.98, Math.min(0.98, Math.tanh(Math.atanh(one.rho) - step(pulls[j].rho)))),
  }));
}

export function mount(host, data) {
  const stage = open(host);
  const given = () => {
    const total = data.components.reduce((sum, [weight]) => sum + weight, 0);
    return data.components.map(([weight, x, y, sx, sy, rho]) =>
      ({ pi: weight / total, x, y, sx, sy, rho }));
  };
  let parts = given();
  let steps = 0;

  const plane = picture(stage, {
    label: "",
    height: (width) => Math.min(width, 360),
    draw(context, { width, height, colors }) {
      const { reach, X, Y } = planeAxes(context, { width, height, colors });
      drawMixture(context, { width, height, colors }, parts, reach);
      const [x, y] = target.map((one) => one.value);
      const pulls = pullsAt(x, y, parts);
      const after = learned(parts, pulls, 0.4);
      parts.forEach((one, j) => {
        const color = colors[MIXTURE_COLORS[j % 3]];
        const edge = (of) => edgeOf(of).map(([u, v]) => [X(u), Y(v)]);
        drawCurve(context, edge(one), { color, width: 1.5 + 3 * pulls[j].gamma });
        const grown = { ...one, sx: after[j].sx, sy: after[j].sy, rho: after[j].rho };
        drawCurve(context, edge(grown), { color, width: 1.2, dash: [4, 4] });
        const pull = Math.hypot(pulls[j].muX, pulls[j].muY);
        const long = pull ? (LONGEST * Math.log1p(pull)) / pull : 0;
        const from = [X(one.x), Y(one.y)];
        dot(context, ...from, 4, color);
        const to = [from[0] - long * pulls[j].muX, from[1] + long * pulls[j].muY];
        arrow(context, from, to, { color, width: 3, head: 11 });
      });
      ring(context, X(x), Y(y), 8, colors.surface);
      ring(context, X(x), Y(y), 6, colors.ink);
      dot(context, X(x), Y(y), 3, colors.ink);
    },
  });
  onDrag(plane.element, ({ x, y, width, height }) => {
    const scale = (2 * LIMIT) / height;
    const limit = (v) => Math.max(-LIMIT, Math.min(LIMIT, v));
    target[0].value = limit(scale * (x - width / 2));
    target[1].value = limit(scale * (height / 2 - y));
    show();
  });

  const number = (v) => v.toFixed(2).replace("-", "−").replace("−0.00", "0.00");
  const table = node("table", {});
  const said = node("output", { class: "note" });
  function show() {
    const [x, y] = target.map((one) => one.value);
    const pulls = pullsAt(x, y, parts);
    const heads = ["", "π", "γ", "π − γ", "pull on μ", "∂σ̂x", "∂σ̂y", "∂ρ̂"];
    table.replaceChildren(
      node("tr", {}, heads.map((words) => node("th", { scope: "col" }, words))),
      ...parts.map(({ pi }, j) => {
        const { gamma, muX, muY, logX, logY, rho, pi: weight } = pulls[j];
        const values = [pi, gamma, weight, Math.hypot(muX, muY), logX, logY, rho];
        const style = `color: var(--${MIXTURE_COLORS[j % 3]})`;
        const name = node("th", { scope: "row", style }, String(j + 1));
        return node("tr", {}, name, values.map((v) => node("td", {}, number(v))));
      }),
    );
    const p = density(x, y, parts) / (2 * Math.PI);
    const learnt = steps ? ` after ${steps} ${steps === 1 ? "step" : "steps"}` : "";
    const loss = p > 0 ? number(-Math.log(p)) : "beyond 700";
    said.textContent = `The loss of this point${learnt}: −log p = ${loss} nats.`;
    plane.element.setAttribute("aria-label",
      `Density of a mixture, and a target at ${number(x)}, ${number(y)}, with an arrow ` +
        "from each mean to where it is pulled");
    plane.redraw();
  }
  const control = (label, value) => slider({
    label, min: -LIMIT, max: LIMIT, step: 0.01, value, format: number, onInput: () => show(),
  });
  const target = [control("Δx", data.target[0]), control("Δy", data.target[1])];
  const learn = button({
    label: "Learn from it", describe: "Learn from it: one step downhill",
    onClick() {
      const [x, y] = target.map((one) => one.value);
      parts = learned(parts, pullsAt(x, y, parts), RATE);
      steps += 1;
      show();
    },
  });
  const again = button({
    label: "Start again",
    onClick() {
      [parts, steps] = [given(), 0];
      show();
    },
  });
  const controls = node(
    "div", {},
    node("div", { class: "row" }, target.map((one) => one.element)),
    node("div", { class: "bar" }, learn, again), said, table,
  );
  const panel = node("div", { class: "panel" }, plane.element);
  stage.root.append(node("style", {}, PULL_STYLE), node("div", { class: "both" }, panel, controls));
  show();
  return stage.close;
}

const PULL_STYLE = `
.both > div > * + * { margin-top: 8px; }
output { display: block; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { font-size: 13px; overflow-wrap: normal; padding: 2px 3px; text-align: right; }
th:first-child { text-align: left; }
`;

export default { render: ({ model, el }) => mount(el, model.get("data")) };
