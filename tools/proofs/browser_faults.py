"""Owns the faults that `browser.py` plants, each where only a browser sees it, and the test that must find it."""

from dataclasses import dataclass

from tools.proofs.faults import Edit, Fault


@dataclass(frozen=True)
class BrowserFault:
    """A fault; the name of the test of tests/browser that must fail; words that its failure must say."""

    fault: Fault
    test: str
    reason: str


def one_edit(name: str, notebook: str, file: str, old: str, new: str) -> Fault:
    return Fault(name, (Edit(file, old, new),), (notebook,))


BROWSER_FAULTS = [
    BrowserFault(
        one_edit(
            "an anchor is gone",
            "01_dataset",
            "notebooks/GLOSSARY.md",
            '<a id="exif-orientation"></a>',
            "",
        ),
        "test_every_term_is_found",
        "GLOSSARY.md#exif-orientation lands at",
    ),
    BrowserFault(
        one_edit(
            "widgets are not saved",
            "01_dataset",
            "tools/notebooks/overrides.json",
            '"saveState": true',
            '"saveState": false',
        ),
        "test_a_widget_says_that_its_kernel_is_gone",
        "Timeout",  # there is no widget to wait for
    ),
    BrowserFault(
        one_edit(
            "a knob is not heard",
            "01_dataset",
            "seglib/lesson/dataset/sample_slider.py",
            '        self.slider.observe(self._draw, names="value")\n',
            "",
        ),
        "test_every_knob_redraws",
        "the picture follows slider 0 by mouse",
    ),
    BrowserFault(
        one_edit(
            "nothing is said when the kernel is gone",
            "01_dataset",
            "seglib/lesson/common/lesson_widget.py",
            ".lesson-widget.jupyter-widgets-disconnected >",
            ".lesson-widget.gone >",
        ),
        "test_a_widget_says_that_its_kernel_is_gone",
        "the widget asks for its cell to be run",
    ),
    BrowserFault(
        one_edit(
            "a notebook is stored with a name of its kernel that JupyterLab rewrites",
            "01_dataset",
            "notebooks/01_dataset.ipynb",
            '"display_name": "Python 3 (ipykernel)"',
            '"display_name": "Python 3"',
        ),
        "test_opening_leaves_the_notebook_unchanged",
        "assert not True",
    ),
    BrowserFault(
        one_edit(
            "pictures are as wide as the cell",
            "01_dataset",
            "seglib/lesson/common/lesson_widget.py",
            'align_self="flex-start", ',
            "",
        ),
        "test_the_picture_has_its_own_width",
        "assert",
    ),
    BrowserFault(
        one_edit(
            "the kernel's stop button does not reach the monitor",
            "07_training_loop",
            "seglib/lesson/training_loop/monitor.py",
            "        kernel.saved_sigint_handler = _stop_training\n",
            "        pass\n",
        ),
        "test_the_stop_button_of_the_kernel_ends_it",
        "the training has ended",
    ),
]
