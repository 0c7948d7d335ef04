// Own hand: a line of the reader's ink becomes a style, and a Studio goes on in it.
//
// data: prompts, lines to write by hand, network {name, fingerprint, fingerprints, config},
// whose styles these are, chapter, an address or null, and what a Studio wants, but hands.

const MOST_HANDS = 5; // that the browser keeps
const LONGEST_NAME = 40;
const FIRST_NAME = "my hand";
const OWN_STYLE = `
.bar .name { flex: 1 1 120px; min-width: 0; }
.named { flex: 1 1 180px; }
.about { margin-top: 10px; }
a { color: var(--blue); }
`;

/** Bytes in base64, as the styles of a Studio are. */
function toBase64(buffer) {
  return btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""));
}

/** A hand for the Studio; the line of Python names the file that "Save hand" makes. */
const makeHand = (id, name, data) => ({ id, name, data, python: python(fileName(name)) });

/** The name of a style file, without what a disk may refuse. */
function fileName(name) {
  const plain = name.replace(/[\\/:*?"<>|\p{Cc}]/gu, "-").replace(/^\.+/, "");
  return `${plain || "hand"}.safetensors`;
}

export function mount(host, data) {
  const stage = open(host);
  const { network } = data;
  const store = makeStore(`handwriting_lib/hands/${network.fingerprint}/`);
  let at = 0; // which prompt
  let sheet = { strokes: [], frame: null };
  let cleared = null; // the sheet before it was cleared
  let hands = [];
  let chosen = null; // the number of a hand, null for none
  let studio = null; // once there is a hand
  let loading = null;
  let reading = false;

  /** The engine, which a page loads when it is first wanted. */
  const loaded = () => {
    loading ??= loadEngine(data.pack);
    loading.catch(() => (loading = null)); // the next try may find it
    return loading;
  };

  // --- the line ---

  const surface = writingSurface(stage, {
    sheet: () => sheet,
    onStart: () => loaded().catch(() => {}),
    onUndo: () => undo(),
    onEnd: () => refresh(),
  });

  const empty = () => {
    surface.stop();
    sheet = { strokes: [], frame: null };
    cleared = null;
    surface.restartClock();
  };

  const undo = () => {
    surface.stop();
    const before = cleared;
    if (sheet.strokes.length) sheet.strokes.pop();
    else if (cleared) [sheet, cleared] = [cleared, null];
    else say("There is no stroke to undo.");
    if (!sheet.strokes.length) {
      empty();
      cleared = before;
    }
    refresh();
  };

  const clear = () => {
    const before = sheet;
    empty();
    if (before.strokes.length) {
      cleared = before;
      say("Cleared. Undo brings the ink back.");
    }
    refresh();
  };

  const another = () => {
    at = (at + 1) % data.prompts.length;
    empty();
    refresh();
  };

  const refresh = () => {
    const text = data.prompts[at];
    wanted.textContent = text;
    surface.element.setAttribute(
      "aria-label",
      `Surface to write “${text}” on, with mouse, pen or finger; it has ` +
        `${sheet.strokes.length} strokes. Without a pointer, load a hand from a file.`,
    );
    surface.redraw();
  };

  // --- from ink to a hand ---

  const read = async () => {
    surface.stop();
    if (reading) return;
    if (!sheet.strokes.length) {
      return say(`Write “${data.prompts[at]}” on the line first.`, true);
    }
    reading = true;
    say("Reading your line.");
    try {
      const priming = new Priming(await loaded(), sheet.strokes, data.prompts[at]);
      const began = performance.now();
      while (!priming.done) {
        const until = performance.now() + FRAME;
        while (!priming.done && performance.now() < until) priming.step();
        await new Promise((resolve) => setTimeout(resolve));
      }
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      if (priming.problem) {
        another();
        return say(`${priming.problem} Please write this line instead.`, true);
      }
      const file = writeStyle(priming.style, network.config, network.fingerprint);
      say(
        `Read to the end of the line: ${priming.points.length} points in ${seconds} s, ` +
          `${signed(priming.nats)} nats per point. ${add(FIRST_NAME, toBase64(file))}`,
      );
      studio.show();
    } catch (problem) {
      say(problem.message, true);
    } finally {
      reading = false;
    }
  };

  // --- hands ---

  /** A name that no other hand has. */
  const unused = (name) => {
    const taken = new Set(hands.map((one) => one.name));
    let free = name;
    for (let n = 2; taken.has(free); n++) free = `${name} ${n}`;
    return free;
  };

  /** Another hand, chosen; gives what to say of it. */
  const add = (name, style) => {
    const id = Date.now().toString(36) + Math.random().toString(36).slice(2);
    hands.push(makeHand(id, unused(name.slice(0, LONGEST_NAME) || FIRST_NAME), style));
    const kept = keep();
    show(hands.length - 1);
    if (hands.length > MOST_HANDS) {
      return (
        `Only ${MOST_HANDS} hands are kept here: save this one to a file, or delete another.`
      );
    }
    return kept ? "" : "This browser keeps nothing here: save the hand to a file.";
  };

  /** Store the first hands; says whether that worked. */
  const keep = () =>
    hands
      .slice(0, MOST_HANDS)
      .map(({ id, name, data: style }, order) => store.save(id, { order, name, style }))
      .every(Boolean);

  /** Choose a hand, and go on in it. */
  const show = (i) => {
    choose(i);
    if (!studio) {
      stage.root.append(manage);
      studio = openStudio(
        stage, { ...data, hands, hand: chosen }, { loading: loaded(), onHand: choose },
      );
    } else {
      studio.setHands(hands, chosen);
      studio.begin();
    }
  };

  const choose = (i) => {
    chosen = i;
    name.value = i === null ? "" : hands[i].name;
  };

  /** The chosen hand; none where each line has its own. */
  const current = () => {
    if (chosen === null) say("Choose a hand of yours first.", true);
    return hands[chosen];
  };

  const rename = () => {
    const one = current();
    const wish = name.value.trim().slice(0, LONGEST_NAME);
    if (!one || !wish || wish === one.name) return choose(chosen);
    one.name = ""; // its own name is free
    hands[chosen] = makeHand(one.id, unused(wish), one.data);
    keep();
    show(chosen);
    say(`It is called “${hands[chosen].name}” now.`);
  };

  const save = () => {
    const one = current();
    if (!one) return;
    download(fileName(one.name), new Blob([decode(one.data)]));
    say(`${fileName(one.name)} is a style file: Python and the command line take it as it is.`);
  };

  const remove = () => {
    const one = current();
    if (!one) return;
    if (!asked) {
      asked = true;
      controls.remove.textContent = "Really delete?";
      return say(`Once more deletes “${one.name}” from this browser.`, true);
    }
    store.remove(one.id);
    hands = hands.filter((other) => other !== one);
    keep();
    show(hands.length ? hands.length - 1 : null);
    calm();
    say(`“${one.name}” is deleted.`);
  };
  let asked = false;
  const calm = () => {
    asked = false;
    controls.remove.textContent = "Delete";
  };

  const openFiles = async (files) => {
    for (const file of files) {
      try {
        const large = file.size > LARGEST_STYLE;
        const bytes = large ? new ArrayBuffer(0) : await file.arrayBuffer();
        checkStyle(file.name, bytes, network);
        const style = toBase64(bytes);
        const there = hands.findIndex((one) => one.data === style);
        if (there >= 0) {
          show(there);
          say(`${file.name} is here already, as “${hands[there].name}”.`);
        } else {
          const remark = add(file.name.replace(/\.safetensors$/i, ""), style);
          say(`Loaded ${file.name}. ${remark}`);
        }
        studio.show();
      } catch (problem) {
        say(problem.message, true);
      }
    }
  };

  // --- controls ---

  const wanted = node("div", { class: "wanted", lang: "en" });
  const { element: said, say } = notice();
  const picker = filePicker({
    label: "Style files to load",
    accept: ".safetensors",
    onFiles: openFiles,
  });
  const name = node("input", {
    type: "text", class: "name", maxlength: LONGEST_NAME, autocomplete: "off",
    spellcheck: "false", change: rename,
  });
  const controls = {
    undo: button({ label: "Undo", describe: "Undo the last stroke", onClick: undo }),
    clear: button({ label: "Clear", describe: "Clear this line", onClick: clear }),
    another: button({ label: "Another line", onClick: another }),
    load: button({
      label: "Load hand", describe: "Load hand from a file", onClick: picker.open,
    }),
    read: button({ label: "Write in my hand", onClick: read, className: "primary" }),
    save: button({ label: "Save hand", describe: "Save hand to a file", onClick: save }),
    remove: button({ label: "Delete", onClick: remove }),
  };
  controls.remove.addEventListener("blur", calm);
  const panel = node("div", { class: "panel" }, surface.element);
  const whole = wholeScreen(stage, surface, {
    wanted, panel, said,
    actions: [
      { label: "Undo", describe: "Undo the last stroke", onClick: undo },
      { label: "Clear", describe: "Clear this line", onClick: clear },
    ],
  });

  const manage = node(
    "div", { class: "bar manage" },
    node("label", { class: "choice named" }, node("span", {}, "Name of the hand"), name),
    controls.save, controls.remove,
  );

  stage.root.append(
    node("style", {}, SURFACE_STYLE + OWN_STYLE),
    node("div", { class: "note" }, "Write this on the line, as you always write:"),
    wanted,
    panel,
    node(
      "div", { class: "bar" },
      controls.undo, controls.clear, controls.another, whole,
      node("span", { class: "gap" }), controls.load, picker.element, controls.read,
    ),
    said,
    node(
      "p", { class: "note about" },
      "Nothing is sent anywhere: the network reads your ink in this page, and up to " +
        `${MOST_HANDS} hands stay in this browser until you delete them.`,
    ),
    node(
      "p", { class: "note" },
      "A hand belongs to somebody: write in your own, or with its owner's consent; forge " +
        "nobody's hand or signature, and say that a machine wrote the line. ",
      data.chapter && node("a", { href: data.chapter }, "Whose hand is it? (chapter 12)"),
    ),
  );

  // Hands of the last visit; another script may have put anything there.
  const stored = store.load().filter(([, one]) => {
    try {
      checkStyle("stored", decode(one.style), network);
      return typeof one.name === "string" && Number.isFinite(one.order);
    } catch {
      return false;
    }
  });
  stored.sort(([, a], [, b]) => a.order - b.order);
  hands = stored.map(([id, { name: known, style }]) => makeHand(id, known, style));
  refresh();
  if (hands.length) show(hands.length - 1);
  return stage.close;
}

export default { render: ({ model, el }) => mount(el, model.get("data")) };
