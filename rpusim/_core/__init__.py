"""The compiled core: random streams, device steps, pulse trains, coincidence updates, converters, array products.

It works on buffers and scalars and knows no layers, no algorithms and no files. Other compiled parts of the package use
it through the `.pxd` files.
"""
