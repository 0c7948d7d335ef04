// What all widgets share. It imports nothing, and host.py puts it before each widget,
// so that a page needs no second file. Text only ever becomes text: nothing here, and
// nothing in a widget, parses HTML.

// --- elements ---------------------------------------------------------------------

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; a string becomes text, a function a
 * listener, and a property whose value is false or null is left out. */
export function node(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same in SVG. */
export function svgNode(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

// --- where a widget lives ---------------------------------------------------------

// Okabe and Ito's colours, and lighter ones of the same hues for a dark page. Stops of
// a ramp run from nothing to the largest value; its first colour is transparent.
const PALETTES = {
  light: {
    blue: "#0072b2", vermillion: "#ba5100", green: "#00805c", purple: "#a8508a",
    ink: "#14171c", muted: "#5d6570", edge: "#858d98", faint: "#c4cad2", grid: "#e6e9ed",
    surface: "#ffffff", field: "#f4f5f7",
    heat: ["#fee3bd00", "#fdc98f", "#fc8d59", "#d7301f", "#7f0000"],
    phi: ["#cfe5f400", "#9cc9e6", "#3f97cc", "#0072b2", "#003f66"],
  },
  dark: {
    blue: "#5ab4ec", vermillion: "#ff9147", green: "#3fcf9f", purple: "#e39ac6",
    ink: "#eceff4", muted: "#a3acb8", edge: "#717a86", faint: "#4b525c", grid: "#30353c",
    surface: "#16181c", field: "#22262c",
    heat: ["#5a1d0000", "#8c3206", "#dd5f14", "#fdae6b", "#fff3e2"],
    phi: ["#0a2f4a00", "#0d4f7d", "#2385c2", "#7cc5f2", "#e6f5ff"],
  },
};

/** Whether the text around an element is light, and so the page dark: this holds in
 * any host, whatever it calls its themes. */
function isDark(element) {
  // none yet where the host has not put the element into the page
  const [r, g, b] = (getComputedStyle(element).color.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140;
}

export const FRAME = 12; // milliseconds that work may take before the page is drawn again

/** Whether the reader asked for less motion. */
export function reducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/**
 * A place for a widget inside `host`: a shadow root, so that neither the page's styles
 * nor the widget's leak, with the colours of the page's theme.
 *
 * Gives `root` (put children there), `colors` (of the theme at this moment),
 * `onChange(f)` (called when theme or width change) and `close()`.
 */
export function open(host) {
  const shadow = host.attachShadow({ mode: "open" });
  // A key on a button or slider is no command to the notebook around it.
  host.dataset.lmSuppressShortcuts = "true";
  const root = node("div", { class: "widget" });
  shadow.append(node("style", {}, STYLE), root);
  const listeners = new Set();
  const stage = {
    root,
    colors: PALETTES.light,
    onChange: (listener) => listeners.add(listener),
    close() {
      resized.disconnect();
      restyled.disconnect();
      scheme.removeEventListener("change", update);
      root.replaceChildren();
      for (const stop of stage.closing) stop();
    },
    closing: [],
  };
  const tell = () => listeners.forEach((listener) => listener());
  const update = () => {
    const dark = isDark(host);
    stage.colors = PALETTES[dark ? "dark" : "light"];
    root.dataset.theme = dark ? "dark" : "light";
    for (const [name, value] of Object.entries(stage.colors)) {
      if (typeof value === "string") root.style.setProperty(`--${name}`, value);
    }
    tell();
  };
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", update);
  const restyled = new MutationObserver(update);
  for (const element of [document.documentElement, document.body]) {
    restyled.observe(element, { attributes: true });
  }
  let width = 0;
  const resized = new ResizeObserver(() => {
    if (root.clientWidth === width) return;
    width = root.clientWidth;
    update(); // the colours too, when the element has just come into the page
  });
  resized.observe(root);
  update();
  return stage;
}

// --- pictures ---------------------------------------------------------------------

/**
 * A canvas as wide as its place. `height` is in CSS pixels, or a function of the width;
 * `draw(context, {width, height, colors})` is called again whenever size or theme
 * change, at once by `paint()` and, once a frame at most, after `redraw()`.
 */
export function picture(stage, { label, height, draw, className = "" }) {
  const canvas = node("canvas", { role: "img", "aria-label": label, class: className });
  const context = canvas.getContext("2d");
  let asked = 0;
  const paint = () => {
    cancelAnimationFrame(asked);
    asked = 0;
    const width = canvas.clientWidth;
    if (!width) return;
    const tall = Math.round(typeof height === "function" ? height(width) : height);
    const ratio = Math.max(1, window.devicePixelRatio || 1);
    const across = Math.round(width * ratio);
    const down = Math.round(tall * ratio);
    if (canvas.width !== across || canvas.height !== down) {
      canvas.width = across;
      canvas.height = down;
      canvas.style.height = `${tall}px`;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, tall);
    draw(context, { width, height: tall, colors: stage.colors });
  };
  const redraw = () => {
    asked ||= requestAnimationFrame(paint);
  };
  stage.onChange(redraw);
  stage.closing.push(() => cancelAnimationFrame(asked));
  redraw();
  return { element: canvas, redraw, paint };
}

const ramps = new Map();

/** 256 colours `[r, g, b, a]` between the stops of a ramp. */
export function ramp(stops) {
  const key = stops.join();
  if (!ramps.has(key)) ramps.set(key, makeRamp(stops));
  return ramps.get(key);
}

function makeRamp(stops) {
  const parsed = stops.map((stop) =>
    [1, 3, 5, 7].map((at) => parseInt(stop.slice(at, at + 2) || "ff", 16)),
  );
  return Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (parsed.length - 1);
    const k = Math.min(Math.floor(place), parsed.length - 2);
    return parsed[k].map((low, c) => low + (place - k) * (parsed[k + 1][c] - low));
  });
}

/** Numbers from 0 to 1, row by row from the top, as a canvas of one pixel each. */
export function heatImage(values, columns, rows, stops) {
  const canvas = node("canvas", { width: columns, height: rows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  // a colour as one number, in the machine's order of bytes
  const colors = new Uint32Array(Uint8ClampedArray.from(ramp(stops).flat()).buffer);
  for (let i = 0; i < columns * rows; i++) {
    pixels[i] = colors[Math.max(0, Math.min(255, Math.round(255 * values[i])))];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * Axes of a plot: a grid with numbers at `xTicks` and `yTicks`. `x` and `y` are the least
 * and the largest value; gives functions from values to pixels. `pad` is the room around.
 */
export function axes(
  context,
  { width, height, colors, x, y, xTicks = [], yTicks = [], pad = [10, 12, 22, 34] },
) {
  const [above, right, below, left] = pad;
  const X = (v) => left + ((v - x[0]) / (x[1] - x[0])) * (width - left - right);
  const Y = (v) => height - below - ((v - y[0]) / (y[1] - y[0])) * (height - above - below);
  context.font = "12px system-ui, sans-serif";
  context.lineWidth = 1;
  const line = (x0, y0, x1, y1, strong) => {
    context.strokeStyle = strong ? colors.muted : colors.grid;
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
  };
  context.fillStyle = colors.muted;
  context.textBaseline = "middle";
  for (const v of xTicks) {
    line(X(v), Y(y[0]), X(v), Y(y[1]), v === 0);
    context.textAlign = "center";
    context.fillText(String(v).replace("-", "−"), X(v), height - below + 12);
  }
  for (const v of yTicks) {
    line(X(x[0]), Y(v), X(x[1]), Y(v), v === 0);
    context.textAlign = "right";
    context.fillText(String(v).replace("-", "−"), left - 6, Y(v));
  }
  return { X, Y };
}

/** Draw a polyline through `[x, y]` pixels, dashed or not. */
export function drawCurve(context, points, { color, width = 2.5, dash = [] }) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.lineJoin = "round";
  context.setLineDash(dash);
  context.beginPath();
  for (const [x, y] of points) context.lineTo(x, y);
  context.stroke();
  context.setLineDash([]);
}

// --- arrays and ink ---------------------------------------------------------------

const ARRAYS = { float32: Float32Array, int16: Int16Array, uint8: Uint8Array };

/** What `host.pack` made, as a Float32Array: `offset + scale * number`. */
export function unpack({ dtype, data, scale = 1, offset = 0 }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const numbers = new ARRAYS[dtype](bytes.buffer);
  return Float32Array.from(numbers, (number) => offset + scale * number);
}

/** What `host.pack_ink` made: `x`, `y` (up), `end` of each point, and the `box`. */
export function unpackInk(packed) {
  return makeInk(unpack(packed.x), unpack(packed.y), unpack(packed.end));
}

/** Ink from positions, y up, and ends of strokes. */
export function makeInk(x, y, end) {
  const box = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (let i = 0; i < x.length; i++) {
    box.left = Math.min(box.left, x[i]);
    box.right = Math.max(box.right, x[i]);
    box.bottom = Math.min(box.bottom, y[i]);
    box.top = Math.max(box.top, y[i]);
  }
  return { x, y, end, box, length: x.length };
}

/** Where ink lies in a picture of a width: `x(v)`, `y(v)` in pixels, `scale`, `height`.
 * `margin` and `most` (pixels a unit) keep short lines from growing huge. */
export function view(box, width, { margin = 0.6, most = 40 } = {}) {
  const across = Math.max(box.right - box.left, 1e-6) + 2 * margin;
  const up = box.top - box.bottom + 2 * margin;
  const scale = Math.min(width / across, most);
  const start = (width - scale * across) / 2;
  return {
    scale,
    height: scale * up,
    x: (v) => start + scale * (v - box.left + margin),
    y: (v) => scale * (box.top + margin - v),
  };
}

/**
 * The same for a line that would be too small to read in one row: it goes on in further
 * rows, broken where the gap is widest. `least` is in pixels a letter body. `x` and `y`
 * also take the index of the point.
 */
export function wrap(ink, width, { margin = 0.6, most = 40, least = 12 } = {}) {
  const whole = view(ink.box, width, { margin, most });
  if (whole.scale >= least) return whole;
  const rows = rowsOf(piecesOf(ink), width / least - 2 * margin);
  const widest = Math.max(...rows.map(({ box }) => box.right - box.left));
  const scale = Math.min(width / (widest + 2 * margin), most);
  const shift = new Float32Array(2 * ink.length);
  let down = 0;
  for (const { box, points } of rows) {
    for (const i of points) {
      shift[2 * i] = margin - box.left;
      shift[2 * i + 1] = down + margin + box.top;
    }
    down += box.top - box.bottom + margin;
  }
  return {
    scale,
    height: scale * (down + margin),
    x: (v, i) => scale * (v + shift[2 * i]),
    y: (v, i) => scale * (shift[2 * i + 1] - v),
  };
}

/** Strokes of ink, from left to right, those one above the other in one piece. */
function piecesOf(ink) {
  const strokes = [];
  let points = [];
  for (let i = 0; i < ink.length; i++) {
    points.push(i);
    if (ink.end[i] || i === ink.length - 1) {
      const pick = (values) => points.map((k) => values[k]);
      strokes.push({ points, box: makeInk(pick(ink.x), pick(ink.y), []).box });
      points = [];
    }
  }
  strokes.sort((a, b) => a.box.left - b.box.left);
  const pieces = [strokes[0]];
  for (const stroke of strokes.slice(1)) {
    const piece = pieces.at(-1);
    if (stroke.box.left > piece.box.right) pieces.push(stroke);
    else pieces.splice(-1, 1, joined(piece, stroke));
  }
  return pieces;
}

/** Pieces in rows no wider than `room`, unless one piece is. A row ends at the widest
 * gap in its second half: between words, where there is one. */
function rowsOf(pieces, room) {
  const rows = [];
  let rest = pieces;
  while (rest.length) {
    const { left } = rest[0].box;
    const over = rest.findIndex(({ box }, i) => i && box.right - left > room);
    let cut = over < 0 ? rest.length : over;
    if (over > 0) {
      const gap = (i) => rest[i].box.left - rest[i - 1].box.right;
      for (let i = over; i > 0 && rest[i].box.left - left > room / 2; i--) {
        if (gap(i) > gap(cut)) cut = i;
      }
    }
    rows.push(rest.slice(0, cut).reduce(joined));
    rest = rest.slice(cut);
  }
  return rows;
}

function joined(a, b) {
  return {
    points: [...a.points, ...b.points],
    box: {
      left: Math.min(a.box.left, b.box.left),
      right: Math.max(a.box.right, b.box.right),
      bottom: Math.min(a.box.bottom, b.box.bottom),
      top: Math.max(a.box.top, b.box.top),
    },
  };
}

/** Draw points `from` to `to` (not included) of ink, pen strokes only. */
export function drawInk(context, ink, place, { from = 0, to = ink.length, color, width }) {
  context.strokeStyle = color;
  context.lineWidth = width ?? Math.max(1.2, 0.12 * place.scale);
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  let down = false;
  for (let i = from; i < to; i++) {
    const x = place.x(ink.x[i], i);
    const y = place.y(ink.y[i], i);
    if (down) context.lineTo(x, y);
    else context.moveTo(x, y);
    if (!down) context.lineTo(x, y); // a dot
    down = !ink.end[i];
  }
  context.stroke();
}

/** Draw ink piece by piece, the piece that leads to point i in the colour `color(i)`. */
export function drawShades(context, ink, place, { to = ink.length, color, width }) {
  for (let i = 0; i < to; i++) {
    const from = i && !ink.end[i - 1] ? i - 1 : i;
    drawInk(context, ink, place, { from, to: i + 1, color: color(i), width });
  }
}

/** The point of ink that lies nearest to a place in a picture, in pixels. */
export function nearestPoint(ink, place, x, y) {
  const gap = (i) => Math.hypot(place.x(ink.x[i], i) - x, place.y(ink.y[i], i) - y);
  let best = 0;
  for (let i = 1; i < ink.length; i++) if (gap(i) < gap(best)) best = i;
  return best;
}

/** A filled disc. */
export function dot(context, x, y, radius, color) {
  context.fillStyle = color;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
}

/** An arrow from one place to another, in pixels. */
export function arrow(context, [x0, y0], [x1, y1], { color, width = 2, head = 8 }) {
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 1) return;
  const size = Math.min(head, length);
  const [dx, dy] = [((x1 - x0) / length) * size, ((y1 - y0) / length) * size];
  drawCurve(context, [[x0, y0], [x1 - 0.8 * dx, y1 - 0.8 * dy]], { color, width });
  context.fillStyle = color;
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x1 - dx - 0.45 * dy, y1 - dy + 0.45 * dx);
  context.lineTo(x1 - dx + 0.45 * dy, y1 - dy - 0.45 * dx);
  context.fill();
}

/** A circle. */
export function ring(context, x, y, radius, color) {
  context.strokeStyle = color;
  context.lineWidth = 2;
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.stroke();
}

/** Call `found({x, y, width, height, begins})` for a press or a drag on an element: the
 * place in it, in pixels. A finger may still scroll the page up and down. */
export function onDrag(element, found) {
  const move = (event) => {
    if (event.type === "pointerdown") element.setPointerCapture(event.pointerId);
    else if (!event.buttons) return;
    const { left, top, width, height } = element.getBoundingClientRect();
    const begins = event.type === "pointerdown";
    found({ x: event.clientX - left, y: event.clientY - top, width, height, begins });
  };
  element.classList.add("pointer");
  element.addEventListener("pointerdown", move);
  element.addEventListener("pointermove", move);
}

// --- controls ---------------------------------------------------------------------

/** A labelled slider; `element`, and `value` to read and set. `format(value)` is shown
 * beside it and read out. */
export function slider({ label, min, max, step, value, format = String, onInput = () => {} }) {
  const shown = node("span", { class: "value", "aria-hidden": "true" });
  const input = node("input", { type: "range", min, max, step, "aria-label": label });
  const show = () => {
    const words = format(Number(input.value));
    shown.textContent = words;
    input.setAttribute("aria-valuetext", words);
  };
  input.value = value;
  input.addEventListener("input", () => {
    show();
    onInput(Number(input.value));
  });
  show();
  return {
    element: node("label", { class: "slider" }, node("span", {}, label), input, shown),
    input,
    get value() {
      return Number(input.value);
    },
    set value(next) {
      input.value = next;
      show();
    },
  };
}

/** A button with words, and an optional longer label for screen readers, which begins
 * with these words: who speaks to the page says what stands there. */
export function button({ label, describe, onClick, className = "" }) {
  const properties = { type: "button", class: className, "aria-label": describe };
  return node("button", { ...properties, click: onClick }, label);
}

/** A listener for Enter, but not for the one that ends the composing of a character. */
export const onEnter = (action) => (event) => {
  if (event.key !== "Enter" || event.shiftKey) return;
  if (!event.isComposing && event.keyCode !== 229) action(event);
};

/** A labelled choice; `options` are pairs of value and words. */
export function select({ label, options, value, onChange }) {
  const input = node(
    "select",
    { change: () => onChange(input.value) },
    options.map(([key, words]) => node("option", { value: key }, words)),
  );
  input.value = value;
  return {
    element: node("label", { class: "choice" }, node("span", {}, label), input),
    input,
    get value() {
      return input.value;
    },
    set value(next) {
      input.value = next;
    },
  };
}

/** A place for one sentence at a time, which screen readers hear; `say` puts it there. */
export function notice() {
  const element = node("p", { class: "note say", role: "status" });
  const say = (words, wrong = false) => {
    element.textContent = words;
    element.classList.toggle("wrong", wrong);
  };
  return { element, say };
}

/** The browser's dialog for files: `open` shows it, `onFiles` gets what was chosen. */
export function filePicker({ label, accept, onFiles }) {
  const element = node("input", {
    type: "file",
    accept,
    multiple: true,
    hidden: true,
    "aria-label": label,
    async change() {
      await onFiles([...element.files]);
      element.value = "";
    },
  });
  return { element, open: () => element.click() };
}

/** A labelled box to tick. */
export function checkbox({ label, value, onChange }) {
  const change = () => onChange(input.checked);
  const input = node("input", { type: "checkbox", checked: value, change });
  return { element: node("label", { class: "choice" }, input, node("span", {}, label)), input };
}

/** Numbers in [0, 1) that are the same for a seed on every machine (mulberry32). */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Walks from 0 to `length - 1` at `rate()` steps a second and calls `onStep(at)`; where
 * the reader asked for less motion, `play` goes to the end at once. `onState(playing)`
 * is for the look of a button.
 */
export function clock({ stage, length, rate, onStep, onState = () => {} }) {
  let at = 0;
  let last = 0;
  let frame = 0;
  const set = (next) => {
    at = Math.max(0, Math.min(length - 1, next));
    onStep(Math.floor(at));
  };
  const tick = (now) => {
    const own = frame;
    set(at + (rate() * Math.min(now - last, 250)) / 1000);
    last = now;
    if (frame !== own) return; // onStep has paused the clock
    if (at >= length - 1) pause();
    else frame = requestAnimationFrame(tick);
  };
  const play = () => {
    if (frame) return;
    if (reducedMotion()) return set(length - 1);
    if (at >= length - 1) set(0);
    last = performance.now();
    frame = requestAnimationFrame(tick);
    onState(true);
  };
  const pause = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    onState(false);
  };
  stage.closing.push(pause);
  return {
    play,
    pause,
    toggle: () => (frame ? pause() : play()),
    seek(next) {
      pause();
      set(next);
    },
    get at() {
      return Math.floor(at);
    },
    get playing() {
      return frame !== 0;
    },
  };
}

/** A button that says Play or Pause, for a clock that is made after it. */
export function playButton(toggle) {
  const words = node("span", {}, "Play");
  const sign = svgNode("path", { d: "M3 1.5v13l11-6.5z", fill: "currentColor" });
  const icon = svgNode(
    "svg",
    { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" },
    sign,
  );
  const element = button({ label: "", onClick: toggle, className: "primary play" });
  element.append(icon, words);
  return {
    element,
    show(playing) {
      words.textContent = playing ? "Pause" : "Play";
      const bars = "M2.5 1.5h4v13h-4zM9.5 1.5h4v13h-4z";
      sign.setAttribute("d", playing ? bars : "M3 1.5v13l11-6.5z");
    },
  };
}

/** Hand a file to the reader. */
export function download(name, blob) {
  const href = URL.createObjectURL(blob);
  node("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60e3);
}

// --- start ------------------------------------------------------------------------

/** Mount a widget in every figure of this id that has none yet; host.py adds the call.
 * The still picture stays where mounting fails. */
export function start(id, mount) {
  for (const figure of document.querySelectorAll(`figure[data-widget="${id}"]`)) {
    if (figure.dataset.mounted) continue;
    figure.dataset.mounted = "true";
    const still = figure.querySelector(":scope > [data-still]");
    const live = node("div", { "data-live": true });
    still.before(live);
    try {
      const block = figure.querySelector(':scope > script[type="application/json"]');
      mount(live, JSON.parse(block.textContent));
      still.remove();
    } catch (problem) {
      live.remove();
      console.error(problem);
    }
  }
}
