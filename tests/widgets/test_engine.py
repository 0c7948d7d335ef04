"""The page's engine against torch: states, densities, randomness, whole lines.

The engine runs in headless Chromium, as it does for a reader.
"""

import base64
import hashlib

import numpy as np
import pytest
import torch

from handwriting_lib import (
    Model,
    Sample,
    SynthesisConfig,
    SynthesisNetwork,
    check_line,
    load_pretrained,
    make_style,
    save_style,
    write,
)
from handwriting_lib.alphabet import encode
from handwriting_lib.files.browser import browser_pack
from handwriting_lib.parts.lstm import gates_to_state
from handwriting_lib.parts.mixture import StrokeMixture, draw_noise
from handwriting_lib.widgets.host import STATIC
from handwriting_lib.widgets.studio import ENGINE
from handwriting_lib.writing import sampling
from handwriting_lib.writing.sampling import line_generator

pytestmark = pytest.mark.book

BIAS, TEMPERATURE = 0.6, 0.9
POINTS = 300
TEXT = "a machine that writes, in all"
# The engine's functions under one name, and its packs by theirs.
GLUE = """
window.tools = {loadPack, loadStyle, Engine, Writing, encode, mixtureOf, drawNoise,
                checkLine, sha256, hasSimd, Arithmetic};
window.engines = {};
window.toBase64 = numbers => {
  const bytes = new Uint8Array(numbers.buffer);
  let text = '';
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
  }
  return btoa(text);
};
window.open_pack = async (name, simd) => {
  const pack = tools.loadPack(await (await fetch(name)).arrayBuffer());
  return new tools.Engine(pack, {simd});
};
window.open_style = async name =>
  name && tools.loadStyle(await (await fetch(name)).arrayBuffer());
"""
TRACE = """
const [name, simd, points, text, bias, temperature, done] = arguments;
open_pack(name, simd).then(engine => {
  const state = engine.start();
  const indices = tools.encode(text);
  const rows = [];
  for (const point of points) {
    const {output, phi} = engine.step(state, indices, point);
    const m = tools.mixtureOf(output, bias, temperature);
    const now = [...state.h, ...state.c, state.w, state.kappa];
    rows.push(...now.map(one => one.slice()), phi);
    rows.push(m.pi, m.muX, m.muY, m.logX, m.logY, m.rho, [m.end]);
  }
  done(toBase64(Float32Array.from(rows.flatMap(row => Array.from(row)))));
}).catch(problem => done(String(problem)));
"""


@pytest.fixture(scope="module")
def model():
    """Weights that no half-precision number equals."""
    model = load_pretrained()
    torch.manual_seed(1)
    with torch.no_grad():
        for weights in model.network.parameters():
            weights.mul_(1 + 1e-3 * torch.randn_like(weights))
    return model


# Cells a layer: whole registers but not whole rows of them; and neither.
SMALL = (20, 10)


def small(hidden):
    """A network of sizes that nothing divides."""
    torch.manual_seed(2)
    return SynthesisNetwork(SynthesisConfig(hidden, 2, mixtures=3, components=5)).eval()


@pytest.fixture(scope="module")
def styles():
    """Hands, from lines that end in a letter with a bar, a dot and neither."""
    shipped = load_pretrained()
    made = []
    for text, seed in [
        ("what is it that", 4),
        ("Halley, Bali", 2),
        ("ink on a hill", 7),
    ]:
        ink = write(text, shipped, style="any", seed=seed, bias=0.6)[0].ink
        sample = Sample(text, ink, "nobody", "write", units="letter-body heights")
        made.append(make_style(shipped, sample))
    return made


@pytest.fixture(scope="module")
def page(driver, tmp_path_factory, model, styles):
    """A page with the engine in it, and packs beside it."""
    from browser import console, serve, visit

    folder = tmp_path_factory.mktemp("engine")
    for weights in ("float32", "half", "int8"):
        (folder / f"{weights}.bin").write_bytes(browser_pack(model, weights))
    shipped = browser_pack(load_pretrained(), "half")
    (folder / "shipped.bin").write_bytes(shipped)
    for i, style in enumerate(styles):
        save_style(style, folder / f"style{i}.safetensors")
    for hidden in SMALL:
        content = browser_pack(Model(small(hidden)), "float32")
        (folder / f"small{hidden}.bin").write_bytes(content)
    (folder / "none.bin").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    (folder / "cut.bin").write_bytes(shipped[:1000])
    source = "".join((STATIC / f"{one}.js").read_text("utf-8") for one in ENGINE)
    head = "<!doctype html><meta charset=utf-8><link rel=icon href='data:,'>"
    body = f"<script type=module>{source}{GLUE}</script>"
    (folder / "page.html").write_text(head + body, encoding="utf-8")
    # a policy that lets scripts run, but no WebAssembly
    policy = "script-src 'unsafe-inline'"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    (folder / "strict.html").write_text(head + policy + body, encoding="utf-8")
    with serve(folder) as site:
        console(driver)
        visit(driver, f"{site}/page.html")
        yield driver
        assert [one.text for one in console(driver)] == []


@pytest.fixture(scope="module")
def forced(model):
    """300 points that are given, in network units."""
    ink = write(TEXT, load_pretrained(), style="any", seed=4)[0].ink
    points = model.normalisation.apply(ink)[:POINTS]
    points[0, :2] = 0
    assert len(points) == POINTS
    return points


@torch.inference_mode()
def torch_trace(network, points):
    """What `TRACE` gives, from torch."""
    text = encode(TEXT)[None]
    mask = torch.ones_like(text, dtype=torch.bool)
    state, rows = network.initial_state(1), []
    for point in points:
        output, state, phi = network.step(point[None], state, text, mask)
        m = StrokeMixture.from_output(output, BIAS, TEMPERATURE)
        parts = [layer.h for layer in state.layers] + [s.c for s in state.layers]
        parts += [state.w, state.kappa, phi, m.log_pi.exp(), m.mu[..., 0], m.mu[..., 1]]
        parts += [m.log_sigma[..., 0], m.log_sigma[..., 1], m.rho]
        rows.append(torch.cat([*parts, torch.sigmoid(m.end_logit)[None]], 1)[0])
    return torch.stack(rows).numpy()  # (T, ...)


def trace(page, name, points, simd=True):
    """States and densities of the engine at each point."""
    given = page.execute_async_script(
        TRACE, name, simd, points.tolist(), TEXT, BIAS, TEMPERATURE
    )
    numbers = np.frombuffer(base64.b64decode(given, validate=True), np.float32)
    return numbers.reshape(len(points), -1)


def agree(found, expected, tolerance):
    """Within the tolerance; relative to numbers above 1, for some cells count to 289,
    where torch itself is off by 2e-4 in float32."""
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_this_browser_has_simd(page):
    assert page.execute_script("return tools.hasSimd()")


@pytest.mark.parametrize("simd", [True, False])
def test_float32_agrees_with_torch(page, model, forced, simd):
    found = trace(page, "float32.bin", forced, simd)
    agree(found, torch_trace(model.network, forced), 1e-4)


def test_half_precision_agrees_with_torch(page, model, forced):
    found = trace(page, "half.bin", forced)
    expected = torch_trace(model.network, forced)
    agree(found, expected, 2e-2)
    assert np.abs(found - expected).max() > 1e-4  # it is not the float32 pack


@pytest.mark.parametrize("simd", [True, False])
def test_int8_is_the_network_with_rounded_rows(page, model, forced, simd):
    rounded = load_pretrained().network
    for key, value in model.network.state_dict().items():
        if value.ndim == 2 and "weight" in key:
            scale = value.abs().amax(1, keepdim=True) / 127
            value = (value / scale).round() * scale
        rounded.state_dict()[key].copy_(value)
    found = trace(page, "int8.bin", forced, simd)
    agree(found, torch_trace(rounded, forced), 1e-4)
    # and it is a coarser network than the one that it was made from
    assert np.abs(found - torch_trace(model.network, forced)).max() > 1e-3


@pytest.mark.parametrize("simd", [True, False])
@pytest.mark.parametrize("hidden", SMALL)
def test_other_sizes_agree_with_torch(page, forced, hidden, simd):
    found = trace(page, f"small{hidden}.bin", forced, simd)
    agree(found, torch_trace(small(hidden), forced), 1e-4)


@pytest.mark.parametrize("simd", [True, False])
@pytest.mark.parametrize("size", [1.0, 30.0, 1000.0])
def test_cells_agree_with_torch_up_to_saturation(page, size, simd):
    H = 32
    torch.manual_seed(1)
    z, c = size * torch.randn(1, 4 * H), size * torch.randn(1, H)
    peephole = torch.randn(3, H)
    given = [one.flatten().tolist() for one in (z, c, peephole)]
    h, cell = page.execute_script(
        """
        const [simd, ...given] = arguments;
        const math = new tools.Arithmetic(4096, simd);
        const [z, c, peephole] = given.map(one => math.vector(one));
        const h = math.array(Float32Array, c.length);
        math.cells(z, h, c, peephole);
        return [Array.from(h), Array.from(c)];
        """,
        simd,
        *given,
    )
    expected = gates_to_state(z, c, peephole)
    agree(np.array(h), expected.h[0].numpy(), 1e-6)
    agree(np.array(cell), expected.c[0].numpy(), 1e-6)


@pytest.mark.parametrize("text", ["", "abc", "1 0 1", "x" * 55, "y" * 56, "z" * 200])
def test_sha256(page, text):
    words = page.execute_script("return Array.from(tools.sha256(arguments[0]))", text)
    digest = b"".join(word.to_bytes(4, "big") for word in words)
    assert digest.hex() == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("n", [8, 9, 80, 400, 1001])
def test_the_page_repeats_the_noise_of_torch(page, n):
    noise = page.execute_script(
        "return Array.from(tools.drawNoise(...arguments))", n, 7, 2, 3
    )
    like = torch.zeros(1)
    expected = draw_noise((n,), line_generator(7, 2, 3), like)
    torch.testing.assert_close(
        torch.tensor(noise).view(n, 4), expected, atol=2e-6, rtol=0
    )


LINE = """
const [texts, {style, ...options}, done] = arguments;
Promise.all([open_pack('shipped.bin'), open_style(style)]).then(([engine, style]) =>
  done(texts.map((text, position) => {
    const writing = engine.writeLine(text, {position, style, ...options});
    let rows = [];
    for (;;) {
      const next = writing.next();
      if (next.again) rows = [];
      rows.push(next);
      if (next.done) {
        const [ink, phi] = ['point', 'phi'].map(
          part => rows.map(row => Array.from(row[part])));
        return {...next, ink, phi};
      }
    }
  }))).catch(problem => done(String(problem)));
"""


@pytest.mark.parametrize("seed", [1, 5])
def test_a_seed_writes_the_same_line_in_the_page(page, seed):
    texts = ["hello", "Quartz, 1984", "no two lines alike", "it's {x}~"]
    options = {"seed": seed, "bias": 0.5, "temperature": 1.1}
    found = page.execute_async_script(LINE, texts, options)
    same_lines(found, write(texts, style="any", **options))


@pytest.mark.parametrize("redraws", [0, 10])
def test_incomplete_lines_are_drawn_again_or_said_to_be(page, redraws):
    options = {"seed": 3, "bias": 0.0, "redraws": redraws}
    texts = ["." * 16] * 12
    found = page.execute_async_script(LINE, texts, options)
    expected = write(texts, style="any", **options)
    said = [(one["complete"], one["problem"], one["draws"]) for one in found]
    assert said == [(one.complete, one.problem, one.draws) for one in expected]
    assert all(one.complete for one in expected) == (redraws > 0)
    assert any(one.draws > 1 for one in expected) == (redraws > 0)


def same_lines(found, expected):
    """Ink, weights of the window, and what is said of the lines."""
    assert not isinstance(found, str), found
    for line, other in zip(found, expected, strict=True):
        assert line["draws"] == other.draws
        assert line["complete"] == other.complete
        assert line["problem"] == other.problem
        for part, name in [(line["ink"], "ink"), (line["phi"], "phi")]:
            part, like = torch.tensor(part), getattr(other, name)
            assert part.shape == like.shape
            # another component's mean is farther away than this
            torch.testing.assert_close(part, like, atol=1e-3, rtol=0)


@pytest.mark.parametrize("hand", [0, 1, 2])
def test_a_style_writes_the_same_line_in_the_page(page, styles, hand):
    texts = ["hello", "Quartz, 1984", "no two lines alike", "it's {x}~"]
    options = {"seed": 2, "bias": 0.5, "temperature": 1.1}
    name = f"style{hand}.safetensors"
    found = page.execute_async_script(LINE, texts, {"style": name, **options})
    expected = write(texts, style=styles[hand], **options)
    same_lines(found, expected)
    without = write(texts, style="any", **options)
    for line, other in zip(expected, without, strict=True):
        assert not torch.equal(line.ink[:20], other.ink[:20])


def test_lines_with_a_style_are_drawn_again_too(page, styles):
    texts = ["." * 12, "illegible minimum"] * 3
    options = {"seed": 1, "bias": 0.0, "temperature": 1.5, "redraws": 2}
    name = "style0.safetensors"
    found = page.execute_async_script(LINE, texts, {"style": name, **options})
    expected = write(texts, style=styles[0], **options)
    said = [(one["complete"], one["problem"], one["draws"]) for one in found]
    assert said == [(one.complete, one.problem, one.draws) for one in expected]
    assert any(one.draws > 1 for one in expected)


SCRIPTED = """
const [cases, prime, text, redraws] = arguments;
// a network that draws what it is told to: no spread, and ends that are certain
const engineOf = ({points, phi}) => {
  let t = 0;
  return {
    mean: [0, 0], std: [1, 1], start: () => (t = 0, {}),
    step: () => {
      const [x, y, end] = points[t + 1] ?? [0, 0, 0];
      const raw = [end ? 60 : -60, 0, x, y, 0, 0, 0];
      return {output: Float32Array.from(raw), phi: Float32Array.from(phi[t++])};
    },
  };
};
return cases.map(one => {
  const style = {prime, point: one.points[0]};
  const writing = new tools.Writing(engineOf(one), text, {style, redraws, bias: 60});
  const rows = [];
  do rows.push(writing.next()); while (!rows.at(-1).done);
  const {complete, problem, draws} = rows.at(-1);
  const again = rows.flatMap((row, i) => (row.again ? [i] : []));
  return {
    complete, problem, draws, again, ink: rows.map(row => row.point),
    phi: rows.map(row => Array.from(row.phi)),
  };
});
"""


def scripted_line(generator, prime, text):
    """Strokes that begin before, over or behind the end of a prime, and a window that
    walks along the text and may look back once; the line ends with its last point, or
    when a stroke has gone on for too long."""
    T, U = 24, len(prime) + len(text) + 1
    points = torch.randn(T, 3, generator=generator) * 0.8
    points[:, 2] = (torch.rand(T, generator=generator) < 0.25).float()
    points[0, 2] = points[-1, 2] = 1.0
    low = len(prime) - 1 - int(torch.randint(0, 4, (1,), generator=generator))
    walk = torch.linspace(low, U - 2, T - 1).round().long()
    phi = 0.1 * torch.rand(T, U, generator=generator)
    phi[:, len(prime)] = 0.5
    phi[torch.arange(T - 1), walk] = 1.0
    phi[T - 1, U - 1] = 1.0
    back = torch.randint(0, 3 * T, (1,), generator=generator)
    if back < T - 1:
        phi[back, torch.randint(0, len(prime), (1,), generator=generator)] = 2.0
    if torch.rand(1, generator=generator) < 0.3:
        points[-1, 2] = 0.0
        points = torch.cat([points, points[-1:].expand(sampling.LAST_STROKE, 3)])
        phi = torch.cat([phi, phi[-1:].expand(sampling.LAST_STROKE, U)])
    return points, phi


@pytest.mark.parametrize("redraws", [0, 2])
def test_the_text_begins_where_python_has_it_begin(page, redraws):
    generator = torch.Generator().manual_seed(1)
    prime, text = "the cat ", "sat"
    lines = [scripted_line(generator, prime, text) for _ in range(200)]
    cases = [{"points": p.tolist(), "phi": phi.tolist()} for p, phi in lines]
    found = page.execute_script(SCRIPTED, cases, prime, text, redraws)
    firsts, problems = [], set()
    for (points, phi), line in zip(lines, found, strict=True):
        first = sampling._first_point(points)
        ink = points[first:].clone()
        ink[0, :2], ink[-1, 2] = 0, 1
        own = phi[first:, len(prime) :]
        problem = check_line(own, text) or sampling._check_start(phi[first:], prime)
        assert line["problem"] == problem
        assert line["complete"] == (not problem)
        assert line["draws"] == (1 + redraws if problem else 1)
        # each draw is the same here, and each after the first says that it is anew
        assert line["again"] == [len(ink) * k for k in range(1, line["draws"])]
        drawn, read = torch.tensor(line["ink"]), torch.tensor(line["phi"])
        # offsets are what is left of a density with next to no spread
        torch.testing.assert_close(
            drawn, ink.repeat(line["draws"], 1), atol=1e-6, rtol=0
        )
        assert torch.equal(read, own.repeat(line["draws"], 1))
        firsts.append(first)
        problems.add(problem)
    assert {1, 2, 5} < set(firsts)  # at once, after a dot, after a bar
    assert {"", "went back into the line that the style was made from"} < problems


def random_phi(generator):
    """Weights of a window that walks more or less well."""
    places = torch.randint(-1, 3, (30,), generator=generator).clamp(-1, 1).cumsum(0)
    places = places.clamp(0, 5)
    phi = torch.rand(30, 6, generator=generator)
    phi[torch.arange(30), places] += 1
    return phi


def test_lines_are_checked_as_in_python(page):
    generator = torch.Generator().manual_seed(1)
    phis = [random_phi(generator) for _ in range(60)] + [torch.zeros(3, 6)]
    phis += [torch.eye(6), torch.eye(6)[[0, 1, 3, 4, 5]], torch.eye(6)[:4]]
    phis.append(torch.cat([torch.eye(6), torch.eye(6)[[5] * 60]]))
    text = "a' \\b"  # with characters that Python's repr quotes otherwise
    said = page.execute_script(
        "const [phis, text] = arguments;"
        "return phis.map(phi => tools.checkLine(phi, text));",
        [phi.tolist() for phi in phis],
        text,
    )
    expected = [check_line(phi, text) for phi in phis]
    assert said == expected
    assert {"", "the window went dark"} < set(expected)


@pytest.mark.parametrize(
    "text, words", [("Zürich", "ü"), ("  ", "no text"), ("x" * 257, "257")]
)
def test_texts_that_the_network_cannot_write(page, text, words):
    said = page.execute_script(
        "try { tools.encode(arguments[0]); } catch (wrong) { return wrong.message; }",
        text,
    )
    assert words in said


@pytest.mark.parametrize("name", ["none.bin", "cut.bin", "page.html"])
@pytest.mark.parametrize(
    "what, words",
    [
        ("pack", "this is not a pack of a network that writes"),
        ("style", "this is not a style"),
    ],
)
def test_another_file_is_no_pack_and_no_style(page, name, what, words):
    said = page.execute_async_script(
        "const [what, name, done] = arguments;"
        "window[`open_${what}`](name).then(done, wrong => done(wrong.message));",
        what,
        name,
    )
    assert said == words


def test_a_page_that_forbids_webassembly_writes_too(page):
    from browser import console, visit

    here = page.current_url
    visit(page, here.replace("page.html", "strict.html"))
    assert not page.execute_script("return tools.hasSimd()")
    line = page.execute_async_script(LINE, ["it"], {"seed": 1})[0]
    visit(page, here)
    console(page)  # the browser says what the policy refused
    expected = write("it", style="any", seed=1)[0].ink
    torch.testing.assert_close(torch.tensor(line["ink"]), expected, atol=1e-3, rtol=0)
