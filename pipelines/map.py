"""Draw codes in the plane, cluster them, and compare both with raw values: a picture, or a page to hover over.

Beside NAME.png or NAME.html stands NAME.csv, with the name, the place, the cluster and the class of each example. The
page is one file without scripts. Clusters of raw values and of principal components are printed beside those of codes.
"""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import kerasae
from kerasae.errors import InputError
from pipelines.command_line import door
from pipelines.command_line.fields import StartedRecipe
from pipelines.command_line.ranges import within

KINDS = (".png", ".html")


@dataclass(frozen=True, kw_only=True)
class Recipe(StartedRecipe):
    """Settings of the map and of the clusters."""

    to: str
    """File to write, .png or .html; the table stands beside it under the same name, .csv."""
    method: Literal["pca", "mds", "tsne", "umap"] = "tsne"
    """How codes are placed in the plane; umap needs pip install "kerasae[maps]"."""
    clusters: Literal["kmeans", "gmm", "hdbscan"] = "kmeans"
    """How codes are clustered; hdbscan finds the number of clusters itself, and leaves noise out."""
    k: int | None = field(default=None, metadata=within("count"))
    """Number of clusters; that of the classes when not given, or 10 where there are none."""
    examples: int = field(default=2000, metadata=within("count"))
    """Most examples, drawn at random; at most 10000, as all pairs are compared."""
    split: str | None = None
    """Which part of the data; test, or train where there is none, when not given."""


class Mapped(NamedTuple):
    """The examples of a map, their codes, places, clusters and classes."""

    split: Any
    codes: Any
    """float32 [N, Z]."""
    places: Any
    """float32 [N, 2]."""
    clusters: Any
    """int64 [N], -1 for noise."""
    classes: Any
    """int64 [N], -1 where unknown; None for data without classes."""
    names: list[str]
    class_names: tuple[str, ...]


def run(recipe: Recipe) -> Path:
    """Encode, place and cluster the examples; write the picture or page and the table; print the figures."""
    place = Path(recipe.to)
    if place.suffix.lower() not in KINDS:
        raise InputError(f"to: expected a file that ends in {' or '.join(KINDS)}. Received: {recipe.to!r}")
    table_place = place.with_suffix(".csv")
    kerasae.results.refuse_other_table(table_place, "name,x,y,cluster", "table of a map")
    with (
        kerasae.results.whole_file(place) as file,
        kerasae.results.whole_file(table_place) as table,
        door.entered(recipe) as (recipe, source, _),
    ):
        model, source = opened(recipe, source)
        mapped = mapped_of(model, source, recipe)
        lines = [*agreements(model, source, mapped, recipe), *trusted(mapped, recipe)]
        images = pictures(model, mapped.split)
        if place.suffix.lower() == ".png":
            drawn(mapped, images).savefig(file, format="png", dpi=140, facecolor="white")
        else:
            file.write(page(mapped, images, recipe, lines))
        table.write(rows(mapped).encode("utf-8", "replace"))
    print("\n".join([f"{place}: {len(mapped.names)} examples by {recipe.method}; the table is {table_place}", *lines]))
    return place


# ---- examples, codes, clusters


def opened(recipe, source):
    """Load the run's model, and its data with classes numbered as a conditional model numbers them."""
    from pipelines.embed import opened_autoencoder

    if source.info.kind in ("ratings", "tokens"):
        raise InputError(f"data: expected images, signals or vectors. Received: {source.info.kind}")
    return opened_autoencoder(recipe, source)


def mapped_of(model, source, recipe) -> Mapped:
    """Draw examples at random, and encode, place and cluster them."""
    import numpy as np

    from kerasae import evaluate

    split = chosen(source, recipe)
    codes = np.concatenate(list(evaluate.embedded(model, split))).reshape(len(split), -1).astype(np.float32)
    known = source.info.classes and split.labels is not None
    k = recipe.k or source.info.classes or 10
    return Mapped(
        split,
        codes,
        evaluate.place(codes, recipe.method, recipe.seed),
        evaluate.find_clusters(codes, recipe.clusters, k, seed=recipe.seed),
        split.labels if known else None,
        named(split, source.info.spec),
        source.info.class_names or (),
    )


def chosen(source, recipe):
    """Draw the examples of the map, in stored order."""
    import numpy as np

    part = source.split(recipe.split) if recipe.split else source.test if source.has_test else source.train
    rows = np.random.default_rng(recipe.seed).permutation(len(part))[: recipe.examples]
    return part.subset(np.sort(rows))


def named(split, spec) -> list[str]:
    """Name examples by their files, or by their places in the data."""
    from pipelines import embed

    names = [str(row) for row in split.rows] if split.paths is None else embed.named(spec, split.paths)
    return [*map(kerasae.results.encodable, names)]


# ---- figures


def agreements(model, source, mapped, recipe) -> list[str]:
    """Compare clusters with classes: those of codes, and by the same settings those of raw values and of PCA."""
    import numpy as np

    found = f"{len(set(mapped.clusters.tolist()) - {-1})} clusters by {recipe.clusters}"
    noise = int((mapped.clusters < 0).sum())
    found += f", {noise} examples are noise" if noise else ""
    if mapped.classes is None:
        return [f"{found}; no classes to compare them with"]
    known = np.flatnonzero(mapped.classes >= 0)
    if len(known) == 0:
        return [f"{found}; no example has a class to compare them with"]
    sets = {"codes": mapped.clusters} | baseline_clusters(model, source, mapped, recipe)
    scores = {name: kerasae.evaluate.agreement(mapped.classes[known], c[known]) for name, c in sets.items()}
    lines = [f"{found}; agreement with {len(set(mapped.classes[known].tolist()))} classes, 1 is the same:"]
    lines += [f"  {'clusters of':24}    NMI    ARI"]
    lines += [f"  {name:24} {score.nmi:6.3f} {score.ari:6.3f}" for name, score in scores.items()]
    lines += ["  the encoder was given the classes: its codes are no blind ones"] * bool(model.conditional)
    return [*lines, verdict(scores)]


def baseline_clusters(model, source, mapped, recipe):
    """Cluster the same examples by raw values, and by as many principal components of training data as codes have."""
    from kerasae import evaluate
    from pipelines.judging.codes import UNLABELLED, scale_of, some

    scale, width = scale_of(source.info), mapped.codes.shape[1]
    raw = evaluate.raw_input(mapped.split, scale)
    training = evaluate.raw_input(some(source.train, UNLABELLED, recipe.seed), scale)
    (pca,) = evaluate.principal_components(training, raw, count=width, seed=recipe.seed)
    k = recipe.k or source.info.classes or 10
    sets = {f"PCA, {pca.shape[1]} components": pca, f"raw, {raw.shape[1]} values": raw}
    return {name: evaluate.find_clusters(x, recipe.clusters, k, seed=recipe.seed) for name, x in sets.items()}


def verdict(scores) -> str:
    """Say in words whether the codes' clusters agree better with the classes than the best baseline's."""
    best = max((name for name in scores if name != "codes"), key=lambda name: scores[name].nmi)
    gain = scores["codes"].nmi - scores[best].nmi
    if gain > 0:
        return f"  by NMI the codes are ahead of the best baseline ({best}) by {gain:.3f}; one draw of examples"
    return f"  by NMI the codes are no better than {best}: {gain:+.3f}; the encoder is not worth it for clusters"


def trusted(mapped, recipe) -> list[str]:
    """Measure how far the map keeps neighbours, beside the first two principal components of the same codes."""
    from kerasae import evaluate

    maps = {recipe.method: mapped.places}
    maps |= {} if recipe.method == "pca" else {"pca": evaluate.place(mapped.codes, "pca")}
    found = [f"{name} {evaluate.trust(mapped.codes, places):.3f}" for name, places in maps.items()]
    return [f"trustworthiness of the map, 12 neighbours, 1 keeps all: {', '.join(found)}"]


# ---- files


def pictures(model, split):
    """Read examples as images [N, H, W, C] in [0, 1]; None where they are none."""
    from pipelines.finding.pages import are_pictures, as_pictures

    return as_pictures(model, *split.arrays()) if are_pictures(model) else None


def drawn(mapped, images):
    """Draw the map: images framed by cluster, or dots by class, or by cluster without classes."""
    from kerasae import plots

    if images is not None:
        return plots.thumbnails(mapped.places, images, mapped.clusters)
    if mapped.classes is not None and (mapped.classes >= 0).all():
        return plots.maps({"codes": mapped.places}, mapped.classes, mapped.class_names)
    return plots.maps({"codes": mapped.places}, mapped.clusters.clip(0))


def spelled(mapped) -> dict[str, list[str]]:
    """Spell the cluster of each example, and its class where there are classes; "" where unknown."""
    words = {"cluster": ["noise" if c < 0 else str(c) for c in mapped.clusters]}
    if mapped.classes is not None:
        words["class"] = [mapped.class_names[c] if c >= 0 else "" for c in mapped.classes]
    return words


def page(mapped, images, recipe, lines) -> bytes:
    """Write the page of the map."""
    numbers = {"cluster": mapped.clusters} | ({} if mapped.classes is None else {"class": mapped.classes})
    about = [f"{len(mapped.names)} examples of {recipe.data} by {recipe.method}, codes of {recipe.run}", *lines]
    title = f"Map of {Path(recipe.run).resolve().name}"
    return kerasae.report.page_of_map(title, mapped.places, mapped.names, numbers, spelled(mapped), images, about)


def rows(mapped) -> str:
    """Write the table: name, x, y, cluster, and class where there are classes."""
    text, words = io.StringIO(), spelled(mapped)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "x", "y", *words])
    writer.writerows(
        [name, f"{x:.6g}", f"{y:.6g}", *others]
        for name, (x, y), *others in zip(mapped.names, mapped.places, *words.values(), strict=True)
    )
    return text.getvalue()
