// Style files, as save_style and load_style of writing/styles.py write and check them.
// The bytes are the same.

const STYLE_FORMAT = "handwriting_lib.style.2";
const LARGEST_STYLE = 1e6; // bytes; a style has a few thousand

/** The bits of the nearest number in half precision, ties to even. */
function toHalf(number) {
  const size = Math.abs(number);
  const exponent = Math.max(Math.floor(Math.log2(size)), -14);
  const steps = size / 2 ** (exponent - 10);
  const whole = Math.floor(steps);
  const up = steps - whole > 0.5 || (steps - whole === 0.5 && whole % 2) ? 1 : 0;
  return (1 / number < 0 ? 0x8000 : 0) | (((exponent + 14) << 10) + whole + up);
}

/** The tensors of a style of a network: name to type and shape, in the order of the file. */
function styleTensors({ hidden, layers, components, symbols }) {
  const tensors = {
    kappa: ["F32", [1, components]], point: ["F32", [3]], w: ["F32", [1, symbols]],
  };
  for (let l = 0; l < layers; l++) {
    for (const part of ["c", "h"]) tensors[`layers.${l}.${part}`] = ["F16", [1, hidden]];
  }
  return tensors;
}

/** A style of the engine as the bytes of a file; `fingerprint` is that of its network. */
function writeStyle({ prime, h, c, w, kappa, point }, config, fingerprint) {
  const about =
    `{"format": "${STYLE_FORMAT}", "text": ${JSON.stringify(prime.trimEnd())}, ` +
    `"model": "${fingerprint}"}`; // with the spaces that Python puts there
  const header = { __metadata__: { handwriting_lib: about } };
  const parts = [];
  let length = 0;
  for (const [name, [dtype, shape]] of Object.entries(styleTensors(config))) {
    const [, layer, part] = name.split(".");
    const numbers = layer ? { h, c }[part][layer] : { w, kappa, point }[name];
    const data = dtype === "F16" ? Uint16Array.from(numbers, toHalf) : Float32Array.from(numbers);
    header[name] = { dtype, shape, data_offsets: [length, length + data.byteLength] };
    parts.push(data);
    length += data.byteLength;
  }
  const letters = JSON.stringify(header);
  const padded = letters.padEnd(8 * Math.ceil(letters.length / 8));
  const bytes = new Uint8Array(8 + padded.length + length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded.length), true);
  bytes.set(new TextEncoder().encode(padded), 8);
  let at = 8 + padded.length;
  for (const data of parts) {
    bytes.set(new Uint8Array(data.buffer), at);
    at += data.byteLength;
  }
  return bytes.buffer;
}

/** Check that a file is a style of a network, `{name, fingerprints, config}`, or throw an
 * Error whose one sentence names the file and the remedy. */
function checkStyle(file, buffer, { name, fingerprints, config }) {
  const { about, header, size } = buffer.byteLength <= LARGEST_STYLE ? readHeader(buffer) : {};
  const known = ["handwriting_lib.style.1", STYLE_FORMAT];
  const valid = known.includes(about?.format) && typeof about.model === "string";
  if (!valid || typeof about.text !== "string" || !/^[ -~]*[!-~][ -~]*$/.test(about.text)) {
    throw new Error(
      `${file} is not a style file: choose a .safetensors file that this page, ` +
        "save_style or “handwriting style” wrote.",
    );
  }
  if (!fingerprints.includes(about.model)) {
    throw new Error(
      `${file} was made with the network ${about.model.slice(0, 40)}, not with ${name}: ` +
        "make a style with this one.",
    );
  }
  if (!holdsStyle(buffer, { size, header }, styleTensors(config))) {
    throw new Error(`${file} is damaged, its tensors are not those of a style: save it again.`);
  }
}

/** Whether a file has just the wanted tensors, and finite numbers in them. */
function holdsStyle(buffer, { size, header }, wanted) {
  const fits = ([name, [dtype, shape]]) => {
    const { dtype: type, shape: sizes, data_offsets: [from, to] } = header[name];
    const bytes = shape.reduce((a, b) => a * b) * (dtype === "F16" ? 2 : 4);
    const inside = from >= 0 && to === from + bytes && 8 + size + to <= buffer.byteLength;
    return type === dtype && String(sizes) === String(shape) && inside;
  };
  try {
    return (
      Object.keys(header).length === Object.keys(wanted).length &&
      Object.entries(wanted).every(fits) &&
      Object.values(readTensors(buffer, { size, header })).every(({ data }) =>
        data.every(Number.isFinite),
      )
    );
  } catch {
    return false; // a header of other things altogether
  }
}
