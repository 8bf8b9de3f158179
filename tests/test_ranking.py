"""Rankings of unrated items against scikit-learn, the truncated SVD against NumPy, and cold items apart."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from kerasae import evaluate
from kerasae.data import load
from kerasae.evaluate.rating_baselines import means_of, svd
from kerasae.evaluate.ratings import FEW, rating_figures

RNG = np.random.default_rng(1)
PARTS = RNG.random((30, 25))
RATINGS = RNG.integers(1, 6, (30, 25)).astype(float)
KNOWN, HELD = np.where(PARTS < 0.4, RATINGS, np.nan), np.where((PARTS > 0.4) & (PARTS < 0.6), RATINGS, np.nan)


@pytest.mark.parametrize("top", [1, 5, 40])
def test_ranking_is_scikit_learns(top):
    """NDCG by scikit-learn over the candidates; recall and precision by counting."""
    scores = RNG.normal(size=RATINGS.shape)
    ndcg, recall, precision = [], [], []
    for score, known, held in zip(scores, KNOWN, HELD, strict=True):
        candidates = np.isnan(known)
        relevant = (np.nan_to_num(held) >= 4)[candidates]
        if relevant.any():
            ndcg.append(ndcg_score([relevant.astype(float)], [score[candidates]], k=top))
            best = set(np.argsort(-score[candidates])[:top])
            recall.append(len(best & set(np.flatnonzero(relevant))) / relevant.sum())
            precision.append(len(best & set(np.flatnonzero(relevant))) / top)
    found = evaluate.rank_items(scores, KNOWN, HELD, 4.0, top)
    assert found.users == len(ndcg)
    assert found[:3] == pytest.approx((np.mean(ndcg), np.mean(recall), np.mean(precision)))


def test_users_without_a_relevant_item_are_left_out():
    found = evaluate.rank_items(RATINGS, KNOWN, HELD, relevant=6.0)
    assert found.users == 0 and np.isnan(found.ndcg)


def test_svd_is_numpys_of_what_the_means_leave():
    scores = RNG.normal(size=(30, 4)) @ RNG.normal(size=(4, 25)) + RNG.normal(0, 0.01, RATINGS.shape)
    full = np.where(PARTS < 0.999, 3 + scores, np.nan)  # a spectrum that falls, as the decomposition is randomised
    bias = np.nanmean(full, 1, keepdims=True) + np.nanmean(full, 0, keepdims=True) - np.nanmean(full)
    u, s, v = np.linalg.svd(np.where(np.isnan(full), 0, full - bias), full_matrices=False)
    np.testing.assert_allclose(svd(full, 4), bias + (u[:, :4] * s[:4]) @ v[:4], atol=1e-3)
    np.testing.assert_allclose(means_of(full).both(), bias)
    assert svd(full[:, :1], 4).shape == (30, 1)  # one item, fewer than dimensions


def source_of(folder, by):
    """Ratings of 40 users and 20 items; the last five items have four ratings each."""
    rows = [(u, i, int(RNG.integers(1, 6))) for u in range(40) for i in range(20) if i < 15 or u % 10 == 0]
    (folder / "r.csv").write_text("".join(f"{u},{i},{r}\n" for u, i, r in rows), "utf-8")
    return load(f"ratings:{folder / 'r.csv'}", by=by)


@pytest.mark.parametrize("by", ["item", "user"])
def test_figures_of_cold_items_stand_apart(tmp_path, by):
    source = source_of(tmp_path, by)
    known, held = (source.split(part).arrays()[0] for part in ("train", "test"))
    known, held = (matrix if by == "item" else matrix.T for matrix in (known, held))
    cold = (~np.isnan(known)).sum(axis=1) < FEW
    wanted = (held[cold] - 3.0)[~np.isnan(held[cold])]
    three = SimpleNamespace(reconstruct=lambda x, batch_size: np.full_like(x, 3.0), code_shape=(2,))
    figures = rating_figures(three, source, top=3, relevant=4.0)
    assert figures["cold_items_held_out"] == len(wanted) and figures["cold_users_held_out"] == 0
    assert cold.sum() == 5 and len(wanted) > 0
    assert figures["cold_items_rmse"] == pytest.approx(np.sqrt(np.mean(wanted**2)))
    popular = np.broadcast_to((~np.isnan(known)).sum(axis=1), known.T.shape)
    expected = evaluate.rank_items(popular, known.T, held.T, 4.0, 3)
    assert figures["popularity_ranking_ndcg_at_3"] == pytest.approx(expected.ndcg)
    assert figures["ranked_users"] == expected.users and figures["relevant_from"] == 4.0
