// Glyph programs: what a decoder drew, row by row, and its shape as the rows make it.
//
// data: grid, lowest (x, y), characters, styles, temperatures (of the samples), glyphs:
// {t, free, c, s} (places in these lists; free is 1 without the grammar), rows (flat, as
// kind, x, y, or the number of the glyph that has the same), bad (the first row that means
// nothing, 0 if there is none, one past the last where the end is missing) and why.

const RATE = 5; // rows a second
const LISTED = 9; // rows of the program that are shown at a time
const PROGRAM_STYLE = `
  .rows { font: 13px/1.6 ui-monospace, monospace; list-style: none; margin: 0;
    min-height: ${LISTED * 1.6 + 0.9}em; padding: 6px 10px; white-space: nowrap; }
  .rows li { border-radius: 4px; color: var(--muted); padding: 0 6px; }
  .rows li.now { background: var(--field); color: var(--ink); font-weight: 600; }
  .rows li.bad { color: var(--vermillion); }
`;

/** The rows of one of some glyphs as [kind, x, y]. */
function rowsOfGlyph({ rows: own }, glyphs) {
  const rows = typeof own === "number" ? glyphs[own].rows : own;
  return Array.from({ length: rows.length / 3 }, (_, i) => rows.slice(3 * i, 3 * i + 3));
}

/** How many of some glyphs are outlines. */
function parsing(glyphs) {
  return { of: glyphs.length, good: glyphs.filter(({ bad }) => !bad).length };
}

export function mount(host, data) {
  const stage = open(host);
  stage.root.append(node("style", {}, PROGRAM_STYLE));
  let rows = [];
  let glyph = null;
  let at = 0; // the rows that have been run, less one
  let walk = null;

  const kin = () => data.glyphs.filter(
    ({ t, free }) => t === temperature.value && free === Number(!grammar.input.checked),
  );
  const matching = () => kin().filter(
    ({ c, s }) => c === Number(character.value) && s === Number(style.value),
  );
  /** Rows that can be run: those before one that means nothing. */
  const sound = () => (glyph.bad ? Math.min(at + 1, glyph.bad - 1) : at + 1);
  // in width it is that of the whole glyph, or it would jump when the advance is known
  const placeIn = (width) => glyphPlace(runProgram(rows, rows.length, data).advance ?? 0.6, width, 340);

  const sheet = picture(stage, {
    label: "The outline as far as the program has been run",
    height: (width) => placeIn(width).height,
    draw(context, { width, colors }) {
      const place = placeIn(width);
      const run = runProgram(rows, sound(), data);
      if (run.advance !== null) drawLines(context, run.advance, place, width, colors);
      context.beginPath();
      traceContours(context, run.closed, place);
      context.fillStyle = colors.faint;
      context.strokeStyle = colors.ink;
      context.lineWidth = 1.5;
      context.fill("nonzero");
      context.stroke();
      if (run.open.length) {
        context.beginPath();
        traceContours(context, [run.open], place, false);
        context.stroke();
      }
      drawPoints(context, [...run.closed, run.open], place, colors, 4.5);
      const [kind, x, y] = rows[at] ?? [END_ROW];
      if (kind >= START_ROW && !(glyph.bad && at + 1 >= glyph.bad)) {
        const [h, v] = [x, y].map((value, axis) => (value + data.lowest[axis]) / data.grid);
        ring(context, place.x(h), place.y(v), 7, colors.vermillion);
      }
    },
  });
  const list = node("ol", { class: "rows", "aria-hidden": "true" });
  const said = node("output", { class: "note" });

  const show = () => {
    const first = Math.max(0, Math.min(at - 4, rows.length - LISTED));
    list.replaceChildren(...rows.slice(first, first + LISTED).map((row, i) => {
      const number = first + i + 1;
      const wrong = glyph.bad && number >= glyph.bad;
      const words = `${String(number).padStart(3, "\u2007")}  ${rowInWords(row, data)}`;
      return node("li", { class: `${number === at + 1 ? "now" : ""} ${wrong ? "bad" : ""}` }, words);
    }));
    const { good, of } = parsing(kin());
    const broken = glyph.bad && at + 1 >= Math.min(glyph.bad, rows.length);
    said.textContent =
      `Row ${at + 1} of ${rows.length}: ${rowInWords(rows[at], data)}. ` +
      (broken ? `This is no outline: ${glyph.why}. ` : "") +
      `Of the ${of} programs here that were drawn like this, ${good} are outlines.`;
    sheet.redraw();
  };
  const begin = () => {
    walk?.pause();
    const found = matching();
    glyph = found[sample % found.length];
    rows = rowsOfGlyph(glyph, data.glyphs);
    row.input.max = rows.length - 1;
    walk = clock({
      stage, length: rows.length, rate: () => RATE,
      onState: (playing) => play.show(playing),
      onStep(step) {
        at = step;
        row.value = step;
        show();
      },
    });
    walk.seek(rows.length - 1);
  };

  let sample = 0;
  const choice = (label, values) => select({
    label, options: values.map((words, i) => [String(i), words]), value: "0", onChange: begin,
  });
  const character = choice("Character", data.characters);
  const style = choice("Style", data.styles);
  const temperature = slider({
    label: "temperature", min: 0, max: data.temperatures.length - 1, step: 1,
    value: data.first, format: (i) => String(data.temperatures[i]), onInput: () => begin(),
  });
  const row = slider({
    label: "row", min: 0, max: 1, step: 1, value: 0, format: (i) => String(i + 1),
    onInput: (step) => walk.seek(step),
  });
  const play = playButton(() => walk.toggle());
  const grammar = checkbox({
    label: "only what the grammar allows", value: true, onChange: () => begin(),
  });
  const another = button({
    label: "Another draw",
    onClick() {
      sample += 1;
      begin();
    },
  });
  stage.root.append(
    node("div", { class: "bar" }, character.element, style.element, another),
    node("div", { class: "row" }, temperature.element, grammar.element),
    node(
      "div", { class: "both" },
      node("div", { class: "panel" }, sheet.element),
      node("div", { class: "panel" }, list),
    ),
    node("div", { class: "bar" }, play.element, row.element),
    said,
  );
  begin();
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
