from digitline.draw.palette import styles


def test_a_vote_has_its_variant_s_colour_dashed():
    of = styles(["fc", "conv", "conv_wide"], {"conv_wide_vote": "conv_wide"})
    assert len({of["fc"].colour, of["conv"].colour, of["conv_wide"].colour}) == 3
    assert of["conv_wide_vote"].colour == of["conv_wide"].colour
    assert [name for name, style in of.items() if style.dashed] == ["conv_wide_vote"]


def test_a_variant_keeps_its_colour_when_others_follow():
    assert styles(["fc", "conv"], {})["fc"] == styles(["fc", "conv", "conv_wide"], {})["fc"]
