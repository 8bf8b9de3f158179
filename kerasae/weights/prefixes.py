"""Find the vision transformer in a file that holds more, by what stands before the names of its weights."""

import logging

from kerasae.weights.torch_file import Refused

EMBEDDINGS = "embeddings.patch_embeddings.projection.weight"
"""Patch embedding of transformers' encoders."""

ENCODERS = {
    "patch_embed.proj.weight": ("cls_token", "pos_embed"),
    f"vit.{EMBEDDINGS}": ("vit.embeddings.cls_token", "vit.embeddings.position_embeddings"),
    EMBEDDINGS: ("embeddings.cls_token", "embeddings.position_embeddings"),
}
"""Name of the patch embedding in a layout → names of other weights that every encoder of the layout has."""

logger = logging.getLogger(__name__)


def choose(names, asked=None):
    """Choose the prefix of the encoder's names, such as "state_dict.model." of a Lightning checkpoint.

    Args:
        names: names of all tensors of a file; keys of nested dictionaries are joined by dots.
        asked: the prefix that the user asks for, or its beginning up to a dot, such as "teacher"; or None.

    Returns:
        The prefix, "" for none; None if the file holds no vision transformer.

    Raises:
        Refused: several encoders fit equally, or none has the prefix that was asked for.

    Example:
        >>> choose(["teacher.backbone.patch_embed.proj.weight", "teacher.head.bias"])
        'teacher.backbone.'
    """
    scores = completeness(names)
    if asked is not None:
        scores = {prefix: score for prefix, score in scores.items() if begins(prefix, asked)} or absent(scores, asked)
    found = sorted(prefix for prefix, score in scores.items() if score == max(scores.values()))
    if len(found) > 1:
        raise Refused(f"holds {len(found)} encoders that fit equally, under {listed(found)}; choose one by prefix")
    return found[0] if found else None


def completeness(names):
    """Count, for each prefix of a patch embedding, how many of an encoder's other weights stand beside it."""
    known, scores = set(names), {}
    for name in known:
        embedding = next((e for e in ENCODERS if f".{name}".endswith(f".{e}")), None)
        if embedding is not None:
            prefix = name.removesuffix(embedding)
            scores[prefix] = sum(prefix + other in known for other in ENCODERS[embedding])
    return scores


def begins(prefix, asked):
    """Tell whether a prefix is the one that was asked for, or begins with it up to a dot."""
    return prefix == asked or bool(asked) and prefix.startswith(f"{asked.removesuffix('.')}.")


def absent(scores, asked):
    """Raise Refused: no encoder has the prefix that was asked for."""
    there = f"expected one of {listed(sorted(scores))}" if scores else "it holds no vision transformer"
    raise Refused(f"has no encoder under prefix {asked!r}; {there}")


def listed(prefixes):
    """Spell the first prefixes of many."""
    return ", ".join(map(repr, prefixes[:4])) + ", …" * (len(prefixes) > 4)


def under(named, prefix, file):
    """Take the weights whose names begin with a prefix, which is cut off; logs how many others there were.

    Another encoder inside the prefix that fits equally, such as an average under "ema.", is none of them.
    """
    scores = completeness(named)
    equals = (other for other, score in scores.items() if score == scores[prefix] and other != prefix)
    inner = tuple(other for other in equals if other.startswith(prefix))
    kept = [name for name in named if name.startswith(prefix) and not name.startswith(inner)]
    if left := sorted(named.keys() - set(kept)):
        some = f"{', '.join(left[:2])}{', …' * (len(left) > 2)}"
        logger.warning("%s: weights outside %r are left out: %s (%s)", file, prefix, some, len(left))
    return {name.removeprefix(prefix): named[name] for name in kept}
