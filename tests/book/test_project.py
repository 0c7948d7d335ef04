"""Addresses and versions come from one place, and nothing contradicts it."""

import re

import pytest
from places import REPOSITORY
from project import inputs_hash, read_project


def test_what_is_derived():
    project = read_project(REPOSITORY)
    assert project.repository.endswith(project.slug)
    assert project.slug in project.colab("09_window")
    assert project.page("api/ink", "x").endswith("/book/api/ink.html#x")
    assert "torch" not in project.dependencies
    assert {"numpy", "matplotlib", "safetensors"} <= set(project.dependencies)


def test_version_and_dependencies_are_those_of_pyproject():
    tomllib = pytest.importorskip("tomllib")  # not there on Python 3.10
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        wanted = tomllib.load(file)["project"]
    project = read_project(REPOSITORY)
    assert project.version == wanted["version"]

    def names(lines):
        return {re.match(r"[\w.-]+", line)[0] for line in lines}

    # torch is never installed by a notebook; tomli is for old Pythons only
    assert set(project.dependencies) == names(wanted["dependencies"]) - {
        "torch", "tomli"
    }  # fmt: skip
    extras = wanted["optional-dependencies"]
    assert set(project.for_widgets) == names([*extras["gif"], *extras["widgets"]])


@pytest.mark.parametrize("name", ["README.md", "CITATION.cff", "pyproject.toml"])
def test_files_agree_with_the_configuration(name):
    path = REPOSITORY / name
    if not path.exists():
        pytest.skip(f"there is no {name}")
    project = read_project(REPOSITORY)
    repository = project.slug.split("/")[1]
    content = path.read_text(encoding="utf-8")
    for owner in re.findall(rf"github\.com/([\w-]+)/{re.escape(repository)}", content):
        assert f"{owner}/{repository}" == project.slug
    for site in re.findall(r"https://[\w-]+\.github\.io/[\w-]+", content):
        assert site == project.site
    if name != "pyproject.toml":
        assert project.repository in content


def test_hash_follows_what_cells_read(small_book):
    library = small_book / "handwriting_lib"
    (library / "pretrained").mkdir(parents=True)
    seen = {inputs_hash(small_book)}
    for name in ("ink.py", "pretrained/model.safetensors"):
        for content in ("a", "b"):
            (library / name).write_text(content)
            seen.add(inputs_hash(small_book))
    assert len(seen) == 5
    (library / "__pycache__").mkdir()
    (library / "__pycache__" / "ink.pyc").write_text("c")
    (small_book / "book" / "09_window.md").write_text("changed")
    assert inputs_hash(small_book) in seen


def test_a_missing_address_is_an_error(small_book):
    (small_book / "_config.yml").write_text("repository: {url: x}\n")
    with pytest.raises(ValueError, match="html"):
        read_project(small_book)
