import base64
import doctest
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from kerasae import plots
from kerasae.errors import InputError


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((6, 8, 8, 1)).astype(np.float32)


def picture(axes):
    return np.asarray(axes.images[0].get_array())


def test_curves_have_a_panel_per_stage_and_quantity():
    rows = [
        {"stage": "pretrain", "epoch": "1", "loss": "3.0", "val_loss": "4.0", "accuracy": ""},
        {"stage": "pretrain", "epoch": "2", "loss": "2.0", "val_loss": "nan", "accuracy": None},
        {"stage": "finetune", "epoch": "1", "loss": "0.7", "accuracy": "0.9"},
        {"stage": "finetune", "loss": "9.9"},
    ]
    figure = plots.curves(rows, units={"loss": "nats per example"})
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["pretrain: loss", "finetune: loss", "finetune: accuracy"]
    training, validation = figure.axes[0].lines
    np.testing.assert_array_equal(training.get_xydata(), [[1, 3], [2, 2]])
    np.testing.assert_array_equal(validation.get_xydata(), [[1, 4]])
    np.testing.assert_array_equal(figure.axes[1].lines[0].get_xydata(), [[1, 0.7]])
    assert figure.axes[0].get_ylabel() == "loss (nats per example)"
    assert figure.axes[0].get_xlabel() == "epoch"
    assert [text.get_text() for text in figure.axes[0].get_legend().texts] == ["training", "validation"]
    assert [axes.get_title() for axes in plots.curves(rows, ["accuracy"]).axes] == ["finetune: accuracy"]
    for nothing in ([], [{"stage": "pretrain", "epoch": 1}]):
        with pytest.raises(InputError, match="rows"):
            plots.curves(nothing)


def test_grid_shows_each_image_in_order_with_its_title(images):
    figure = plots.image_grid(images, columns=4, titles=list("abcdef"))
    assert [axes.get_title() for axes in figure.axes] == list("abcdef")
    for axes, image in zip(figure.axes, images, strict=True):
        np.testing.assert_allclose(picture(axes), image[..., 0])
        assert axes.images[0].get_clim() == (0, 1)


def test_channels_and_ranges():
    colour = np.full((1, 4, 6, 3), [0.2, 0.5, 1.7])
    np.testing.assert_allclose(picture(plots.image_grid(colour).axes[0])[0, 0], [0.2, 0.5, 1.0])
    five = np.tile(np.array([0.0, 0.1, 0.2, 0.3, 0.4]), (1, 4, 6, 1))
    np.testing.assert_allclose(picture(plots.image_grid(five).axes[0]), np.full((4, 6), 0.2))


def test_images_keep_their_proportions():
    figure = plots.image_grid(np.zeros((5, 20, 40, 1)), columns=3)
    box = figure.axes[0].get_window_extent()
    assert box.width / box.height == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("shape, lines", [((30,), 1), ((100, 2), 2), ((8, 8), 0), ((28, 28), 0)])
def test_vectors_and_sequences_are_lines(shape, lines):
    axes = plots.image_grid(np.random.default_rng(0).random((2, *shape))).axes[0]
    assert len(axes.lines) == lines and len(axes.images) == (lines == 0)


def test_reconstructions_are_labelled_rows(images):
    figure = plots.reconstructions(images[:3], images[3:], corrupted=1 - images[:3])
    for row, expected in enumerate((images[:3], 1 - images[:3], images[3:])):
        for column in range(3):
            np.testing.assert_allclose(picture(figure.axes[3 * row + column]), expected[column, ..., 0])
    labels = [axes.texts[0].get_text() for axes in figure.axes[::3]]
    assert labels == ["input", "corrupted", "reconstruction"]
    with pytest.raises(InputError, match="x_hat"):
        plots.reconstructions(images, images[:3])


def test_reconstructed_lines_share_their_scale():
    figure = plots.reconstructions(np.linspace(0, 1, 40).reshape(2, 20), np.linspace(0, 0.1, 40).reshape(2, 20))
    assert figure.axes[0].get_ylim() == figure.axes[2].get_ylim()


def test_filters_are_scaled_symmetrically():
    kernel = np.zeros((12, 5), np.float32)
    kernel[:, 1] = np.linspace(-2, 1, 12)
    figure = plots.filters(kernel, (3, 4), n=3)
    assert len(figure.axes) == 3
    np.testing.assert_allclose(picture(figure.axes[0]), np.full((3, 4), 0.5))
    np.testing.assert_allclose(picture(figure.axes[1]).ravel(), 0.5 + np.linspace(-2, 1, 12) / 4, atol=1e-6)
    with pytest.raises(InputError, match="shape"):
        plots.filters(kernel, (5, 5))


def test_filters_of_a_convolution():
    kernel = np.random.default_rng(0).normal(size=(5, 4, 3, 7))
    figure = plots.filters(kernel, (5, 4, 3))
    expected = 0.5 + kernel[..., 6] / np.abs(kernel[..., 6]).max() / 2
    np.testing.assert_allclose(picture(figure.axes[6]), expected, atol=1e-6)


def test_interpolations_are_rows_of_steps(images):
    figure = plots.interpolations(images.reshape(2, 3, 8, 8, 1))
    np.testing.assert_allclose(picture(figure.axes[5]), images[5, ..., 0])
    assert [axes.get_title() for axes in figure.axes[:4]] == ["0%", "50%", "100%", ""]


def test_confusion_colours_shares_and_writes_counts():
    axes = plots.confusion(np.array([[3, 1], [0, 0]]), ["cat", "dog"]).axes[0]
    np.testing.assert_allclose(picture(axes), [[0.75, 0.25], [0, 0]])
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(0, 0): "3", (1, 0): "1"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")
    assert [text.get_text() for text in axes.get_yticklabels()] == ["cat", "dog"]
    with pytest.raises(InputError, match="class_names"):
        plots.confusion(np.eye(2), ["cat"])


def test_bars_are_in_percent():
    axes = plots.bars({"fine-tuned": 0.97, "scratch": 0.5}).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [97.0, 50.0]
    assert [text.get_text() for text in axes.texts] == ["97.0", "50.0"]
    for wrong in ({}, {"probe": 97.0}, {"probe": float("nan")}):
        with pytest.raises(InputError, match="figures"):
            plots.bars(wrong)


def test_integers_are_refused():
    with pytest.raises(InputError, match="floats"):
        plots.image_grid(np.zeros((2, 8, 8, 1), np.uint8))


def test_png_can_be_embedded(images):
    data = base64.b64decode(plots.png_base64(plots.image_grid(images)))
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 500


def test_pyplot_is_never_loaded():
    code = "import sys; from kerasae import plots; plots.png_base64(plots.bars({'a': 0.5})); "
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_examples_run():
    results = [doctest.testmod(getattr(plots, name)) for name in ("courses", "examples", "plane", "scores")]
    assert sum(found.failed for found in results) == 0 and sum(found.attempted for found in results) >= 8
    assert isinstance(plots.bars({"a": 1.0}), Figure)
