from pipeline.train import fitting
from tests import example


def test_where_a_data_set_has_no_outliers_a_variant_trains_without_them_and_says_so(capsys):
    read = example.read()
    assert read.outliers == "drawn"
    assert fitting(read, "modern") == read.variants["modern"].recipe
    assert fitting(read._replace(outliers="none"), "fc") == read.variants["fc"].recipe
    assert capsys.readouterr().out == ""
    less = fitting(read._replace(outliers="none"), "modern")
    assert less == {key: value for key, value in read.variants["modern"].recipe.items() if key != "outliers"}
    assert capsys.readouterr().out == "modern trains without outliers: datasets.mnist.outliers is none\n"


def test_of_mnist_s_study_modern_alone_has_outliers():
    with_them = [name for name, variant in example.read().variants.items() if variant.recipe.get("outliers")]
    assert with_them == ["modern"]
