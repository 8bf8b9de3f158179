"""Level 4: SavedModels with named endpoints, verified in a process of their own that has no kerasae."""

from kerasae.export.saved_model import Checker, Endpoint, ParityError, endpoints, save, verify

__all__ = ["Checker", "Endpoint", "ParityError", "endpoints", "save", "verify"]
