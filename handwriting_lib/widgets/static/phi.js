// Where a network reads, as Player and TrainingFilm show it: the weights of the window, a
// column a point and a row a character.

const GUTTER = 26; // pixels to the left of the weights, for the characters

/**
 * Weights of `slots` characters at each point, ready to draw: `now`, the character with
 * the largest at each point, and `bright`, the weight that is drawn darkest. Few points
 * have a larger one: weights are not normalised, and a single large one would leave all
 * others pale.
 */
function weightMap(phi, slots) {
  const length = phi.length / slots;
  const now = Array.from({ length }, (_, t) => {
    const row = phi.subarray(t * slots, (t + 1) * slots);
    return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
  });
  const tops = Float32Array.from(now, (u, t) => phi[t * slots + u]).sort();
  const bright = Math.max(tops[Math.floor(0.9 * tops.length)], 1e-6);
  return { phi, slots, length, now, bright, image: null, colors: null };
}

/** How tall the weights of so many characters are drawn, in pixels. */
const weightsHeight = (slots) => Math.max(110, Math.min(300, 11 * slots));

/** Draw a map of weights, the first character at the bottom, with the character `here` in
 * colour. `truth` has a character a point to mark with a dot, or -1. */
function drawWeights(context, size, map, { characters, here = -1, truth = [] }) {
  const { width, height, colors } = size;
  const { phi, slots, length, bright } = map;
  if (map.colors !== colors) {
    const turned = new Float32Array(phi.length); // u upwards
    for (let t = 0; t < length; t++) {
      for (let u = 0; u < slots; u++) {
        turned[(slots - 1 - u) * length + t] = phi[t * slots + u] / bright;
      }
    }
    map.image = heatImage(turned, length, slots, colors.phi);
    map.colors = colors;
  }
  const wide = width - GUTTER;
  const tall = height / slots;
  context.imageSmoothingEnabled = false;
  context.drawImage(map.image, GUTTER, 0, wide, height);
  context.fillStyle = colors.vermillion;
  truth.forEach((u, t) => {
    if (u < -0.5) return;
    const x = GUTTER + ((t + 0.5) / length) * wide;
    context.fillRect(x - 1, height - (u + 0.5) * tall - 1, 2, 2);
  });
  const font = Math.min(13, tall + 2);
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let u = 0; u < slots; u++) {
    if (tall < 8 && u !== here) continue;
    context.fillStyle = u === here ? colors.vermillion : colors.muted;
    const letter = u < characters.length;
    context.font = `${letter ? font : Math.min(10, font)}px system-ui, sans-serif`;
    context.fillText(letter ? characters[u] : "end", GUTTER / 2, height - (u + 0.5) * tall);
  }
}

/** A character as words, so that a space is heard. */
function spoken(character) {
  if (character === undefined) return "the end";
  return character === " " ? "a space" : `“${character}”`;
}
