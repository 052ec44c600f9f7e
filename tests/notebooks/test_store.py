import base64
import io
import json
import sys

import nbformat
import numpy as np
import pytest
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME
from nbformat import v4
from PIL import Image

from tools.notebooks.readme_picture import update
from tools.notebooks.store import cell_metadata, keep_pictures, normalise, same_pixels, store

pytestmark = pytest.mark.notebook

# What JupyterLab 4.6 wrote into a notebook that was opened and saved, nothing else done, on Python 3.11.7.
SAVED_BY_JUPYTERLAB = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "codemirror_mode": {"name": "ipython", "version": 3},
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
        "version": "3.11.7",
    },
}

RED = np.full((8, 8, 3), (255, 0, 0), dtype=np.uint8)
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def encoded(pixels, kind="png", **options):
    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, format=kind, **options)
    return stored.getvalue()


def as_text(data):
    return base64.b64encode(data).decode("ascii")


def figure_output(data, kind="image/png", html=True):
    shown = {kind: as_text(data) + "\n", "text/plain": "words"}
    if html:
        shown["text/html"] = f'<img alt="words" src="data:{kind};base64,{as_text(data)}">'
    return v4.new_output("display_data", shown, metadata={kind: {"alt": "words"}})


def notebook_of(*cells):
    return v4.new_notebook(cells=list(cells))


def code_cell(source="pass", outputs=(), **more):
    return v4.new_code_cell(source, outputs=list(outputs), **more)


def save(notebook, folder, name="00_try.ipynb"):
    path = folder / name
    nbformat.write(notebook, path)
    return path


def outputs_of(path, place):
    return json.loads(path.read_text(encoding="utf-8"))["cells"][place]["outputs"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A notebook that was stored once, with one cell for each thing that storing does."""
    widget = "import ipywidgets\nipywidgets.IntSlider()"
    picture = f'import base64\ndisplay({{"image/png": base64.b64decode("{as_text(encoded(RED))}")}}, raw=True)'
    notebook = notebook_of(
        v4.new_markdown_cell("# Title", metadata={"collapsed": True}),
        code_cell("import sys\nprint(sys.executable)", metadata={"scrolled": True}),
        code_cell("assert 1 + 1 == 2", metadata={"tags": ["guard"]}),
        code_cell(widget),
        code_cell("import os\nprint(os.getcwd())"),
        code_cell(picture, [figure_output(encoded(RED, compress_level=0), html=False)]),
    )
    notebook.metadata = {"kernelspec": {"display_name": "Another", "language": "R", "name": "another"}, "colab": {}}
    path = save(notebook, tmp_path_factory.mktemp("notebooks"))
    assert store(path)
    return path


def test_the_metadata_are_those_that_jupyterlab_writes(stored):
    metadata = json.loads(stored.read_text(encoding="utf-8"))["metadata"]
    here = ".".join(map(str, sys.version_info[:3]))
    language_info = {**SAVED_BY_JUPYTERLAB["language_info"], "version": here}
    assert metadata == {**SAVED_BY_JUPYTERLAB, "language_info": language_info}


def test_the_file_is_laid_out_as_jupyterlab_saves_it(stored):
    # The server of JupyterLab saves with nbformat.write: sorted keys, one space of indentation, one newline at the end.
    text = stored.read_text(encoding="utf-8")
    again = io.StringIO()
    nbformat.write(nbformat.reads(text, as_version=4), again)
    assert text == again.getvalue()
    assert text.endswith("}\n")
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_cells_run_on_the_python_that_stores_them_in_the_folder_of_the_notebook(stored):
    assert "".join(outputs_of(stored, 1)[0]["text"]).strip() == sys.executable
    assert "".join(outputs_of(stored, 4)[0]["text"]).strip() == str(stored.parent)


def test_another_kernelspec_of_the_same_name_is_not_used(tmp_path, monkeypatch):
    folder = tmp_path / "jupyter" / "kernels" / NATIVE_KERNEL_NAME
    folder.mkdir(parents=True)
    spec = {"argv": ["/no/such/python", "-f", "{connection_file}"], "display_name": "Other", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    path = save(notebook_of(code_cell("print(1)")), tmp_path)
    assert store(path)
    assert outputs_of(path, 0)[0]["text"] == ["1\n"]
    assert "Other" not in path.read_text(encoding="utf-8")


def test_only_tags_and_hidden_sources_stay_beside_a_cell(stored):
    cells = json.loads(stored.read_text(encoding="utf-8"))["cells"]
    hidden = {"cellView": "form", "jupyter": {"source_hidden": True}}
    assert [cell["metadata"] for cell in cells] == [{}, {}, {**hidden, "tags": ["guard"]}, {}, {}, {}]


def test_a_widget_is_stored_in_words_without_its_id(stored):
    assert outputs_of(stored, 3)[0]["data"] == {"text/plain": ["IntSlider(value=0)"]}
    assert "widgets" not in json.loads(stored.read_text(encoding="utf-8"))["metadata"]


def test_storing_keeps_the_bytes_of_a_picture_with_the_same_pixels(stored):
    assert base64.b64decode(outputs_of(stored, 5)[0]["data"]["image/png"]) == encoded(RED, compress_level=0)


def test_storing_twice_changes_nothing(stored):
    before = stored.read_bytes()
    assert store(stored)
    assert stored.read_bytes() == before


def test_a_notebook_with_a_cell_that_fails_stays_as_it_was(tmp_path, capsys):
    path = save(notebook_of(code_cell("print(1)"), code_cell("1 / 0")), tmp_path)
    before = path.read_bytes()
    assert not store(path)
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("source", "tags", "hidden"),
    [
        ("annotate(fit, {})", [], True),
        ("assert loss < 1", ["guard"], True),
        ("fit()\nannotate(fit, {})", [], False),
        ("fit()", ["from-the-notes"], False),
    ],
)
def test_annotated_sources_and_guards_are_hidden_in_jupyterlab_and_in_colab(source, tags, hidden):
    metadata = cell_metadata(code_cell(source, metadata={"tags": tags}))
    assert metadata.get("jupyter") == ({"source_hidden": True} if hidden else None)
    assert metadata.get("cellView") == ("form" if hidden else None)
    assert metadata.get("tags", []) == tags


def test_markdown_is_never_hidden():
    assert cell_metadata(v4.new_markdown_cell("annotate(what)")) == {}


def test_every_cell_has_an_id_of_its_own():
    notebook = notebook_of(code_cell(id="one"), code_cell(id="another"), code_cell(id="two"))
    notebook.cells[1].id = "one"
    notebook.metadata["language_info"] = {}
    normalise(notebook, "00_try")
    assert [cell.id for cell in notebook.cells] == ["one", "00_try-01", "two"]


def test_pictures_are_compared_by_their_pixels():
    other = PIXELS.copy()
    other[3, 4, 0] ^= 1
    assert encoded(PIXELS) != encoded(PIXELS, compress_level=1)
    assert same_pixels(encoded(PIXELS), encoded(PIXELS, compress_level=1))
    assert not same_pixels(encoded(PIXELS), encoded(other))
    assert not same_pixels(encoded(PIXELS), encoded(PIXELS[:-1]))
    assert not same_pixels(encoded(PIXELS), encoded(PIXELS.reshape(60, 40, 3)))


def test_two_palettes_are_compared_by_their_colours():
    one = np.zeros((4, 4, 3), np.uint8)
    two = np.full((4, 4, 3), 255, np.uint8)

    def palette_file(pixels):
        file = io.BytesIO()
        Image.fromarray(pixels).quantize(2).save(file, format="png")
        return file.getvalue()

    assert not same_pixels(palette_file(one), palette_file(two))
    assert same_pixels(palette_file(one), encoded(one))


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("image/png", encoded(PIXELS), encoded(PIXELS, compress_level=1)),
        ("image/jpeg", encoded(PIXELS, "jpeg"), encoded(PIXELS, "jpeg", optimize=True)),
    ],
)
def test_a_picture_with_the_same_pixels_keeps_its_bytes(kind, old, new):
    assert old != new
    before = notebook_of(code_cell(id="a", outputs=[figure_output(old, kind)]))
    after = notebook_of(code_cell(id="a", outputs=[figure_output(new, kind)]))
    keep_pictures(after, before)
    assert after.cells[0].outputs == before.cells[0].outputs


def test_a_picture_with_other_pixels_is_replaced():
    before = notebook_of(code_cell(id="a", outputs=[figure_output(encoded(PIXELS))]))
    after = notebook_of(code_cell(id="a", outputs=[figure_output(encoded(255 - PIXELS))]))
    keep_pictures(after, before)
    assert after.cells[0].outputs == [figure_output(encoded(255 - PIXELS))]


def test_a_picture_stored_before_without_html_gives_its_bytes_to_the_html():
    before = notebook_of(code_cell(id="a", outputs=[figure_output(encoded(PIXELS), html=False)]))
    after = notebook_of(code_cell(id="a", outputs=[figure_output(encoded(PIXELS, compress_level=1))]))
    keep_pictures(after, before)
    assert after.cells[0].outputs == [figure_output(encoded(PIXELS))]


def test_pictures_are_found_by_the_id_of_their_cell_then_by_their_order():
    small = encoded(PIXELS[:20])
    large = encoded(PIXELS)
    small_again = encoded(PIXELS[:20], compress_level=1)
    large_again = encoded(PIXELS, compress_level=1)
    printed = v4.new_output("stream", name="stdout", text="text")
    before = notebook_of(code_cell(id="a", outputs=[figure_output(small), figure_output(large)]))
    moved = code_cell(id="a", outputs=[printed, figure_output(small_again), figure_output(large_again)])
    after = notebook_of(code_cell(id="new"), moved, code_cell(id="last", outputs=[figure_output(small_again)]))
    keep_pictures(after, before)
    assert after.cells[1].outputs == [printed, figure_output(small), figure_output(large)]
    assert after.cells[2].outputs == [figure_output(small_again)]


def test_a_cell_with_a_new_id_is_found_by_its_place():
    before = notebook_of(code_cell(id="a", outputs=[figure_output(encoded(PIXELS))]))
    after = notebook_of(code_cell(id="b", outputs=[figure_output(encoded(PIXELS, compress_level=1))]))
    keep_pictures(after, before)
    assert after.cells[0].outputs == before.cells[0].outputs


def test_the_picture_of_the_readme_is_written_only_if_its_pixels_change(tmp_path):
    path = tmp_path / "picture.jpg"
    old = encoded(PIXELS, "jpeg")
    same = encoded(PIXELS, "jpeg", optimize=True)
    other = encoded(255 - PIXELS, "jpeg")
    update(path, old)
    assert path.read_bytes() == old
    update(path, same)
    assert path.read_bytes() == old
    update(path, other)
    assert path.read_bytes() == other
