"""What is loaded is JSON, Parquet, PNG, YAML, arrays or safetensors: data can't run code."""

import ast
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from ganaug.cli import app
from tests.preparing.made_up import encoded, picture
from tests.test_architecture import FILES, imports_of

CODE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "runpy", "code"}
# What ends in load or loads and may be called, in `src/` and `pipeline/`.
LOADERS = {"json.loads", "np.load", "torch.load", "YAML.load", "image.load", "yaml.load"}


def calls(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}


def test_no_loader_runs_code():
    seen = set()
    for file in FILES:
        assert not CODE & {name.split(".")[0] for name in imports_of(file)}, file
        for name, options in calls(file):
            assert name not in {"eval", "exec", "compile", "__import__", "pd.read_pickle"}, file
            if name.split(".")[-1] in {"load", "loads"}:
                seen.add(name.replace("YAML(typ='safe', pure=True)", "YAML"))
                assert options.get("allow_pickle", "False") == "False", file
                assert name != "torch.load" or options["weights_only"] == "True", file
    assert "json.loads" in seen
    assert seen - {"self.checkpoints.load", "checkpoints.load"} <= LOADERS


class Page(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.found = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found |= {tag, *(name for name, _ in attrs)}


@pytest.mark.parametrize("hostile", ["<script>alert(1)<", "<img src=x onerror=alert(1)>"])
def test_names_are_text_on_the_sheet(tmp_path, repository, monkeypatch, hostile):
    photos = tmp_path / "photos"
    for number, name in enumerate((hostile, "plain")):
        (photos / name).mkdir(parents=True)
        for index in range(6):
            (photos / name / f"{hostile}{index}.png").write_bytes(
                encoded(picture(9 * number + index))
            )
    (photos / "plain" / f"{hostile}.png").write_bytes(b"broken")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((repository / "params.yaml").read_bytes())
    sheet = tmp_path / "sheet.html"
    CliRunner().invoke(app, ["inspect", "--sheet", str(sheet), str(photos)], catch_exceptions=False)
    text = sheet.read_text()
    assert hostile.replace("<", "&lt;").replace(">", "&gt;") in text
    assert not {"script", "onerror"} & Page(text).found
