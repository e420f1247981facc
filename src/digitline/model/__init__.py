"""Networks, arithmetic, augmentation, training, checkpoints, evaluation."""
