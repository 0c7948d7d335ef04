// TrainingFilm: one text at several checkpoints of a training, with where the network read.
//
// data: text and frames, a list of updates, ink (host.pack_ink), phi (T x U), loss (nats a
// point, or null) and problem (what check_line found, or "").

const FRAMES_PER_SECOND = 1.2;
const MOST_READ = 16; // characters that are listed
const MARGIN = 10; // pixels around the ink

/** The characters in the order in which they are read, each once until another follows. */
function readingOf({ now }, characters) {
  const runs = now.filter((u, t) => t === 0 || u !== now[t - 1]);
  const words = runs.slice(0, MOST_READ).map((u) => characters[u] ?? "end");
  return words.map((one) => (one === " " ? "␣" : one)).join(" ") + (runs.length > MOST_READ ? " …" : "");
}

export function mount(host, data) {
  const stage = open(host);
  const characters = Array.from(data.text);
  const slots = characters.length + 1;
  const frames = data.frames.map((frame) => ({
    ...frame, ink: unpackInk(frame.ink), map: weightMap(unpack(frame.phi), slots),
  }));
  let at = data.at;

  const line = picture(stage, {
    label: "",
    height: (width) => Math.max(140, Math.min(0.28 * width, 240)),
    draw(context, { width, height, colors }) {
      const { ink } = frames[at];
      const most = (height - 2 * MARGIN) / Math.max(ink.box.top - ink.box.bottom, 1e-6);
      const place = view(ink.box, width - 2 * MARGIN, { margin: 0, most: Math.min(40, most) });
      context.translate(MARGIN, (height - place.height) / 2);
      drawInk(context, ink, place, { color: colors.ink });
    },
  });
  const weights = picture(stage, {
    label: "",
    height: () => weightsHeight(slots),
    draw(context, size) {
      drawWeights(context, size, frames[at].map, { characters });
    },
  });

  const said = node("output", { class: "note" });
  const updates = slider({
    label: "updates", min: 0, max: frames.length - 1, step: 1, value: at,
    format: (k) => frames[k].updates.toLocaleString("en"),
    onInput: (k) => walk.seek(k),
  });
  const play = playButton(() => walk.toggle());
  const show = (k) => {
    at = k;
    updates.value = k;
    const { updates: count, ink, map, loss, problem } = frames[k];
    const after = `after ${count.toLocaleString("en")} updates`;
    const read = readingOf(map, characters);
    line.element.setAttribute("aria-label", `“${data.text}”, written ${after}: ${ink.length} points`);
    weights.element.setAttribute("aria-label", `Weights of its characters ${after}, largest in this order: ${read}`);
    said.textContent = [
      loss === null ? "" : `Loss ${loss.toFixed(2).replace("-", "−")} nats per point.`,
      `It reads ${read}.`,
      problem ? `Not complete: ${problem}.` : "Complete.",
    ].filter(Boolean).join(" ");
    line.redraw();
    weights.redraw();
  };
  const walk = clock({
    stage, length: frames.length, rate: () => FRAMES_PER_SECOND, onStep: show, onState: play.show,
  });

  stage.root.append(
    node("style", {}, FILM_STYLE),
    node("div", { class: "panel" }, line.element),
    node("div", { class: "bar" }, play.element, updates.element),
    said,
    node(
      "div", { class: "panel along" },
      node("div", { class: "title" }, "Where it reads; each step has its own scale of colours"),
      weights.element,
    ),
  );
  walk.seek(at);
  return stage.close;
}

const FILM_STYLE = `
.bar > .slider { flex-basis: 260px; } /* on a phone it has a row of its own */
output.note { display: block; margin-bottom: 8px; }
@container (max-width: 760px) {
  output.note { min-height: 2.9em; } /* two lines, or the page would jump */
}
`;

export default { render: ({ model, el }) => mount(el, model.get("data")) };
