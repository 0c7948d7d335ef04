"""The repository as a whole: one address, one version, and files that agree."""

from __future__ import annotations

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
    folders = ("book/web/vendor/", "handwriting_lib/corpora/single_line/")
    covered = {
        str(path.relative_to(ROOT))
        for pattern in listed
        for path in ROOT.glob(pattern + "**/*" if pattern.endswith("/") else pattern)
    }
    own = ("/README.md", "/VENDORED.txt", ".py")
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


# The library -------------------------------------------------------------------------


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
