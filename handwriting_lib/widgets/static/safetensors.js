// Reading safetensors, as files/models.py and files/browser.py write them.

/** Half precision as float32: all 65,536 of them, as bits. */
function halves() {
  const table = new Uint32Array(65536);
  for (let i = 0; i < 65536; i++) {
    const sign = (i & 0x8000) << 16;
    const exponent = (i >> 10) & 31;
    const fraction = i & 1023;
    if (exponent === 31) table[i] = sign | 0x7f800000 | (fraction << 13);
    else if (exponent) table[i] = sign | ((exponent + 112) << 23) | (fraction << 13);
    else {
      const small = new Float32Array([fraction * 2 ** -24]);
      table[i] = sign | new Uint32Array(small.buffer)[0];
    }
  }
  return new Float32Array(table.buffer);
}

/** What stands in front of the numbers; nothing where the file is another. */
function readHeader(buffer) {
  try {
    const size = Number(new DataView(buffer).getBigUint64(0, true));
    const text = new TextDecoder().decode(new Uint8Array(buffer, 8, size));
    const { __metadata__: metadata, ...header } = JSON.parse(text);
    return { size, header, about: JSON.parse(metadata.handwriting_lib) };
  } catch {
    return {};
  }
}

/** Name to `{shape, data}`, data a Float32Array or Int8Array. */
function readTensors(buffer, { size, header }) {
  const table = halves();
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    const bytes = buffer.slice(8 + size + from, 8 + size + to);
    let data;
    if (dtype === "F16") {
      const half = new Uint16Array(bytes);
      data = new Float32Array(half.length);
      for (let i = 0; i < half.length; i++) data[i] = table[half[i]];
    } else if (dtype === "F32") data = new Float32Array(bytes);
    else if (dtype === "I8") data = new Int8Array(bytes);
    else throw new Error(`${name}: the engine does not read ${dtype}`);
    tensors[name] = { shape, data };
  }
  return tensors;
}
