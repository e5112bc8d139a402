"""Figures are pictures in notebooks, without pyplot."""

import rpusim as rpu


def test_a_figure_is_a_picture_by_itself():
    figure = rpu.plotting.device_figure(rpu.devices.SoftBounds(), n_devices=1, width=3.3)
    assert figure._repr_png_().startswith(b"\x89PNG")
