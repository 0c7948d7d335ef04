// A unit that carries one number along a line, h = w h + dy: what is still in it of each
// point, and the gradient of that.
//
// data: ink (host.pack_ink), weight, thinning {distance, angle} for the reader's ink.

const FARTHEST_POWER = 6; // of ten, that the plot shows

/** How much of the offset n points back is in the unit, and the derivative over w. */
const echo = (w, n) => w ** n;
const slope = (w, n) => (n ? n * w ** (n - 1) : 0);

/** How many of the last points carry half of all weight. */
function halfOf(w, length) {
  const all = Array.from({ length }, (_, n) => echo(w, n));
  const total = all.reduce((a, b) => a + b, 0);
  // above 1 the first points carry most of it: count from that side
  if (w > 1) all.reverse();
  let [sum, count] = [0, 0];
  while (sum < total / 2) sum += all[count++];
  return count;
}

const power = (number) => {
  if (number >= 0.01 && number < 1000) return number.toPrecision(2).replace(/\.0$/, "");
  const [digit, exponent] = number.toExponential(0).split("e");
  const raised = [...exponent.replace("+", "")].map((one) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(one)]);
  return `${digit} · 10${raised.join("")}`;
};

export function mount(host, data) {
  const stage = open(host);
  let ink = null;
  let at = 0;

  const line = picture(stage, {
    label: "The line, darkest where the unit still remembers it",
    height: (width) => (ink ? wrap(ink, width).height : 100),
    draw(context, { width, colors }) {
      const place = wrap(ink, width);
      drawInk(context, ink, place, { color: colors.grid });
      const shades = ramp([colors.faint, colors.green]);
      const w = weight.value;
      const most = Math.max(1, echo(w, at));
      const shade = (t) => {
        const [r, g, b] = shades[Math.round((255 * echo(w, at - t)) / most)];
        return `rgb(${r} ${g} ${b})`;
      };
      const wide = Math.max(2.4, 0.16 * place.scale);
      drawShades(context, ink, place, { to: at + 1, color: shade, width: wide });
      dot(context, place.x(ink.x[at], at), place.y(ink.y[at], at), 5, colors.vermillion);
    },
  });
  onDrag(line.element, ({ x, y, width }) => seek(nearestPoint(ink, wrap(ink, width), x, y)));

  const plot = picture(stage, {
    label: "Share of an offset that is left, and its derivative, over the points back",
    height: 210,
    draw(context, { width, height, colors }) {
      const step = [5, 10, 20, 50, 100, 200, 500, 1000].find((n) => at / n <= 6) ?? 2000;
      const ticks = Array.from({ length: Math.floor(at / step) + 1 }, (_, k) => k * step);
      const P = FARTHEST_POWER;
      const { X, Y } = axes(context, {
        width, height, colors, x: [0, Math.max(at, 1)], y: [-2 * P, P],
        xTicks: ticks, yTicks: [-12, -9, -6, -3, 0, 3, 6],
      });
      const curve = (of, color, dash) => {
        const points = [];
        for (let n = 0; n <= at; n++) {
          const value = Math.log10(of(weight.value, n));
          if (Number.isFinite(value)) points.push([X(n), Y(value)]);
        }
        context.save();
        context.beginPath();
        context.rect(X(0), Y(P), width, Y(-2 * P) - Y(P));
        context.clip();
        drawCurve(context, points, { color, dash });
        context.restore();
      };
      curve(slope, colors.purple, [6, 4]);
      curve(echo, colors.green, []);
    },
  });

  const said = node("output", { class: "note" });
  const show = () => {
    const w = weight.value;
    const height = ink.y[at] - ink.y[0];
    let h = 0;
    for (let t = 1; t <= at; t++) h = w * h + ink.y[t] - ink.y[t - 1];
    const side = w > 1 ? "first" : "last";
    said.textContent =
      `The first offset, ${at} points back, counts ${power(echo(w, at))} times, and the ` +
      `derivative of this over w is ${power(slope(w, at))}. The ${side} ${halfOf(w, at + 1)} ` +
      `of ${at + 1} points have half of the weight. The unit holds h = ${fixed(h)}; the pen ` +
      `is ${fixed(Math.abs(height))} ${height < 0 ? "below" : "above"} where it began.`;
    scrub.value = at;
    line.redraw();
    plot.redraw();
  };
  const fixed = (v) => (Math.abs(v) < 1e4 ? v.toFixed(2) : v.toExponential(0)).replace("-", "−");
  const seek = (t) => {
    at = t;
    show();
  };
  const take = (points, own) => {
    ink = inkOf(own ? thinned(points, data.thinning) : points);
    at = ink.length - 1;
    scrub.input.max = at;
    show();
  };

  const weight = slider({
    label: "weight w", min: 0.8, max: 1.1, step: 0.002, value: data.weight,
    format: (v) => v.toFixed(3), onInput: () => show(),
  });
  const scrub = slider({
    label: "Point", min: 0, max: 1, step: 1, value: 0,
    format: (t) => `${t + 1} / ${ink?.length ?? ""}`, onInput: seek,
  });
  const source = ownInk(stage, { given: pointsOf(unpackInk(data.ink)), onInk: take });
  const named = (words, color, style) =>
    node("span", { style: `color: var(--${color}); font-weight: 600; white-space: nowrap` }, `${style} ${words}`);
  const title = node(
    "div", { class: "title" },
    "Power of ten, over the points back: ", named("wⁿ", "green", "—"), ", ",
    named("n wⁿ⁻¹", "purple", "- -"),
  );
  stage.root.append(
    source.element,
    node("div", { class: "row" }, weight.element, scrub.element),
    node("div", { class: "panel" }, line.element),
    node("div", { class: "panel" }, title, plot.element),
    said,
  );
  take(source.points, false);
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
