// Text as people type it: typographic quotes, dashes and invisible characters, and
// letters with accents, as ASCII. The tables and the results are those of `fold` in
// alphabet.py.

const INVISIBLE = /[\p{Cf}\uFE00-\uFE0F]/u;
const MOST_NAMED = 5; // characters in one sentence

/**
 * A text folded as `alphabet.fold` does.
 *
 * @param text any text.
 * @param tables {typographic, letters}: what stands for a character, of each kind.
 * @param accents whether letters with accents, ligatures and signs are folded too.
 * @return {text, replaced}: a Map from each character that was replaced to what stands
 *   for it, "" for an invisible one.
 */
function foldText(text, { typographic, letters }, accents) {
  const replaced = new Map();
  let folded = "";
  for (const one of text.normalize("NFC")) {
    let plain = one;
    if (INVISIBLE.test(one)) plain = "";
    else if (Object.hasOwn(typographic, one)) plain = typographic[one];
    else if (accents && one > "\x7f") plain = plainLetter(one, letters) ?? one;
    if (plain !== one) replaced.set(one, plain);
    folded += plain;
  }
  if (replaced.has("°")) { // its plain form is a word
    folded = folded.replaceAll(" deg  ", " deg ").replaceAll("  deg ", " deg ");
  }
  return { text: folded, replaced };
}

/** The ASCII form of a letter or sign, or null. */
function plainLetter(one, letters) {
  if (Object.hasOwn(letters, one)) return letters[one];
  const parts = [...one.normalize("NFKD")].filter((part) => !isCombining(part));
  const plain = parts.map((part) => letters[part] ?? part).join("");
  return /^[\x20-\x7e]*$/.test(plain) ? plain : null;
}

/** Whether a character has a combining class: then it changes places with others. */
function isCombining(one) {
  return [`${one}\u0334`, `\u0301${one}`].some((pair) => pair.normalize("NFD") !== pair);
}

/** What was replaced, as a sentence, or ""; what nobody sees is not worth one. */
function sayReplaced(replaced) {
  const plainly = (plain) => ({ "": "nothing", " ": "a space" })[plain] ?? plain;
  const seen = [...replaced].filter(([one]) => !INVISIBLE.test(one));
  const said = seen.map(([one, plain]) => `${plainly(plain)} for ${visible(one)}`);
  return said.length ? `Written instead: ${said.join(", ")}.` : "";
}

/** The characters of a text outside the alphabet, in words, or "". */
function sayLacking(text) {
  const lacking = [...new Set(text)].filter((one) => one < " " || one > "~");
  const said = lacking.slice(0, MOST_NAMED).map((one) => `“${visible(one)}”`);
  if (lacking.length > said.length) said.push(`${lacking.length - said.length} more`);
  return said.length < 2 ? said.join() : `${said.slice(0, -1).join(", ")} and ${said.at(-1)}`;
}

/** A character, or its number where it would not show by itself. */
function visible(one) {
  if (!/[\p{C}\p{M}\p{Z}]/u.test(one)) return one;
  return `U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}
