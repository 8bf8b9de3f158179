"""Distortions of images by the name that `--augment` takes, for labelled images and for pairs."""


def named(name) -> tuple:
    """Build the distortions of a name: none, affine or elastic, which is affine ones and then elastic ones."""
    from kerasae.data import ElasticDistortion, RandomAffine

    affine = RandomAffine(shift=0.1, rotate=15.0, scale=0.15, shear=10.0)
    return {"none": (), "affine": (affine,), "elastic": (affine, ElasticDistortion())}[name]
