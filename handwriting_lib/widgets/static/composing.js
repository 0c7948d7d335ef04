// A Studio with a second network beside it, which thinks of what could be written.
//
// data: as in studio.js, and composer, the pack of a decoder; it loads at the first press.

const LONGEST_SENTENCE = 60; // characters: two or three lines by hand

export function mount(host, data, tell) {
  const stage = open(host);
  let loading = null;
  let busy = false;
  let closed = false;
  let seed = data.seed;
  stage.closing.push(() => (closed = true));

  /** Compose a sentence and write it; a press in the meantime asks for nothing more. */
  async function think() {
    if (busy) return;
    busy = true;
    press.setAttribute("aria-busy", "true");
    try {
      if (!loading) say("Loading the network that composes.");
      loading ??= fetchDecoder(data.composer.pack);
      const decoder = await loading;
      say("Thinking.");
      const options = { characters: LONGEST_SENTENCE, seed };
      const sentence = await composeSentence(decoder, options);
      seed += 1;
      if (closed) return;
      say(sentence ? "" : "Nothing came to mind: press again.");
      if (sentence) studio.write(sentence);
    } catch (problem) {
      loading = null;
      say(`The network that composes could not be loaded: ${problem.message}`, true);
    } finally {
      busy = false;
      press.removeAttribute("aria-busy");
    }
  }

  const press = button({ label: "Let it think of something", onClick: think });
  const { element, say } = notice();
  stage.root.append(node("style", {}, COMPOSING_STYLE));
  const studio = openStudio(stage, data, { tell, beside: [press, element] });
  return stage.close;
}

const COMPOSING_STYLE = `
.ask .say { flex-basis: 100%; margin: 0; }
.ask .say:empty { position: absolute; } /* without a row of its own, but still alive */
.say.wrong { color: var(--vermillion); }
button[aria-busy] { cursor: progress; opacity: 0.7; }
`;
