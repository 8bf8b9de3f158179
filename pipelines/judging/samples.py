"""Judge samples of a generative model beside real examples."""

import numpy as np

import kerasae
from kerasae import plots
from pipelines.building.variants import scale_of
from pipelines.judging.codes import FEWEST, some

COMPARED = 60_000
"""Most training examples among which copies are sought."""

VALIDATION = 1000
"""Training examples that choose the width of the Parzen window."""

SHOWN = 12
"""Samples on the sheet of nearest pairs."""


def figures_of_samples(directory, model, source, test, count, seed):
    """Draw samples, measure all that applies, and write the nearest pairs to `nearest.png`; name → figure."""
    if not count or not model.generative:
        return {}
    if min(count, len(test), len(source.train)) < FEWEST:
        print(f"samples are not judged: fewer than {FEWEST} samples, or test or training examples")
        return {}
    info, asked = source.info, asked_classes(model, source, count, seed)
    samples = as_stored(np.asarray(model.sample(count, asked, seed=seed), np.float32), info, seed)
    real, training = (some(split, count, seed) for split in (test, source.train))
    found = {"generated": count}
    if not kerasae.evaluate.can_judge(info) or source.train.labels is None:
        print("no judge without images of known classes: Fréchet distance, precision and recall are left out")
    else:
        rivals = rival_samples(model, source, real, seed)
        found |= by_judge(source, samples, real, training, asked, rivals)
    return found | by_values(directory, source, samples, real, training, seed)


def asked_classes(model, source, count, seed):
    """Draw the classes to ask of a conditional model, as frequent as in training; None for other models."""
    if not model.conditional:
        return None
    return np.random.default_rng(seed).choice(source.train.labelled().labels, count)


def as_stored(samples, info, seed):
    """Round samples in 0…1 to the integers that the data hold; draw binary values by their means."""
    if info.binarized or ("int" in info.dtype and info.max_value == 1):
        ones = np.random.default_rng(seed).random(samples.shape) < samples
        return (ones * info.max_value).astype(info.dtype)
    if "int" not in info.dtype:
        return samples
    return np.rint(np.clip(samples, 0, 1) * info.max_value).astype(info.dtype)


def rival_samples(model, source, real, seed):
    """Decode indices of simpler priors, and of the real images, where the model has a prior of indices."""
    if not isinstance(model, kerasae.models.CodePriorAutoencoder) or model.autoencoder.conditional:
        return {}
    of_real, of_training = (kerasae.evaluate.indices_of(model, split) for split in (real, source.train))
    shares = kerasae.evaluate.independent_shares(of_training, model.codebook.size)
    drawn = {
        "independent_indices": kerasae.evaluate.draw_independent(shares, len(real), seed),
        "uniform_indices": kerasae.evaluate.draw_independent(
            np.full_like(shares, 1 / shares.shape[1]), len(real), seed
        ),
        "reconstructions": of_real,
    }
    return {name: as_stored(decoded(model, indices), source.info, seed) for name, indices in drawn.items()}


def decoded(model, indices):
    """Decode indices [N, T] by the first stage alone: float32 [N, *shape]."""
    codes = model.lookup(indices.reshape(-1, *model.code_shape[:-1]))
    return np.asarray(model.autoencoder.decode(codes), np.float32)


def by_judge(source, samples, real, training, asked, rivals):
    """Compare features and classes that the judge of this data set gives, also of rival samples by name."""
    judge = kerasae.evaluate.trained_judge(source)
    print(f"judge: {judge.about}; not Inception's features, compare figures within this data set and judge only")
    of_real, of_training = (judge.features(split.arrays()[0]) for split in (real, training))
    found = {"judge": judge.about}
    for name, features in (("", judge.features(samples)), ("_of_training", of_training)):
        found[f"frechet{name}"] = kerasae.evaluate.frechet_distance(of_real, features)
        both = kerasae.evaluate.precision_and_recall(of_real, features)
        found[f"precision{name}"], found[f"recall{name}"] = both
    for name, others in rivals.items():
        found[f"frechet_of_{name}"] = kerasae.evaluate.frechet_distance(of_real, judge.features(others))
    if asked is not None:
        found["asked_class_share"] = judge.asked_class_share(samples, asked)
    return found


def by_values(directory, source, samples, real, training, seed):
    """Compare the values themselves: a classifier, nearest training examples, a Parzen window."""
    scale, info = scale_of(source.info), source.info
    pool = some(source.train, COMPARED, seed)
    x, of_real, of_training, of_pool = (
        kerasae.evaluate.raw_input(part, scale) for part in (samples, real, training, pool)
    )
    copies = kerasae.evaluate.memorisation(x, of_real, of_pool)
    if info.kind == "image" and len(info.shape) == 3 and not info.standardized:
        draw_nearest(directory, samples, pool, copies, info)
    validation = np.random.default_rng(seed).permutation(of_training)[:VALIDATION]
    parzen = kerasae.evaluate.parzen_window(x, validation, of_real)
    return {
        "told_apart": kerasae.evaluate.told_apart(of_real, x, seed),
        "told_apart_of_training": kerasae.evaluate.told_apart(of_real, of_training, seed),
        "memorised_share": copies.share,
        "parzen_log_likelihood": parzen.log_likelihood,
        "parzen_standard_error": parzen.standard_error,
        "parzen_sigma": parzen.sigma,
    }


def draw_nearest(directory, samples, pool, copies, info):
    """Draw the samples that are nearest to a training image, above that image."""
    rows = np.argsort(copies.distances)[:SHOWN]
    twins, _ = pool.gather(copies.nearest[rows])
    top = info.max_value if "int" in info.dtype else 1.0
    images = np.concatenate([samples[rows], twins.numpy()]).astype(np.float32) / top
    titles = [*["sample"] * len(rows), *["training"] * len(rows)]
    plots.image_grid(images, columns=len(rows), titles=titles).savefig(directory.path / "nearest.png")
    print(f"{directory.path / 'nearest.png'}: the samples nearest to a training image, above it")
