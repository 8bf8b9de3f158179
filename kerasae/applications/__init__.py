"""Level 4.5: put a trained model to use, through the public contract and with what `kerasae.evaluate` measures."""

from kerasae.applications.anomalies import contributions, point_scores
from kerasae.applications.directions import Direction, learn_direction, moved
from kerasae.applications.generate import draw_examples, is_picture, pixels
from kerasae.applications.index_files import file_hash, load_index, save_index
from kerasae.applications.latent import between, conditions, on_sphere, plane, traversals
from kerasae.applications.near_duplicates import Duplicates, find_duplicates, find_outliers, nearest_others
from kerasae.applications.recommend import Recommendation, all_ratings, recommend_items, recommend_to_new
from kerasae.applications.restoring import denoise, inpaint, superresolve
from kerasae.applications.searching import EXACT, Found, SearchIndex
from kerasae.applications.tiles import Tiling, by_tiles

__all__ = [
    "Direction",
    "Duplicates",
    "EXACT",
    "Found",
    "Recommendation",
    "SearchIndex",
    "Tiling",
    "all_ratings",
    "between",
    "by_tiles",
    "conditions",
    "contributions",
    "denoise",
    "draw_examples",
    "file_hash",
    "find_duplicates",
    "find_outliers",
    "inpaint",
    "is_picture",
    "learn_direction",
    "load_index",
    "moved",
    "nearest_others",
    "on_sphere",
    "pixels",
    "plane",
    "point_scores",
    "recommend_items",
    "recommend_to_new",
    "save_index",
    "superresolve",
    "traversals",
]
