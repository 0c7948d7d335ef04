// Pad: ink from the reader's own hand. Each text to write has a sheet; "Keep" makes a
// sample of what is on it. Sheets outlive the page in localStorage, one key each, so
// that two windows do not overwrite one another. surface.js takes the ink, storage.js keeps
// it, collected.js reads files.

const LARGEST_FILE = 20e6; // bytes
const LONGEST_TEXT = 60;
const PLACE = "at"; // where the text that was shown last is stored
const STEP_MS = 10; // between points whose time is unknown
const PAD_STYLE = `
.bar input[type="text"] { flex: 1 1 160px; min-width: 0; }
`;

// --- sheets -----------------------------------------------------------------------

/** One text and the ink on it; `strokes` as in the file, y down. `kept` is null for a
 * draft, else it grows with each line kept; `frame` is the part of the plane that the
 * surface shows, null while the sheet is empty. */
function makeSheet(text, more = {}) {
  const id = Date.now().toString(36) + Math.random().toString(36).slice(2);
  return { id, text, strokes: [], kept: null, frame: null, extra: {}, ...more };
}

const count = (sheet) => sheet.strokes.reduce((sum, stroke) => sum + stroke.length, 0);

/** A sample as the file has it. */
function toEntry(sheet, writer) {
  return { text: sheet.text, writer, ...sheet.extra, strokes: sheet.strokes };
}

/** The box around imported ink, with a margin: what the surface shows of it. */
function frameAround(strokes) {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const stroke of strokes) {
    for (const [x, y] of stroke) {
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
    }
  }
  const margin = 0.15 * (bottom - top || right - left || 1);
  return {
    x: left - margin,
    y: top - margin,
    width: right - left + 2 * margin,
    height: bottom - top + 2 * margin,
    guides: false,
  };
}

/** The points in order with the time of each, in milliseconds; long breaks are cut. */
function timeline(strokes) {
  const times = [];
  let now = 0;
  let last = null;
  for (const stroke of strokes) {
    for (const [, , t] of stroke) {
      const known = typeof t === "number" && typeof last === "number";
      if (times.length) now += known ? Math.min(Math.max(t - last, 0), PAUSE) : STEP_MS;
      last = t;
      times.push(now);
    }
  }
  return times;
}

/** A sheet from the store, or null where something else wrote it. */
function storedSheet([id, content]) {
  try {
    const { text, strokes, kept, frame, extra } = content;
    const entry = readEntry({ ...extra, text, strokes }, "stored", "down");
    const number = Number.isFinite(kept) ? kept : null;
    const sides = ["x", "y", "width", "height"];
    const valid = sides.every((key) => Number.isFinite(frame?.[key]));
    return makeSheet(entry.text, {
      id,
      strokes: entry.strokes,
      kept: number,
      extra: entry.extra,
      frame: valid ? frame : frameAround(entry.strokes),
    });
  } catch {
    return null;
  }
}

// --- the widget -------------------------------------------------------------------

/**
 * Put a pad into `host`. `data` has `prompts` (texts), `writer`, `key` (where sheets are
 * stored) and `folding` (tables of folding.js). `tell` gets `{kind: "keep", id, order, entry}` for each sample that is
 * new or has changed, and `{kind: "drop", id}` for one that is gone.
 */
export function mount(host, data, tell = () => {}) {
  const stage = open(host);
  const store = makeStore(`${data.key}/`);
  let sheets = data.prompts.map((text) => makeSheet(text));
  let at = 0;
  let sheet = sheets[0];
  let replayed = null; // seconds shown of a replay
  let times = [];

  const surface = writingSurface(stage, {
    sheet: () => sheet,
    shown: () =>
      replayed === null ? Infinity : times.filter((time) => time <= 1000 * replayed).length,
    onStart: () => player.pause(),
    onUndo: () => undo(),
    onEnd() {
      forgetPoints();
      inkChanged();
    },
  });

  // What happens to a sheet --------------------------------------------------------

  const inkChanged = () => {
    sheet.changed = true;
    if (!sheet.strokes.length) {
      Object.assign(sheet, { frame: null, changed: false });
      surface.restartClock();
      if (sheet.kept !== null) tell({ kind: "drop", id: sheet.id });
      sheet.kept = null;
    }
    save(sheet);
    if (sheet.kept !== null) tellOf(sheet);
    refresh();
    surface.redraw();
  };

  /** What a file said about its points does not hold for others. */
  const forgetPoints = () => {
    delete sheet.extra.character_of_point;
    delete sheet.extra.points_per_second;
  };

  const save = (one) => {
    const { id, text, strokes, kept, frame, extra } = one;
    const stored = strokes.length
      ? store.save(id, { text, strokes, kept, frame, extra })
      : store.remove(id);
    if (!stored && strokes.length && !warned) {
      warned = true;
      say("This browser does not store ink here: save a file before you leave.", true);
    }
  };
  let warned = false;

  const tellOf = (one) => {
    const entry = structuredClone(toEntry(one, data.writer));
    tell({ kind: "keep", id: one.id, order: one.kept, entry });
  };

  const kept = () =>
    sheets.filter((one) => one.kept !== null).sort((a, b) => a.kept - b.kept);

  const keep = () => {
    if (!sheet.strokes.length) return false;
    if (sheet.kept === null || sheet.changed) {
      sheet.kept = (kept().at(-1)?.kept ?? 0) + 1;
      sheet.changed = false;
      save(sheet);
      tellOf(sheet);
    }
    return true;
  };

  const show = (next) => {
    surface.stop();
    player.pause();
    at = (next + sheets.length) % sheets.length;
    sheet = sheets[at];
    surface.restartClock();
    store.save(PLACE, sheet.text);
    refresh();
    surface.redraw();
  };

  const keepAndGoOn = () => {
    surface.stop();
    if (!keep()) return say(`Write "${sheet.text}" on the lines first, or skip it.`, true);
    const waiting = [...sheets.keys()].filter((i) => sheets[i].kept === null);
    if (!waiting.length) {
      refresh();
      return say(`Kept. All ${sheets.length} texts are written: save a file.`);
    }
    show(waiting.find((i) => i > at) ?? waiting[0]);
    say(`Kept. Next: ${sheet.text}`);
  };

  const undo = () => {
    surface.stop();
    player.pause();
    if (sheet.strokes.length) {
      sheet.strokes.pop();
      forgetPoints();
    } else if (sheet.cleared) Object.assign(sheet, sheet.cleared, { cleared: null });
    else return say("There is no stroke to undo.");
    inkChanged();
  };

  const clear = () => {
    surface.stop();
    player.pause();
    if (!sheet.strokes.length) return say("There is no ink to clear.");
    const { strokes, kept, frame, extra } = sheet;
    sheet.cleared = { strokes, kept, frame, extra };
    Object.assign(sheet, { strokes: [], extra: {} });
    inkChanged();
    say("Cleared. Undo brings the ink back.");
  };

  /** Put a sample on the empty sheet of its text, or on a new one; not twice. */
  const take = ({ text, strokes, extra }) => {
    const same = JSON.stringify(strokes);
    const known = (one) =>
      one.kept !== null && one.text === text && JSON.stringify(one.strokes) === same;
    if (sheets.some(known)) return false;
    let place = sheets.find((one) => one.text === text && !one.strokes.length);
    if (!place) sheets.push((place = makeSheet(text)));
    const order = (kept().at(-1)?.kept ?? 0) + 1;
    Object.assign(place, { strokes, extra, frame: frameAround(strokes), kept: order });
    save(place);
    tellOf(place);
    return true;
  };

  const openFiles = async (files) => {
    surface.stop();
    player.pause();
    for (const file of files) {
      try {
        if (file.size > LARGEST_FILE) {
          const size = Math.ceil(file.size / 1e6);
          throw Error(
            `${file.name} has ${size} MB, and a pad reads up to ${LARGEST_FILE / 1e6}: ` +
              "load it in Python with load_corpus",
          );
        }
        const { entries, left, remarks } = readCollected(
          file.name, await file.text(), data.folding,
        );
        const taken = entries.filter(take).length;
        const notes = [`${taken} ${taken === 1 ? "line" : "lines"} from ${file.name}`];
        if (taken < entries.length) notes.push(`${entries.length - taken} were here already`);
        if (left) notes.push(`${left} left out: a text outside the alphabet`);
        notes.push(...remarks);
        say(`${notes.join("; ")}.`);
      } catch (problem) {
        say(problem.message, true);
      }
    }
    refresh();
    surface.redraw();
  };

  const saveFile = () => {
    surface.stop();
    keep();
    const samples = kept().map((one) => toEntry(one, data.writer));
    if (!samples.length) return say("There is no ink yet: write a line first.", true);
    const contents = { format: FORMAT, version: VERSION, y: "down", samples };
    download("ink.json", new Blob([JSON.stringify(contents)], { type: "application/json" }));
    const drafts = sheets.filter((one) => one.kept === null && one.strokes.length).length;
    const rest = drafts ? ` Unfinished, and not in it: ${drafts}.` : "";
    refresh();
    say(`ink.json: ${samples.length} ${samples.length === 1 ? "line" : "lines"}.${rest}`);
  };

  const startOver = () => {
    if (!asked) {
      asked = true;
      controls.over.textContent = "Really remove all?";
      return say("Once more removes all ink from this pad and from the browser.", true);
    }
    surface.stop();
    for (const one of sheets) {
      if (one.kept !== null) tell({ kind: "drop", id: one.id });
      store.remove(one.id);
    }
    sheets = data.prompts.map((text) => makeSheet(text));
    show(0);
    say("All ink is removed.");
  };
  let asked = false;

  const writeOwn = () => {
    const folded = foldText(own.value, data.folding, true);
    const text = folded.text.trim();
    if (!isWritable(text)) {
      const wrong = sayLacking(text);
      return say(
        wrong
          ? `The alphabet has no ${wrong}: use the characters of an English keyboard.`
          : "Type a text to write first.",
        true,
      );
    }
    own.value = "";
    const waiting = sheets.findIndex((one) => one.text === text && !one.strokes.length);
    if (waiting < 0) sheets.splice(at + 1, 0, makeSheet(text));
    show(waiting < 0 ? at + 1 : waiting);
    if (folded.replaced.size) say(sayReplaced(folded.replaced));
  };

  // Replay -------------------------------------------------------------------------

  const STEPS = 1e5;
  const player = clock({
    stage,
    length: STEPS + 1,
    rate: () => (1000 * STEPS) / Math.max(times.at(-1) ?? 0, 1),
    onStep(step) {
      replayed = ((step / STEPS) * (times.at(-1) ?? 0)) / 1000;
      surface.redraw();
    },
    onState(playing) {
      controls.replay.textContent = playing ? "Stop" : "Replay";
      if (!playing) replayed = null;
      surface.redraw();
    },
  });

  const replay = () => {
    surface.stop();
    if (replayed !== null) return player.pause();
    if (!sheet.strokes.length) return say("There is no ink to replay yet.");
    times = timeline(sheet.strokes);
    if (reducedMotion()) {
      return say("Less motion is asked for on this device: the line is shown at once.");
    }
    player.seek(0);
    player.play();
  };

  // Controls -----------------------------------------------------------------------

  const title = node("div", { class: "note" });
  const wanted = node("div", { class: "wanted", lang: "en" });
  const { element: said, say } = notice();
  const picker = filePicker({
    label: "Files of ink to open",
    accept: ".json,application/json",
    onFiles: openFiles,
  });
  const own = node("input", {
    type: "text",
    maxlength: LONGEST_TEXT,
    placeholder: "Your own text",
    "aria-label": "A text of your own to write",
    keydown: onEnter(() => writeOwn()),
  });
  const controls = {
    undo: button({ label: "Undo", describe: "Undo the last stroke", onClick: undo }),
    clear: button({ label: "Clear", describe: "Clear this line", onClick: clear }),
    replay: button({ label: "Replay", onClick: replay }),
    previous: button({
      label: "Previous",
      describe: "Previous text",
      onClick: () => show(at - 1),
    }),
    skip: button({ label: "Skip", describe: "Skip to the next text", onClick: () => show(at + 1) }),
    keep: button({
      label: "Keep",
      describe: "Keep this line and go on",
      onClick: keepAndGoOn,
      className: "primary",
    }),
    save: button({ label: "Save file", describe: "Save file of the ink", onClick: saveFile }),
    open: button({
      label: "Open file",
      describe: "Open file of ink",
      onClick: picker.open,
    }),
    over: button({ label: "Start over", onClick: startOver }),
    own: button({ label: "Write this", onClick: writeOwn }),
  };
  const panel = node("div", { class: "panel" }, surface.element);
  const whole = wholeScreen(stage, surface, {
    wanted, panel, said,
    actions: [
      { label: "Undo", describe: "Undo the last stroke", onClick: undo },
      { label: "Clear", describe: "Clear this line", onClick: clear },
      { label: "Keep", describe: "Keep this line and go on", onClick: keepAndGoOn, className: "primary" },
    ],
  });
  controls.over.addEventListener("blur", () => refresh());

  const refresh = () => {
    const lines = kept().length;
    const points = count(sheet);
    const state = sheet.kept !== null ? " · kept" : points ? " · not kept yet" : "";
    title.textContent =
      `Write this on the line: text ${at + 1} of ${sheets.length}${state}` +
      (lines ? ` · ${lines} kept in all` : "");
    wanted.textContent = sheet.text;
    surface.element.setAttribute(
      "aria-label",
      `Surface to write "${sheet.text}" on, with mouse, pen or finger; it has ` +
        `${sheet.strokes.length} strokes. Without a pointer, open a file of ink.`,
    );
    asked = false;
    controls.over.textContent = "Start over";
  };

  stage.root.append(
    node("style", {}, SURFACE_STYLE + PAD_STYLE),
    title,
    wanted,
    panel,
    node(
      "div",
      { class: "bar" },
      controls.undo,
      controls.clear,
      controls.replay,
      whole,
      node("span", { class: "gap" }),
      controls.previous,
      controls.skip,
      controls.keep,
    ),
    node("div", { class: "bar" }, own, controls.own),
    node(
      "div",
      { class: "bar" },
      controls.save,
      controls.open,
      picker.element,
      node("span", { class: "gap" }),
      controls.over,
    ),
    said,
  );

  // A stroke that is being drawn when the page goes is stored as well.
  const leave = () => surface.isDown() && save(sheet);
  window.addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", leave);
  stage.closing.push(() => {
    window.removeEventListener("pagehide", leave);
    document.removeEventListener("visibilitychange", leave);
  });

  // Sheets of the last visit: on the first empty sheet of their text, or after the rest.
  const stored = store.load();
  const visited = stored.map(storedSheet).filter((one) => one !== null);
  for (const one of visited.sort((a, b) => (a.kept ?? 1e15) - (b.kept ?? 1e15))) {
    const place = sheets.findIndex((two) => two.text === one.text && !two.strokes.length);
    sheets.splice(place < 0 ? sheets.length : place, place < 0 ? 0 : 1, one);
    if (one.kept !== null) tellOf(one);
  }
  const [, last] = stored.find(([name]) => name === PLACE) ?? [];
  show(Math.max(0, sheets.findIndex((one) => one.text === last)));
  return { close: () => (surface.stop(), stage.close()) };
}

/** For anywidget: the same pad, and Python hears of each sample. */
export default {
  render({ model, el }) {
    const { caption, ...data } = model.get("data");
    const place = node("div");
    el.append(place, ...(caption ? [node("p", {}, caption)] : []));
    const pad = mount(place, data, (message) => model.send(message));
    return () => pad.close();
  },
};
