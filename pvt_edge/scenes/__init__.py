"""Drawn blood-smear scenes with boxes and class maps: for tests, demos and training without a data set.

A scene is laid out (`layout`), its cells are painted as light-absorbing layers (`cells`, put together in
`smear`) and a camera takes the picture (`camera`). The same seed draws the same pixels.
"""

from pvt_edge.scenes.scene import CLASSES, LABELS, Scene, draw_scene, scene_clip, write_clip, write_scenes

__all__ = ["CLASSES", "LABELS", "Scene", "draw_scene", "scene_clip", "write_clip", "write_scenes"]
