// A line as a link: the part of an address after the #, which no browser sends to a server.

const LONGEST_FRAGMENT = 16_000; // a text of the longest kind, each byte as %XX
const ANY_HAND = "any"; // as in Python
const PLAIN_NUMBER = /^\d{1,15}(\.\d{1,4})?$/;

/** The fragment of a line. */
export function toFragment({ text, hand, seed, bias, temperature }) {
  const parts = { write: text, hand: hand ?? ANY_HAND, seed, bias, temperature };
  return `#${new URLSearchParams(parts)}`;
}

/**
 * The line of a fragment; null unless all of it is there and in its range. `hands` are the
 * names that are known, `ranges` the least and the largest bias and temperature.
 */
export function fromFragment(fragment, hands, ranges) {
  if (!fragment.startsWith("#write=") || fragment.length > LONGEST_FRAGMENT) return null;
  const given = new URLSearchParams(fragment.slice(1));
  const number = (name, [least, most]) => {
    const value = given.get(name) ?? "";
    const read = PLAIN_NUMBER.test(value) ? Number(value) : NaN;
    return read >= least && read <= most ? read : NaN;
  };
  const name = given.get("hand");
  const line = {
    text: given.get("write"),
    hand: name === ANY_HAND ? null : hands.indexOf(name),
    seed: number("seed", [0, Number.MAX_SAFE_INTEGER]),
    bias: number("bias", ranges.bias),
    temperature: number("temperature", ranges.temperature),
  };
  const whole =
    line.text.trim() && line.text.length <= LONGEST_TYPED && line.hand !== -1 &&
    Number.isInteger(line.seed) && !Number.isNaN(line.bias + line.temperature);
  return whole ? line : null;
}
