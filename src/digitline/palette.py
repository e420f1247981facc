"""The colours of variants, told apart by the colour-blind too: the first six are Okabe and Ito's (2008)."""

BLUE = "#0072b2"
COLOURS = [BLUE, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#777777"]
