// How likely a point of ink is: shared by the prime of an own hand and by cells.js.

/** The logarithm of a density at a point, as StrokeMixture.log_prob. */
function logDensity({ pi, muX, muY, logX, logY, rho, end }, [x, y, lifted]) {
  let density = 0;
  for (let k = 0; k < pi.length; k++) {
    const zx = (x - muX[k]) * Math.exp(-logX[k]);
    const zy = (y - muY[k]) * Math.exp(-logY[k]);
    const rest = 1 - rho[k] ** 2;
    const square = (zx * zx + zy * zy - 2 * rho[k] * zx * zy) / rest;
    density +=
      pi[k] * Math.exp(-square / 2 - logX[k] - logY[k]) / (2 * Math.PI * Math.sqrt(rest));
  }
  // a point that is far from all of them is unlikely, and not impossible
  return Math.log(Math.max(density, 1e-300)) + Math.log(Math.max(lifted ? end : 1 - end, 1e-9));
}
