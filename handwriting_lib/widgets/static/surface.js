// A surface to write on, as Pad and Own hand have it: ink from mouse, pen or finger, and
// the lines on which letters stand.

// A hand that rests on the glass: touch means nothing for so long after a pen.
const PALM = 2000; // milliseconds
const PAUSE = 1000; // milliseconds; what a break counts for, in a recording and a replay
const SURFACE_STYLE = `
.wanted { font-size: 22px; line-height: 1.3; margin: 2px 0 8px; white-space: pre-wrap; }
.surface { cursor: crosshair; touch-action: none; user-select: none;
  -webkit-touch-callout: none; -webkit-user-select: none; }
.bar { margin-top: 8px; }
.bar > .gap { flex: 1 1 0; }
.say { min-height: 1.45em; }
.say.wrong { color: var(--vermillion); }
.whole {
  background: var(--surface); border: 0; color: var(--ink); height: 100dvh; margin: 0;
  max-height: none; max-width: none; overflow: hidden; padding: 0; width: 100vw;
}
.whole > div {
  display: flex; flex-direction: column; height: 100%; padding: 8px; width: 100%;
}
.whole.turned > div { /* the left edge of the page becomes the lower edge of the screen */
  height: 100vw; left: 100vw; position: absolute; top: 0; transform: rotate(90deg);
  transform-origin: top left; width: 100dvh;
}
.whole .wanted { flex: 1 1 0; margin: 0; }
.whole .bar { margin: 0 0 8px; }
.whole .panel { flex: 1 1 0; margin: 0; min-height: 0; }
`;

/** Where the letters stand on an empty surface: x-height and baseline, in pixels. */
function guideLines({ y = 0, width, height }) {
  const baseline = y + 0.64 * height;
  return [baseline - Math.min(0.24 * height, width / 18), baseline];
}

/**
 * Follows one pointer at a time over `canvas`. `onStart(event)` opens a stroke, `onMove`
 * gets each reading of it, also those between two frames, `onEnd(keep)` closes it.
 */
function followPen(canvas, { onStart, onMove, onEnd }) {
  let active = null;
  let lastPen = -Infinity;
  const end = (keep) => {
    if (!active) return;
    active = null;
    onEnd(keep);
  };
  const isActive = (event) => active?.id === event.pointerId;
  const listeners = {
    pointerdown(event) {
      const { pointerId: id, pointerType: type, timeStamp, button: which } = event;
      if (type === "pen") lastPen = timeStamp;
      if (which !== 0) return;
      if (type === "touch" && timeStamp - lastPen < PALM) return;
      if (active && !(type === "pen" && active.type === "touch")) return;
      end(false); // the palm had come down before the pen
      event.preventDefault();
      active = { id, type };
      canvas.setPointerCapture(id);
      onStart(event);
    },
    pointermove(event) {
      if (event.pointerType === "pen") lastPen = event.timeStamp;
      if (!isActive(event)) return;
      const between = event.getCoalescedEvents?.() ?? [];
      for (const one of between.length ? between : [event]) onMove(one);
    },
    // Where it lifts has been read already; its pressure is 0 by now.
    pointerup(event) {
      if (isActive(event)) end(true);
    },
    // The system took a finger for a palm or a gesture. Ink of a pen stays.
    pointercancel(event) {
      if (isActive(event)) end(active.type !== "touch");
    },
    lostpointercapture(event) {
      if (isActive(event)) end(true);
    },
    contextmenu: (event) => event.preventDefault(),
  };
  for (const [name, listener] of Object.entries(listeners)) {
    canvas.addEventListener(name, listener);
  }
  return { stop: () => end(true), isDown: () => active !== null };
}

/**
 * A canvas to write on. `sheet()` gives what is written on at this moment: ink goes to
 * its `strokes`, lists of `[x, y, t, pressure]` with y down, and `frame` is the part of
 * the plane that the surface shows, null while the sheet is empty. `onStart()` is called
 * before a stroke, `onEnd()` after it and `onUndo()` for Ctrl+Z. `shown()` says how many
 * points stand out, which a replay limits.
 */
function writingSurface(stage, { sheet, onStart, onEnd, onUndo, shown = () => Infinity }) {
  let stroke = null; // the one that is being drawn
  let clockStart = null; // the time stamp at which t is 0
  let surface = { width: 1, height: 1 };
  let room = null; // what the surface fills, where it has the whole screen

  // Where the ink lies: pixels are offset + scale * ink.
  const layOut = () => {
    const frame = sheet().frame ?? { x: 0, y: 0, ...surface, guides: true };
    const scale = Math.min(surface.width / frame.width, surface.height / frame.height);
    const x = (surface.width - scale * frame.width) / 2 - scale * frame.x;
    const y = (surface.height - scale * frame.height) / 2 - scale * frame.y;
    return { frame, scale, x, y };
  };

  const canvas = picture(stage, {
    label: "",
    className: "surface",
    height: (width) => room?.clientHeight ?? Math.max(130, Math.min(0.3 * width, 210)),
    draw(context, { width, height, colors }) {
      surface = { width, height };
      const place = layOut();
      if (place.frame.guides) drawGuides(context, place, width, colors);
      const points = shown();
      if (points < Infinity) drawStrokes(context, place, Infinity, colors.faint);
      drawStrokes(context, place, points, colors.ink);
    },
  });
  const context = canvas.element.getContext("2d");
  // Who has just written has the keys here, and is not in a field, which has its own undo.
  canvas.element.tabIndex = -1;
  stage.root.addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, shiftKey, altKey, target } = event;
    if (key.toLowerCase() !== "z" || ctrlKey === metaKey || shiftKey || altKey) return;
    if (target.matches("input[type=text], input[type=number], textarea")) return;
    event.preventDefault();
    onUndo();
  });

  const drawGuides = (context, place, width, colors) => {
    const [top, baseline] = guideLines(place.frame).map((y) => place.y + place.scale * y);
    context.lineWidth = 1;
    for (const [y, color, dash] of [[top, colors.faint, [4, 6]], [baseline, colors.muted, []]]) {
      context.strokeStyle = color;
      context.setLineDash(dash);
      context.beginPath();
      context.moveTo(0, Math.round(y) + 0.5);
      context.lineTo(width, Math.round(y) + 0.5);
      context.stroke();
    }
    context.setLineDash([]);
  };

  const drawStrokes = (context, place, points, color) => {
    for (const one of sheet().strokes) {
      drawStroke(context, place, one, 0, Math.min(one.length, points), color);
      points -= one.length;
      if (points <= 0) return;
    }
  };

  // Points `from` to `to` of a stroke, joined to the one before. Pressure makes it wide.
  const drawStroke = (context, place, one, from, to, color) => {
    context.strokeStyle = color;
    context.lineCap = context.lineJoin = "round";
    let wide = 0;
    for (let i = from; i < to; i++) {
      const [x, y, , pressure] = one[i];
      const [x0, y0] = one[Math.max(i - 1, 0)];
      const width = typeof pressure === "number" ? 1 + 3 * pressure : 2.4;
      if (width !== wide || i === from) {
        if (i > from) context.stroke();
        wide = context.lineWidth = width;
        context.beginPath();
        context.moveTo(place.x + place.scale * x0, place.y + place.scale * y0);
      }
      context.lineTo(place.x + place.scale * x, place.y + place.scale * y);
    }
    if (to > from) context.stroke();
  };

  const hundredths = (value) => Math.round(100 * value) / 100;

  const toPoint = (event) => {
    const box = canvas.element.getBoundingClientRect();
    const place = layOut();
    const turned = room?.closest(".turned"); // by a quarter, clockwise
    const [right, below] = turned
      ? [(event.clientY - box.top) / box.height, (box.right - event.clientX) / box.width]
      : [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const along = right * surface.width;
    const down = below * surface.height;
    const point = [
      hundredths((along - place.x) / place.scale),
      hundredths((down - place.y) / place.scale),
      hundredths(Math.max(event.timeStamp - clockStart, stroke?.at(-1)?.[2] ?? 0)),
    ];
    // A mouse says .5 at all times.
    if (event.pointerType === "pen") point.push(hundredths(event.pressure));
    return point;
  };

  const add = (event) => {
    const point = toPoint(event);
    const last = stroke.at(-1);
    if (last && point.every((value, i) => i === 2 || value === last[i])) return;
    stroke.push(point);
    const from = stroke.length - 1;
    drawStroke(context, layOut(), stroke, from, from + 1, stage.colors.ink);
  };

  const pen = followPen(canvas.element, {
    onStart(event) {
      canvas.element.focus({ preventScroll: true });
      onStart();
      sheet().frame ??= { x: 0, y: 0, ...surface, guides: true };
      if (clockStart === null) {
        const last = sheet().strokes.at(-1)?.at(-1)[2];
        clockStart = event.timeStamp - (typeof last === "number" ? last + PAUSE : 0);
      }
      stroke = [];
      sheet().strokes.push(stroke);
      add(event);
    },
    onMove: add,
    onEnd(keep) {
      stroke = null;
      if (!keep) sheet().strokes.pop();
      onEnd();
    },
  });

  return {
    element: canvas.element,
    redraw: canvas.redraw,
    stop: pen.stop,
    isDown: pen.isDown,
    /** Fill an element, or null for a place in the page. */
    fill(element) {
      pen.stop();
      room = element;
      canvas.redraw();
    },
    /** Another sheet, or an empty one: its time begins anew. */
    restartClock: () => (clockStart = null),
  };
}

/**
 * A button that gives a surface the whole screen, for letters to be large on a phone:
 * turned where the screen is upright. `wanted`, `panel` (the surface's) and `said` go
 * there and come back; `actions` are buttons, as `button` takes them.
 */
function wholeScreen(stage, surface, { wanted, panel, said, actions }) {
  const parts = [wanted, panel, said];
  let homes = null; // what stands where the parts were
  const back = button({ label: "Back to the page", onClick: () => dialog.close() });
  const bar = node("div", { class: "bar" }, actions.map(button), back);
  const inside = node("div", {}, bar);
  const dialog = node("dialog", { class: "whole", "aria-label": "Surface", close }, inside);
  const turn = () => {
    if (!homes) return;
    dialog.classList.toggle("turned", window.innerHeight > window.innerWidth);
    surface.fill(panel);
  };

  function close() {
    homes.forEach((home, i) => home.replaceWith(parts[i]));
    homes = null;
    dialog.remove();
    surface.fill(null);
  }

  const show = () => {
    homes = parts.map((part) => {
      const home = document.createComment("");
      part.replaceWith(home);
      return home;
    });
    bar.prepend(wanted);
    inside.append(panel, said);
    stage.root.append(dialog);
    dialog.showModal();
    turn();
  };
  window.addEventListener("resize", turn);
  stage.closing.push(() => window.removeEventListener("resize", turn));
  return button({ label: "Whole screen", describe: "Whole screen to write on", onClick: show });
}
