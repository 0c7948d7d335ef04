// Text as people type it: typographic quotes, dashes and invisible characters, and
// letters with accents, as ASCII. The tables and the results are those of `fold` in
// alphabet.py.

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
    if (/[\p{Cf}\uFE00-\uFE0F]/u.test(one)) plain = "";
    else if (Object.hasOwn(typographic, one)) plain = typographic[one];
    else if (accents && one > "\x7f") plain = plainLetter(one, letters) ?? one;
    if (plain !== one) replaced.set(one, plain);
    folded += plain;
  }
  return { text: folded, replaced };
}

/** The ASCII form of a letter or sign, or null. */
function plainLetter(one, letters) {
  if (Object.hasOwn(letters, one)) return letters[one];
  const parts = [...one.normalize("NFKD")].filter((part) => !/\p{Mn}/u.test(part));
  const plain = parts.map((part) => letters[part] ?? part).join("");
  return /^[\x20-\x7e]*$/.test(plain) ? plain : null;
}

/** What was replaced, as a sentence, or "". */
function sayReplaced(replaced) {
  const seen = [...replaced].filter(([, plain]) => plain !== "");
  if (!seen.length) return "";
  return `Written instead: ${seen.map(([one, plain]) => `${plain} for ${one}`).join(", ")}.`;
}
