// Gaussians in the plane, as the figures on mixtures draw them.

const LIMIT = 3; // half the side of the plane that is shown
const MIXTURE_COLORS = ["blue", "green", "purple"];

/** The density at a place, times two pi. */
function density(x, y, mixture) {
  return mixture.reduce((sum, one) => {
    const zx = (x - one.x) / one.sx;
    const zy = (y - one.y) / one.sy;
    const rest = 1 - one.rho ** 2;
    const square = (zx - one.rho * zy) ** 2 / rest + zy * zy;
    return sum + (one.pi * Math.exp(-0.5 * square)) / (one.sx * one.sy * Math.sqrt(rest));
  }, 0);
}

/** A place in a component, from two numbers that are normal or on a circle. */
function placeIn(one, a, b) {
  const across = one.rho * a + Math.sqrt(1 - one.rho ** 2) * b; // Cholesky's factor
  return [one.x + one.sx * a, one.y + one.sy * across];
}

/** Places on the edge of a component: one standard deviation away. */
function edgeOf(one) {
  return Array.from({ length: 65 }, (_, i) => {
    const angle = (i * Math.PI) / 32;
    return placeIn(one, Math.cos(angle), Math.sin(angle));
  });
}

/** The axes of the plane, which reaches LIMIT up and down and `reach` to the sides. */
function planeAxes(context, { width, height, colors }) {
  const reach = (LIMIT * width) / height;
  const ticks = [-4, -3, -2, -1, 0, 1, 2, 3, 4].filter((v) => Math.abs(v) < reach);
  const places = axes(context, {
    width, height, colors, x: [-reach, reach], y: [-LIMIT, LIMIT],
    xTicks: ticks, yTicks: ticks, pad: [0, 0, 0, 0],
  });
  return { reach, ...places };
}

/** The density of a mixture over the plane: its square root, for the tails to show. */
function drawMixture(context, { width, height, colors }, mixture, reach) {
  const columns = Math.round(width / 3);
  const rows = Math.round(height / 3);
  const values = new Float32Array(columns * rows);
  for (let i = 0; i < values.length; i++) {
    const x = reach * ((2 * ((i % columns) + 0.5)) / columns - 1);
    const y = LIMIT * (1 - (2 * (Math.floor(i / columns) + 0.5)) / rows);
    values[i] = density(x, y, mixture);
  }
  const most = values.reduce((a, b) => Math.max(a, b), 1e-9);
  const image = heatImage(values.map((v) => Math.sqrt(v / most)), columns, rows, colors.heat);
  context.drawImage(image, 0, 0, width, height);
}
