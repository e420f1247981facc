import numpy as np

from digitline.explain import embedding


def clusters() -> np.ndarray:
    """Two clusters far apart along one of five dimensions."""
    generator = np.random.default_rng(0)
    points = generator.normal(size=(60, 5)).astype(np.float32)
    points[30:, 2] += 40
    return points


def test_the_first_component_has_the_largest_variance():
    places, held = embedding.linear(clusters())
    assert places.shape == (60, 2)
    assert abs(places[:30, 0].mean() - places[30:, 0].mean()) > 39
    assert 0.95 < held[0] < 1
    assert held[0] + held[1] < 1


def test_neighbours_stay_together_and_every_call_gives_the_same():
    places = embedding.neighbourly(clusters())
    middles = places[:30].mean(0), places[30:].mean(0)
    apart = np.linalg.norm(middles[0] - middles[1])
    assert all(np.linalg.norm(place - middles[at >= 30]) < apart / 2 for at, place in enumerate(places))
    assert np.array_equal(places, embedding.neighbourly(clusters()))
