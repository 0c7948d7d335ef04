// Files of ink: what a pad saves, and word banks that others collected. The formats are
// those of corpora/collected.py, and so is what is taken and what is refused.

const FORMAT = "handwriting_lib.collected";
const VERSION = 1;
const KINDS = ["line", "word", "character"];
const LARGEST_COORDINATE = 1e37; // differences still fit 32 bits
// In a word bank: from so many points on, the share of ones tells what `pen` means.
const POINTS_TO_JUDGE = 50;

/** The samples of a file, their texts folded with the tables `folding`, as `{text, strokes, extra}`, y down, or an Error that names
 * file, value and remedy; samples whose text cannot be written are counted in `left`,
 * and `remarks` say what else the reader should know. */
function readCollected(name, content, folding) {
  let contents;
  try {
    contents = JSON.parse(content);
  } catch (problem) {
    throw Error(`${name} is not JSON (${problem.message}): open a file saved by a pad`);
  }
  const all = Array.isArray(contents);
  if (!all && !isObject(contents)) {
    throw Error(`${name} is ${brief(contents)}: it must be a list of samples, or an object`);
  }
  const isPad = !all && (typeof contents.format === "string" || Array.isArray(contents.samples));
  const fold = (text) => foldText(text, folding, false).text;
  return isPad ? readPad(name, contents, fold) : readBank(name, contents, fold);
}

const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isWritable = (text) => /^[\x20-\x7e]+$/.test(text) && text.trim() !== "";

/** A value for a message, cut short. */
function brief(value) {
  const shown = JSON.stringify(value) ?? "missing";
  return shown.length <= 40 ? shown : `${shown.slice(0, 37)}...`;
}

// --- what a pad saves -------------------------------------------------------------

function readPad(name, contents, fold) {
  const { format = FORMAT, version = VERSION, samples, y = "down" } = contents;
  if (format !== FORMAT || version !== VERSION) {
    throw Error(
      `${name}: the format is ${brief(format)}, version ${brief(version)}: it must be ` +
        `"${FORMAT}", version ${VERSION}`,
    );
  }
  if (!Array.isArray(samples) || !samples.length) {
    throw Error(`${name}: samples is ${brief(samples)}: it must be a list with ink in it`);
  }
  if (y !== "down" && y !== "up") {
    throw Error(`${name}: y is ${brief(y)}: it must be "down" or "up"`);
  }
  const read = samples
    .map((one, i) => readEntry(one, `${name}: sample ${i + 1}`, y))
    .map((one) => ({ ...one, text: fold(one.text) }));
  const entries = read.filter(({ text }) => isWritable(text));
  return { entries, left: read.length - entries.length, remarks: [] };
}

function readEntry(entry, where, y) {
  if (!isObject(entry)) {
    throw Error(`${where} is ${brief(entry)}: it must have the keys text and strokes`);
  }
  if (typeof entry.text !== "string") {
    throw Error(`${where}: text is ${brief(entry.text)}: it must be a text`);
  }
  if (!Array.isArray(entry.strokes) || !entry.strokes.length) {
    throw Error(`${where}: strokes is ${brief(entry.strokes)}: it must be a list of strokes`);
  }
  const strokes = entry.strokes.map((stroke, i) => {
    const at = `${where}, stroke ${i + 1}`;
    if (!Array.isArray(stroke) || !stroke.length) {
      throw Error(`${at} is ${brief(stroke)}: it must be a list of points [x, y, t]`);
    }
    return stroke.map((point, j) => readPoint(point, `${at}, point ${j + 1}`, y));
  });
  return { text: entry.text, strokes, extra: readExtra(entry, strokes, where) };
}

function readPoint(given, here, y) {
  const point = isObject(given)
    ? [given.x, given.y, given.t ?? given.time ?? given.timestamp ?? null]
    : given;
  if (!Array.isArray(point) || point.length < 2 || point.length > 4) {
    throw Error(`${here} is ${brief(point)}: it must be [x, y], [x, y, t] or four numbers`);
  }
  point.forEach((value, i) => {
    if (value === null && i > 1) return;
    checkNumber(value, `${here}: ${["x", "y", "t", "pressure"][i]}`);
  });
  return y === "up" ? [point[0], -point[1], ...point.slice(2)] : point;
}

function checkNumber(value, here) {
  if (!Number.isFinite(value) || Math.abs(value) > LARGEST_COORDINATE) {
    throw Error(`${here} is ${brief(value)}: it must be a finite number`);
  }
}

/** What else a sample may say; it goes out again as it came in. */
function readExtra(entry, strokes, where) {
  const extra = {};
  const take = (key, fits, what) => {
    const value = entry[key];
    if (value === undefined || value === null) return;
    if (!fits(value)) throw Error(`${where}: ${key} is ${brief(value)}: it must be ${what}`);
    extra[key] = value;
  };
  const isText = (value) => typeof value === "string";
  const total = strokes.reduce((sum, stroke) => sum + stroke.length, 0);
  const isPlace = (i) => Number.isInteger(i) && i >= 0 && i < entry.text.length;
  take("writer", isText, "a text");
  take("source", isText, "a text");
  take("kind", (value) => KINDS.includes(value), `one of ${KINDS.join(", ")}`);
  take("points_per_second", (rate) => Number.isFinite(rate) && rate > 0, "positive");
  take(
    "character_of_point",
    (all) => Array.isArray(all) && all.length === total && all.every(isPlace),
    "a list with an index into the text for each point",
  );
  return extra;
}

// --- word banks -------------------------------------------------------------------

/** A list of entries, or an object from word to entry, in box heights: see
 * corpora/collected.py. What `pen` means, the file does not say; its counts do. */
function readBank(name, contents, fold) {
  const listed = Array.isArray(contents)
    ? contents.map((entry) => [null, entry])
    : Object.entries(contents);
  if (!listed.length) throw Error(`${name} has no samples: draw and save at least one`);
  const found = listed.map(([word, entry], i) => {
    const where = `${name}: sample ${i + 1}`;
    if (!isObject(entry)) {
      throw Error(`${where} is ${brief(entry)}: it must have the keys word and points`);
    }
    const text = fold(readText(entry, ["text", "word", "asciiSequence"], where, word));
    return { entry, where, text, source: `${name}:${i + 1}` };
  });
  const writable = found.filter(({ text }) => isWritable(text));
  for (const one of writable) one.points = readBankPoints(one.entry, one.where);
  const pens = writable.flatMap(({ points }) => points.map(([, , pen]) => pen));
  const ones = pens.filter(Boolean).length;
  const marksEnds = pens.length >= POINTS_TO_JUDGE && ones <= pens.length / 2;
  let lifted = 0;
  const entries = writable.map(({ entry, where, text, source, points }) => {
    const { strokes, left } = cutStrokes(points, marksEnds);
    if (!strokes.length) throw Error(`${where} has no ink: its pen is never down`);
    lifted += left;
    const about = {
      ...entry, text, kind: entry.kind ?? "word",
      writer: readText(entry, ["writer", "author"], where, "unknown"),
      source: readText(entry, ["source"], where, source),
    };
    return { text, strokes, extra: readExtra(about, strokes, where) };
  });
  const remarks = [];
  if (marksEnds) remarks.push("pen 1 stands mostly on the last point of a stroke, and was read so");
  if (lifted) remarks.push(`${lifted} points with the pen up are no ink`);
  return { entries, left: found.length - entries.length, remarks };
}

/** The first of the keys that is there, in an entry or its metadata, with its value. */
function lookUp(entry, keys) {
  for (const place of [entry, isObject(entry.metadata) ? entry.metadata : {}]) {
    const key = keys.find((one) => (place[one] ?? null) !== null);
    if (key) return [key, place[key]];
  }
  return [keys[0], null];
}

function readText(entry, keys, where, standard) {
  const [key, value] = lookUp(entry, keys);
  const text = value ?? standard;
  if (typeof text !== "string") {
    throw Error(`${where}: ${key} is ${brief(text)}: it must be a text`);
  }
  return text;
}

/** The points of an entry as `[x, y, pen]`, x multiplied by the aspect of its box. */
function readBankPoints(entry, where) {
  const [key, value] = lookUp(entry, ["aspect", "aspect_ratio", "aspectRatio"]);
  const aspect = value ?? 1;
  checkNumber(aspect, `${where}: ${key}`);
  if (aspect <= 0) {
    throw Error(`${where}: ${key} is ${aspect}: width/height must be positive`);
  }
  if (!Array.isArray(entry.points)) {
    throw Error(`${where}: points is ${brief(entry.points)}: it must be a list of [x, y, pen]`);
  }
  return entry.points.map((one, j) => {
    const here = `${where}, point ${j + 1}`;
    const point = isObject(one) ? [one.x, one.y, "pen" in one ? one.pen : one.p] : one;
    if (!Array.isArray(point) || point.length !== 3) {
      throw Error(`${here} is ${brief(one)}: it must be [x, y, pen], or have these keys`);
    }
    const [x, y, pen] = point;
    checkNumber(x, `${here}: x`);
    checkNumber(y, `${here}: y`);
    checkNumber(x * aspect, `${here}: x times ${key}`);
    if (![0, 1, false, true].includes(pen)) {
      throw Error(`${here}: pen is ${brief(pen)}: it must be 0 or 1`);
    }
    return [x * aspect, y, Boolean(pen)];
  });
}

/** Strokes of `[x, y]`, and in `left` how many points are no ink: those with the pen up
 * that do not only repeat the end of a stroke. */
function cutStrokes(points, marksEnds) {
  const strokes = [[]];
  let left = 0;
  points.forEach(([x, y, pen], i) => {
    const [lastX, lastY] = points[i - 1] ?? [];
    if (pen || marksEnds) strokes.at(-1).push([x, y]);
    else if (x !== lastX || y !== lastY) left += 1;
    if (pen === marksEnds) strokes.push([]);
  });
  return { strokes: strokes.filter((stroke) => stroke.length), left };
}
