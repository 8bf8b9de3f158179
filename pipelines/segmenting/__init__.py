"""Parts of the segmentation of images: training, figures and pictures."""
