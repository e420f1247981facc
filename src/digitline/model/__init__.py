"""Networks and their arithmetic, augmentation, training, checkpoints, evaluation."""
