"""Write SavedModels with named endpoints."""

import keras

from kerasae.export.offers import endpoints, signature, unserved


def write(model, path, dtype, calibration=None):
    """Trace the endpoints and write the SavedModel; returns the card's entry of each, and why others are left out."""
    archive, described = keras.export.ExportArchive(), {}
    for name, endpoint in endpoints(model, dtype).items():
        added = archive.add_endpoint(name, endpoint.function, input_signature=list(endpoint.takes))
        described[name] = signature(endpoint, added.get_concrete_function())
    archive.write_out(str(path), verbose=False)
    return described, unserved(model)
