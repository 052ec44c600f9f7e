"""Owns the colours of every figure: Okabe and Ito's, which readers with any colour vision can tell apart."""

BLACK, ORANGE, SKY_BLUE, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
OKABE_ITO = (BLACK, ORANGE, SKY_BLUE, GREEN, YELLOW, BLUE, VERMILLION, PURPLE)

# What a prediction made of a pixel. The three differ in lightness too, so that they survive a grey print.
HIT, MISSED, INVENTED = BLUE, ORANGE, PURPLE
