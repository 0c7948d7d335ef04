// Player: a line of ink replayed, with where the network read and what it expected.
//
// data: ink (host.pack_ink), text, at (the point shown first), rate (points per second),
// and, where there is something to show, phi (T x U, or one such map for each of the names
// heads), truth (a character a point, -1 for none), mixture (see player.py) and end (the
// probability that a stroke ends).

const SPEEDS = [["0.25", "¼ ×"], ["0.5", "½ ×"], ["1", "1 ×"], ["2", "2 ×"], ["4", "4 ×"]];

/** The parameters of the next offset's density, a slice a point. */
function readMixture(packed) {
  const [logPi, muX, muY, logX, logY, rho] = [
    "log_pi", "mu_x", "mu_y", "log_sigma_x", "log_sigma_y", "rho",
  ].map((name) => unpack(packed[name]));
  const first = [0];
  for (const count of unpack(packed.count)) first.push(first.at(-1) + Math.round(count));
  return { first, pi: logPi.map(Math.exp), muX, muY, logX, logY, rho };
}

export function mount(host, data) {
  const stage = open(host);
  stage.root.append(node("style", {}, READING_STYLE + PLAYER_STYLE));
  const ink = unpackInk(data.ink);
  const last = ink.length - 1;
  const maps = data.phi ? unpack(data.phi) : null;
  const slots = data.phi ? data.phi.shape.at(-1) : Array.from(data.text).length;
  const mixture = data.mixture ? readMixture(data.mixture) : null;
  const end = data.end ? unpack(data.end) : null;
  const characters = Array.from(data.text);
  const truth = data.truth ? Array.from(unpack(data.truth), Math.round) : null;
  let map = null;
  let now = truth; // the character that each point belongs to, or looks at most
  const choose = (head) => {
    if (!maps) return;
    const size = ink.length * slots;
    map = weightMap(maps.subarray(head * size, (head + 1) * size), slots);
    now = map.now;
  };
  choose(0);
  const name = data.text || "a line of ink";
  let at = data.at;

  const line = picture(stage, {
    label: `The ink of: ${name}`,
    height: (width) => wrap(ink, width).height,
    draw(context, { width, colors }) {
      const place = wrap(ink, width);
      drawInk(context, ink, place, { color: colors.faint });
      drawInk(context, ink, place, { to: at + 1, color: colors.ink });
      dot(context, place.x(ink.x[at], at), place.y(ink.y[at], at), 5, colors.vermillion);
    },
  });
  onDrag(line.element, ({ x, y, width }) => {
    walk.seek(nearestPoint(ink, wrap(ink, width), x, y));
  });

  // --- what the network read and expected ---

  const gutter = map ? GUTTER : 0;
  const window_ = map && picture(stage, {
    label: `Weights of the characters of "${name}" along the line`,
    height: () => weightsHeight(slots),
    draw(context, size) {
      drawWeights(context, size, map, { characters, here: now[at], truth: truth ?? [] });
      cursor(context, size);
    },
  });

  const lift = end && picture(stage, {
    label: "Probability that the next point ends the stroke, along the line",
    height: () => 52,
    draw(context, { width, height, colors }) {
      const wide = width - gutter;
      context.fillStyle = colors.purple;
      for (let t = 0; t <= last; t++) {
        const tall = end[t] * (height - 4);
        const x = gutter + (t / ink.length) * wide;
        context.fillRect(x, height - tall, Math.max(wide / ink.length, 0.7), tall);
      }
      context.fillStyle = colors.faint;
      context.fillRect(gutter, height - 1, wide, 1);
      cursor(context, { width, height, colors });
    },
  });

  function cursor(context, { width, height, colors }) {
    const x = gutter + ((at + 0.5) / ink.length) * (width - gutter);
    context.fillStyle = colors.vermillion;
    context.fillRect(x - 0.75, 0, 1.5, height);
  }

  const field = mixture && picture(stage, {
    label: "Density of the next offset, around the pen",
    height: (width) => Math.min(width, 328),
    draw(context, size) {
      const place = drawDensity(context, size, mixture, at, ink, at);
      if (at === last) return;
      ring(context, place.x(ink.x[at + 1]), place.y(ink.y[at + 1]), 5, size.colors.blue);
      ring(context, 16, size.height - 14, 5, size.colors.blue);
      context.fillStyle = size.colors.muted;
      context.font = "12px system-ui, sans-serif";
      context.fillText("where it went", 27, size.height - 10);
    },
  });

  // --- controls ---

  const strip = now ? textStrip(data.text, slots, (u) => {
    const t = now.indexOf(u);
    if (t >= 0) walk.seek(t);
  }) : null;
  const speed = select({ label: "Speed", options: SPEEDS, value: "1", onChange: () => {} });
  const play = playButton(() => walk.toggle());
  const scrub = slider({
    label: "Point", min: 0, max: last, step: 1, value: at,
    format: (t) => `${t + 1} / ${ink.length}`,
    onInput: (t) => walk.seek(t),
  });
  const head = data.heads && select({
    label: "Where it reads", value: "0",
    options: data.heads.map((words, k) => [String(k), words]),
    onChange(k) {
      choose(Number(k));
      show(at);
    },
  });
  const said = node("div", { class: "said" });
  const show = (t) => {
    at = t;
    scrub.value = t;
    for (const part of [line, window_, lift, field]) part?.redraw();
    strip?.shade(
      (u) => (map ? map.phi[t * slots + u] / map.bright : Number(now[t] === u)), now[t],
    );
    const words = now && now[t] >= 0 ? `at ${spoken(characters[now[t]])}` : "";
    const chance = end ? `stroke ends next: ${Math.round(100 * end[t])}\u00a0%` : "";
    said.textContent = [words, chance].filter(Boolean).join(", ");
    if (words) scrub.input.setAttribute("aria-valuetext", `${t + 1} of ${ink.length}, ${words}`);
  };
  const walk = clock({
    stage, length: ink.length, onStep: show, onState: play.show,
    rate: () => data.rate * Number(speed.value),
  });

  // --- layout ---

  stage.root.append(node("div", { class: "panel" }, line.element));
  if (strip) stage.root.append(strip.element);
  stage.root.append(
    node("div", { class: "bar" }, play.element, speed.element, scrub.element),
  );
  if (now || end) stage.root.append(said);
  const panels = [];
  if (window_ || lift) {
    const panel = node("div", { class: "panel along" });
    if (window_) {
      const title = head?.element ?? node("div", {}, "Where it reads");
      title.classList.add("title");
      panel.append(title, window_.element);
    }
    if (lift) panel.append(node("div", { class: "title" }, "Will the next point end the stroke?"), lift.element);
    panels.push(panel);
  }
  if (field) {
    panels.push(node(
      "div", { class: "panel" },
      node("div", { class: "title" }, "Where the pen may go next"),
      field.element,
    ));
  }
  if (panels.length) {
    stage.root.append(node("div", { class: panels.length > 1 ? "both" : "" }, panels));
  }
  for (const part of [window_, lift]) {
    const seek = ({ x, width }) =>
      walk.seek(Math.round(((x - gutter) / (width - gutter)) * ink.length - 0.5));
    if (part) onDrag(part.element, seek);
  }
  walk.seek(at);
  return stage.close;
}

const PLAYER_STYLE = `
.said { color: var(--muted); display: block; font-size: 14px; min-height: 1.5em; }
.panel.along { padding-bottom: 6px; }
.title.choice { margin-bottom: 6px; }
`;

export default { render: ({ model, el }) => mount(el, model.get("data")) };
