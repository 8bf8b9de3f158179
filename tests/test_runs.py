"""Run directories: what they give back of the run that left them."""

import numpy as np
from PIL import Image

from kerasae.data import load
from kerasae.runs import open_source


def test_data_are_opened_as_the_run_read_them(tmp_path, caplog):
    """Also with the centre that it cut; broken images, which the run said something about already, are left out."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(20):
            Image.fromarray(rng.integers(0, 255, (12, 16, 3), "uint8")).save(tmp_path / name / f"{i}.png")
    spec = f"folder:{tmp_path}"
    wanted = load(spec, image_size=6, center=0.5).train.arrays()[0]
    recipe = {"data": spec, "data_dir": None, "image_size": [6], "center": 0.5, "skip_broken": False, "epochs": 3}
    np.testing.assert_array_equal(open_source(recipe).train.arrays()[0], wanted)
    assert np.abs(open_source({**recipe, "center": 1.0}).train.arrays()[0].astype(float) - wanted).max() > 1
    (tmp_path / "a" / "3.png").write_bytes(b"")
    assert open_source(recipe).info.skipped == 1 and "1 broken image skipped" in caplog.text
