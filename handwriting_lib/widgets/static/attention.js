// Where each head of a decoder looks, and what may come next: the network reads in the
// page what the reader types.
//
// data: text, longest (characters), temperature, temperatures (least and largest), seed,
// folding (the tables of folding.js), and pack.

const PROBABLE = 8; // characters that have a bar
const PACE = 130; // milliseconds from one character to the next

/** A character as a sign that can be seen. */
const sign = (letter) => ({ " ": "␣", "\n": "↵" })[letter] ?? letter;

/** A character in words. */
const inWords = (letter) =>
  ({ " ": "a space", "\n": "the end of the paragraph" })[letter] ?? `“${letter}”`;

export function mount(host, data) {
  const stage = open(host);
  const uniform = uniformNumbers(data.seed, 0, 1);
  let decoder = null;
  let steps = []; // of the decoder, one a character
  let letters = [];
  let marks = []; // their elements in the strip
  let at = 0; // the character that is looked at
  let tiles = [];
  let timer = 0;

  // --- reading ---

  /** Read the text; the last character is looked at. Gives whether it can be read. */
  function update() {
    if (!decoder) return false;
    const { text, replaced } = foldText(input.value, data.folding, true);
    const read = Array.from(text).slice(0, data.longest);
    const unknown = read.find((letter) => !decoder.vocabulary.includes(letter));
    const problem = unknown
      ? `The network has never read ${inWords(unknown)}: leave it out.`
      : read.length ? "" : "Type something for the network to read.";
    if (problem) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
    say(problem || sayReplaced(replaced), Boolean(problem));
    if (problem) return false;
    letters = read;
    steps = decoder.read(letters.map((letter) => decoder.vocabulary.indexOf(letter)));
    layOut();
    look(letters.length - 1);
    return true;
  }

  /** The letters anew, in the strip and in each tile. */
  function layOut() {
    const words = [node("span", { class: "word" })];
    marks = letters.map((letter) => {
      const mark = node("span", { class: "letter" }, letter);
      words.at(-1).append(mark);
      if (letter === " ") words.push(node("span", { class: "word" }));
      return mark;
    });
    strip.replaceChildren(...words);
    strip.setAttribute("aria-valuemax", letters.length);
    for (const { text } of tiles) {
      text.replaceChildren(...letters.map((letter) => node("span", {}, letter)));
    }
  }

  /** Show what character `next` reads and what may follow it. */
  function look(next) {
    at = Math.max(0, Math.min(letters.length - 1, next));
    const { weights } = steps[at];
    marks.forEach((mark, i) => mark.classList.toggle("now", i === at));
    strip.setAttribute("aria-valuenow", at + 1);
    strip.setAttribute(
      "aria-valuetext", `${inWords(letters[at])}, character ${at + 1} of ${letters.length}`,
    );
    tiles.forEach(({ name, element, most, text }, i) => {
      const largest = weights[i].indexOf(weights[i].reduce((a, b) => Math.max(a, b)));
      const share = weights[i][largest].toFixed(2);
      most.textContent = `${sign(letters[largest])} ${share}`;
      element.setAttribute(
        "aria-label",
        `${name} looks most at ${inWords(letters[largest])}, character ${largest + 1}: ${share}`,
      );
      [...text.children].forEach((span, s) => {
        const level = s > at ? 0 : Math.round(60 * Math.sqrt(weights[i][s]));
        span.style.setProperty("--weight", `${level}%`);
        span.className = s > at ? "later" : s === largest ? "most" : "";
      });
    });
    showNext();
  }

  /** The probabilities of the characters that may follow. */
  function showNext() {
    if (!steps.length) return;
    const p = softmax(steps[at].logits, temperature.value);
    const { vocabulary } = decoder;
    const first = [...p.keys()].sort((a, b) => p[b] - p[a]).slice(0, PROBABLE);
    const follows = letters[at + 1];
    bars.replaceChildren(...first.map((token) => {
      const letter = vocabulary[token];
      const bar = node("span", { class: "bar-of" });
      bar.style.setProperty("--share", p[token]);
      return node(
        "div", { class: letter === follows ? "column follows" : "column" },
        node("span", { class: "share" }, p[token].toFixed(2)), bar,
        node("span", { class: "sign" }, sign(letter)),
      );
    }));
    const listed = first.map((token) => `${inWords(vocabulary[token])} ${p[token].toFixed(2)}`);
    bars.setAttribute("aria-label", `After ${inWords(letters[at])}: ${listed.join(", ")}`);
    const does = first.some((token) => vocabulary[token] === follows);
    asked.textContent =
      `What may follow ${sign(letters[at])} (character ${at + 1})` +
      (does ? "; underlined: what does" : "");
  }

  // --- going on ---

  function halt(words = "") {
    clearTimeout(timer);
    timer = 0;
    press.firstChild.data = "Go on";
    if (words) say(words);
  }

  /** Draw the next character, and those after it until the sentence ends. */
  function goOn() {
    for (;;) {
      if (letters.length >= data.longest) {
        return halt(`There is room for ${data.longest} characters: delete some to go on.`);
      }
      const p = softmax(steps.at(-1).logits, temperature.value);
      const letter = decoder.vocabulary[drawIndex(p, uniform())];
      if (letter === "\n") return halt("The network drew the end of the paragraph.");
      input.value = letters.join("") + letter;
      update();
      if (endsSentence(input.value)) return halt("The network ended the sentence.");
      if (reducedMotion()) continue;
      timer = setTimeout(goOn, PACE);
      return undefined;
    }
  }

  // --- controls ---

  const input = node("input", {
    type: "text", maxlength: data.longest, value: data.text, autocomplete: "off",
    spellcheck: "false", "aria-label": "Text to read",
    input() {
      halt();
      update();
    },
  });
  const press = button({
    label: "Go on", className: "primary",
    onClick() {
      if (timer) return halt("Stopped.");
      if (!update()) return undefined;
      press.firstChild.data = "Stop";
      return goOn();
    },
  });
  const { element: said, say } = notice();
  const temperature = slider({
    label: "Temperature", min: data.temperatures[0], max: data.temperatures[1], step: 0.05,
    value: data.temperature, format: (value) => value.toFixed(2), onInput: showNext,
  });
  const point = (event) => {
    const [x, y] = [event.clientX, event.clientY];
    const found = strip.getRootNode().elementFromPoint(x, y);
    const next = marks.indexOf(found);
    if (next >= 0 && !timer) look(next);
  };
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
  const strip = node("div", {
    class: "letters", role: "slider", tabindex: "0", "aria-label": "Character",
    "aria-valuemin": 1, pointermove: point, pointerdown: point,
    keydown(event) {
      const ends = { Home: 0, End: letters.length - 1 };
      const next = ends[event.key] ?? at + moves[event.key];
      if (Number.isNaN(next) || timer || !steps.length) return;
      event.preventDefault();
      look(next);
    },
  });
  const asked = node("div", { class: "title" }, "What may follow");
  const bars = node("div", { class: "next", role: "img" });
  const layers = node("div", { class: "heads" });

  stage.root.append(
    node("style", {}, ATTENTION_STYLE),
    node("div", { class: "bar ask" }, input, press),
    said,
    node(
      "div", { class: "panel" },
      node("div", { class: "title" }, "Point at a character, or move with the arrow keys"),
      strip,
    ),
    node("div", { class: "panel" }, asked, bars, temperature.element),
    node(
      "div", { class: "panel" },
      node("div", { class: "title" }, "Where it looks: layer.head and the largest weight"),
      layers,
      node(
        "p", { class: "note" },
        "The shading grows with the square root of the weight, so that small weights show. " +
          "Pale characters come later, and no head sees them.",
      ),
    ),
  );
  say("Loading the network.");
  stage.closing.push(halt);

  /** A tile for each head of each layer. */
  function makeTiles({ layers: depth, heads }) {
    layers.style.setProperty("--heads", heads);
    tiles = Array.from({ length: depth * heads }, (_, i) => {
      const name = `Layer ${Math.floor(i / heads) + 1}, head ${(i % heads) + 1}`;
      const most = node("span", { class: "share" });
      const text = node("div", { class: "read" });
      const short = `${Math.floor(i / heads) + 1}.${(i % heads) + 1}`;
      const head = node("div", { class: "head" }, node("span", {}, short), most);
      return { name, most, text, element: node("div", { class: "tile", role: "img" }, head, text) };
    });
    layers.replaceChildren(...tiles.map((tile) => tile.element));
  }

  fetchDecoder(data.pack)
    .then((loaded) => {
      decoder = loaded;
      makeTiles(decoder.config);
      update();
    })
    .catch((problem) => say(`The network could not be loaded: ${problem.message}`, true));
  return stage.close;
}

const ATTENTION_STYLE = `
.ask input { flex: 1 1 200px; min-width: 0; }
.say { margin: 4px 0; min-height: 1.45em; }
.say.wrong { color: var(--vermillion); }
input[aria-invalid] { border-color: var(--vermillion); }
.letters { cursor: crosshair; padding: 4px 10px 8px; touch-action: pan-y; }
.letters:focus-visible { outline-offset: -3px; }
.word { display: inline-block; white-space: nowrap; }
.letter {
  border-bottom: 3px solid transparent; display: inline-block; font-size: 18px;
  line-height: 1.35; min-width: 10px; text-align: center; white-space: pre;
}
.letter.now {
  background: color-mix(in srgb, var(--vermillion) 22%, transparent);
  border-bottom-color: var(--vermillion);
}
.next {
  display: grid; gap: 4px; grid-template-columns: repeat(${PROBABLE}, minmax(0, 1fr));
  padding: 6px 10px 2px;
}
.column { align-items: center; display: flex; flex-direction: column; }
.share { color: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums; }
.bar-of {
  background: linear-gradient(
    to top, var(--blue) calc(100% * var(--share)), var(--field) calc(100% * var(--share))
  );
  border-radius: 3px; height: 72px; width: min(100%, 40px);
}
.sign { border-bottom: 3px solid transparent; font-size: 17px; min-width: 1em; text-align: center; }
.follows .sign { border-bottom-color: var(--vermillion); }
.panel > .slider { margin: 2px 10px 6px; }
.heads {
  display: grid; gap: 8px; grid-template-columns: repeat(3, minmax(0, 1fr));
  padding: 6px 10px 4px;
}
.heads + .note { margin: 0; padding: 2px 10px 8px; }
@container (min-width: 620px) {
  .heads { grid-template-columns: repeat(var(--heads), minmax(0, 1fr)); }
}
.tile { border-top: 1px solid var(--faint); }
.head { color: var(--muted); display: flex; font-size: 12px; justify-content: space-between; }
.read { font: 11px/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; word-break: break-all; }
.read span { background: color-mix(in srgb, var(--blue) var(--weight, 0%), transparent); }
.read .later { opacity: 0.35; }
.read .most { box-shadow: inset 0 -2px var(--vermillion); }
`;

export default { render: ({ model, el }) => mount(el, model.get("data")) };
