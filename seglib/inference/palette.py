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

CLASS_COLOURS = (SKY_BLUE, ORANGE, GREEN, YELLOW, BLUE, VERMILLION, PURPLE)


def class_colours(num_classes: int) -> list[str]:
    """A colour for each class but the background, as `overlay` takes them; they begin again after seven."""
    return [CLASS_COLOURS[number % len(CLASS_COLOURS)] for number in range(num_classes - 1)]


# What a prediction made of a pixel. The three differ in lightness too: they can be told apart in a grey print.
HIT = BLUE
MISSED = ORANGE
INVENTED = PURPLE
