// What a Studio is made of: the network itself, writing in the page.
//
// data: text, bias, temperature, seed, pack ({data: base64} or {name, folder}),
// model, how a line of Python names the model, exact, whether Python's weights are those
// of the pack, hands, a list of {name, python, data: a style's file in base64}, and
// hand, which of them it begins with, or null for a hand of each line's own, folding, the
// tables of folding.js, and, if there is one, still: the first text as ink (host.pack_ink),
// line by line, for each length of lines. Where share holds, lines can be had as links.
// Python, if it listens, hears of the lines when all of them are written.

const PEN = 90; // points per second: about as fast as a hand
const SPEEDS = [["1", "as a pen"], ["4", "faster"], ["0", "at once"]];
const WIDE = 30; // characters a line; the network learned from lines of up to 35
const NARROW = 18;
const PITCH = 3.6; // letter-body heights from line to line
const PARAGRAPH = 1.8; // more than that before a paragraph
const BASELINE = 0.2; // the share of a line's points that lie below it
const CHARACTER = 1.4; // letter-body heights, a guess until the ink is there
const OWN_HAND = "its own"; // "any" in Python: each line has another
const LONGEST_TYPED = 4000;
const RANGES = { bias: [0, 2.5], temperature: [0.2, 1.5] };
const NO_ROOM = { text: null, boxes: [], bases: [] };
const LEISURE = 6; // the panels are drawn for at most a part in so many of the time

/**
 * A text as lines {text, gap} of whole words, of up to `limit` characters where words
 * allow. Line breaks stay, and `gap` is the room that empty lines leave before a line.
 */
function breakLines(text, limit) {
  const lines = [];
  let gap = 0;
  for (const row of text.split(/[\n\r]/)) {
    const words = row.split(/\s+/).filter(Boolean);
    if (!words.length && lines.length) gap = PARAGRAPH;
    words.forEach((word, i) => {
      const last = lines.at(-1);
      if (i && last.text.length + 1 + word.length <= limit) last.text += ` ${word}`;
      else lines.push({ text: word, gap: i ? 0 : gap });
    });
    if (words.length) gap = 0;
  }
  return lines;
}

/** Where the letters of a line stand, as drawing/layout.py measures it. */
function baselineOf({ y }) {
  return [...y].sort((a, b) => a - b)[Math.round(BASELINE * (y.length - 1))];
}

/** What hands are called, those of one name told apart. */
function names(hands) {
  const seen = {};
  return hands.map(({ name }) => {
    seen[name] = (seen[name] ?? 0) + 1;
    return seen[name] > 1 ? `${name} (${seen[name]})` : name;
  });
}

/** A string as Python writes it. */
const python = (text) => JSON.stringify(text);

/**
 * A Studio at the end of a stage. `loading` promises the engine, and `onHand(i)` is called
 * when the reader chooses hand `i`, null for a hand of each line's own. `tell` is given
 * the lines once they are written. `beside` is put beside the text.
 *
 * Gives `begin()`, which writes the text, `write(text)`, which writes another one,
 * `setHands(hands, i)`, which changes what can be chosen and chooses, and `show()`, which
 * scrolls to the ink.
 */
function openStudio(
  stage, data,
  { loading = loadEngine(data.pack), onHand = () => {}, tell = () => {}, beside = [] } = {},
) {
  let { hands } = data;
  // Before the first frame, and before the pictures, which come after it in the queue: to
  // measure the page at once would lay it out twice.
  const first = requestAnimationFrame(() => showStill());
  stage.closing.push(() => cancelAnimationFrame(first));
  const linked = () =>
    data.share ? fromFragment(location.hash, names(hands), RANGES) : null;
  const link = linked();
  data = { ...data, ...link };
  let engine = null;
  let lines = []; // {text, gap, writing} and what `empty` begins with
  let current = 0;
  let frame = 0;
  let last = 0;
  let owed = 0; // points that pen speed has not written yet
  let began = 0;
  let written = 0;
  let estimate = 10;
  let inked = null;
  let still = null; // ink that stands for the first lines until this page has its own
  let room = NO_ROOM; // what the first lines fill
  let shared = null; // what wrote the lines that are shown
  let rest = 0; // when the panels may be drawn again
  let watched = null; // the line whose reading is shown, null for the one being written
  let replaced = ""; // what the text was written with instead of what was typed

  // --- writing ---

  function stop(words = "") {
    cancelAnimationFrame(frame);
    frame = 0;
    write.firstChild.data = "Write";
    if (words) said.textContent = words;
  }

  function begin() {
    if (!engine) return;
    stop();
    const folded = foldText(text.value, data.folding, true);
    replaced = sayReplaced(folded.replaced);
    const rows = breakLines(folded.text, limit());
    const texts = rows.map((row) => row.text);
    if (!texts.length) return stop("There is no text to write.");
    const lacking = sayLacking(folded.text.replace(/[\n\r]/g, ""));
    if (lacking) {
      text.setAttribute("aria-invalid", "true");
      return stop(`The network has not learned to write ${lacking}.`);
    }
    const options = settings();
    const style = hand.value ? loadStyle(decode(hands[hand.value].data)) : null;
    if (!Number.isSafeInteger(options.seed)) return stop("The seed must be a whole number.");
    const { boxes, bases } = room.text === texts.join("\n") ? room : NO_ROOM;
    try {
      lines = rows.map((row, position) => ({
        ...row,
        writing: engine.writeLine(row.text, { position, style, ...options }),
        ...empty(boxes[position], bases[position]),
      }));
    } catch (problem) {
      text.setAttribute("aria-invalid", "true");
      return stop(problem.message);
    }
    text.removeAttribute("aria-invalid");
    code.textContent = pythonLine(texts, options);
    const chosen = hand.value ? names(hands)[hand.value] : null;
    shared = { text: text.value, hand: chosen, ...options };
    estimate = boxes.length
      ? widest(boxes) + 2
      : CHARACTER * Math.max(...texts.map((words) => words.length)) + 1;
    current = written = rest = 0;
    owed = 1; // the first point at once
    watched = null;
    began = last = performance.now();
    showText();
    said.textContent = ["Writing.", replaced].join(" ").trim();
    write.firstChild.data = "Stop";
    frame = requestAnimationFrame(tick);
  }

  /** A line before its first point, in a box that will be as large as this at least. */
  const empty = (box = { left: 0, right: 0, bottom: 0, top: 0 }, base = 0) => ({
    x: [], y: [], end: [], phi: [], mixture: null, result: null, box, base,
  });

  const limit = () => (stage.root.clientWidth < 480 ? NARROW : WIDE);
  const widest = (boxes) => Math.max(...boxes.map(({ left, right }) => right - left));

  /** Show the first text as it was written beforehand, where the network will write it. */
  function showStill() {
    const rows = breakLines(text.value, limit());
    const texts = rows.map((row) => row.text);
    const inks = data.still?.[limit()];
    if (link || engine || !stage.root.clientWidth || inks?.length !== texts.length) return;
    still = inks.map(unpackInk);
    const boxes = still.map(({ box }) => box);
    room = { text: texts.join("\n"), boxes, bases: still.map(baselineOf) };
    lines = rows.map((row, i) => ({ ...row, ...empty(boxes[i], room.bases[i]) }));
    estimate = widest(room.boxes) + 2;
    code.textContent = pythonLine(texts, settings());
    showText();
  }

  function tick(now) {
    const rate = Number(speed.value);
    const hurry = rate === 0 || reducedMotion();
    owed += (PEN * rate * Math.min(now - last, 250)) / 1000;
    last = now;
    const until = performance.now() + FRAME;
    while (current < lines.length && performance.now() < until) {
      if (!hurry && owed < 1) break;
      if (!hurry) owed -= 1;
      point(lines[current]);
    }
    paper.paint();
    if (now >= rest || current >= lines.length) {
      const began = performance.now();
      for (const part of [heat, field]) part.paint();
      shadeText();
      rest = now + LEISURE * (performance.now() - began);
    }
    if (current < lines.length) frame = requestAnimationFrame(tick);
    else finish();
  }

  /** One more point of a line. */
  function point(line) {
    const next = line.writing.next();
    if (next.again) Object.assign(line, empty()); // it went wrong: from the start
    const [dx, dy, end] = next.point;
    const n = line.x.length;
    const x = n ? line.x[n - 1] + dx : 0;
    const y = n ? line.y[n - 1] + dy : 0;
    line.x.push(x);
    line.y.push(y);
    line.end.push(end);
    const { left, right, bottom, top } = line.box;
    line.box = {
      left: Math.min(left, x), right: Math.max(right, x),
      bottom: Math.min(bottom, y), top: Math.max(top, y),
    };
    line.phi.push(next.phi);
    line.mixture = next.mixture;
    still = null;
    const wide = line.box.right - line.box.left + 2;
    if (wide > 1.02 * estimate) estimate = 1.1 * wide; // a little ahead, or it shrinks steadily
    written += 1;
    if (next.done) {
      line.result = next;
      line.base = baselineOf(line); // known only now: the line moves there
      current += 1;
      if (current < lines.length) showText();
    }
  }

  function finish() {
    const seconds = (performance.now() - began) / 1000;
    const bad = lines.filter((line) => !line.result.complete);
    const again = lines.filter((line) => line.result.draws > 1).length;
    stop([
      `${lines.reduce((sum, line) => sum + line.x.length, 0)} points,`,
      `${Math.round(written / seconds)} a second.`,
      replaced,
      again ? `${again} of ${lines.length} lines drawn again.` : "",
      ...bad.map((line) => `“${line.text}” is incomplete: ${line.result.problem}.`),
    ].filter(Boolean).join(" "));
    tell({
      kind: "lines",
      seconds,
      seed: shared.seed,
      lines: lines.map(({ text, x, y, end, phi, result }) => ({
        text, x, y, end, phi: phi.map((row) => Array.from(row, (weight) => +weight.toFixed(4))),
        complete: result.complete, problem: result.problem, draws: result.draws,
      })),
    });
  }

  // --- pictures ---

  /** How far each line's baseline lies below the paper's upper edge. */
  function baselines() {
    let down = 0;
    return lines.map(({ box, base, gap }, i) => {
      const before = lines[i - 1];
      const room = Math.max(1.6, box.top - base) + 0.5;
      down += before ? gap + Math.max(PITCH, room - before.box.bottom + before.base) : room;
      return down;
    });
  }

  const sheet = () => {
    const last = lines.at(-1);
    return {
      width: estimate,
      height: last ? baselines().at(-1) + Math.max(1.2, last.base - last.box.bottom) + 0.5 : 3,
    };
  };

  /** The lines as ink, each with its place below the upper edge. */
  const drawn = () => {
    const down = baselines();
    return lines.map((line, i) => ({ ...line, length: line.x.length, top: down[i] + line.base }));
  };

  const placeOf = ({ box, top }, scale) => ({
    scale, x: (v) => scale * (v + 1 - box.left), y: (v) => scale * (top - v),
  });

  const paper = picture(stage, {
    label: "What the network writes",
    height: (width) => Math.max(96, sheet().height * Math.min(30, width / sheet().width)),
    draw(context, { width, colors }) {
      const scale = Math.min(30, width / sheet().width);
      drawn().forEach((line, i) => {
        const place = placeOf(line, scale);
        if (still) return drawInk(context, still[i], place, { color: colors.ink });
        const failed = line.result && !line.result.complete;
        drawInk(context, line, place, { color: failed ? colors.purple : colors.ink });
        if (i === current && frame && line.length) {
          dot(context, place.x(line.x.at(-1)), place.y(line.y.at(-1)), 4, colors.vermillion);
        }
      });
      if (written) inked ??= performance.mark("first ink"); // how long a page kept us waiting
    },
  });

  const isShown = () => watched ?? Math.min(current, lines.length - 1);
  const shown = () => lines[isShown()];

  /** Show how a line was read, also when others have been written after it. */
  const watch = (i) => {
    watched = i;
    showText();
    shadeText();
    for (const part of [heat, field]) part.redraw();
  };

  const heat = picture(stage, {
    label: "Weights of the characters, point after point: where the network reads",
    height: () => 150,
    draw(context, { width, height, colors }) {
      const line = shown();
      if (!line?.phi.length) return;
      const rows = line.phi[0].length;
      const columns = Math.max(line.phi.length, 16 * line.text.length);
      const turned = new Float32Array(columns * rows);
      line.phi.forEach((weights, t) => {
        for (let u = 0; u < rows; u++) turned[(rows - 1 - u) * columns + t] = weights[u];
      });
      context.imageSmoothingEnabled = false;
      context.drawImage(heatImage(turned, columns, rows, colors.phi), 0, 0, width, height);
    },
  });

  const field = picture(stage, {
    label: "Density of the next offset, around the pen",
    height: (width) => Math.min(width, 240),
    draw(context, size) {
      const line = shown();
      if (!line?.mixture) return;
      const ink = { ...line, length: line.x.length };
      drawDensity(context, size, line.mixture, 0, ink, ink.length - 1);
    },
  });

  // --- controls ---

  const text = node("textarea", {
    rows: 1, maxlength: LONGEST_TYPED, value: data.text, "aria-label": "Text to write",
    title: "Enter writes it, Shift+Enter begins a new line",
    autocomplete: "off", spellcheck: "false",
    keydown: onEnter((event) => {
      event.preventDefault(); // no new line
      begin();
    }),
  });
  const write = button({
    label: "Write", className: "primary",
    onClick: () => (frame ? stop("Stopped.") : begin()),
  });
  let soon = 0;
  const later = () => {
    clearTimeout(soon);
    soon = setTimeout(begin, 200);
  };
  stage.closing.push(() => {
    clearTimeout(soon);
    stop();
  });
  const two = (value) => value.toFixed(2);
  const bias = slider({
    label: "Bias", min: RANGES.bias[0], max: RANGES.bias[1], step: 0.05, value: data.bias,
    format: two, onInput: later,
  });
  const temperature = slider({
    label: "Temperature", min: RANGES.temperature[0], max: RANGES.temperature[1],
    step: 0.05, value: data.temperature, format: two, onInput: later,
  });
  const speed = select({ label: "Speed", options: SPEEDS, value: "1", onChange: () => {} });
  const hand = select({
    label: "Hand",
    options: [],
    onChange: () => {
      onHand(hand.value ? Number(hand.value) : null);
      begin();
    },
  });
  const setHands = (next, chosen) => {
    hands = next;
    const options = [["", OWN_HAND], ...names(hands).map((name, i) => [i, name])];
    hand.input.replaceChildren(
      ...options.map(([value, name]) => node("option", { value }, name)),
    );
    hand.value = chosen ?? "";
  };
  setHands(hands, data.hand);
  const seed = node("input", {
    type: "number", min: 0, step: 1, value: data.seed, change: begin,
  });
  const another = button({
    label: "Another", describe: "Another seed, another line",
    onClick: () => {
      seed.value = Number(seed.value) + 1;
      begin();
    },
  });
  const settings = () => ({
    bias: bias.value, temperature: temperature.value, seed: Number(seed.value),
  });
  const said = node("p", { class: "note", role: "status" }, "Loading the network.");
  const words = node("div", { class: "words" });
  let strip = null;
  const showText = () => {
    const { text } = shown();
    strip = textStrip(text, text.length + 1, () => {});
    words.replaceChildren(strip.element);
    which.input.max = lines.length;
    which.value = isShown() + 1;
    which.element.style.display = lines.length > 1 ? "" : "none";
  };
  const shadeText = () => {
    const weights = shown().phi.at(-1);
    if (weights) strip.shade((u) => weights[u], weights.indexOf(Math.max(...weights)));
  };
  const which = slider({
    label: "Line", min: 1, max: 1, step: 1, value: 1,
    format: (line) => `${line} of ${lines.length}`, onInput: (line) => watch(line - 1),
  });
  which.element.style.display = "none";
  const code = node("code", { tabindex: "0" });

  const pythonLine = (texts, options) => {
    const parts = [`[${texts.map(python).join(", ")}]`];
    if (data.model) parts.push(data.model);
    parts.push(`style=${hand.value ? hands[hand.value].python : python("any")}`);
    parts.push(...Object.entries(options).map(([name, value]) => `${name}=${value}`));
    return `lines = hw.write(${parts.join(", ")})`;
  };
  /** Whether there is nothing to take away, which it then says. */
  const lacksInk = () => {
    if (!written) said.textContent = "There is no ink yet: write a line first.";
    return !written;
  };
  const copy = button({
    label: "Copy Python", describe: "Copy Python for this line",
    onClick: async () => {
      if (lacksInk()) return;
      try {
        await navigator.clipboard.writeText(code.textContent);
        const whole = lines.every((line) => line.result);
        said.textContent = data.exact
          ? `Copied: ${whole ? "the same line in Python" : "Python writes it to its end"}.`
          : "Copied. Python has finer weights: its line may differ.";
      } catch {
        getSelection().selectAllChildren(code); // no clipboard here: ready to copy
        said.textContent = "Selected: copy it with the keyboard.";
      }
    },
  });
  const share = button({
    label: "Share", describe: "Share a link to this line",
    onClick: async () => {
      if (lacksInk()) return;
      const fragment = toFragment(shared);
      try {
        await navigator.clipboard.writeText(location.href.split("#")[0] + fragment);
        said.textContent = "Copied a link that writes this line. Nothing was sent anywhere.";
      } catch {
        history.replaceState(null, "", fragment);
        said.textContent = "The link to this line is in the address bar: copy it from there.";
      }
    },
  });
  /** Write the line of a link that was opened while the page was there. */
  const follow = () => {
    const line = linked();
    if (!line) return;
    setHands(hands, line.hand);
    [bias.value, temperature.value, seed.value] = [line.bias, line.temperature, line.seed];
    show();
    writeText(line.text);
  };
  if (data.share) {
    window.addEventListener("hashchange", follow);
    stage.closing.push(() => window.removeEventListener("hashchange", follow));
  }
  const title = () => lines.map((line) => line.text).join(" ");
  /** The ink that is shown, as wide as it is. */
  const saved = () => ({
    width: Math.max(...lines.map(({ box }) => box.right - box.left)) + 2,
    height: sheet().height,
  });
  const saving = (label, name, type, draw) => button({
    label,
    onClick: () => {
      if (lacksInk()) return;
      const size = saved();
      download(name, new Blob([draw(drawn(), size, title())], { type }));
      said.textContent = `${name}: ${millimetres(size.width)} by ${millimetres(size.height)} mm.`;
    },
  });
  const saveSvg = saving("Save SVG", "ink.svg", "image/svg+xml", inkSvg);
  const savePdf = saving("Save PDF", "ink.pdf", "application/pdf", inkPdf);
  const clear = checkbox({ label: "Transparent PNG", value: false, onChange: () => {} });
  const savePng = button({
    label: "Save PNG",
    onClick: () => {
      if (lacksInk()) return;
      const scale = 40;
      const { width, height } = saved();
      const canvas = node("canvas", {
        width: Math.round(width * scale), height: Math.round(height * scale),
      });
      const context = canvas.getContext("2d");
      if (!clear.input.checked) {
        context.fillStyle = "#ffffff";
        context.fillRect(0, 0, canvas.width, canvas.height);
      }
      for (const line of drawn()) {
        drawInk(context, line, placeOf(line, scale), { color: INK_COLOR });
      }
      canvas.toBlob((blob) => download("ink.png", blob), "image/png");
    },
  });

  // --- layout ---

  stage.root.append(
    node("style", {}, READING_STYLE + STUDIO_STYLE),
    node("div", { class: "panel" }, paper.element),
    words,
    said,
    node("div", { class: "bar ask" }, text, write, another, beside),
    node("div", { class: "row" }, bias.element, temperature.element),
    node(
      "div", { class: "bar" }, hands.length ? hand.element : null, speed.element,
      node("label", { class: "choice" }, node("span", {}, "Seed"), seed), which.element,
    ),
    node(
      "div", { class: "both" },
      node("div", { class: "panel along" }, node("div", { class: "title" }, "Where it reads"), heat.element),
      node("div", { class: "panel" }, node("div", { class: "title" }, "Where the pen may go next"), field.element),
    ),
    node(
      "div", { class: "bar" },
      saveSvg, savePdf, savePng, clear.element, copy, data.share ? share : null,
    ),
    node("pre", {}, code),
  );

  // --- the network ---

  loading
    .then((loaded) => {
      engine = loaded;
      begin();
    })
    .catch((problem) => stop(`The network could not be loaded: ${problem.message}`));
  const show = () => {
    const behavior = reducedMotion() ? "auto" : "smooth";
    paper.element.scrollIntoView({ block: "nearest", behavior });
  };
  const writeText = (words) => {
    text.value = words;
    begin();
  };
  if (link) window.addEventListener("load", show, { once: true });
  return { begin, write: writeText, setHands, show };
}

const STUDIO_STYLE = `
.ask textarea {
  field-sizing: content; flex: 1 1 200px; max-height: 14em; min-width: 0; padding: 6px 12px;
  resize: vertical;
}
.ask, .panel + .text, .note + .row, .row + .bar, .bar + .both, .both + .bar { margin: 8px 0; }
.choice { max-width: 100%; }
.choice select { max-width: 16em; min-width: 0; text-overflow: ellipsis; }
input[type="number"] { width: 7em; }
.slider { grid-template-columns: 94px minmax(80px, 1fr) minmax(44px, auto); }
textarea[aria-invalid] { border-color: var(--vermillion); }
pre { color: var(--muted); font-size: 12px; margin: 6px 0; overflow-x: auto; white-space: pre-wrap; }
`;
