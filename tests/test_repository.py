"""The repository as a whole: one address, one version, and files that agree."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "handwriting_lib"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

# A file of the library imports only from files that stand before it in this list.
# A folder stands for everything in it.
ORDER = (
    "ink alphabet rendering corpora transforms batches lstm mixture window kernels "
    "packed pointwise compiled one_line fused networks checkpoints optim graphs "
    "training styles stepping sampling pages legibility measures evaluation export "
    "onnx_export plots animation widgets cli"
).split()
# The same among the readers of corpora; what else lies in their folder serves them all.
READERS = "synthetic unipen iam collected".split()


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def load_yaml(name: str | Path) -> dict:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def project() -> dict:
    return tomllib.loads(read("pyproject.toml"))["project"]


def git_files() -> list[str]:
    """Files that git tracks, and those that it would take in."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this is not a git checkout: {error}")
    names = listed.stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


# One address, one version ------------------------------------------------------------


def test_addresses_are_those_of_the_configuration():
    config = load_yaml("_config.yml")
    repository = config["repository"]["url"].rstrip("/")
    site = config["html"]["baseurl"].rstrip("/")

    citation = load_yaml("CITATION.cff")
    assert citation["repository-code"].rstrip("/") == repository
    assert citation["url"].rstrip("/") == site
    urls = project()["urls"]
    assert urls["Repository"].rstrip("/") == repository
    assert urls["Documentation"].rstrip("/") == site
    assert repository in read("README.md"), "README.md does not name the repository"
    assert site in read("README.md"), "README.md does not name the site"


def test_no_file_names_another_address_of_this_repository():
    # Whoever puts the real address in must not leave the old one in a corner.
    config = load_yaml("_config.yml")
    owner, name = config["repository"]["url"].rstrip("/").split("/")[-2:]
    host = config["html"]["baseurl"].split("/")[2]
    names = ["README.md", "CITATION.cff", "pyproject.toml", "THIRD_PARTY.md"]
    for file in [*names, *(str(path.relative_to(ROOT)) for path in WORKFLOWS)]:
        text = read(file)
        for found in re.findall(rf"github(?:\.com|)/([\w.-]+)/{re.escape(name)}", text):
            assert found == owner, f"{file} names {found}/{name}"
        for found in re.findall(rf"//([\w.-]+)/{re.escape(name)}\b", text):
            assert found == host, f"{file} names {found}/{name}"


def test_versions_agree():
    import handwriting_lib

    version = project()["version"]
    assert str(load_yaml("CITATION.cff")["version"]) == version
    assert handwriting_lib.__version__ == version


def test_titles_agree():
    title = load_yaml("_config.yml")["title"]
    assert load_yaml("CITATION.cff")["title"].startswith(title)
    assert title in read("README.md")


# What is in the repository -----------------------------------------------------------


def test_no_file_holds_a_path_of_the_machine_it_was_made_on():
    # Spelt in two pieces, so that this file does not find itself.
    traces = re.compile(rb"(?<![\w.~-])/(?:" + rb"work|" + rb"tmp/w" + rb")/")
    guilty = []
    for name in git_files():
        for line in (ROOT / name).read_bytes().splitlines():
            if found := traces.search(line):
                start = max(found.start() - 30, 0)
                guilty.append(f"{name}: {line[start : found.end() + 40]!r}")
    assert not guilty, "\n".join(guilty)


def test_licence_files_hold_their_licences():
    assert read("LICENSE").startswith("MIT License")
    prose = read("LICENSE-prose")
    assert "\nCreative Commons Attribution 4.0 International Public License\n" in prose
    sections = [f"Section {n} -- " for n in range(1, 9)]
    assert [s for s in sections if s not in prose] == []


def third_party_paths() -> list[str]:
    """Paths in the first column of the tables of THIRD_PARTY.md."""
    rows = re.findall(r"^\| *`([^`]+)` *\|", read("THIRD_PARTY.md"), re.MULTILINE)
    return [row.strip() for row in rows]


def test_third_party_lists_only_what_is_there():
    missing = [path for path in third_party_paths() if not list(ROOT.glob(path))]
    assert missing == []


def test_everything_from_others_is_listed_as_third_party():
    listed = third_party_paths()
    folders = ("book/web/vendor/", "handwriting_lib/corpora/fonts/")
    covered = {
        str(path.relative_to(ROOT))
        for pattern in listed
        for path in ROOT.glob(pattern + "**/*" if pattern.endswith("/") else pattern)
    }
    own = ("/README.md", "/VENDORED.txt")
    names = [name for name in git_files() if not name.endswith(own)]
    foreign = [name for name in names if name.startswith(folders)]
    assert [name for name in foreign if name not in covered] == []


def test_citation_is_valid():
    assert_schema("vendor.citation-file-format", [ROOT / "CITATION.cff"])


def assert_schema(schema: str, files: list[Path]) -> None:
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run([*command, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# The Makefile and who calls it -------------------------------------------------------


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", read("Makefile"), re.MULTILINE))


def made_in(code: str) -> set[str]:
    """Targets that the `make` commands in a piece of shell code name."""
    named: set[str] = set()
    for line in code.splitlines():
        line = re.sub(r"(?:^|\s)#.*", "", line)
        for command in re.split(r"&&|\|\||[;|()]", line):
            words = re.sub(r"^\s*\$ ", "", command).strip()
            if not re.match(r"(?:\w+=\S*\s+)*make(?:\s|$)", words):
                continue
            arguments = shlex.split(words)
            for word in arguments[arguments.index("make") + 1 :]:
                if "=" not in word and not word.startswith("-"):
                    named.add(word)
    return named


def code_of(markdown: str) -> str:
    """Fenced blocks and inline code of a Markdown text, one piece a line."""
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", markdown, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"`([^`]+)`", rest)])


def test_make_commands_are_found_in_a_text():
    text = "`make a` makes sense\n```\nP=1 make b c X=2  # make d\ncd x && make e\n```"
    assert made_in(code_of(text)) == {"a", "b", "c", "e"}


def test_makefile_has_the_promised_targets():
    promised = {"book", "serve", "test", "check", "notebooks", "clean", "help"}
    assert promised <= targets()


def test_readme_names_only_targets_that_exist():
    named = made_in(code_of(read("README.md")))
    assert {"book", "test"} <= named, "README.md does not name the two commands"
    assert named - targets() == set()


def test_makefile_names_only_tools_that_exist():
    scripts = re.findall(r"[\w./-]+\.py\b", read("Makefile"))
    assert scripts
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


def test_ci_runs_the_whole_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK), ".ci/run is not executable"
    assert made_in(script.read_text()) == {"test"}
    subprocess.run(["bash", "-n", script], check=True)


def test_requirements_are_pinned_and_meet_the_library_s_bounds():
    from packaging.requirements import Requirement

    pins: dict[str, str] = {}
    for line in read("requirements.txt").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            (bound,) = requirement.specifier
            assert bound.operator == "==", line
            pins[requirement.name.lower()] = bound.version
    bounds = [project()["dependencies"], *project()["optional-dependencies"].values()]
    for text in [text for group in bounds for text in group]:
        requirement = Requirement(text)
        if requirement.name.lower() in pins:
            assert requirement.specifier.contains(pins[requirement.name.lower()]), text
    assert pins["jupyter-book"].startswith("1."), "2.x would ignore _config.yml"


# Workflows ---------------------------------------------------------------------------


def jobs_of(path: Path) -> dict[str, dict]:
    return load_yaml(path)["jobs"]


def steps_of(path: Path) -> list[dict]:
    return [step for job in jobs_of(path).values() for step in job["steps"]]


def test_workflows_are_valid():
    assert [path.name for path in WORKFLOWS] == ["book.yml", "colab.yml", "tests.yml"]
    assert_schema("vendor.github-workflows", WORKFLOWS)
    assert_schema("custom.github-workflows-require-timeout", WORKFLOWS)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_has_the_least_permissions(path: Path):
    # Reading is all that a workflow may do; only publishing the pages may write, and
    # only pages.
    assert load_yaml(path)["permissions"] == {"contents": "read"}
    allowed = {"pages": "write", "id-token": "write"}
    for name, job in jobs_of(path).items():
        if "permissions" in job:
            assert (path.name, name) == ("book.yml", "publish")
            assert job["permissions"] == allowed
    for step in steps_of(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_uses_official_actions_by_major_version(path: Path):
    used = [step["uses"] for step in steps_of(path) if "uses" in step]
    assert used
    assert [use for use in used if not re.fullmatch(r"actions/[\w-]+@v\d+", use)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_runs_what_exists(path: Path):
    scripts = [step["run"] for step in steps_of(path) if "run" in step]
    assert scripts
    for script in scripts:
        assert made_in(script) <= targets()
        # The script, and what it hands to another bash in a here-document.
        nested = re.findall(r"<<'(\w+)'\n(.*?)^\1$", script, re.MULTILINE | re.DOTALL)
        for code in [script, *(body for _, body in nested)]:
            done = subprocess.run(
                ["bash", "-n"], input=code, text=True, capture_output=True
            )
            assert done.returncode == 0, done.stderr
            assert not done.stderr, done.stderr
        # Paths of the repository, also where the container sees a copy of it.
        for name in re.findall(r"/opt/source/([\w./*-]+)", script):
            assert list(ROOT.glob(name)), f"{path.name} runs on {name}"


def test_workflows_do_what_they_are_for():
    made = {path.stem: set() for path in WORKFLOWS}
    for path in WORKFLOWS:
        for step in steps_of(path):
            made[path.stem] |= made_in(step.get("run", ""))
    assert made == {
        "tests": {"test", "test-notebooks"},
        "book": {"book"},
        "colab": set(),
    }

    def triggers(name: str) -> set[str]:
        # YAML 1.1 reads the key `on` as true.
        workflow = load_yaml(f".github/workflows/{name}.yml")
        return set(workflow[True]) - {"workflow_dispatch"}

    assert triggers("tests") == {"push", "pull_request"}
    assert triggers("book") == {"push"}
    assert triggers("colab") == {"schedule"}

    publish = jobs_of(ROOT / ".github/workflows/book.yml")["publish"]
    assert publish["needs"] == "build"
    assert "deploy-pages" in publish["steps"][-1]["uses"]


# The order of the library ------------------------------------------------------------


def name_of(path: Path) -> tuple[str, ...]:
    """`corpora/unipen.py` -> `("corpora", "unipen")`; `__init__.py` -> its folder."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports_of(path: Path, source: str | None = None) -> list[tuple[int, tuple]]:
    """Line and module of every import from inside the library, wherever it stands."""
    package = name_of(path) if path.name == "__init__.py" else name_of(path)[:-1]
    found: list[tuple[int, tuple]] = []
    tree = ast.parse(path.read_text(encoding="utf-8") if source is None else source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top, *rest = alias.name.split(".")
                if top == LIBRARY.name:
                    found.append((node.lineno, tuple(rest)))
        elif isinstance(node, ast.ImportFrom):
            module = tuple(node.module.split(".")) if node.module else ()
            if node.level:
                base = package[: len(package) - (node.level - 1)] + module
            elif module[0] == LIBRARY.name:
                base = module[1:]
            else:
                continue
            # `from . import ink` names a module, `from .ink import smooth` does not.
            for alias in node.names:
                named = (*base, alias.name)
                file = LIBRARY.joinpath(*named)
                known = file.is_dir() or file.with_suffix(".py").is_file()
                found.append((node.lineno, named if known or not base else base))
    return found


def complaints(path: Path, source: str | None = None) -> list[str]:
    """Every import in a file that goes against the order of the library."""
    own = name_of(path)
    rank = ORDER.index(own[0])
    answer = []
    for line, module in imports_of(path, source):
        where = f"{path.relative_to(ROOT)}:{line}"
        if module == ("__version__",):
            continue
        if not module or module[0] not in ORDER:
            answer.append(f"{where} imports from the package itself: {module}")
        elif module[0] == own[0]:
            if own[0] == "corpora" and len(own) > 1 and module[1:2] != own[1:2]:
                above = READERS[: READERS.index(own[1])] if own[1] in READERS else []
                if set(module[1:2]) & set(READERS) - set(above):
                    answer.append(f"{where}: {module[1]} does not stand above {own[1]}")
        elif ORDER.index(module[0]) > rank:
            answer.append(f"{where}: {module[0]} stands below {own[0]}")
    return answer


def library_files() -> list[Path]:
    # The front door and `python -m handwriting_lib` stand outside the order.
    doors = {LIBRARY / "__init__.py", LIBRARY / "__main__.py"}
    return sorted(set(LIBRARY.rglob("*.py")) - doors)


def test_every_file_of_the_library_has_its_place_in_the_order():
    assert [str(p) for p in library_files() if name_of(p)[0] not in ORDER] == []


def test_files_import_only_from_files_above_them():
    files = [path for path in library_files() if name_of(path)[0] in ORDER]
    assert files
    assert [complaint for path in files for complaint in complaints(path)] == []


@pytest.mark.parametrize(
    ("file", "source", "wrong"),
    [
        ("window.py", "from .mixture import StrokeMixture", False),
        ("window.py", "from .networks import SynthesisNetwork", True),
        ("window.py", "def f():\n    from . import alphabet", False),
        ("ink.py", "def f():\n    from .alphabet import encode", True),
        ("ink.py", "import handwriting_lib.alphabet", True),
        ("ink.py", "from handwriting_lib.alphabet import encode", True),
        ("networks.py", "from . import Sample", True),
        ("networks.py", "import handwriting_lib as hw", True),
        ("checkpoints.py", "from . import __version__", False),
        ("corpora/unipen.py", "from .archives import read_files", False),
        ("corpora/unipen.py", "from ..ink import Sample", False),
        ("corpora/unipen.py", "from ..transforms import scale", True),
        ("corpora/unipen.py", "from .iam import load", True),
        ("corpora/unipen.py", "from . import iam", True),
        ("corpora/collected.py", "from .iam import load", False),
        ("corpora/archives.py", "from . import unipen", True),
        ("corpora/__init__.py", "from . import unipen", False),
        ("corpora/__init__.py", "from ..ink import Corpus", False),
        ("corpora/__init__.py", "from ..plots import contact_sheet", True),
        ("widgets/player.py", "from .. import rendering", False),
        ("plots.py", "import scipy.stats\nimport torch", False),
    ],
)
def test_the_order_is_read_from_imports(file: str, source: str, wrong: bool):
    assert bool(complaints(LIBRARY / file, source)) == wrong


def test_importing_the_library_brings_nothing_optional():
    heavy = ["matplotlib", "ipywidgets", "anywidget", "scipy", "PIL", "onnx", "pandas"]
    code = (
        "import sys, torch; before = set(sys.modules); import handwriting_lib; "
        "assert handwriting_lib.__file__, 'no __init__.py'; "
        f"print([m for m in {heavy!r} if m in set(sys.modules) - before])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
