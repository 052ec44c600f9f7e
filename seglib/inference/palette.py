"""Owns the colours of masks and figures: Okabe and Ito's, which any colour vision can tell apart. See 00_start_here."""

BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
OKABE_ITO = (BLACK, ORANGE, SKY_BLUE, GREEN, YELLOW, BLUE, VERMILLION, PURPLE)

# What a prediction made of a pixel. The three differ in lightness too: they can be told apart in a grey print.
HIT = BLUE
MISSED = ORANGE
INVENTED = PURPLE
