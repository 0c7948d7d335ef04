// Writing without a text that branches where the reader clicks.
//
// data: pack, bias, seed.

const MOST_ROWS = 6;
const ROW_COLORS = ["ink", "vermillion", "blue", "green", "purple", "muted"];
const A_FRAME = 3; // points, for the eye to follow
const MARGIN = 0.8; // letter bodies

export function mount(host, data) {
  const stage = open(host);
  let engine = null;
  let rows = []; // {path: [{x, y, end, known}], fork}, each from the beginning of the line
  let chosen = 0;
  let at = 0;
  let seed = data.seed;
  let made = 0; // rows, the removed ones too: no future comes twice
  let growing = null;

  const inkOfRow = ({ path }) => inkSoFar(path, ({ x, y, end }) => [x, y, end]);

  /** Where the rows lie, one below the other: all as large, and all begin at the left. */
  const layOut = (width) => {
    const boxes = rows.map((row) => inkOfRow(row).box);
    const left = Math.min(0, ...boxes.map((box) => box.left));
    const across = Math.max(14, ...boxes.map((box) => box.right)) - left + 2 * MARGIN;
    const scale = Math.min(30, width / across);
    let down = 0;
    const places = boxes.map(({ top, bottom }) => {
      const y = (v) => scale * (start + top - v);
      const start = down + MARGIN;
      down += top - bottom + MARGIN;
      return { scale, x: (v) => scale * (v - left + MARGIN), y };
    });
    return { places, height: Math.max(90, scale * (down + MARGIN)) };
  };

  const paper = picture(stage, {
    label: "A line that the network writes without a text, which is not there yet",
    height: (width) => layOut(width).height,
    draw(context, { width, colors }) {
      const { places } = layOut(width);
      rows.forEach((row, k) => {
        const { path, fork } = row;
        const place = places[k];
        const ink = inkOfRow(row);
        const wide = Math.max(1.4, 0.1 * place.scale);
        if (fork) drawInk(context, ink, place, { to: fork + 1, color: colors.faint, width: wide });
        drawInk(context, ink, place, { from: fork, color: colors[ROW_COLORS[k]], width: wide });
        const { x, y } = path[fork];
        if (k) ring(context, place.x(x), place.y(y), 4, colors[ROW_COLORS[k]]);
      });
      const pen = rows[chosen]?.path[at];
      if (pen) dot(context, places[chosen].x(pen.x), places[chosen].y(pen.y), 5, colors.vermillion);
    },
  });
  onDrag(paper.element, ({ x, y, width, begins }) => {
    if (!begins || !rows.length) return;
    let least = Infinity;
    layOut(width).places.forEach((place, k) => {
      rows[k].path.forEach((point, t) => {
        const gap = Math.hypot(place.x(point.x) - x, place.y(point.y) - y);
        if (gap < least) [least, chosen, at] = [gap, k, t];
      });
    });
    branch();
  });

  // --- growing ---

  const work = inFrames(stage, () => {
    if (!growing) return false;
    const { path, from, until } = growing;
    path.push(from.next().value);
    at = path.length - 1;
    if (path.length >= until) growing = null;
    show();
    return growing !== null;
  }, () => (reducedMotion() ? Infinity : A_FRAME));
  const grow = (past) => {
    const path = past.slice();
    const random = randomNumbers(7919 * seed + made);
    made += 1;
    const from = goOn(engine, path.at(-1), { bias: bias.value, random });
    growing = { path, from, until: path.length + length.value };
    rows.push({ path, fork: path.length - 1 });
    [chosen, at] = [rows.length - 1, path.length - 1];
    show();
    work();
  };
  const begin = () => {
    if (!engine) return;
    rows = [];
    made = 0;
    const known = after(engine, engine.start(), [], [0, 0, 0]);
    grow([{ x: 0, y: 0, end: 0, known }]);
  };
  const branch = () => {
    if (!rows.length) return;
    if (rows.length >= MOST_ROWS) {
      show();
      return say(`${MOST_ROWS - 1} branches are enough: remove one, or start over.`, true);
    }
    grow(rows[chosen].path.slice(0, at + 1));
  };
  const remove = () => {
    if (rows.length < 2) return say("There is no branch to remove.");
    growing = null;
    rows.pop();
    if (chosen === rows.length) [chosen, at] = [0, 0];
    show();
  };

  // --- controls ---

  const { element: said, say } = notice();
  const named = (k) => (k ? `branch ${k}` : "the line");
  const show = () => {
    if (which.input.options.length !== rows.length) {
      which.input.replaceChildren(...rows.map((_, k) => node("option", { value: k }, named(k))));
    }
    which.value = String(chosen);
    scrub.input.max = rows[chosen].path.length - 1;
    scrub.value = at;
    paper.element.setAttribute(
      "aria-label",
      `A line that the network writes without a text, and ${rows.length - 1} branches of it`,
    );
    say(rows.length === 1 ? "Press any point of the line: another future begins there." : "");
    paper.redraw();
  };
  const which = select({
    label: "of", options: [["0", named(0)]], value: "0",
    onChange(value) {
      chosen = Number(value);
      at = Math.min(at, rows[chosen].path.length - 1);
      show();
    },
  });
  const scrub = slider({
    label: "Point", min: 0, max: 1, step: 1, value: 0, format: (t) => String(t + 1),
    onInput(t) {
      at = t;
      show();
    },
  });
  const length = slider({ label: "Points ahead", min: 20, max: 240, step: 10, value: 100 });
  const bias = slider({
    label: "bias b", min: 0, max: 3, step: 0.1, value: data.bias, format: (v) => v.toFixed(1),
  });
  stage.root.append(
    node("div", { class: "panel" }, paper.element),
    said,
    node(
      "div", { class: "bar" },
      button({ label: "Branch here", onClick: branch, className: "primary" }),
      scrub.element, which.element,
    ),
    node("div", { class: "row" }, length.element, bias.element),
    node(
      "div", { class: "bar" },
      button({ label: "Remove", describe: "Remove the last branch", onClick: remove }),
      button({
        label: "Start over",
        onClick() {
          seed += 1;
          begin();
        },
      }),
    ),
  );
  say("Loading the network.");
  engineWhenNear(stage.root, data.pack).then(
    (loaded) => {
      engine = loaded;
      begin();
    },
    (problem) => say(`The network could not be loaded: ${problem.message}`, true),
  );
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
