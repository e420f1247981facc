"""Measurements: statistics, calibration, robustness, uncertainty, the leaderboard, trials on other images."""
