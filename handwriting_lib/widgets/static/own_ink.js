// Ink for a figure: the line that is given, or one that the reader writes instead. The
// browser keeps what was written, and every figure of the book finds it there.

const OWN_INK_STYLE = `.own > * + *, .own + * { margin-top: 8px; }`;
const MOST_POINTS = 20000; // of a line in the store

/** Strokes of a surface as positions `[x, y, end]`, y up, in letter-body heights, bounded
 * below for dots and dashes as in player.py. */
function inLetterBodies(strokes) {
  const offsets = offsetsOf(strokes);
  const points = positionsOf(offsets);
  const { left, right, bottom, top } = inkOf(points).box;
  const height = Math.max(bodyHeight(offsets), 0.15 * (top - bottom), 0.005 * (right - left));
  return points.map(([x, y, end]) => [x / (height || 1), y / (height || 1), end]);
}

/** What the store has, if it is a sheet; another script may have put anything there. */
function storedSheet(store) {
  const [, sheet] = store.load().find(([name]) => name === "line") ?? [];
  const { strokes, frame } = sheet ?? {};
  const isPoint = (point) => Array.isArray(point) && point.slice(0, 2).every(Number.isFinite);
  const isStroke = (one) => Array.isArray(one) && one.length && one.every(isPoint);
  const sides = [frame?.x, frame?.y, frame?.width, frame?.height];
  const fits = Array.isArray(strokes) && strokes.length && strokes.every(isStroke);
  if (!fits || strokes.flat().length > MOST_POINTS || !sides.every(Number.isFinite)) return null;
  return { strokes, frame };
}

/**
 * A place in a figure to write in. `given` is the line of the figure, as positions;
 * `onInk(points, own)` gets the ink of the figure whenever it is another, and `points` is
 * that ink; `own` tells whether the reader wrote it.
 */
function ownInk(stage, { given, onInk }) {
  const store = makeStore("handwriting_lib/own_ink/");
  const empty = () => ({ strokes: [], frame: null });
  let sheet = storedSheet(store) ?? empty();
  let cleared = null;
  let writing = false; // or the given line is shown
  let points = given;

  const surface = writingSurface(stage, {
    sheet: () => sheet,
    onStart: () => {},
    onUndo: () => writing && undo(), // the given line has nothing to undo
    onEnd: () => changed(),
  });

  const changed = () => {
    const { strokes } = sheet;
    const own = writing && strokes.length > 0;
    points = own ? inLetterBodies(strokes) : given;
    surface.element.setAttribute(
      "aria-label",
      `Surface to write on, with mouse, pen or finger; it has ${strokes.length} strokes. ` +
        "Without a pointer, stay with the given line.",
    );
    surface.redraw();
    if (!writing) return onInk(points, own);
    const kept = strokes.length ? store.save("line", sheet) : store.remove("line");
    say(strokes.length && !kept ? "This browser does not keep the line." : "");
    onInk(points, own);
  };

  const undo = () => {
    surface.stop();
    if (sheet.strokes.length) sheet.strokes.pop();
    else if (cleared) [sheet, cleared] = [cleared, null];
    if (!sheet.strokes.length) empties();
    changed();
  };

  const empties = () => {
    sheet = empty();
    surface.restartClock();
  };

  const clear = () => {
    surface.stop();
    cleared = sheet.strokes.length ? sheet : null;
    empties();
    changed();
  };

  const toggle = () => {
    surface.stop();
    writing = !writing;
    place.hidden = !writing;
    choice.textContent = writing ? "Back to the given line" : words();
    changed();
  };

  const words = () => (sheet.strokes.length ? "Take my line" : "Write my own line");
  const choice = button({ label: words(), onClick: toggle });
  const { element: said, say } = notice();
  const wanted = node(
    "div", { class: "note" }, "Write a word or two on the line. It stays in this browser.",
  );
  const panel = node("div", { class: "panel" }, surface.element);
  const actions = [
    { label: "Undo", describe: "Undo the last stroke", onClick: undo },
    { label: "Clear", describe: "Clear my line", onClick: clear },
  ];
  const whole = wholeScreen(stage, surface, { wanted, panel, said, actions });
  const place = node(
    "div", { hidden: true },
    wanted, panel, node("div", { class: "bar" }, actions.map(button), whole), said,
  );
  const element = node(
    "div", { class: "own" },
    node("style", {}, SURFACE_STYLE + OWN_INK_STYLE),
    node("div", { class: "bar" }, choice), place,
  );
  return {
    element,
    get points() {
      return points;
    },
  };
}
