// Where a page has the weights of a network, and how they become an engine.

/** The bytes of a pack: in the page, or beside it, once for all pages. A page on a disk
 * may not fetch a file, but it may load a script: the same bytes stand there in base64. */
async function packBytes({ data, name, folder }) {
  if (data !== undefined) return decode(data);
  if (location.protocol.startsWith("http")) {
    const answer = await fetch(`${folder}/${name}.bin`);
    if (!answer.ok) throw new Error(`${folder}/${name}.bin: ${answer.status}`);
    return answer.arrayBuffer();
  }
  const loading = (globalThis.handwritingLoading ??= {});
  loading[name] ??= new Promise((resolve, reject) => {
    const src = `${folder}/${name}.js`;
    const error = () => {
      delete loading[name]; // it may be there at the next try
      reject(new Error(`${src} could not be loaded`));
    };
    document.head.append(node("script", { src, load: resolve, error }));
  });
  await loading[name];
  return decode(globalThis.handwritingPacks[name]);
}

function decode(base64) {
  const letters = atob(base64);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes.buffer;
}

/** The engine of a pack, as soon as it is there and the page has done what else waits. */
async function loadEngine(pack) {
  const engine = new Engine(loadPack(await packBytes(pack)));
  await new Promise((resolve) => setTimeout(resolve));
  return engine;
}
