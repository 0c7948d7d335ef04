"""From a corpus to a batch: scaling, thinning, splits, augmentation and padding."""
