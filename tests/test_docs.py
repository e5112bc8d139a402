"""The pages of docs: their code runs, their links lead somewhere, every page is in the table of contents."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import rpusim as rpu
from rpusim import commands, sweep

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.md"))
EXAMPLES = sorted((DOCS / "examples").glob("plot_*.py"))
LINKED = [*PAGES, *NOTEBOOKS, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
#: packages without which a block does not run: "```python torch"
EXTRAS = ("sklearn", "torch", "jax", "onnx")
pytestmark = pytest.mark.skipif(not PAGES, reason="docs are not beside the tests")


def code_of(path, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


WITH_CODE = [path for path in PAGES if code_of(path)]
#: pages whose code reads what commands between it have written
FOLLOWED = ("measured", "own-device")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", [path for path in WITH_CODE if path.stem not in FOLLOWED], ids=lambda path: path.stem)
def test_the_code_of_a_page_runs(path, folder):
    exec(compile("\n".join(code_of(path)), path.name, "exec"), {"__name__": path.stem})


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_page_can_be_followed_in_an_empty_folder(name, folder, capsys):
    """Blocks of code and quick commands, in their order: what one of them reads, one before it has written."""
    names, count = {"__name__": name}, 0
    for language, code in re.findall(r"```(python|sh)\n(.*?)```", (DOCS / f"{name}.md").read_text(encoding="utf-8"), re.DOTALL):
        if language == "python":
            exec(compile(code, name, "exec"), names)
            continue
        for line in code.splitlines():
            argv = shlex.split(line, comments=True)
            if argv[:1] == ["rpusim"] and argv[1] in ("fit", "device", "wires"):
                assert commands.main([*argv[1:], *(() if "--format" in argv else ("--format", "png"))]) == 0, (
                    capsys.readouterr().err
                )
                count += 1
    assert count


def test_every_option_of_fit_is_on_its_page():
    text = (DOCS / "measured.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit), contextlib.redirect_stdout(io.StringIO()) as said:
        commands.main(["fit", "--help"])
    options = set(re.findall(r"^  (--[a-z-]+)", said.getvalue(), re.MULTILINE))
    assert len(options) > 20 and {one for one in options if f"{one}`" not in text and f"{one} " not in text} == set()


@pytest.mark.parametrize("package", EXTRAS)
def test_the_code_for_extras_runs(package, folder):
    pytest.importorskip(package)
    (code,) = code_of(DOCS / "interop.md", f"python {package}")
    exec(compile(code, "interop.md", "exec"), {"__name__": "interop.md"})


def test_all_code_has_a_language_that_is_known():
    known = {
        "python", "py", "sh", "text", "toml", *(f"python {name}" for name in EXTRAS), "{code-cell}", "{toctree}",
        "{include} ../CONTRIBUTING.md", "{include} ../CHANGELOG.md",
    }  # fmt: skip
    for path in LINKED:
        opened = re.findall(r"^```(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)[::2]
        assert set(opened) <= known, path.name


def test_the_study_of_the_page_is_one(tmp_path):
    pytest.importorskip("tomllib")
    (text,) = code_of(DOCS / "sweeps.md", "toml")
    (tmp_path / "study.toml").write_text(text)
    assert len(sweep.read_study(tmp_path / "study.toml").points()) == 36


def run(code, folder):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path, folder):
    cells = code_of(path, r"\{code-cell\}")
    assert len(cells) >= 4 and path.read_text(encoding="utf-8").startswith("---\njupytext:\n")
    run("import matplotlib\nmatplotlib.use('Agg')\n" + "\n".join(cells), folder)


def test_there_are_four_notebooks_and_enough_examples():
    assert len(NOTEBOOKS) == 4 and 6 <= len(EXAMPLES) <= 10
    for path in EXAMPLES:
        text = path.read_text(encoding="utf-8")
        assert re.match(r'"""\n(.+)\n(=+)\n\n\S', text) and "plt." in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_run(path, folder):
    code = "import matplotlib\nmatplotlib.use('Agg')\n" + path.read_text(encoding="utf-8")
    run(code + "\nassert plt.get_fignums()", folder)


# ---- links -----------------------------------------------------------------------------------------------------------


def anchors(path):
    """What headings of a page are called in links."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            assert re.fullmatch(r"https://[\w.-]+(/[\w./#~%-]*)?", target), target
            continue
        name, _, anchor = target.partition("#")
        made = {"gallery/index.rst", "api/index.rst"}  # when the site is built
        found = (path.parent / name).resolve() if name else path
        assert name in made or found.exists(), target
        assert not anchor or anchor in anchors(found), target


def test_every_page_is_in_the_contents():
    listed = set(re.findall(r"^([\w/-]+)$", "\n".join(code_of(DOCS / "index.md", r"\{toctree\}")), re.MULTILINE))
    there = {path.stem for path in PAGES} | {f"notebooks/{path.stem}" for path in NOTEBOOKS}
    assert listed - {"gallery/index", "api/index"} == there - {"index"}


def test_the_pages_of_the_api_have_every_room():
    spec = importlib.util.spec_from_file_location("api", DOCS / "_ext" / "api.py")
    text = Path(spec.origin).read_text(encoding="utf-8")
    for room in rpu.__all__:
        inner = getattr(rpu, room)
        if type(inner) is type(rpu) and room != "interop":
            assert f'"rpusim.{room}"' in text, room


def test_the_version_is_the_same_everywhere():
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert f"\n## {version} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
