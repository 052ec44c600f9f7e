"""From a photograph to its mask. Explained in 11_predict."""
