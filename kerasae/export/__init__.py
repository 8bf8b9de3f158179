"""Level 4: export SavedModels with named endpoints, verified in a separate process without kerasae."""

from kerasae.export.saved_model import Checker, Endpoint, ParityError, endpoints, save, verify

__all__ = ["Checker", "Endpoint", "ParityError", "endpoints", "save", "verify"]
