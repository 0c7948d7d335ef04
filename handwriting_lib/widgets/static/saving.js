// Ink as files of vectors with its size on paper: SVG and PDF, of the same strokes.
//
// lines: lists of {x, y, end, box, top} in letter-body heights, y up; `top` is how far
// y = 0 lies below the upper edge. size: {width, height}, likewise.

const MILLIMETRES = 3; // a letter body on paper, about as high as people write it
const POINTS = (MILLIMETRES * 72) / 25.4; // of PDF
const PEN_WIDTH = 0.12; // letter bodies
const INK_COLOR = "#14171c";

const millimetres = (units) => (MILLIMETRES * units).toFixed(1);

/** The strokes of a line, lists of [x, y], y down from the upper left corner. A dot is a
 * short stroke: plotters leave out those of length zero. */
function strokesOf({ x, y, end, box, top }) {
  const strokes = [];
  let down = false;
  for (let i = 0; i < x.length; i++) {
    if (!down) strokes.push([]);
    strokes.at(-1).push([x[i] + 1 - box.left, top - y[i]]);
    down = !end[i];
  }
  for (const stroke of strokes) {
    const [across, below] = stroke[0];
    if (stroke.length < 2) stroke.push([across + PEN_WIDTH / 4, below]);
  }
  return strokes;
}

/** Ink of several lines as SVG text, 20 units to the letter body, a path a line. */
function inkSvg(lines, { width, height }, title) {
  const scale = 20;
  const drawing = svgNode("svg", {
    xmlns: SVG,
    width: `${millimetres(width)}mm`,
    height: `${millimetres(height)}mm`,
    viewBox: `0 0 ${(width * scale).toFixed(1)} ${(height * scale).toFixed(1)}`,
  });
  drawing.append(svgNode("title", {}, title));
  const spot = (point) => point.map((v) => (v * scale).toFixed(1)).join(" ");
  for (const line of lines) {
    drawing.append(svgNode("path", {
      d: strokesOf(line).map((stroke) => `M${stroke.map(spot).join("L")}`).join(""),
      fill: "none", stroke: INK_COLOR, "stroke-width": PEN_WIDTH * scale,
      "stroke-linecap": "round", "stroke-linejoin": "round",
    }));
  }
  return new XMLSerializer().serializeToString(drawing);
}

/** The same as a PDF of one page, all of it in ASCII. */
function inkPdf(lines, { width, height }, title) {
  const page = [width * POINTS, height * POINTS].map((v) => v.toFixed(2));
  const color = [1, 3, 5].map((at) => (parseInt(INK_COLOR.slice(at, at + 2), 16) / 255).toFixed(3));
  const spot = ([x, y]) => `${(x * POINTS).toFixed(2)} ${((height - y) * POINTS).toFixed(2)}`;
  const draw = ([first, ...rest]) => [`${spot(first)} m`, ...rest.map((p) => `${spot(p)} l`), "S"].join("\n");
  const content = [
    `1 J 1 j ${(PEN_WIDTH * POINTS).toFixed(3)} w ${color.join(" ")} RG`,
    ...lines.flatMap(strokesOf).map(draw),
  ].join("\n");
  const objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${page.join(" ")}] /Resources << >> /Contents 4 0 R >>`,
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    `<< /Title <${hexadecimal(title)}> >>`,
  ];
  let file = "%PDF-1.4\n";
  const places = objects.map((object, i) => {
    const place = file.length;
    file += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return String(place).padStart(10, "0");
  });
  const table = ["0000000000 65535 f ", ...places.map((place) => `${place} 00000 n `)];
  return [
    `${file}xref\n0 ${table.length}`, ...table,
    `trailer\n<< /Size ${table.length} /Root 1 0 R /Info 5 0 R >>`,
    `startxref\n${file.length}\n%%EOF\n`,
  ].join("\n");
}

/** A text in UTF-16 with its mark, in hexadecimal digits, as PDF takes it. */
function hexadecimal(text) {
  const digits = (code) => code.toString(16).padStart(4, "0");
  return ["\ufeff", ...text.split("")].map((one) => digits(one.charCodeAt(0))).join("");
}
