"""The settings that `make lab` puts into the environment are ones that this JupyterLab knows."""

import json
import sys
from pathlib import Path

import pytest

from tools.notebooks.environment import ROOT

pytestmark = pytest.mark.notebook
OVERRIDES = json.loads((ROOT / "tools" / "notebooks" / "overrides.json").read_text(encoding="utf-8"))
JUPYTER = Path(sys.prefix) / "share" / "jupyter"


@pytest.mark.parametrize("plugin", OVERRIDES)
def test_each_setting_is_in_the_schema_of_its_plugin(plugin: str):
    extension, _, name = plugin.partition(":")
    found = sorted(JUPYTER.glob(f"lab*/**/schemas/{extension}/{name}.json"))
    assert found, f"no plugin {plugin} in {JUPYTER}"
    known = json.loads(found[0].read_text(encoding="utf-8"))["properties"]
    for setting, value in OVERRIDES[plugin].items():
        values = [choice["const"] for choice in known[setting].get("oneOf", [])]
        assert value in values if values else isinstance(value, bool)
